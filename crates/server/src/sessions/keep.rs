//! The folder of the sessions: finding, reading and changing them.

use super::wire::{Begin, Change, Listed, Opened, Revised, Said};
use super::{MOST_BYTES, MOST_LISTED, MOST_SEARCHED};
use crate::error::Refusal;
use chrono::Local;
use packllm_engine::chat::folder;
use packllm_engine::chat::history::History;
use packllm_engine::chat::log::{LogEntry, LogError, SavedSession, SessionHeader, SessionLog};
use packllm_engine::chat::{Conversation, Message};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Characters of a title, and on each side of what was found.
const TITLE: usize = 60;
const AROUND: usize = 30;

/// The sessions, and the pack that goes on with them.
pub struct Keep {
    pub folder: PathBuf,
    pub pack: String,
    pub members: Vec<String>,
}

impl Keep {
    pub fn list(&self, search: &str) -> Vec<Listed> {
        let search = search.trim().to_lowercase();
        let mut listed = Vec::new();
        let mut left = MOST_SEARCHED;
        for (changed, id) in folder::sessions(&self.folder) {
            if listed.len() == MOST_LISTED || left == 0 {
                break;
            }
            let Ok(path) = self.find(&id) else {
                continue;
            };
            left = left.saturating_sub(size(&path));
            let changed = changed.duration_since(UNIX_EPOCH);
            let changed = changed.map_or(0, |since| since.as_secs());
            let line = match History::read(&path) {
                Ok(history) => line(id, changed, &history, &search),
                // Its path is nobody's business.
                Err(error) => search.is_empty().then(|| Listed {
                    title: id.clone(),
                    id,
                    messages: 0,
                    pack: String::new(),
                    changed,
                    found: None,
                    unreadable: Some(reason(&error)),
                }),
            };
            listed.extend(line);
        }
        listed
    }

    pub fn open(&self, id: &str) -> Result<Opened, Refusal> {
        let history = History::read(&self.find(id)?).map_err(refusal)?;
        Ok(Opened::new(id, history))
    }

    pub fn begin(&self, begin: Begin) -> Result<Revised, Refusal> {
        if begin.messages.is_empty() {
            let message = "messages must have at least one: a session begins with it";
            return Err(Refusal::field("messages", message));
        }
        let now = Local::now().naive_local();
        let failed = |error: std::io::Error| Refusal::internal(error.to_string());
        std::fs::create_dir_all(&self.folder).map_err(failed)?;
        let is_taken = |name: &str| self.file(name).is_ok_and(|path| path.exists());
        let id = folder::new_name(now, &is_taken);
        let header = self.header(now.format("%Y-%m-%d %H:%M").to_string());
        let mut entries = Vec::new();
        let system = begin.system.filter(|system| !system.trim().is_empty());
        entries.extend(system.map(|system| LogEntry::System(Some(system))));
        entries.extend(begin.messages.into_iter().map(message));
        let mut log = SessionLog::create(&self.file(&id)?, &header).map_err(refusal)?;
        log.write_all(&entries).map_err(refusal)?;
        let revision = log.size().map_err(refusal)?;
        Ok(Revised { id, revision })
    }

    pub fn change(&self, id: &str, change: Change) -> Result<Revised, Refusal> {
        let (mut log, kept) = self.resume(id)?;
        if change.revision != kept.size() {
            return Err(Refusal::conflict(
                "session_changed",
                "the session was changed elsewhere: read it again",
            ));
        }
        let entries = self.entries(change, &kept)?;
        let added: usize = entries.iter().map(bytes).sum();
        if kept.size() + added as u64 > MOST_BYTES {
            return Err(too_large());
        }
        if !entries.is_empty() {
            log.write_all(&entries).map_err(refusal)?;
        }
        let revision = log.size().map_err(refusal)?;
        let id = id.to_owned();
        Ok(Revised { id, revision })
    }

    /// The lines that make a change.
    fn entries(&self, change: Change, kept: &SavedSession) -> Result<Vec<LogEntry>, Refusal> {
        let standing = kept.conversation.messages().len();
        let keep = change.keep.unwrap_or(standing);
        if keep > standing {
            let message = format!("keep must be at most {standing}, the messages that stand");
            return Err(Refusal::field("keep", message));
        }
        let after = keep + change.messages.len();
        if change.left.is_some_and(|left| left > after) {
            let message = format!("left must be at most {after}, the messages that stand");
            return Err(Refusal::field("left", message));
        }
        let mut entries = Vec::new();
        let (was, now) = (&kept.header, self.header(kept.header.began.clone()));
        if (&was.pack, &was.members) != (&now.pack, &now.members) {
            entries.push(LogEntry::Session(now));
        }
        let system = |conversation: &Conversation| conversation.system().map(str::to_owned);
        if let Some(text) = change.system {
            let new = system(&Conversation::new(Some(text)));
            if new != system(&kept.conversation) {
                entries.push(LogEntry::System(new));
            }
        }
        if keep < standing {
            entries.push(LogEntry::Keep(keep));
        }
        entries.extend(change.messages.into_iter().map(message));
        let left = kept.conversation.left().min(keep);
        entries.extend(change.left.filter(|new| *new != left).map(LogEntry::Left));
        Ok(entries)
    }

