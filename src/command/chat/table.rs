//! The commands of a conversation: one table that drives help, completion and dispatch.

/// What a command is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Help,
    Exit,
    Clear,
    System,
    Set,
    Show,
    Weights,
    Vocab,
    Mix,
    Members,
    Compare,
    Regenerate,
    Continue,
    Attribution,
    Undo,
    Edit,
    Copy,
    Read,
    Save,
    Load,
    Sessions,
    Export,
    Stats,
    Context,
    Verbose,
}

/// How a command's argument is completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    Nothing,
    Commands,
    Words(&'static [&'static str]),
    /// What the parameter may be.
    Values(&'static str),
    Methods,
    Members,
    Subjects,
    Parameters,
    Sessions,
    Files,
}

/// Whether a command takes an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    Nothing,
    Maybe(&'static str),
    One(&'static str),
}

/// One command.
#[derive(Debug)]
pub struct Command {
    /// Its name, then its other names, without the slash.
    pub names: &'static [&'static str],
    pub takes: Takes,
    pub help: &'static str,
    pub hint: Hint,
    pub action: Action,
}

const fn command(
    names: &'static [&'static str],
    takes: Takes,
    help: &'static str,
    hint: Hint,
    action: Action,
) -> Command {
    Command {
        names,
        takes,
        help,
        hint,
        action,
    }
}

use Takes::{Maybe, Nothing, One};

/// Subjects of `/show`.
pub const SUBJECTS: [&str; 5] = ["pack", "weights", "system", "parameters", "prompt"];

/// All commands, in the order of the help.
#[rustfmt::skip]
pub const COMMANDS: &[Command] = &[
    command(&["help", "?"], Maybe("COMMAND"), "show this; or what one command does", Hint::Commands, Action::Help),
    command(&["exit", "bye", "quit"], Nothing, "leave (as does Ctrl-D)", Hint::Nothing, Action::Exit),
    command(&["clear", "new"], Nothing, "begin a new conversation; the one before stays saved", Hint::Nothing, Action::Clear),
    command(&["system", "system-prompt"], Maybe("TEXT"), "set the system prompt; alone: show it; `none` removes it", Hint::Nothing, Action::System),
    command(&["set"], Maybe("PARAMETER VALUE"), "set how answers are drawn and shown: temp 0.5, think fold, …; alone: show all", Hint::Parameters, Action::Set),
    command(&["show", "info"], Maybe("SUBJECT"), "pack, weights, system, parameters or prompt [MEMBER] (what is read before an answer)", Hint::Subjects, Action::Show),
    command(&["weights"], Maybe("METHOD|NAME=W,…"), "how much each member counts and why; or another method", Hint::Methods, Action::Weights),
    command(&["vocab"], Maybe("ALPHABET"), "the shared alphabet: auto, tokens, bytes or mined", Hint::Values("vocab"), Action::Vocab),
    command(&["mix"], Maybe("log|linear"), "how distributions are combined", Hint::Values("mix"), Action::Mix),
    command(&["members"], Maybe("on|off|only NAME"), "who speaks; silence a member, or all but one (`on` alone: all)", Hint::Members, Action::Members),
    command(&["compare"], Nothing, "every member's own answer beside the fused one", Hint::Nothing, Action::Compare),
    command(&["attribution"], Maybe("on|off"), "colour each word by the member that argued most for it; without colours, marks under the answer", Hint::Words(&["on", "off"]), Action::Attribution),
    command(&["regenerate", "retry", "regen"], Nothing, "another answer to the last message", Hint::Nothing, Action::Regenerate),
    command(&["continue"], Nothing, "go on with the last answer", Hint::Nothing, Action::Continue),
    command(&["undo"], Nothing, "take the last message and its answer back", Hint::Nothing, Action::Undo),
    command(&["edit"], Nothing, "write the next message in $EDITOR (as does Ctrl-O)", Hint::Nothing, Action::Edit),
    command(&["copy"], Nothing, "copy the last answer, without what was thought before it, to the clipboard", Hint::Nothing, Action::Copy),
    command(&["read", "file", "glob", "upload"], One("FILE… [-- TEXT]"), "send text files as a message, with TEXT about them; * ? [] match names", Hint::Files, Action::Read),
    command(&["save"], One("NAME"), "name this session", Hint::Nothing, Action::Save),
    command(&["load"], One("NAME"), "go on with another session", Hint::Sessions, Action::Load),
    command(&["sessions"], Nothing, "list the saved sessions", Hint::Nothing, Action::Sessions),
    command(&["export"], One("FILE"), "write the conversation: .md, .txt, .json or .jsonl", Hint::Files, Action::Export),
    command(&["stats"], Nothing, "what the members spent on the last answer", Hint::Nothing, Action::Stats),
    command(&["context"], Nothing, "how full the members' contexts are", Hint::Nothing, Action::Context),
    command(&["verbose"], Maybe("on|off"), "the lines of weights and figures around answers", Hint::Words(&["on", "off"]), Action::Verbose),
];

