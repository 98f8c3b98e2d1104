//! Completion of the last word of a line.

use crate::command::chat::files::at_home;
use crate::command::chat::parameters;
use crate::command::chat::sessions;
use crate::command::chat::table::{self, COMMANDS, Hint, SUBJECTS};
use reedline::{Completer, Span, Suggestion};
use std::path::PathBuf;

/// The names that arguments are completed from.
#[derive(Debug, Clone, Default)]
pub struct Words {
    pub members: Vec<String>,
    pub methods: Vec<String>,
    /// The folder of the sessions.
    pub sessions: PathBuf,
}

impl Words {
    /// Where the last word of `line` begins, and its completions.
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
            Hint::Words(words) => begins(from, owned(words)),
            Hint::Values(parameter) => begins(from, owned(&parameters::values(parameter))),
            Hint::Methods => {
                let named = self.members.iter().map(|m| format!("{m}="));
                begins(from, self.methods.iter().cloned().chain(named).collect())
            }
            Hint::Members if line.matches(' ').count() < 2 => {
                begins(from, owned(&["on", "off", "only"]))
            }
            Hint::Subjects if line.matches(' ').count() < 2 => begins(from, owned(&SUBJECTS)),
            Hint::Subjects if !line.starts_with("/show prompt ") => (from, Vec::new()),
            Hint::Members | Hint::Subjects => begins(from, self.members.clone()),
            Hint::Parameters => {
                let mut typed = line.split_whitespace().skip(1).peekable();
                typed.next_if_eq(&"parameter");
                let name = typed
                    .next()
                    .filter(|_| line.ends_with(' ') || typed.peek().is_some());
                let words = name.map_or_else(parameters::names, parameters::values);
                begins(from, owned(&words))
            }
            Hint::Sessions => begins(from, sessions::names(&self.sessions)),
            Hint::Files => {
                let from = last_path(line);
                let typed = line[from..].replace("\\ ", " ");
                let found = files(&typed).into_iter().filter(|f| f.starts_with(&typed));
                (from, found.map(|f| f.replace(' ', "\\ ")).collect())
            }
        }
    }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Where the last path of a line begins. A space in a path has a backslash before it.
fn last_path(line: &str) -> usize {
    let spaces = line.rmatch_indices(' ');
    let mut ends = spaces.filter(|&(i, _)| !line[..i].ends_with('\\'));
    ends.next().map_or(0, |(i, _)| i + 1)
}

/// Files whose paths begin with this text; folders end in a slash.
fn files(typed: &str) -> Vec<String> {
    let (folder, _) = typed
        .rfind('/')
        .map_or(("", typed), |i| typed.split_at(i + 1));
    let place = match folder {
        "" => PathBuf::from("."),
        folder => at_home(folder),
    };
    let Ok(entries) = std::fs::read_dir(place) else {
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
        assert_eq!(of("/set thi"), (5, vec!["think".into()]));
        assert_eq!(of("/set think f"), (11, vec!["fold".into()]));
        assert_eq!(of("/set parameter plain ").1, ["on", "off"]);
        assert!(of("/set temp ").1.is_empty());
        assert!(of("/nothing x").1.is_empty() && of("me").1.is_empty());
    }

    #[test]
    fn paths_with_spaces_are_completed_as_they_are_typed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        std::fs::create_dir(at("a b")).unwrap();
        std::fs::write(at("a b/c d.txt"), "").unwrap();
        let words = Words::default();
        let typed = format!("/read {}", at("a"));
        assert_eq!(words.of(&typed), (6, vec![at("a\\ b/")]));
        let typed = format!("/read x.md {}", at("a\\ b/c"));
        assert_eq!(words.of(&typed), (11, vec![at("a\\ b/c\\ d.txt")]));
    }
}
