//! What was measured of models, kept in the store: what they are good at in
//! `<root>/competence/<key>.json`, what batches cost them in `<root>/pace/<key>.json`.
//!
//! It is measured once. A file that cannot be read is as none.

use super::disk::write_atomically;
use super::error::StoreError;
use super::store::Store;
use packllm_engine::backend::Pace;
use packllm_engine::competence::Competence;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs;

const COMPETENCE: &str = "competence";
const PACE: &str = "pace";

impl Store {
    /// What a model is good at, if it is known and whole.
    #[must_use]
    pub fn competence(&self, key: &str) -> Option<Competence> {
        self.measured(COMPETENCE, key).filter(Competence::is_whole)
    }

    /// Keeps what a model is good at.
    ///
    /// # Errors
    /// A store that cannot be written.
    pub fn keep_competence(&self, key: &str, competence: &Competence) -> Result<(), StoreError> {
        self.keep(COMPETENCE, key, competence)
    }

    /// How a member's batches are shaped, if they were timed.
    #[must_use]
    pub fn pace(&self, key: &str) -> Option<Pace> {
        self.measured(PACE, key).filter(Pace::is_sane)
    }

    /// Keeps how a member's batches are shaped.
    ///
    /// # Errors
    /// A store that cannot be written.
    pub fn keep_pace(&self, key: &str, pace: &Pace) -> Result<(), StoreError> {
        self.keep(PACE, key, pace)
    }

    /// Whether batches of any member were timed.
    #[must_use]
    pub fn has_paces(&self) -> bool {
        self.root().join(PACE).is_dir()
    }

    fn measured<T: DeserializeOwned>(&self, kind: &str, key: &str) -> Option<T> {
        let text = fs::read(self.root().join(kind).join(name(key))).ok()?;
        serde_json::from_slice(&text).ok()
    }

    fn keep(&self, kind: &str, key: &str, measured: &impl Serialize) -> Result<(), StoreError> {
        let path = self.folder(kind)?.join(name(key));
        let text = serde_json::to_vec(measured).unwrap_or_default();
        write_atomically(&path, &text)
    }
}

fn name(key: &str) -> String {
    format!("{key}.json")
}
