//! What models are good at, kept in the store: `<root>/competence/<key>.json`.
//!
//! It is measured once a model file and template. A file that cannot be read is measured again.

use std::fs;

use super::disk::write_atomically;
use super::error::StoreError;
use super::store::Store;
use packllm_engine::competence::Competence;

impl Store {
    /// What was kept under this key, if it is whole.
    #[must_use]
    pub fn competence(&self, key: &str) -> Option<Competence> {
        let text = fs::read(self.root().join("competence").join(name(key))).ok()?;
        let competence: Competence = serde_json::from_slice(&text).ok()?;
        competence.is_whole().then_some(competence)
    }

    /// Keeps it.
    ///
    /// # Errors
    /// A store that cannot be written.
    pub fn keep_competence(&self, key: &str, competence: &Competence) -> Result<(), StoreError> {
        let path = self.folder("competence")?.join(name(key));
        let text = serde_json::to_vec(competence).unwrap_or_default();
        write_atomically(&path, &text)
    }
}

fn name(key: &str) -> String {
    format!("{key}.json")
}
