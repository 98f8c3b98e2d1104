//! What a pack tells the program around it, and what it asks of it.

use crate::backend::Vocab;
use crate::engine::EngineError;
use crate::engine::prompt_cache::file::BadPromptCache;
use crate::vocab::mapped::Map;
use chrono::{DateTime, NaiveDateTime};
use std::error::Error;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// The program around a pack. The host `()` ignores notes and progress, aligns vocabularies anew
/// and gives the time in UTC.
pub trait Host {
    /// A fact that the user of the pack should know. The same note comes again with every prompt
    /// that it is true of.
    fn note(&mut self, _note: Note) {}

    /// Something is under way that takes time.
    fn progress(&mut self, _progress: Progress<'_>) {}

    /// The map of a member's vocabulary to the reference's.
    ///
    /// # Errors
    /// The host's own.
    fn map(
        &mut self,
        reference: &Vocab,
        member: &Vocab,
    ) -> Result<Map, Box<dyn Error + Send + Sync>> {
        let map = Map::align(reference, member, num_cpus::get(), &|_, _| true);
        map.ok_or_else(|| EngineError::Cancelled.into())
    }

    /// The time that templates are given, in local time.
    fn now(&self) -> NaiveDateTime {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let seconds = since.map_or(0, |since| since.as_secs());
        let now = i64::try_from(seconds).ok();
        let now = now.and_then(|now| DateTime::from_timestamp(now, 0));
        now.unwrap_or_default().naive_utc()
    }
}

impl Host for () {}

/// What is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress<'a> {
    /// Members evaluate a prompt.
    Reading {
        /// Tokens that each has read.
        read: &'a [usize],
        /// Tokens that each has to read.
        of: &'a [usize],
    },
    /// Members are measured, to find the reference of a mapped alphabet.
    Measuring,
    /// What was under way has ended, well or not.
    Done,
}

/// A fact that the user of a pack should know.
#[derive(Debug)]
#[non_exhaustive]
pub enum Note {
    /// A member has no chat template: it reads the conversation as plain paragraphs.
    NoTemplate {
        /// The member.
        member: String,
    },
    /// A member has no chat template, and others have one: it is left out of chats.
    LeftOut {
        /// The member.
        member: String,
    },
    /// No member has a token that ends an answer.
    NobodyEnds {
        /// In plain text, where other paragraphs do not end it either.
        raw: bool,
    },
    /// A member's template takes no system message: it stands before the user's first message.
    SystemFolded {
        /// The member.
        member: String,
    },
    /// A member's template changes or hides a scored message: the member is scored under the plain
    /// template.
    Hidden {
        /// The member.
        member: String,
    },
    /// A member has no token for some bytes of the text, and reads it without them.
    LostBytes {
        /// The member.
        member: String,
        /// How many.
        bytes: usize,
        /// The first of them.
        first: u8,
    },
    /// A member was lost, and the others go on without it.
    Lost(EngineError),
    /// Nothing was there to measure the members on: all weights are equal.
    NoEvidence,
    /// The vocabulary of a member is the reference, by choice.
    ReferenceChosen {
        /// The member.
        member: String,
    },
    /// The vocabulary of a tokenizer file is the reference.
    ReferenceFile {
        /// The file.
        path: PathBuf,
    },
    /// No special token of that file is known to end an answer.
    ReferenceEndless {
        /// The file.
        path: PathBuf,
    },
    /// The vocabulary of a member is the reference: its loss was the lowest.
    ReferenceMeasured {
        /// The member.
        member: String,
        /// Every member, and its loss in nats a token of its own: not a number where nothing was
        /// measured.
        losses: Vec<(String, f64)>,
    },
    /// What became of the prompt cache.
    PromptCache {
        /// Its file.
        path: PathBuf,
        /// What happened.
        what: CacheNote,
    },
}

/// What became of a prompt cache. None of it harms the answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum CacheNote {
    /// A member is scored on a prompt of its own, which empties its KV cache: the file is not used.
    ReadApart,
    /// A model file could not be read to identify it: the file is not used.
    ModelFile(std::io::Error),
    /// The file is left as it is, and no prompt is cached.
    LeftAlone(BadPromptCache),
    /// What it holds cannot be used: it is written anew.
    Outdated(BadPromptCache),
    /// What it holds does not fit a member: it is written anew.
    NotRestored(EngineError),
    /// There was nothing to cache: only the messages before the last are cached.
    NothingToKeep,
    /// The members could not hand the prompt over.
    NotSaved(EngineError),
    /// The file could not be written.
    NotWritten(std::io::Error),
    /// The prompt was written.
    Written {
        /// Its tokens, of the member that has most.
        tokens: usize,
        /// Length of the file.
        bytes: u64,
    },
}
