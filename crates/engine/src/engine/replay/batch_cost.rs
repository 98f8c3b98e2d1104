//! What it costs to evaluate for several conversations at once.

use super::Recording;
use crate::backend::{BackendError, BatchToken, SeqId};
use crate::engine::meter::Operation;
use crate::engine::schedule::Scheduler;
use crate::engine::{Engine, EngineError};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

impl Engine {
    /// What a batch costs that holds a token of every conversation in the caches, after a replay of
    /// `recording`: its time over that of a batch with a token of one of them. Each member is
    /// measured while the others rest. The caches are not what they were afterwards.
    ///
    /// # Errors
    /// From a member.
    pub fn batch_cost(&self, recording: &Recording) -> Result<Vec<f64>, EngineError> {
        let measure = |k: usize| {
            let operations = Arc::clone(&recording.operations[k]);
            self.ask_one(k, move |scheduler: &mut Scheduler| {
                scheduler.batch_cost(&operations)
            })
        };
        (0..self.members().len()).map(measure).collect()
    }
}

/// Of each conversation the last token of its longest sequence, of what the caches hold in the end.
fn ends(operations: &[Operation]) -> Vec<BatchToken> {
    // What each sequence evaluated itself, and for whom.
    let mut evaluated: BTreeMap<SeqId, Vec<(u64, BatchToken)>> = BTreeMap::new();
    for operation in operations {
        match operation {
            Operation::Decode(batch, parts) => {
                let owners = parts.iter();
                let owners = owners.flat_map(|p| std::iter::repeat_n(p.conversation, p.tokens));
                for (owner, entry) in owners.zip(batch) {
                    let tokens = evaluated.entry(entry.seq).or_default();
                    tokens.push((owner, *entry));
                }
            }
            Operation::Copy(_, to, _) => evaluated.entry(*to).or_default().clear(),
            Operation::Truncate(seq, len) => {
                let tokens = evaluated.entry(*seq).or_default();
                tokens.retain(|(_, entry)| entry.pos < *len);
            }
        }
    }
    let mut longest: BTreeMap<u64, BatchToken> = BTreeMap::new();
    for &(owner, entry) in evaluated.values().filter_map(|tokens| tokens.last()) {
        let best = longest.entry(owner).or_insert(entry);
        if entry.pos > best.pos {
            *best = entry;
        }
    }
    longest.into_values().collect()
}

impl Scheduler {
    /// See [`Engine::batch_cost`].
    fn batch_cost(&mut self, operations: &[Operation]) -> Result<f64, BackendError> {
        let ends = ends(operations);
        // The cells of what is evaluated again may be shared, and new ones need room.
        let others = |seq: &SeqId| ends.iter().all(|end| end.seq != *seq);
        for seq in (0..self.member().limits().sequences).filter(others) {
            self.member().seq_truncate(seq, 0)?;
        }
        let limits = self.member().limits();
        let most = limits.batch.min(limits.outputs) as usize;
        let batch = ends.into_iter().take(most);
        let batch = batch.map(|end| BatchToken {
            output: true,
            ..end
        });
        let batch: Vec<_> = batch.collect();
        let one = self.evaluate_again(&batch[..batch.len().min(1)])?;
        let all = self.evaluate_again(&batch)?;
        Ok(all.as_secs_f64() / one.as_secs_f64().max(1e-9))
    }

    /// Evaluates the last tokens of some sequences again.
    fn evaluate_again(&mut self, ends: &[BatchToken]) -> Result<Duration, BackendError> {
        for end in ends {
            self.member().seq_truncate(end.seq, end.pos)?;
        }
        let start = Instant::now();
        self.member().decode(ends)?;
        Ok(start.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::meter::Part;

    fn entry(seq: SeqId, pos: u32) -> BatchToken {
        BatchToken {
            token: 10 * seq + pos,
            pos,
            seq,
            output: true,
        }
    }

    #[test]
    fn ends_are_the_last_tokens_of_the_longest_sequences() {
        let decode = |entries: &[(SeqId, u32)], parts: &[(u64, usize)]| {
            let entries = entries.iter().map(|&(seq, pos)| entry(seq, pos));
            let parts = parts.iter().map(|&(conversation, tokens)| Part {
                conversation,
                call: 1,
                tokens,
            });
            Operation::Decode(entries.collect(), parts.collect())
        };
        let operations = [
            decode(&[(0, 0), (0, 1), (0, 2), (3, 0)], &[(7, 3), (8, 1)]),
            Operation::Copy(0, 1, 3),
            Operation::Copy(0, 2, 2),
            decode(&[(3, 1), (2, 2), (2, 3), (2, 4)], &[(8, 1), (7, 3)]),
            Operation::Truncate(2, 4),
            Operation::Truncate(0, 2),
        ];
        assert_eq!(ends(&operations), [entry(2, 3), entry(3, 1)]);
    }
}
