//! The host of a conversation that is watched for progress.

use super::Desk;
use chrono::NaiveDateTime;
use packllm_engine::backend::Vocab;
use packllm_engine::pack::{Host, Note, Progress};
use packllm_engine::vocab::mapped::Map;
use std::error::Error;

/// The host of a conversation: whatever takes time is a step.
pub struct Watched<'a> {
    pub host: Box<dyn Host + 'a>,
    pub desk: &'a Desk,
}

impl Host for Watched<'_> {
    fn note(&mut self, note: Note) {
        self.host.note(note);
    }

    fn progress(&mut self, progress: Progress<'_>) {
        self.desk.step();
        self.host.progress(progress);
    }

    fn map(
        &mut self,
        reference: &Vocab,
        member: &Vocab,
    ) -> Result<Map, Box<dyn Error + Send + Sync>> {
        self.host.map(reference, member)
    }

    fn now(&self) -> NaiveDateTime {
        self.host.now()
    }
}
