//! What a run has decided so far, in a file: JSON lines, the settings first, then one line a
//! question.
//!
//! Every line is handed to the system as soon as its question is decided, so a run that is killed
//! loses at most the question it was at. A last line without a line feed was torn and is cut off
//! when the run goes on. The file is locked while a run writes it.

use super::answers::{Answers, Reply};
use super::follow::Followed;
use super::judge::Verdict;
use packllm_engine::lock::patiently;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// One question of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// Index of the task.
    pub task: usize,
    /// The question's line in its file.
    pub line: usize,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came of a question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// An option was picked.
    Decided(Verdict),
    /// It was looked whether its text is said.
    Followed(Followed),
    /// It was answered.
    Answered(Answers),
    /// One member answered it again and again.
    Again(Reply),
    /// It was left out, and why.
    Skipped(String),
}

/// Why a journal could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// It could not be read or written.
    #[error("{}: {source}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// There is one already, and it was not to be resumed.
    #[error("{} holds a run already", file.display())]
    Exists {
        /// The file.
        file: PathBuf,
    },
    /// Another run writes it.
    #[error("{} is in use by another run", file.display())]
    InUse {
        /// The file.
        file: PathBuf,
    },
    /// A whole line of it is not what a run writes.
    #[error("{}:{line}: not a line of a journal: {what}", file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// It belongs to a run with other settings.
    #[error("{}: that run has another {key}: {theirs}, not {ours}", file.display())]
    Differs {
        /// The file.
        file: PathBuf,
        /// The first setting that differs.
        key: String,
        /// Its value in the journal.
        theirs: String,
        /// Its value now.
        ours: String,
    },
}

/// The journal of a run.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// Begins a journal. One that holds no question yet is begun anew.
    ///
    /// # Errors
    /// [`JournalError::Exists`], [`JournalError::InUse`], [`JournalError::Io`].
    pub fn create(path: &Path, settings: &Map<String, Value>) -> Result<Journal, JournalError> {
        let (mut journal, text) = Journal::open(path)?;
        if holds_questions(&text) {
            return Err(JournalError::Exists { file: path.into() });
        }
        journal.begin(settings)?;
        Ok(journal)
    }

    /// Goes on with a journal, or begins one where there is none or no question in it. Returns what
    /// was decided, each question once.
    ///
    /// # Errors
    /// [`JournalError::Differs`] names the first setting that is not the journal's.
    pub fn resume(
        path: &Path,
        settings: &Map<String, Value>,
    ) -> Result<(Journal, Vec<JournalEntry>), JournalError> {
        let (mut journal, text) = Journal::open(path)?;
        if !holds_questions(&text) {
            journal.begin(settings)?;
            return Ok((journal, Vec::new()));
        }
        let mut seen = HashSet::new();
        let mut entries: Vec<JournalEntry> = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            if line == 1 {
                compare(path, &journal.parse(line, text)?, settings)?;
                continue;
            }
            let entry: JournalEntry = journal.parse(line, text)?;
            let again = matches!(entry.outcome, Outcome::Again(_));
            if seen.insert((entry.task, entry.line, again)) {
                entries.push(entry);
            }
        }
        Ok((journal, entries))
    }

    /// Adds a question.
    ///
    /// # Errors
    /// [`JournalError::Io`].
    pub fn append(&mut self, entry: &JournalEntry) -> Result<(), JournalError> {
        self.write(entry)
    }

    /// Opens the file, making it if need be, and reads its whole lines.
    fn open(path: &Path) -> Result<(Journal, String), JournalError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(path).map_err(|e| io_error(path, e))?;
        match patiently(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(JournalError::InUse { file: path.into() });
            }
            // Where the file system knows no locks, a run goes without.
            Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(source)) => return Err(io_error(path, source)),
        }
        let path = path.to_owned();
        let mut journal = Journal { path, file };
        let text = journal.read_whole_lines()?;
        Ok((journal, text))
    }

    /// Empties the file and writes the settings.
    fn begin(&mut self, settings: &Map<String, Value>) -> Result<(), JournalError> {
        let emptied = self.file.set_len(0).and_then(|()| self.file.rewind());
        emptied.map_err(|source| io_error(&self.path, source))?;
        self.write(settings)
    }

    /// One write a line: a reader never finds half of one but at the end.
    fn write(&mut self, value: &impl Serialize) -> Result<(), JournalError> {
        let line = serde_json::to_string(value).map(|text| text + "\n");
        let written = line
            .map_err(io::Error::from)
            .and_then(|line| self.file.write_all(line.as_bytes()));
        written.map_err(|source| io_error(&self.path, source))
    }

    /// Reads everything up to the last line feed and cuts off the rest.
    fn read_whole_lines(&mut self) -> Result<String, JournalError> {
        let mut bytes = Vec::new();
        let mut read = || -> io::Result<()> {
            self.file.read_to_end(&mut bytes)?;
            let whole = bytes.iter().rposition(|&b| b == b'\n').map_or(0, |i| i + 1);
            bytes.truncate(whole);
            self.file.set_len(whole as u64)?;
            self.file.seek(SeekFrom::End(0))?;
            Ok(())
        };
        read().map_err(|source| io_error(&self.path, source))?;
        String::from_utf8(bytes).map_err(|e| {
            let before = &e.as_bytes()[..e.utf8_error().valid_up_to()];
            JournalError::Malformed {
                file: self.path.clone(),
                line: before.iter().filter(|&&b| b == b'\n').count() + 1,
                what: "not valid UTF-8".into(),
            }
        })
    }

    fn parse<T: for<'a> Deserialize<'a>>(
        &self,
        line: usize,
        text: &str,
    ) -> Result<T, JournalError> {
        serde_json::from_str(text).map_err(|e| JournalError::Malformed {
            file: self.path.clone(),
            line,
            what: e.to_string(),
        })
    }
}