/// What was entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A message to the members.
    Say(String),
    /// A command and its argument, which may be empty.
    Do(Action, String),
    Nothing,
}

impl Line {
    /// Reads what was entered: one line, or several.
    ///
    /// # Errors
    /// Says in one line what is wrong with the command.
    pub fn parse(text: &str) -> Result<Line, String> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(Line::Nothing);
        }
        let Some(typed) = text.strip_prefix('/') else {
            return Ok(Line::Say(text.to_owned()));
        };
        let (word, rest) = typed.split_once(char::is_whitespace).unwrap_or((typed, ""));
        let rest = rest.trim();
        let Some(command) = find(word) else {
            return match typed.strip_prefix('/') {
                // Several lines that begin with an unknown command are a message: a comment in
                // code, for example.
                _ if text.contains('\n') => Ok(Line::Say(text.to_owned())),
                // `//` sends a line that begins with a slash.
                Some(_) => Ok(Line::Say(typed.to_owned())),
                None => Err(unknown(word)),
            };
        };
        let name = command.names[0];
        match command.takes {
            Takes::Nothing if !rest.is_empty() => Err(format!(
                "/{name} takes no argument, and here it is given `{rest}`"
            )),
            Takes::One(what) if rest.is_empty() => Err(format!("/{name} needs {what}")),
            _ => Ok(Line::Do(command.action, rest.to_owned())),
        }
    }
}

/// The command of that name.
pub fn find(word: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|c| c.names.contains(&word))
}

fn unknown(word: &str) -> String {
    let names = COMMANDS.iter().flat_map(|c| c.names.iter().copied());
    let nearest = packllm_engine::nearest(word, names.filter(|name| name.len() > 1));
    let hint = packllm_engine::did_you_mean(nearest.map(|name| format!("/{name}")));
    format!(
        "unknown command /{word}{hint} (/help lists them; //… says a text that begins with a slash)"
    )
}

/// The text of `/help`, for this many columns.
pub fn help(columns: usize) -> String {
    let lines: Vec<(String, String)> = COMMANDS.iter().map(|c| (c.usage(), c.does())).collect();
    let width = lines.iter().map(|(u, _)| u.chars().count()).max();
    let width = width.unwrap_or(0);
    let mut text = String::new();
    for (usage, does) in lines {
        // Beside the usage; below it if there is no room for a few words.
        if columns >= width + 30 {
            let lines = wrapped(&does, columns - width - 2);
            for (i, line) in lines.iter().enumerate() {
                let usage = if i == 0 { usage.as_str() } else { "" };
                text.push_str(&format!("{usage:width$}  {line}\n"));
            }
        } else {
            text.push_str(&format!("{usage}\n"));
            for line in wrapped(&does, columns.saturating_sub(4)) {
                text.push_str(&format!("    {line}\n"));
            }
        }
    }
    text.push('\n');
    for line in KEYS.lines().flat_map(|line| wrapped(line, columns)) {
        text.push_str(&format!("{line}\n"));
    }
    text
}

