//! Sessions: saved conversations, and the one that is being saved.

use crate::plural::counted;
use crate::say::printable;
use anyhow::{Context, Result};
use packllm_engine::chat::log::{LogEntry, SavedSession, SessionHeader, SessionLog, read};
use packllm_engine::chat::{Message, folder};
use std::path::{Path, PathBuf};

/// Names of the sessions in a folder, the newest first.
pub fn names(folder: &Path) -> Vec<String> {
    let all = folder::sessions(folder).into_iter();
    all.map(|(_, name)| name).collect()
}

/// The file of a session's name.
pub fn path(folder: &Path, name: &str) -> Result<PathBuf> {
    Ok(folder::path(folder, name)?)
}

/// A table of the sessions: name, messages, pack, first words. The newest is last, next to the
/// prompt. None if there are no sessions.
pub fn list(folder: &Path) -> String {
    let mut text = String::new();
    for name in names(folder).into_iter().rev() {
        let line = match path(folder, &name).and_then(|p| Ok(read(&p)?)) {
            Ok(kept) if kept.conversation.messages().is_empty() => continue,
            Ok(kept) => {
                let messages = kept.conversation.messages();
                let first = messages.first().map_or("", |m| m.content.as_str());
                let line = first.lines().next().unwrap_or("");
                let mut first: String = line.chars().take(40).collect();
                if first.len() < line.len() {
                    first.push('…');
                }
                let first = printable(&first);
                let pack = printable(&kept.header.pack);
                let messages = counted(messages.len(), "message");
                format!("{name:24} {messages:>13}  {pack:10} {first}")
            }
            Err(error) => format!("{name:24} unreadable: {error:#}"),
        };
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// The session that is being saved. Its file is made with the first message.
pub struct SessionStore {
    folder: PathBuf,
    header: SessionHeader,
    name: String,
    log: Option<SessionLog>,
    on: bool,
}

impl SessionStore {
    /// Begins a new session. `on`: whether sessions are saved at all.
    pub fn new(folder: PathBuf, pack: &str, members: Vec<String>, on: bool) -> Self {
        let now = chrono::Local::now();
        let header = SessionHeader::new(pack, members, now.format("%Y-%m-%d %H:%M").to_string());
        // Several sessions may begin in one second.
        let name = format!("{}-{}", now.format("%Y%m%d-%H%M%S"), std::process::id());
        Self {
            folder,
            header,
            name,
            log: None,
            on,
        }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The session's name, if sessions are saved.
    pub fn name(&self) -> Option<&str> {
        self.on.then_some(self.name.as_str())
    }

    /// The session's name, if its file exists.
    pub fn saved_name(&self) -> Option<&str> {
        self.log.is_some().then_some(self.name.as_str())
    }

    /// Ends this session and begins another with a new name.
    pub fn begin(&mut self) {
        let header = &self.header;
        let mut next = Self::new(
            self.folder.clone(),
            &header.pack,
            header.members.clone(),
            self.on,
        );
        for n in 2.. {
            if next.name != self.name && !self.exists(&next.name) {
                break;
            }
            let stem = next.name.split('.').next().unwrap_or_default();
            next.name = format!("{stem}.{n}");
        }
        *self = next;
    }

    pub fn exists(&self, name: &str) -> bool {
        path(&self.folder, name).is_ok_and(|p| p.exists())
    }

    /// Gives the session that begins with the next message this name.
    pub fn take_name(&mut self, name: &str) -> Result<()> {
        path(&self.folder, name)?;
        (self.name, self.log) = (name.to_owned(), None);
        Ok(())
    }

    /// Continues a session. If its pack was another one, a note is added to `notes`.
    pub fn resume(&mut self, name: &str, notes: &mut Vec<String>) -> Result<SavedSession> {
        let (mut log, kept) = SessionLog::resume(&path(&self.folder, name)?)?;
        let was = &kept.header;
        let now = &self.header;
        if (&was.pack, &was.members) != (&now.pack, &now.members) {
            let members = was.members.join(", ");
            notes.push(match was.members == now.members {
                true => format!(
                    "this session was with pack {}; it goes on with {}, which has its members ({members})",
                    was.pack, now.pack
                ),
                false => format!(
                    "this session was with pack {} ({members}); it goes on with {} ({})",
                    was.pack,
                    now.pack,
                    now.members.join(", ")
                ),
            });
            log.write(&LogEntry::Session(self.header.clone()))?;
        }
        (self.name, self.log) = (name.to_owned(), Some(log));
        Ok(kept)
    }

    /// Renames the session.
    pub fn rename(&mut self, name: &str) -> Result<()> {
        let to = path(&self.folder, name)?;
        if to.exists() {
            anyhow::bail!("there is a session {name} already: /load it, or take another name");
        }
        if self.log.is_some() {
            let from = path(&self.folder, &self.name)?;
            std::fs::rename(&from, &to).with_context(|| to.display().to_string())?;
        }
        self.name = name.to_owned();
        Ok(())
    }

    /// Appends an entry. The first message makes the file, which begins with the system prompt.
    pub fn write(&mut self, system: Option<&str>, entry: &LogEntry) -> Result<()> {
        if !self.on || (self.log.is_none() && !matches!(entry, LogEntry::Message(_))) {
            return Ok(());
        }
        let log = match &mut self.log {
            Some(log) => log,
            none => {
                let context = || self.folder.display().to_string();
                std::fs::create_dir_all(&self.folder).with_context(context)?;
                let log = SessionLog::create(&path(&self.folder, &self.name)?, &self.header)?;
                let log = none.insert(log);
                if let Some(system) = system {
                    log.write(&LogEntry::System(Some(system.to_owned())))?;
                }
                log
            }
        };
        Ok(log.write(entry)?)
    }
}

/// Writes the conversation in the format of the file's ending.
pub fn export(path: &Path, system: Option<&str>, messages: &[Message]) -> Result<()> {
    let all: Vec<Message> = system
        .map(Message::system)
        .into_iter()
        .chain(messages.to_vec())
        .collect();
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or("");
    let title = |m: &Message| match m.role.as_str() {
        "user" => "You",
        "system" => "System",
        _ => "Pack",
    };
    let each = |line: &dyn Fn(&Message) -> String| -> String { all.iter().map(line).collect() };
    let text = match ending {
        "json" => format!("{}\n", serde_json::to_string_pretty(&all)?),
        "jsonl" => {
            let lines: Result<Vec<String>, _> = all.iter().map(serde_json::to_string).collect();
            lines?.join("\n") + "\n"
        }
        "md" => each(&|m| format!("## {}\n\n{}\n\n", title(m), m.content.trim())),
        "txt" => each(&|m| format!("{}: {}\n\n", title(m), m.content.trim())),
        _ => anyhow::bail!(
            "{}: the ending says what to write: .md, .txt, .json or .jsonl",
            path.display()
        ),
    };
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    let context = || path.display().to_string();
    let mut file = match options.open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => anyhow::bail!(
            "{}: it is there already: take another name, or remove it",
            path.display()
        ),
        opened => opened.with_context(context)?,
    };
    std::io::Write::write_all(&mut file, text.as_bytes()).with_context(context)
}
