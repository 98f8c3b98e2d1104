//! Counts, times and, when asked, records what a member evaluates.

use crate::backend::{BackendError, BatchToken, Description, Limits, Member, SeqId, Token, Vocab};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a member has spent.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Spent {
    /// Tokens evaluated.
    pub tokens: usize,
    /// Batches evaluated.
    pub decodes: usize,
    /// Time inside the model.
    pub time: Duration,
}

impl std::ops::Add for Spent {
    type Output = Spent;

    fn add(self, later: Spent) -> Spent {
        Spent {
            tokens: self.tokens + later.tokens,
            decodes: self.decodes + later.decodes,
            time: self.time + later.time,
        }
    }
}

impl std::ops::Sub for Spent {
    type Output = Spent;

    fn sub(self, earlier: Spent) -> Spent {
        Spent {
            tokens: self.tokens - earlier.tokens,
            decodes: self.decodes - earlier.decodes,
            time: self.time.saturating_sub(earlier.time),
        }
    }
}

/// One request to a member, for replaying.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// [`Member::decode`].
    Decode(Vec<BatchToken>),
    /// [`Member::seq_copy`].
    Copy(SeqId, SeqId, u32),
    /// [`Member::seq_truncate`].
    Truncate(SeqId, u32),
    /// The coordinator's next call began: what came before is over for all members.
    Step,
}

/// A member that counts what it does.
pub(super) struct Metered {
    member: Box<dyn Member>,
    pub spent: Spent,
    /// Everything asked of the member since recording began.
    pub record: Option<Vec<Operation>>,
}

impl Metered {
    pub fn new(member: Box<dyn Member>) -> Self {
        Self {
            member,
            spent: Spent::default(),
            record: None,
        }
    }

    /// Does recorded operations again, up to the next step. Returns how many were done.
    pub fn replay(&mut self, operations: &[Operation]) -> Result<usize, BackendError> {
        for (i, operation) in operations.iter().enumerate() {
            match operation {
                Operation::Decode(batch) => self.member.decode(batch)?,
                Operation::Copy(from, to, len) => self.member.seq_copy(*from, *to, *len)?,
                Operation::Truncate(seq, len) => self.member.seq_truncate(*seq, *len)?,
                Operation::Step => return Ok(i),
            }
        }
        Ok(operations.len())
    }

    /// Marks the beginning of a call in the record.
    pub fn mark_step(&mut self) {
        self.note(|| Operation::Step);
    }

    fn note(&mut self, operation: impl FnOnce() -> Operation) {
        if let Some(record) = &mut self.record {
            record.push(operation());
        }
    }
}

impl Member for Metered {
    fn vocab(&self) -> &Arc<Vocab> {
        self.member.vocab()
    }

    fn limits(&self) -> Limits {
        self.member.limits()
    }

    fn description(&self) -> &Description {
        self.member.description()
    }

    fn tokenize(&mut self, text: &str, markup: bool) -> Result<Vec<Token>, BackendError> {
        self.member.tokenize(text, markup)
    }

    fn decode(&mut self, batch: &[BatchToken]) -> Result<(), BackendError> {
        self.note(|| Operation::Decode(batch.to_vec()));
        let start = Instant::now();
        let result = self.member.decode(batch);
        self.spent.time += start.elapsed();
        self.spent.tokens += batch.len();
        self.spent.decodes += 1;
        result
    }

    fn logits(&self, index: usize) -> Result<&[f32], BackendError> {
        self.member.logits(index)
    }

    fn seq_copy(&mut self, from: SeqId, to: SeqId, len: u32) -> Result<(), BackendError> {
        self.note(|| Operation::Copy(from, to, len));
        self.member.seq_copy(from, to, len)
    }

    fn seq_truncate(&mut self, seq: SeqId, len: u32) -> Result<(), BackendError> {
        self.note(|| Operation::Truncate(seq, len));
        self.member.seq_truncate(seq, len)
    }

    fn seq_len(&self, seq: SeqId) -> u32 {
        self.member.seq_len(seq)
    }

    fn cancelled(&self) -> bool {
        self.member.cancelled()
    }

    fn save(&mut self) -> Result<Vec<u8>, BackendError> {
        self.member.save()
    }

    fn restore(&mut self, state: &[u8], len: u32) -> Result<(), BackendError> {
        self.member.restore(state, len)
    }
}
