//! Where lines come from: the editor on a terminal, plain lines otherwise.

use super::block::{FENCE, fence, goes_on};
use super::editor::{Edited, Editor};
use crate::app::{App, is_dumb};
use anyhow::{Context, Result};
use std::io::{BufRead, IsTerminal, Write};
use std::sync::atomic::Ordering;

/// What was entered.
#[derive(Debug, PartialEq, Eq)]
pub enum Entered {
    /// A line, or several: a command or a message.
    Text(String),
    /// A block between `"""`: a message, even if it begins with a slash.
    Block(String),
    /// Ctrl-C on an empty line.
    Interrupt,
    /// Ctrl-C on a line that is not empty: the line is dropped.
    Dropped,
    /// A line that is not valid UTF-8, after its error message.
    Refused,
    /// The end of the input.
    End,
}

/// A source of lines.
pub enum Input {
    Editor(Box<Editor>),
    /// Whether a prompt is shown: stdin is a terminal.
    Plain {
        prompt: bool,
    },
}

impl Input {
    /// The editor if the program runs on a terminal that can move its cursor, else plain lines.
    pub fn new(app: &App, history: bool, words: super::editor::completion::Words) -> Self {
        if edits() {
            return Input::Editor(Box::new(Editor::new(app, history, words)));
        }
        Input::Plain {
            prompt: std::io::stdin().is_terminal(),
        }
    }

    /// The next message or command, its lines joined. `calm_down` waits for work that was
    /// interrupted; with the editor that happens after the user has typed, so nobody notices.
    pub fn next(&mut self, app: &App, calm_down: &dyn Fn()) -> Result<Entered> {
        match self {
            Input::Editor(editor) => {
                let edited = editor.read();
                calm_down();
                Ok(match edited {
                    Ok(Edited::Text(text)) => entered(&text),
                    Ok(Edited::Dropped) => Entered::Dropped,
                    Ok(Edited::Interrupt) => Entered::Interrupt,
                    Ok(Edited::End) => Entered::End,
                    // For example a terminal that does not say where its cursor is.
                    Err(error) => {
                        app.dim(&format!(
                            "note: lines are read without an editor: {error:#}"
                        ));
                        crate::guard::show();
                        *self = Input::Plain { prompt: true };
                        return self.next(app, calm_down);
                    }
                })
            }
            Input::Plain { prompt } => {
                calm_down();
                let entered = plain(app, *prompt);
                calm_down();
                entered
            }
        }
    }

    /// Whether a user is watching.
    pub fn is_watched(&self) -> bool {
        !matches!(self, Input::Plain { prompt: false })
    }

    /// Opens `$EDITOR` on an empty text and returns what was written; None without the line editor.
    pub fn compose(&self, app: &App) -> Result<Option<String>> {
        match self {
            Input::Editor(_) => super::editor::compose(&app.state, "").map(Some),
            Input::Plain { .. } => Ok(None),
        }
    }
}

/// Whether stdin, stdout and stderr are a terminal that can move its cursor.
pub fn edits() -> bool {
    let terminals = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    terminals && std::io::stderr().is_terminal() && !is_dumb()
}

/// The text without the marks that joined its lines.
fn entered(text: &str) -> Entered {
    let Some(at) = fence(text) else {
        return Entered::Text(text.replace("\\\r\n", "\n").replace("\\\n", "\n"));
    };
    let inner = text[at + FENCE.len()..].trim_end();
    let inner = inner.strip_suffix(FENCE).unwrap_or(inner);
    let inner = inner.trim_matches(['\r', '\n']);
    match text[..at].trim_start() {
        "" => Entered::Block(inner.to_owned()),
        command => Entered::Text(format!("{command}{inner}")),
    }
}

/// A line, or a block, of plain input. A Ctrl-C meanwhile goes to the signal handler, which prints
/// a hint.
fn plain(app: &App, prompt: bool) -> Result<Entered> {
    let mut input = std::io::stdin().lock();
    let mut bytes = Vec::new();
    loop {
        if prompt {
            crate::say::aside(format_args!(
                "{}",
                if bytes.is_empty() { ">>> " } else { "... " }
            ));
            std::io::stderr().flush()?;
        }
        let before = bytes.len();
        app.idle.store(true, Ordering::Relaxed);
        let read = input.read_until(b'\n', &mut bytes);
        app.idle.store(false, Ordering::Relaxed);
        let ended = read.context("stdin")? == 0;
        if ended && before == 0 {
            if prompt {
                tell!("");
            }
            return Ok(Entered::End);
        }
        let Ok(text) = std::str::from_utf8(&bytes) else {
            let at = String::from_utf8_lossy(&bytes)
                .find('\u{fffd}')
                .unwrap_or(0);
            tell!("error: the line is not valid UTF-8 at byte {at}: it was not sent");
            return Ok(Entered::Refused);
        };
        let line = text.trim_end_matches(['\r', '\n']);
        if ended || !goes_on(line) {
            return Ok(entered(line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_lines_together_is_no_part_of_them() {
        let block = |text: &str| Entered::Block(text.to_owned());
        let text = |text: &str| Entered::Text(text.to_owned());
        assert_eq!(entered("\"\"\"\n one\n two\n\"\"\""), block(" one\n two"));
        assert_eq!(entered(" \"\"\"/one\"\"\""), block("/one"));
        assert_eq!(entered("one\\\ntwo"), text("one\ntwo"));
        assert_eq!(entered("a \\ b"), text("a \\ b"));
        let typed = "/set system \"\"\"\nBe\nbrief.\n\"\"\"";
        assert_eq!(entered(typed), text("/set system Be\nbrief."));
    }
}