/// Wraps a text into lines of at most this many characters; only a longer word makes a longer line.
fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.len() - 1;
        let length = lines[last].chars().count();
        if length > 0 && length + 1 + word.chars().count() > columns {
            lines.push(word.to_owned());
        } else {
            let space = if length > 0 { " " } else { "" };
            lines[last].push_str(space);
            lines[last].push_str(word);
        }
    }
    lines
}

/// The text of `/help COMMAND`, or of `/help keys`.
///
/// # Errors
/// Says in one line that there is no such command.
pub fn help_on(word: &str) -> Result<String, String> {
    if word == "keys" || word == "shortcuts" {
        return Ok(KEYS.to_owned());
    }
    let word = word.strip_prefix('/').unwrap_or(word);
    let command = find(word).ok_or_else(|| unknown(word))?;
    Ok(format!("{}\n  {}\n", command.usage(), command.does()))
}

impl Command {
    fn usage(&self) -> String {
        let name = self.names[0];
        match self.takes {
            Takes::Nothing => format!("/{name}"),
            Takes::Maybe(what) => format!("/{name} [{what}]"),
            Takes::One(what) => format!("/{name} {what}"),
        }
    }

    /// Its help, and its other names.
    fn does(&self) -> String {
        let others: Vec<String> = self.names[1..].iter().map(|n| format!("/{n}")).collect();
        match others.is_empty() {
            true => self.help.to_owned(),
            false => format!("{} (also {})", self.help, others.join(", ")),
        }
    }
}

const KEYS: &str = r#"Several lines: open and close with """, end a line with \, or press Alt-Enter.
Ctrl-C stops an answer and keeps what was said, or drops what is typed; twice at an empty line it leaves. Tab completes, Ctrl-R
searches the history, Ctrl-O opens $EDITOR, Ctrl-Z suspends.
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_every_deed_has_its_command() {
        let mut names: Vec<&str> = COMMANDS.iter().flat_map(|c| c.names.to_vec()).collect();
        let n = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), n);
        for columns in [20, 40, 100, usize::MAX] {
            let text = help(columns);
            for name in &names {
                assert!(text.contains(&format!("/{name}")), "{name}");
            }
            let longest = text.lines().map(|line| line.chars().count()).max();
            assert!(longest.unwrap() <= columns.max(32), "{text}");
        }
        let lines = COMMANDS.len() + 1 + KEYS.lines().count();
        assert_eq!(help(usize::MAX).lines().count(), lines);
    }

    #[test]
    fn lines_are_texts_or_commands() {
        let done = |action, rest: &str| Ok(Line::Do(action, rest.to_owned()));
        assert_eq!(Line::parse("  "), Ok(Line::Nothing));
        assert_eq!(Line::parse(" hi \n"), Ok(Line::Say("hi".into())));
        assert_eq!(Line::parse("//etc"), Ok(Line::Say("/etc".into())));
        assert_eq!(Line::parse("/bye"), done(Action::Exit, ""));
        assert_eq!(Line::parse("/set  temp 0"), done(Action::Set, "temp 0"));
        assert_eq!(Line::parse("/system a\nb"), done(Action::System, "a\nb"));
        let error = |line: &str| Line::parse(line).unwrap_err();
        assert_eq!(Line::parse("/? undo"), done(Action::Help, "undo"));
        let retry = "/regenerate\n  another answer to the last message (also /retry, /regen)\n";
        assert_eq!(help_on("/regen"), Ok(retry.to_owned()));
        assert!(help_on("shortcuts").is_ok_and(|keys| keys.contains("Ctrl-C")));
        assert!(help_on("udno").is_err_and(|e| e.contains("did you mean /undo?")));
        assert!(error("/wieghts").contains("did you mean /weights?"));
        assert!(error("/wei").contains("did you mean /weights?"));
        assert!(error("/EXIT").contains("did you mean /exit?"));
        assert!(!error("/*").contains("mean") && !error("/").contains("mean"));
        for text in ["/* a comment */\nint x;", "// a comment\nint x;"] {
            assert_eq!(Line::parse(text), Ok(Line::Say(text.into())));
        }
        assert!(error("/undo 3").contains("takes no argument"));
        assert!(error("/load").contains("needs NAME"));
    }
}
