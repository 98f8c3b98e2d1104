//! One pull while it goes on: how it reaches the outside, who watches it, what stops it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::error::StoreError;
use super::manifest::Licence;
use super::part::Part;
use super::source::Source;

/// How pulls reach the outside.
#[derive(Debug, Clone)]
pub struct PullOptions {
    /// Base URL of the Hugging Face hub.
    pub hub_endpoint: String,
    /// Access token of the hub; sent to that endpoint only.
    pub hub_token: Option<String>,
    /// The Python whose pip fetches wheels.
    pub python: PathBuf,
    /// Download nothing.
    pub offline: bool,
    /// Ask the hub for a newer version of what is on disk.
    pub refresh: bool,
    /// Attempts in a row that bring nothing before a source is given up.
    pub retries: u32,
    /// Pause before the second attempt; it doubles from then on.
    pub backoff: Duration,
}

impl Default for PullOptions {
    fn default() -> Self {
        Self {
            hub_endpoint: "https://huggingface.co".to_owned(),
            hub_token: None,
            python: "python3".into(),
            offline: false,
            refresh: false,
            retries: 4,
            backoff: Duration::from_secs(1),
        }
    }
}

/// The watcher of a pull.
pub trait Progress {
    /// Bytes are about to flow: `already` of `total` (if known) are there. Called again when a
    /// download restarts.
    fn start(&mut self, total: Option<u64>, already: u64);
    /// That many bytes more.
    fn advance(&mut self, bytes: u64);
    /// One line on what is being done.
    fn note(&mut self, text: &str);
    /// Called before a member with a licence is downloaded; `false` refuses it.
    fn accept(&mut self, member: &str, licence: &Licence) -> bool;
}

/// One pull: its options, its watcher, the size in bytes and the hash that are expected, whether
/// other sources follow the one that is asked, the flag that stops it.
pub(super) struct Job<'a> {
    pub options: &'a PullOptions,
    pub progress: &'a mut dyn Progress,
    pub size: Option<u64>,
    pub sha256: Option<String>,
    pub others: bool,
    pub cancel: &'a AtomicBool,
}

impl Job<'_> {
    /// An error once the caller wants to stop.
    pub fn check(&self) -> Result<(), StoreError> {
        if self.cancel.load(Ordering::Relaxed) {
            Err(StoreError::Cancelled)
        } else {
            Ok(())
        }
    }

    /// The token that a source is asked with.
    pub fn token(&self, source: &Source) -> Option<String> {
        let token = self.options.hub_token.clone();
        token.filter(|_| matches!(source, Source::Hub(_)))
    }

    /// Appends to the part, up to the expected size.
    pub fn take(&mut self, part: &mut Part, bytes: &[u8]) -> Result<(), StoreError> {
        let actual = part.len() + bytes.len() as u64;
        match self.size {
            Some(expected) if actual > expected => Err(StoreError::WrongSize { expected, actual }),
            _ => {
                part.write(bytes)?;
                self.progress.advance(bytes.len() as u64);
                Ok(())
            }
        }
    }
}
