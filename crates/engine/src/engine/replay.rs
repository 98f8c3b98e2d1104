//! Replaying what conversations asked of the members, to tell what everything else costs.
//!
//! The same batches are evaluated again, on the same threads and in the same order, and nothing
//! else is done. A batch begins once the batches that its conversations had waited for have ended:
//! a conversation asks for something after all members have answered what it asked before.

use super::meter::{Operation, Part};
use super::schedule::Scheduler;
use super::{Engine, EngineError};
use crate::backend::BackendError;
use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

mod batch_cost;

/// Everything that was asked of every member while it was recorded.
pub struct Recording {
    operations: Vec<Arc<Vec<Operation>>>,
    /// Of each member's batches, how many batches of every member have to be over before it begins.
    needs: Vec<Arc<Vec<Vec<usize>>>>,
}

impl Engine {
    /// Records what is asked of the members from now on.
    ///
    /// # Errors
    /// From a member.
    pub fn start_recording(&self) -> Result<(), EngineError> {
        self.ask_all(|_| {
            |scheduler: &mut Scheduler| {
                scheduler.start_record();
                Ok(())
            }
        })?;
        Ok(())
    }

    /// Stops recording.
    ///
    /// # Errors
    /// From a member.
    pub fn stop_recording(&self) -> Result<Recording, EngineError> {
        let recorded = self.ask_all(|_| |scheduler: &mut Scheduler| Ok(scheduler.take_record()))?;
        Ok(Recording::new(recorded))
    }

    /// Does the same evaluations again and nothing else. The caches must hold what they held when
    /// the recording began, and no conversation may ask for anything meanwhile; several recordings
    /// may follow each other. Returns the time taken.
    ///
    /// # Errors
    /// From a member; the others go on without it.
    pub fn replay(&self, recording: &Recording) -> Result<Duration, EngineError> {
        // The clock starts when all are there.
        self.ask_all(|_| |_: &mut Scheduler| Ok(()))?;
        let progress = Arc::new(Progress::new(self.members().len()));
        let start = Instant::now();
        self.ask_all(|k| {
            let progress = Arc::clone(&progress);
            let operations = Arc::clone(&recording.operations[k]);
            let needs = Arc::clone(&recording.needs[k]);
            move |scheduler: &mut Scheduler| {
                let _left = Leaving(&progress, k);
                scheduler.replay(&operations, &mut |batch, done| match done {
                    false => progress.wait_for(&needs[batch]),
                    true => progress.advance(k),
                })
            }
        })?;
        Ok(start.elapsed())
    }

    /// Empties the caches after a replay. All conversations have to be clear.
    ///
    /// # Errors
    /// From a member.
    pub fn end_replay(&self) -> Result<(), EngineError> {
        self.ask_all(|_| Scheduler::empty)?;
        Ok(())
    }
}

impl Recording {
    fn new(operations: Vec<Vec<Operation>>) -> Self {
        let batches: Vec<Vec<&[Part]>> = operations.iter().map(|ops| parts(ops)).collect();
        let needs = (0..batches.len()).map(|k| Arc::new(needs(&batches, k)));
        Self {
            needs: needs.collect(),
            operations: operations.into_iter().map(Arc::new).collect(),
        }
    }

    /// Tokens evaluated, member by member.
    #[must_use]
    pub fn tokens(&self) -> Vec<usize> {
        self.count(|batch, _| batch)
    }

    /// Batches evaluated, member by member.
    #[must_use]
    pub fn batches(&self) -> Vec<usize> {
        self.count(|_, _| 1)
    }

    /// Batches that hold tokens of several conversations, member by member.
    #[must_use]
    pub fn shared_batches(&self) -> Vec<usize> {
        self.count(|_, parts| usize::from(parts > 1))
    }

    fn count(&self, of: impl Fn(usize, usize) -> usize) -> Vec<usize> {
        let count = |operation: &Operation| match operation {
            Operation::Decode(batch, parts) => of(batch.len(), parts.len()),
            _ => 0,
        };
        let members = self.operations.iter();
        members.map(|ops| ops.iter().map(&count).sum()).collect()
    }
}

/// Whose tokens each batch holds.
fn parts(operations: &[Operation]) -> Vec<&[Part]> {
    let parts = operations.iter().filter_map(|operation| match operation {
        Operation::Decode(_, parts) => Some(&parts[..]),
        _ => None,
    });
    parts.collect()
}

