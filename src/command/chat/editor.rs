//! The line editor: keys, history, completion.

use super::table::{self, COMMANDS, Hint, SUBJECTS};
use crate::app::App;
use anyhow::{Context, Result};
use reedline::{
    ColumnarMenu, Completer, EditCommand, Emacs, FileBackedHistory, KeyCode, KeyModifiers,
    MenuBuilder, Prompt, PromptEditMode, PromptHistorySearch, PromptHistorySearchStatus, Reedline,
    ReedlineEvent, ReedlineMenu, Signal, Span, Suggestion, ValidationResult, Validator,
    default_emacs_keybindings,
};
use std::borrow::Cow;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Lines of history that are kept.
const HISTORY: usize = 2000;

/// What came from the editor.
pub enum Edited {
    Text(String),
    Interrupt,
    End,
}

/// A line editor on the terminal.
pub struct Editor {
    line: Reedline,
}

/// What arguments are completed from.
#[derive(Debug, Clone, Default)]
pub struct Words {
    pub members: Vec<String>,
    pub methods: Vec<String>,
    pub parameters: Vec<String>,
    /// Where sessions are kept.
    pub sessions: PathBuf,
}

impl Editor {
    /// `history`: kept in the state folder. A history that cannot be kept is told of, and none is.
    pub fn new(app: &App, history: bool, words: Words) -> Self {
        let mut keys = default_emacs_keybindings();
        let control = KeyModifiers::CONTROL;
        let newline = ReedlineEvent::Edit(vec![EditCommand::InsertNewline]);
        keys.add_binding(KeyModifiers::ALT, KeyCode::Enter, newline);
        keys.add_binding(control, KeyCode::Char('o'), ReedlineEvent::OpenEditor);
        let complete = vec![
            ReedlineEvent::Menu("completion".into()),
            ReedlineEvent::MenuNext,
        ];
        let complete = ReedlineEvent::UntilFound(complete);
        keys.add_binding(KeyModifiers::NONE, KeyCode::Tab, complete);
        let menu = Box::new(ColumnarMenu::default().with_name("completion"));
        let mut line = Reedline::create()
            .with_edit_mode(Box::new(Emacs::new(keys)))
            .with_completer(Box::new(Words::clone(&words)))
            .with_quick_completions(true)
            .with_partial_completions(true)
            .with_menu(ReedlineMenu::EngineCompleter(menu))
            .with_validator(Box::new(Blocks))
            .with_ansi_colors(app.colour)
            .use_bracketed_paste(true);
        // In the user's own folder: elsewhere another user could lay a link there.
        if std::fs::create_dir_all(&app.state).is_ok() {
            let draft = draft(&app.state);
            line = line.with_buffer_editor(editor(draft.as_os_str()), draft);
        }
        if history {
            match kept_history(&app.state.join("history")) {
                Ok(kept) => line = line.with_history(Box::new(kept)),
                Err(error) => app.dim(&format!("note: no history is kept: {error:#}")),
            }
        }
        Self { line }
    }

    pub fn read(&mut self) -> Result<Edited> {
        Ok(match self.line.read_line(&Arrows).context("terminal")? {
            Signal::Success(text) => Edited::Text(text),
            Signal::CtrlC => Edited::Interrupt,
            _ => Edited::End,
        })
    }
}

/// The history's file, for the user alone.
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

/// The file of a text that is edited.
fn draft(state: &Path) -> PathBuf {
    state.join(format!("draft-{}.md", std::process::id()))
}

/// `$VISUAL`, `$EDITOR` or vi, on a file.
fn editor(file: &std::ffi::OsStr) -> Command {
    let set = |name| std::env::var(name).ok().filter(|v| !v.trim().is_empty());
    let typed = set("VISUAL").or_else(|| set("EDITOR"));
    let typed = typed.unwrap_or_else(|| "vi".into());
    let mut words = typed.split_whitespace().map(OsString::from);
    let mut command = Command::new(words.next().unwrap_or_else(|| "vi".into()));
    command.args(words).arg(file);
    command
}

/// Lets the user write a text in the editor.
pub fn compose(state: &Path) -> Result<String> {
    std::fs::create_dir_all(state).with_context(|| state.display().to_string())?;
    let draft = draft(state);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let context = || draft.display().to_string();
    options.open(&draft).with_context(context)?;
    let mut command = editor(draft.as_os_str());
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command
        .status()
        .with_context(|| format!("{name} ($EDITOR)"));
    let text = std::fs::read_to_string(&draft).with_context(context);
    std::fs::remove_file(&draft).with_context(context)?;
    if !status?.success() {
        anyhow::bail!("{name} ($EDITOR) failed: nothing was sent");
    }
    text
}

