//! Replaying what an answer asked of the members, to tell what everything else costs.

use super::meter::Operation;
use super::worker::{Command, Reply};
use super::{Engine, EngineError};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

/// Everything that was asked of every member during some commands.
pub struct Recording {
    operations: Vec<Arc<Vec<Operation>>>,
    /// For each command: whether any member evaluated something.
    meetings: Arc<Vec<bool>>,
}

impl Engine {
    /// Records what is asked of the members from now on, from empty caches.
    ///
    /// # Errors
    /// From a member.
    pub fn start_recording(&mut self) -> Result<(), EngineError> {
        self.clear()?;
        self.continue_recording()
    }

    /// Records what is asked of the members from now on, whatever is in their caches.
    ///
    /// # Errors
    /// From a member.
    pub fn continue_recording(&mut self) -> Result<(), EngineError> {
        self.all(|_| Command::Record(true))?;
        Ok(())
    }

    /// Stops recording. Every member must have been given every command since: no member was dropped.
    ///
    /// # Errors
    /// From a member.
    pub fn stop_recording(&mut self) -> Result<Recording, EngineError> {
        let replies = self.all(|_| Command::Record(false))?;
        let operations: Vec<Arc<Vec<Operation>>> = replies
            .into_iter()
            .map(|r| {
                Arc::new(if let Reply::Recorded(ops) = r {
                    ops
                } else {
                    Vec::new()
                })
            })
            .collect();
        let evaluates: Vec<Vec<bool>> = operations
            .iter()
            .map(|ops| {
                ops.split(|op| *op == Operation::Step)
                    .map(|step| step.iter().any(|op| matches!(op, Operation::Decode(_))))
                    .collect()
            })
            .collect();
        let steps = evaluates.iter().map(Vec::len).max().unwrap_or(0);
        let meets = |i: usize| evaluates.iter().any(|e| e.get(i) == Some(&true));
        Ok(Recording {
            operations,
            meetings: Arc::new((0..steps).map(meets).collect()),
        })
    }

    /// Does the same evaluations again: same batches, threads and schedule (members meet after every
    /// command in which one of them evaluated something), and nothing else. The caches must hold what
    /// they held when the recording began; several recordings may follow each other, then
    /// [`Engine::end_replay`]. Returns the time taken.
    ///
    /// # Errors
    /// From a member.
    pub fn replay(&mut self, recording: &Recording) -> Result<Duration, EngineError> {
        // They wait for each other, so all have to be there.
        self.all(|_| Command::Ready)?;
        let barrier = Arc::new(Barrier::new(self.workers.len()));
        let start = Instant::now();
        self.all(|k| {
            Command::Replay(
                Arc::clone(&recording.operations[k]),
                Arc::clone(&recording.meetings),
                Arc::clone(&barrier),
            )
        })?;
        Ok(start.elapsed())
    }

    /// Empties the caches after a replay.
    ///
    /// # Errors
    /// From a member.
    pub fn end_replay(&mut self) -> Result<(), EngineError> {
        self.all(|_| Command::Empty)?;
        Ok(())
    }
}

impl Recording {
    /// Tokens evaluated, member by member.
    #[must_use]
    pub fn tokens(&self) -> Vec<usize> {
        let count = |op: &Operation| {
            if let Operation::Decode(b) = op {
                b.len()
            } else {
                0
            }
        };
        self.operations
            .iter()
            .map(|ops| ops.iter().map(count).sum())
            .collect()
    }
}