    pub fn rename(&self, id: &str, to: &str) -> Result<Revised, Refusal> {
        let path = self.file(to.trim())?;
        let (_locked, kept) = self.resume(id)?;
        let taken = path.symlink_metadata().is_ok();
        if taken && id != to.trim() {
            let message = format!("there is a session {:?} already", to.trim());
            return Err(Refusal::conflict("session_taken", message));
        }
        let renamed = std::fs::rename(self.find(id)?, &path);
        renamed.map_err(|error| Refusal::internal(error.to_string()))?;
        Ok(Revised {
            id: to.trim().to_owned(),
            revision: kept.size(),
        })
    }

    pub fn remove(&self, id: &str) -> Result<Revised, Refusal> {
        let (_locked, kept) = self.resume(id)?;
        let removed = std::fs::remove_file(self.find(id)?);
        removed.map_err(|error| Refusal::internal(error.to_string()))?;
        Ok(Revised {
            id: id.to_owned(),
            revision: kept.size(),
        })
    }

    fn header(&self, began: String) -> SessionHeader {
        SessionHeader::new(&self.pack, self.members.clone(), began)
    }

    /// The file that a session of this name would have.
    fn file(&self, name: &str) -> Result<PathBuf, Refusal> {
        let path = folder::path(&self.folder, name);
        path.map_err(|error| Refusal::field("name", error.to_string()))
    }

    /// The file of a session that is in the listing: a plain file, not too large.
    fn find(&self, id: &str) -> Result<PathBuf, Refusal> {
        let mut all = folder::sessions(&self.folder).into_iter();
        if !all.any(|(_, name)| name == id) {
            return Err(Refusal::no_session());
        }
        let path = folder::path(&self.folder, id).map_err(|_| Refusal::no_session())?;
        match path.symlink_metadata() {
            Ok(facts) if facts.is_file() && facts.len() > MOST_BYTES => Err(too_large()),
            Ok(facts) if facts.is_file() => Ok(path),
            _ => Err(Refusal::no_session()),
        }
    }

    /// A session, locked.
    fn resume(&self, id: &str) -> Result<(SessionLog, SavedSession), Refusal> {
        SessionLog::resume(&self.find(id)?).map_err(refusal)
    }
}

fn message(said: Said) -> LogEntry {
    LogEntry::Message(Message {
        role: said.role.into(),
        content: said.content,
    })
}

fn bytes(entry: &LogEntry) -> usize {
    match entry {
        LogEntry::Message(message) => message.content.len(),
        LogEntry::System(Some(system)) => system.len(),
        _ => 0,
    }
}

fn size(path: &Path) -> u64 {
    path.symlink_metadata().map_or(0, |facts| facts.len())
}

/// A line of the list; None: nothing is there, or not what is searched for.
fn line(id: String, changed: u64, history: &History, search: &str) -> Option<Listed> {
    if history.standing.is_empty() {
        return None;
    }
    let found = match search {
        "" => None,
        text => {
            let mut places = history.messages().filter_map(|m| around(&m.content, text));
            let named = || id.to_lowercase().contains(text).then(String::new);
            Some(places.next().or_else(named)?)
        }
    };
    Some(Listed {
        title: history.title(TITLE),
        id,
        messages: history.standing.len(),
        pack: history.header.pack.clone(),
        changed,
        found: found.filter(|found| !found.is_empty()),
        unreadable: None,
    })
}

/// The place of a text in small letters, with what is around it.
fn around(content: &str, search: &str) -> Option<String> {
    let lower = content.to_lowercase();
    let at = lower.find(search)?;
    let (before, after) = (lower[..at].chars().count(), search.chars().count());
    // Small letters may be more characters than large ones: then it is not the exact place.
    let from = before.saturating_sub(AROUND);
    let place = content
        .chars()
        .skip(from)
        .take(before - from + after + AROUND);
    let place: String = place.map(|c| if c == '\n' { ' ' } else { c }).collect();
    let dots = if from > 0 { "…" } else { "" };
    Some(format!("{dots}{}…", place.trim()))
}

fn too_large() -> Refusal {
    Refusal::too_large(MOST_BYTES as usize)
}

/// Why a file cannot be read, without its path.
fn reason(error: &LogError) -> String {
    match error {
        LogError::Io { source, .. } => source.to_string(),
        LogError::Busy(_) => "it is open in a chat".into(),
        LogError::Taken(_) => "there is one of this name".into(),
        LogError::Line { line, reason, .. } => format!("line {line}: {reason}"),
        _ => "it cannot be read".into(),
    }
}

fn refusal(error: LogError) -> Refusal {
    match error {
        LogError::Busy(_) => Refusal::conflict(
            "session_busy",
            "the session is open in another packllm: close it there, or go on in a copy",
        ),
        LogError::Taken(_) => {
            Refusal::conflict("session_taken", "there is a session of this name by now")
        }
        error => Refusal::internal(format!("the session cannot be used: {}", reason(&error))),
    }
}
