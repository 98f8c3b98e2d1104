//! The line editor: keys, history, pasted text.

use crate::app::App;
use anyhow::{Context, Result};
use completion::Words;
use menu::Choices;
use reedline::{
    ColumnarMenu, EditCommand, EditMode, Emacs, FileBackedHistory, Highlighter, KeyCode,
    KeyModifiers, MenuBuilder, Prompt, PromptEditMode, PromptHistorySearch,
    PromptHistorySearchStatus, Reedline, ReedlineEvent, ReedlineMenu, ReedlineRawEvent, Signal,
    StyledText, ValidationResult, Validator, default_emacs_keybindings,
};
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub mod completion;
mod compose;
mod menu;

pub use compose::compose;

/// Most lines of the history.
const HISTORY: usize = 2000;

const ARROWS: &str = ">>> ";

/// What the editor returns.
pub enum Edited {
    Text(String),
    /// Ctrl-C on an empty line.
    Interrupt,
    /// Ctrl-C on a line that is not empty: the line is dropped.
    Dropped,
    End,
}

/// A line editor on the terminal.
pub struct Editor {
    line: Reedline,
    /// Whether anything is typed.
    typed: Arc<AtomicBool>,
    state: PathBuf,
}

impl Editor {
    /// With `history`, lines are saved in the state folder. If that fails, a note says so.
    pub fn new(app: &App, history: bool, words: Words) -> Self {
        let mut keys = default_emacs_keybindings();
        let control = KeyModifiers::CONTROL;
        let newline = ReedlineEvent::Edit(vec![EditCommand::InsertNewline]);
        keys.add_binding(KeyModifiers::ALT, KeyCode::Enter, newline);
        for (key, action) in [('o', EDIT), ('z', SUSPEND)] {
            if action == SUSPEND && !cfg!(unix) {
                continue;
            }
            let action = ReedlineEvent::ExecuteHostCommand(action.into());
            keys.add_binding(control, KeyCode::Char(key), action);
        }
        let complete = vec![
            ReedlineEvent::Menu("completion".into()),
            ReedlineEvent::MenuNext,
        ];
        let complete = ReedlineEvent::UntilFound(complete);
        keys.add_binding(KeyModifiers::NONE, KeyCode::Tab, complete);
        let menu = ColumnarMenu::default()
            .with_name("completion")
            .with_marker(ARROWS);
        let typed = Arc::new(AtomicBool::new(false));
        let mut line = Reedline::create()
            .with_edit_mode(Box::new(Keys(Emacs::new(keys))))
            .with_completer(Box::new(words))
            .with_quick_completions(true)
            .with_partial_completions(true)
            .with_menu(ReedlineMenu::EngineCompleter(Box::new(Choices(menu))))
            .with_validator(Box::new(Blocks))
            .with_highlighter(Box::new(Unchanged(Arc::clone(&typed))))
            .with_ansi_colors(app.colour)
            .use_bracketed_paste(true);
        if history {
            match kept_history(&app.state.join("history")) {
                Ok(kept) => line = line.with_history(Box::new(kept)),
                Err(error) => app.dim(&format!("note: no history is kept: {error:#}")),
            }
        }
        Self {
            line,
            typed,
            state: app.state.clone(),
        }
    }

    pub fn read(&mut self) -> Result<Edited> {
        loop {
            return Ok(match self.line.read_line(&Arrows).context("terminal")? {
                Signal::Success(text) => {
                    // Written at once, because the window may be closed at any time. If that fails,
                    // the line still counts.
                    let _ = self.line.sync_history();
                    Edited::Text(text)
                }
                Signal::CtrlC if self.typed.load(Ordering::Relaxed) => Edited::Dropped,
                Signal::CtrlC => Edited::Interrupt,
                Signal::HostCommand(action) if action == EDIT => {
                    self.edit();
                    continue;
                }
                Signal::HostCommand(_) => {
                    crate::guard::suspend();
                    continue;
                }
                _ => Edited::End,
            });
        }
    }

    /// Opens the typed text in the user's own editor, and takes it back.
    fn edit(&mut self) {
        match compose(&self.state, self.line.current_buffer_contents()) {
            Ok(text) => {
                let text = harmless(text.trim_end());
                let insert = EditCommand::InsertString(text);
                self.line.run_edit_commands(&[EditCommand::Clear, insert]);
            }
            // On the line below; the typed text stays.
            Err(error) => tell!("\nerror: {error:#}"),
        }
    }
}

/// Actions that are bound to keys.
const EDIT: &str = "edit";
const SUSPEND: &str = "suspend";

/// The keys of Emacs.
struct Keys(Emacs);

impl EditMode for Keys {
    fn parse_event(&mut self, event: ReedlineRawEvent) -> ReedlineEvent {
        match self.0.parse_event(event) {
            ReedlineEvent::Edit(commands) => {
                let harmless = commands.into_iter().map(|command| match command {
                    EditCommand::InsertString(pasted) => {
                        EditCommand::InsertString(harmless(&pasted))
                    }
                    other => other,
                });
                ReedlineEvent::Edit(harmless.collect())
            }
            other => other,
        }
    }

    fn edit_mode(&self) -> PromptEditMode {
        self.0.edit_mode()
    }
}

/// Pasted text may contain control codes for the terminal: they become U+FFFD.
fn harmless(text: &str) -> String {
    let control = |c: char| c.is_control() && c != '\n' && c != '\t';
    text.replace(control, "\u{fffd}")
}

/// Shows the typed text in the terminal's own colour, and notes whether there is any.
struct Unchanged(Arc<AtomicBool>);

impl Highlighter for Unchanged {
    fn highlight(&self, line: &str, _: usize) -> StyledText {
        self.0.store(!line.is_empty(), Ordering::Relaxed);
        let mut text = StyledText::new();
        text.push((Default::default(), line.to_owned()));
        text
    }
}

/// The history file, which only the user can read.
fn kept_history(path: &Path) -> Result<FileBackedHistory> {
    let context = || path.display().to_string();
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(context)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).with_context(context)?;
    FileBackedHistory::with_file(HISTORY, path.to_owned()).with_context(context)
}

/// Enter begins another line inside a block.
struct Blocks;

impl Validator for Blocks {
    fn validate(&self, line: &str) -> ValidationResult {
        if super::block::goes_on(line) {
            ValidationResult::Incomplete
        } else {
            ValidationResult::Complete
        }
    }
}

/// The prompt: `>>> `, and `... ` for further lines.
struct Arrows;

impl Prompt for Arrows {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_indicator(&self, _: PromptEditMode) -> Cow<'_, str> {
        Cow::Borrowed(ARROWS)
    }

    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        Cow::Borrowed("... ")
    }

    fn render_prompt_history_search_indicator(&self, s: PromptHistorySearch) -> Cow<'_, str> {
        let failing = match s.status {
            PromptHistorySearchStatus::Passing => "",
            PromptHistorySearchStatus::Failing => "failing ",
        };
        Cow::Owned(format!("({failing}history: {}) ", s.term))
    }
}