/// Whether there is more than the line of settings.
fn holds_questions(text: &str) -> bool {
    text.lines().nth(1).is_some()
}

fn io_error(path: &Path, source: io::Error) -> JournalError {
    let file = path.to_owned();
    JournalError::Io { file, source }
}

/// Names the first setting in which two runs differ.
fn compare(
    path: &Path,
    theirs: &Map<String, Value>,
    ours: &Map<String, Value>,
) -> Result<(), JournalError> {
    let keys = ours.keys().chain(theirs.keys());
    let value = |of: &Map<String, Value>, key: &str| of.get(key).cloned().unwrap_or_default();
    for key in keys {
        let (a, b) = (value(theirs, key), value(ours, key));
        if a != b {
            return Err(JournalError::Differs {
                file: path.to_owned(),
                key: key.clone(),
                theirs: a.to_string(),
                ours: b.to_string(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn settings(seed: u64) -> Map<String, Value> {
        let value = json!({"members": ["a", "b"], "seed": seed});
        value.as_object().unwrap().clone()
    }

    fn entry(task: usize, line: usize) -> JournalEntry {
        let outcome = Outcome::Decided(Verdict {
            picked: vec![0, 1],
            scores: vec![vec![-0.1, -0.25], vec![-1.0 / 3.0, 0.1]],
            lambda: vec![vec![], vec![0.3, 0.7]],
            seconds: vec![0.5, 1.0],
            tokens: vec![10, 12],
            total_seconds: 1.25,
            replay_seconds: None,
        });
        JournalEntry {
            task,
            line,
            outcome,
        }
    }

    fn skipped() -> JournalEntry {
        JournalEntry {
            outcome: Outcome::Skipped("too long".into()),
            ..entry(0, 9)
        }
    }

    /// A journal of three questions, and its path.
    fn written() -> (tempfile::TempDir, PathBuf, Vec<JournalEntry>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let entries = vec![entry(0, 1), skipped(), entry(1, 1)];
        let mut journal = Journal::create(&path, &settings(1)).unwrap();
        entries.iter().for_each(|e| journal.append(e).unwrap());
        (folder, path, entries)
    }

    #[test]
    fn what_was_written_comes_back_bit_for_bit_and_can_go_on() {
        let (_folder, path, mut entries) = written();
        let (mut journal, found) = Journal::resume(&path, &settings(1)).unwrap();
        assert_eq!(found, entries);
        journal.append(&entry(1, 2)).unwrap();
        // A question that is there twice counts once.
        journal.append(&entry(0, 1)).unwrap();
        drop(journal);
        entries.push(entry(1, 2));
        let (_, found) = Journal::resume(&path, &settings(1)).unwrap();
        assert_eq!(found, entries);
    }

    #[test]
    fn a_journal_torn_anywhere_goes_on_from_its_last_whole_line() {
        let (_folder, path, entries) = written();
        let whole = std::fs::read(&path).unwrap();
        for len in 0..=whole.len() {
            std::fs::write(&path, &whole[..len]).unwrap();
            let lines = whole[..len].iter().filter(|&&b| b == b'\n').count();
            let kept = lines.saturating_sub(1);
            let (mut journal, found) = Journal::resume(&path, &settings(1)).unwrap();
            assert_eq!(found, entries[..kept]);
            entries[kept..]
                .iter()
                .for_each(|e| journal.append(e).unwrap());
            drop(journal);
            assert_eq!(std::fs::read(&path).unwrap(), whole, "torn at {len}");
        }
    }

    #[test]
    fn another_setting_is_named() {
        let (_folder, path, _) = written();
        let error = Journal::resume(&path, &settings(2)).unwrap_err();
        assert!(matches!(&error, JournalError::Differs { key, .. } if key == "seed"));
        assert!(
            error.to_string().contains("another seed: 1, not 2"),
            "{error}"
        );
        let mut fewer = settings(1);
        fewer.remove("seed");
        assert!(Journal::resume(&path, &fewer).is_err());
    }

    #[test]
    fn a_journal_is_not_written_over_or_by_two() {
        let (_folder, path, _) = written();
        let error = Journal::create(&path, &settings(1)).unwrap_err();
        assert!(matches!(error, JournalError::Exists { .. }));
        let (_open, _) = Journal::resume(&path, &settings(1)).unwrap();
        let error = Journal::resume(&path, &settings(1)).unwrap_err();
        assert!(matches!(error, JournalError::InUse { .. }));
    }

    #[test]
    fn a_journal_without_questions_is_begun_anew_with_any_settings() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        drop(Journal::create(&path, &settings(1)).unwrap());
        drop(Journal::create(&path, &settings(2)).unwrap());
        let (mut journal, found) = Journal::resume(&path, &settings(3)).unwrap();
        assert_eq!(found, []);
        journal.append(&entry(0, 1)).unwrap();
        drop(journal);
        let (_, found) = Journal::resume(&path, &settings(3)).unwrap();
        assert_eq!(found, [entry(0, 1)]);
    }

    #[test]
    fn a_line_in_the_middle_that_is_none_is_named() {
        let (_folder, path, _) = written();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replacen("\"line\":9", "\"line\":-9", 1)).unwrap();
        let error = Journal::resume(&path, &settings(1)).unwrap_err();
        assert!(
            matches!(error, JournalError::Malformed { line: 3, .. }),
            "{error}"
        );
    }
}