/// For each batch of member `k`, how many batches of every member have to be over: those that its
/// conversations had asked for in earlier calls.
fn needs(batches: &[Vec<&[Part]>], k: usize) -> Vec<Vec<usize>> {
    // Of a conversation at a member: the calls that evaluated something, and how many batches that
    // member had evaluated once the call was answered. Calls ascend.
    let mut ends: Vec<HashMap<u64, Vec<(u32, usize)>>> = Vec::new();
    for of_member in batches {
        let mut calls: HashMap<u64, Vec<(u32, usize)>> = HashMap::new();
        for (i, parts) in of_member.iter().enumerate() {
            for part in *parts {
                calls
                    .entry(part.conversation)
                    .or_default()
                    .push((part.call, i + 1));
            }
        }
        ends.push(calls);
    }
    let before = |calls: &HashMap<u64, Vec<(u32, usize)>>, part: &Part| {
        let calls = calls.get(&part.conversation)?;
        let earlier = calls.partition_point(|&(call, _)| call < part.call);
        Some(calls[earlier.checked_sub(1)?].1)
    };
    let of_batch = |parts: &&[Part]| {
        let of_member = |calls| parts.iter().filter_map(|part| before(calls, part)).max();
        ends.iter()
            .map(|calls| of_member(calls).unwrap_or(0))
            .collect()
    };
    batches[k].iter().map(of_batch).collect()
}

/// How many batches of each member are over.
struct Progress {
    over: Mutex<Vec<usize>>,
    changed: Condvar,
}

impl Progress {
    fn new(members: usize) -> Self {
        Self {
            over: Mutex::new(vec![0; members]),
            changed: Condvar::new(),
        }
    }

    fn wait_for(&self, needs: &[usize]) {
        let over = self.over.lock().unwrap_or_else(PoisonError::into_inner);
        let short = |over: &mut Vec<usize>| over.iter().zip(needs).any(|(have, need)| have < need);
        drop(self.changed.wait_while(over, short));
    }

    fn advance(&self, k: usize) {
        self.set(k, |over| *over += 1);
    }

    fn set(&self, k: usize, change: impl FnOnce(&mut usize)) {
        let mut over = self.over.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut over[k]);
        self.changed.notify_all();
    }
}

/// A member at its replay: however it ends, nobody waits for it afterwards.
struct Leaving<'a>(&'a Progress, usize);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.set(self.1, |over| *over = usize::MAX);
    }
}

impl Scheduler {
    /// Does recorded operations again. `turn` is called before and after every batch.
    fn replay(
        &mut self,
        operations: &[Operation],
        turn: &mut dyn FnMut(usize, bool),
    ) -> Result<(), BackendError> {
        let mut batches = 0;
        for operation in operations {
            match operation {
                Operation::Decode(batch, _) => {
                    turn(batches, false);
                    self.member().decode(batch)?;
                    turn(batches, true);
                    batches += 1;
                }
                Operation::Copy(from, to, len) => self.member().seq_copy(*from, *to, *len)?,
                Operation::Truncate(seq, len) => self.member().seq_truncate(*seq, *len)?,
            }
        }
        Ok(())
    }

    /// Empties the member's cache.
    fn empty(&mut self) -> Result<(), BackendError> {
        let sequences = self.member().limits().sequences;
        (0..sequences).try_for_each(|seq| self.member().seq_truncate(seq, 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{BatchToken, SeqId};

    fn entry(seq: SeqId, pos: u32) -> BatchToken {
        BatchToken {
            token: 10 * seq + pos,
            pos,
            seq,
            output: true,
        }
    }

    /// A batch of one token for each of these conversations and calls.
    fn batch(parts: &[(u64, u32)]) -> Operation {
        let entries = parts.iter().map(|&(seq, pos)| entry(seq as SeqId, pos));
        let parts = parts.iter().map(|&(conversation, call)| Part {
            conversation,
            call,
            tokens: 1,
        });
        Operation::Decode(entries.collect(), parts.collect())
    }

    #[test]
    fn a_batch_needs_what_its_conversations_had_waited_for_and_nothing_else() {
        let first = vec![
            batch(&[(1, 1), (2, 1)]),
            // Conversation 2 needed this member twice for one symbol.
            batch(&[(2, 1)]),
            Operation::Truncate(1, 0),
            batch(&[(1, 3)]),
            batch(&[(2, 2), (1, 5)]),
        ];
        let second = vec![batch(&[(1, 2)]), batch(&[(1, 3), (2, 1)]), batch(&[(3, 9)])];
        let recording = Recording::new(vec![first, second]);
        let needs = |k: usize| recording.needs[k].to_vec();
        // Of the first member, of the second; the calls of conversation 1: member 1, 2, both, 1.
        assert_eq!(
            needs(0),
            [vec![0, 0], vec![0, 0], vec![1, 1], vec![3, 2]].to_vec()
        );
        assert_eq!(needs(1), [vec![1, 0], vec![1, 1], vec![0, 0]].to_vec());
        assert_eq!(recording.batches(), [4, 3]);
        assert_eq!(recording.shared_batches(), [2, 1]);
        assert_eq!(recording.tokens(), [6, 4]);
    }
}
