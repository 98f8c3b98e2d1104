//! Every version of a conversation: what was taken back is still in its session's file.
//!
//! A session is only ever appended to, so its lines tell how the conversation came about: each
//! message follows another, and several that follow the same one are versions of a turn. To go back
//! to a version is to keep what both have in common and to say the rest again; what was said before
//! at that place is not counted twice.

use super::log::{LogEntry, LogError, SessionHeader, play};
use super::{Message, Role};
use std::path::Path;

/// A message, and the one it follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Index of the message before it; None: it is a first one.
    pub follows: Option<usize>,
    /// What is said.
    pub message: Message,
}

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// Who took part last.
    pub header: SessionHeader,
    /// The system prompt at the end.
    pub system: Option<String>,
    /// Every message that was ever said, in the order of their first time.
    pub versions: Vec<Version>,
    /// Those that stand, by index.
    pub standing: Vec<usize>,
    /// How many of these have left the context.
    pub left: usize,
    /// Bytes of the file that are whole lines.
    pub size: u64,
}

impl History {
    /// Reads a session's file.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn read(path: &Path) -> Result<Self, LogError> {
        let bytes = std::fs::read(path).map_err(|source| LogError::Io {
            path: path.to_owned(),
            source,
        })?;
        let mut history = Self::default();
        history.size = play(path, &bytes, &mut |entry| history.hear(entry))?;
        Ok(history)
    }

    fn hear(&mut self, entry: LogEntry) {
        match entry {
            LogEntry::Session(header) => self.header = header,
            LogEntry::System(system) => self.system = system,
            LogEntry::Message(message) => self.say(message),
            LogEntry::Keep(n) => {
                self.standing.truncate(n);
                self.left = self.left.min(n);
            }
            LogEntry::Left(n) => self.left = n.min(self.standing.len()),
        }
    }

    fn say(&mut self, message: Message) {
        let follows = self.standing.last().copied();
        let said = self
            .versions
            .iter()
            .rposition(|v| v.follows == follows && v.message == message);
        let index = said.unwrap_or(self.versions.len());
        if said.is_none() {
            self.versions.push(Version { follows, message });
        }
        self.standing.push(index);
    }

    /// The messages that stand.
    pub fn messages(&self) -> impl Iterator<Item = &Message> {
        self.standing.iter().map(|&i| &self.versions[i].message)
    }

    /// The user's first words, of at most so many characters.
    #[must_use]
    pub fn title(&self, most: usize) -> String {
        let first = self.messages().find(|m| m.role == Role::User);
        let mut lines = first.into_iter().flat_map(|m| m.content.lines());
        let line = lines.find(|line| !line.trim().is_empty()).unwrap_or("");
        let mut title: String = line.trim().chars().take(most).collect();
        if title.len() < line.trim().len() {
            title.push('…');
        }
        title
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(texts: &[&str], history: &mut History) {
        for text in texts {
            history.hear(LogEntry::Message(Message::user(*text)));
        }
    }

    fn standing(history: &History) -> Vec<&str> {
        history.messages().map(|m| m.content.as_str()).collect()
    }

    #[test]
    fn what_was_taken_back_is_a_version() {
        let mut history = History::default();
        said(&["a", "b", "c"], &mut history);
        history.hear(LogEntry::Left(3));
        history.hear(LogEntry::Keep(1));
        said(&["d"], &mut history);
        assert_eq!(standing(&history), ["a", "d"]);
        assert_eq!((history.versions.len(), history.left), (4, 1));
        assert_eq!(history.versions[1].follows, history.versions[3].follows);
        // Back to the first version, and on from there.
        history.hear(LogEntry::Keep(1));
        said(&["b", "c", "e"], &mut history);
        assert_eq!(standing(&history), ["a", "b", "c", "e"]);
        assert_eq!(history.versions.len(), 5);
        history.hear(LogEntry::Keep(0));
        said(&["f"], &mut history);
        assert_eq!(history.versions[5].follows, None);
        assert_eq!(history.title(10), "f");
    }

    #[test]
    fn a_title_is_one_line() {
        let mut history = History::default();
        said(&["\n  Why is the\nsky blue?"], &mut history);
        assert_eq!(history.title(40), "Why is the");
        assert_eq!(history.title(3), "Why…");
        assert_eq!(History::default().title(3), "");
    }
}
