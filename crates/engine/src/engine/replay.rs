//! Replaying what an answer asked of the members, to tell what everything else costs.

use super::meeting::{Attendance, Meeting};
use super::meter::Operation;
use super::runtime::MemberRuntime;
use super::{Engine, EngineError};
use crate::backend::{BackendError, Member};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Everything that was asked of every member during some calls.
pub struct Recording {
    operations: Vec<Arc<Vec<Operation>>>,
    /// For each call: whether any member evaluated something.
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
        self.all(|_| MemberRuntime::record)?;
        Ok(())
    }

    /// Stops recording. Every member must have received every call since the start: none may have
    /// been dropped.
    ///
    /// # Errors
    /// From a member.
    pub fn stop_recording(&mut self) -> Result<Recording, EngineError> {
        let recorded =
            self.all(|_| |runtime: &mut MemberRuntime| Ok(runtime.member.record.take()))?;
        let operations = recorded.into_iter().map(Option::unwrap_or_default);
        let operations: Vec<Arc<Vec<Operation>>> = operations.map(Arc::new).collect();
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

    /// Does the same evaluations again: same batches, threads and schedule (members meet after
    /// every call in which one of them evaluated something), and nothing else. The caches must hold
    /// what they held when the recording began; several recordings may follow each other, then
    /// [`Engine::end_replay`]. Returns the time taken.
    ///
    /// # Errors
    /// From a member; the others go on without it.
    pub fn replay(&mut self, recording: &Recording) -> Result<Duration, EngineError> {
        // The clock starts when all are there.
        self.all(|_| |_| Ok(()))?;
        let meeting = Arc::new(Meeting::new(self.workers.len()));
        let start = Instant::now();
        self.all(|k| {
            let attendance = meeting.attend();
            let operations = Arc::clone(&recording.operations[k]);
            let meetings = Arc::clone(&recording.meetings);
            move |runtime: &mut MemberRuntime| replay(runtime, &operations, &meetings, &attendance)
        })?;
        Ok(start.elapsed())
    }

    /// Empties the caches after a replay.
    ///
    /// # Errors
    /// From a member.
    pub fn end_replay(&mut self) -> Result<(), EngineError> {
        self.all(|_| {
            |runtime: &mut MemberRuntime| {
                let mut sequences = 0..runtime.member.limits().sequences;
                sequences.try_for_each(|seq| runtime.member.seq_truncate(seq, 0))
            }
        })?;
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

/// Replays step by step. However it ends, `attendance` is dropped, and the others go on.
fn replay(
    runtime: &mut MemberRuntime,
    operations: &[Operation],
    meetings: &[bool],
    attendance: &Attendance,
) -> Result<(), BackendError> {
    let mut rest = operations;
    for &meet in meetings {
        let done = runtime.member.replay(rest)?;
        rest = rest.get(done + 1..).unwrap_or_default();
        if meet {
            attendance.wait();
        }
    }
    Ok(())
}
