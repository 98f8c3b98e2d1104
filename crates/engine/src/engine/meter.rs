//! What a member has spent, and what was asked of it.

use crate::backend::{BatchToken, SeqId};
use std::time::Duration;

/// What a member has spent for a conversation.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Spent {
    /// Tokens evaluated.
    pub tokens: usize,
    /// Batches with tokens of it.
    pub decodes: usize,
    /// Time inside the model. Where conversations share a batch, each counts its part of the tokens.
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
    /// [`Member::decode`](crate::backend::Member::decode), and whose tokens it holds.
    Decode(Vec<BatchToken>, Vec<Part>),
    /// [`Member::seq_copy`](crate::backend::Member::seq_copy).
    Copy(SeqId, SeqId, u32),
    /// [`Member::seq_truncate`](crate::backend::Member::seq_truncate).
    Truncate(SeqId, u32),
}

/// A conversation that has tokens in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Which one.
    pub conversation: u64,
    /// The call that asked for them: all members get the same calls, one after the other.
    pub call: u32,
    /// How many tokens: those of the first part come first in the batch.
    pub tokens: usize,
}
