//! A conversation on disk: JSON lines, only ever appended to.
//!
//! The first line names the pack and its members, each further one says what happened. A line is
//! written whole and synced, so a program that is killed loses what it had not written; a torn last
//! line is cut off when the file is opened again. The file is locked while it is open.

use super::{Conversation, Message};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The version of the format.
const FORMAT: u32 = 1;

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogEntry {
    /// Which pack speaks from here on.
    Session(SessionHeader),
    /// Another system prompt, or none.
    System(Option<String>),
    /// A message was said.
    Message(Message),
    /// Only so many of the messages remain; later ones were taken back.
    Keep(usize),
    /// So many of the messages have left the context.
    Left(usize),
}

/// Who takes part.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionHeader {
    /// Version of the format.
    pub format: u32,
    /// Name of the pack.
    pub pack: String,
    /// Names of the members, in order.
    pub members: Vec<String>,
    /// When it began, local time.
    #[serde(default)]
    pub began: String,
}

impl SessionHeader {
    /// The header of a session that begins now.
    #[must_use]
    pub fn new(pack: &str, members: Vec<String>, began: impl Into<String>) -> Self {
        Self {
            format: FORMAT,
            pack: pack.to_owned(),
            members,
            began: began.into(),
        }
    }
}

/// What can go wrong with a session's file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// It could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What happened.
        source: std::io::Error,
    },
    /// It is open elsewhere.
    #[error("{}: another packllm has this session open", .0.display())]
    Busy(PathBuf),
    /// A new session was to have the name of an existing one.
    #[error("{}: there is a session of this name by now", .0.display())]
    Taken(PathBuf),
    /// A line of it is not a session's.
    #[error("{}:{line}: not a line of a session: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line's number, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
}

/// What a file holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SavedSession {
    /// Who took part last.
    pub header: SessionHeader,
    /// The conversation as it stood.
    pub conversation: Conversation,
    /// Bytes of the file that are whole lines.
    whole: u64,
}

impl SavedSession {
    /// Bytes of the file that are whole lines: more once something was added.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.whole
    }
}

/// Reads a session without opening it for writing.
///
/// # Errors
/// [`LogError`].
pub fn read(path: &Path) -> Result<SavedSession, LogError> {
    let bytes = std::fs::read(path).map_err(|e| io(path, e))?;
    parse(path, &bytes)
}

/// A session open for writing.
#[derive(Debug)]
pub struct SessionLog {
    path: PathBuf,
    file: File,
}

impl SessionLog {
    /// Makes a new file, readable by the user alone.
    ///
    /// # Errors
    /// [`LogError::Taken`] if there is such a file.
    pub fn create(path: &Path, header: &SessionHeader) -> Result<Self, LogError> {
        let mut options = OpenOptions::new();
        options.append(true).create_new(true);
        let mut log = match Self::open(path, &mut options) {
            Err(LogError::Io { source, .. }) if source.kind() == ErrorKind::AlreadyExists => {
                return Err(LogError::Taken(path.to_owned()));
            }
            opened => opened?,
        };
        log.write(&LogEntry::Session(header.clone()))?;
        Ok(log)
    }

    /// Opens a file to go on in it, and cuts off a torn last line.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn resume(path: &Path) -> Result<(Self, SavedSession), LogError> {
        let mut log = Self::open(path, OpenOptions::new().append(true).read(true))?;
        let mut bytes = Vec::new();
        let start = log.file.seek(SeekFrom::Start(0));
        start
            .and_then(|_| log.file.read_to_end(&mut bytes))
            .map_err(|e| io(path, e))?;
        let kept = parse(path, &bytes)?;
        log.file.set_len(kept.whole).map_err(|e| io(path, e))?;
        Ok((log, kept))
    }

    fn open(path: &Path, options: &mut OpenOptions) -> Result<Self, LogError> {
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
        let file = options.open(path).map_err(|e| io(path, e))?;
        match crate::lock::patiently(&file) {
            Err(TryLockError::WouldBlock) => return Err(LogError::Busy(path.to_owned())),
            // A file system without locks is no reason to refuse.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a line and waits until it is on the disk.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub fn write(&mut self, entry: &LogEntry) -> Result<(), LogError> {
        self.write_all(std::slice::from_ref(entry))
    }

    /// Adds several lines, and waits until they are on the disk.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub fn write_all(&mut self, entries: &[LogEntry]) -> Result<(), LogError> {
        let mut lines = String::new();
        for entry in entries {
            lines += &serde_json::to_string(entry).map_err(|e| io(&self.path, e.into()))?;
            lines.push('\n');
        }
        self.file
            .write_all(lines.as_bytes())
            .and_then(|()| self.file.sync_data())
            .map_err(|e| io(&self.path, e))
    }

    /// Bytes of the file.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub fn size(&self) -> Result<u64, LogError> {
        let facts = self.file.metadata();
        facts.map(|m| m.len()).map_err(|e| io(&self.path, e))
    }
}

fn io(path: &Path, source: std::io::Error) -> LogError {
    LogError::Io {
        path: path.to_owned(),
        source,
    }
}

/// Hands every line's entry on, and returns the bytes that are whole lines. Only the last may be
/// torn: it has no line feed.
pub(super) fn play(
    path: &Path,
    bytes: &[u8],
    hear: &mut dyn FnMut(LogEntry),
) -> Result<u64, LogError> {
    let whole = bytes.iter().rposition(|&b| b == b'\n').map_or(0, |i| i + 1);
    let mut named = false;
    let lines = bytes[..whole].split(|&b| b == b'\n');
    for (i, line) in lines.enumerate().filter(|(_, line)| !line.is_empty()) {
        let wrong = |reason: String| LogError::Line {
            path: path.to_owned(),
            line: i + 1,
            reason,
        };
        let entry = serde_json::from_slice(line).map_err(|e| wrong(e.to_string()))?;
        match &entry {
            LogEntry::Session(new) if new.format != FORMAT => {
                return Err(wrong(format!(
                    "format {}, and this program knows {FORMAT}",
                    new.format
                )));
            }
            LogEntry::Session(_) => named = true,
            _ if !named => return Err(wrong("the first line does not name a pack".into())),
            _ => {}
        }
        hear(entry);
    }
    match named {
        true => Ok(whole as u64),
        false => Err(LogError::Line {
            path: path.to_owned(),
            line: 1,
            reason: "the file is empty".into(),
        }),
    }
}

/// The conversation as it stands at the end of a file.
fn parse(path: &Path, bytes: &[u8]) -> Result<SavedSession, LogError> {
    let (mut header, mut system, mut messages, mut left) =
        (SessionHeader::default(), None, Vec::new(), 0);
    let whole = play(path, bytes, &mut |entry| match entry {
        LogEntry::Session(new) => header = new,
        LogEntry::System(new) => system = new,
        LogEntry::Message(message) => messages.push(message),
        LogEntry::Keep(n) => {
            messages.truncate(n);
            left = left.min(n);
        }
        LogEntry::Left(n) => left = n.min(messages.len()),
    })?;
    Ok(SavedSession {
        header,
        conversation: Conversation::resume(system, messages, left),
        whole,
    })
}

#[cfg(test)]
mod tests;