/// Goes on to another line inside a block.
struct Blocks;

impl Validator for Blocks {
    fn validate(&self, line: &str) -> ValidationResult {
        if super::input::goes_on(line) {
            ValidationResult::Incomplete
        } else {
            ValidationResult::Complete
        }
    }
}

/// `>>> `, and `... ` for further lines.
struct Arrows;

impl Prompt for Arrows {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_indicator(&self, _: PromptEditMode) -> Cow<'_, str> {
        Cow::Borrowed(">>> ")
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

impl Words {
    /// Completions of the last word of `line`: where it begins, and what it may become.
    fn of(&self, line: &str) -> (usize, Vec<String>) {
        let begins = |from: usize, words: Vec<String>| {
            let typed = &line[from..];
            let mut words = words;
            words.retain(|w| w.starts_with(typed));
            (from, words)
        };
        let Some((command, _)) = line.split_once(' ') else {
            let names = COMMANDS.iter().flat_map(|c| c.names.iter());
            let names = names.filter(|_| line.starts_with('/'));
            return begins(0, names.map(|n| format!("/{n}")).collect());
        };
        let Some(command) = command.strip_prefix('/').and_then(table::find) else {
            return (0, Vec::new());
        };
        let from = line.rfind([' ', ',']).map_or(0, |i| i + 1);
        match command.hint {
            Hint::Nothing => (from, Vec::new()),
            Hint::Commands => {
                let names = COMMANDS.iter().flat_map(|c| c.names.iter());
                begins(from, names.map(|n| (*n).to_owned()).collect())
            }
            Hint::Words(words) => begins(from, words.iter().map(|w| (*w).to_owned()).collect()),
            Hint::Methods => {
                let named = self.members.iter().map(|m| format!("{m}="));
                begins(from, self.methods.iter().cloned().chain(named).collect())
            }
            Hint::Members if line.matches(' ').count() < 2 => {
                begins(from, ["on", "off", "only"].map(str::to_owned).to_vec())
            }
            Hint::Subjects if line.matches(' ').count() < 2 => {
                begins(from, SUBJECTS.map(str::to_owned).to_vec())
            }
            Hint::Subjects if !line.starts_with("/show prompt ") => (from, Vec::new()),
            Hint::Members | Hint::Subjects => begins(from, self.members.clone()),
            Hint::Parameters => begins(from, self.parameters.clone()),
            Hint::Sessions => begins(from, super::sessions::names(&self.sessions)),
            Hint::Files => begins(from, files(&line[from..])),
        }
    }
}

/// Files whose path begins so; folders end in a slash.
fn files(typed: &str) -> Vec<String> {
    let (folder, _) = typed
        .rfind('/')
        .map_or(("", typed), |i| typed.split_at(i + 1));
    let Ok(entries) = std::fs::read_dir(if folder.is_empty() { "." } else { folder }) else {
        return Vec::new();
    };
    let named = entries.flatten().filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let slash = if entry.path().is_dir() { "/" } else { "" };
        Some(format!("{folder}{name}{slash}"))
    });
    let mut names: Vec<String> = named.collect();
    names.sort();
    names
}

impl Completer for Words {
    fn complete(&mut self, line: &str, pos: usize) -> Vec<Suggestion> {
        let (from, words) = self.of(&line[..pos]);
        let suggestion = |value: String| Suggestion {
            append_whitespace: !value.ends_with(['/', '=']),
            value,
            span: Span::new(from, pos),
            ..Suggestion::default()
        };
        words.into_iter().map(suggestion).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_their_arguments_are_completed() {
        let words = Words {
            members: vec!["ann".into(), "bob".into()],
            methods: vec!["sim".into(), "adaptive".into()],
            ..Words::default()
        };
        let of = |line: &str| words.of(line);
        assert_eq!(of("/mem"), (0, vec!["/members".into()]));
        assert_eq!(of("/help exp"), (6, vec!["export".into()]));
        assert_eq!(of("/members o").1, ["on", "off", "only"]);
        assert_eq!(of("/members off b"), (13, vec!["bob".into()]));
        assert_eq!(of("/show pr").1, ["prompt"]);
        assert_eq!(of("/show prompt b"), (13, vec!["bob".into()]));
        assert!(of("/show pack b").1.is_empty());
        assert_eq!(of("/weights a").1, ["adaptive", "ann="]);
        assert_eq!(of("/weights ann=1,b"), (15, vec!["bob=".into()]));
        assert!(of("/nothing x").1.is_empty() && of("me").1.is_empty());
    }
}
