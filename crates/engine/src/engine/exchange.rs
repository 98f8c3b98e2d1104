//! Commands to the members, and their answers.

use super::worker::{Command, Gone, Reply, Worker};
use super::{Engine, EngineError};
use crate::backend::BackendError;

impl Engine {
    /// Sends a command to every member, then takes every answer in order.
    pub(super) fn all(
        &self,
        command: impl FnMut(usize) -> Command,
    ) -> Result<Vec<Reply>, EngineError> {
        let everyone: Vec<usize> = (0..self.workers.len()).collect();
        self.some(&everyone, command)
    }

    /// As [`Engine::all`], until it is cancelled; `progress` is told now and then how many tokens each has read.
    pub(super) fn all_watched(
        &self,
        command: impl FnMut(usize) -> Command,
        progress: &mut dyn FnMut(&[usize]),
    ) -> Result<Vec<Reply>, EngineError> {
        let everyone: Vec<usize> = (0..self.workers.len()).collect();
        let mut report = || {
            let read: Vec<usize> = self.workers.iter().map(Worker::tokens_read).collect();
            progress(&read);
            !self.cancelled()
        };
        self.some_while(&everyone, command, &mut report)
    }

    /// Sends a command to some members, then takes all their answers in order, also after a failure:
    /// an answer left behind would be taken for the next one.
    pub(super) fn some(
        &self,
        which: &[usize],
        command: impl FnMut(usize) -> Command,
    ) -> Result<Vec<Reply>, EngineError> {
        self.some_while(which, command, &mut || true)
    }

    /// As [`Engine::some`], as long as the answers are `wanted`, which is asked now and then.
    fn some_while(
        &self,
        which: &[usize],
        mut command: impl FnMut(usize) -> Command,
        wanted: &mut dyn FnMut() -> bool,
    ) -> Result<Vec<Reply>, EngineError> {
        let mut failure = None;
        let mut sent = Vec::with_capacity(which.len());
        for &k in which {
            match self.workers[k].send(command(k)) {
                Ok(()) => sent.push(k),
                Err(gone) => failure = graver(failure, self.name_failure(k, gone)),
            }
        }
        let mut replies = Vec::with_capacity(sent.len());
        for k in sent {
            match self.workers[k].receive_while(wanted) {
                Ok(reply) => replies.push(reply),
                Err(gone) => failure = graver(failure, self.name_failure(k, gone)),
            }
        }
        failure.map_or(Ok(replies), Err)
    }

    /// Waits for members that still evaluate what was cancelled. Until then the flag has to stay raised, or they go
    /// on to the end; whatever else they are told waits as well.
    pub fn settle(&self) {
        self.workers.iter().for_each(Worker::settle);
    }

    fn name_failure(&self, k: usize, gone: Gone) -> EngineError {
        EngineError::of(&self.members[k].name, gone)
    }
}

/// Of several failures the one that has to be told; the first of equals. A cancelled member has nothing to say, and
/// a full context ends an answer well, so neither may hide what broke another.
fn graver(first: Option<EngineError>, other: EngineError) -> Option<EngineError> {
    let gravity = |error: &EngineError| match error {
        EngineError::Cancelled => 0,
        EngineError::Member {
            source: BackendError::ContextFull { .. },
            ..
        } => 1,
        _ => 2,
    };
    match first {
        Some(first) if gravity(&first) >= gravity(&other) => Some(first),
        _ => Some(other),
    }
}
