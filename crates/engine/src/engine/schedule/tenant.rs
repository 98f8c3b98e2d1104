//! What one conversation has in a member: its sequences, and what it waits for.

use super::cells::{CellId, Cells};
use super::presence::Presence;
use crate::backend::{BackendError, BatchToken, Ledger, Limits, SeqId};
use crate::engine::meter::Spent;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Names a conversation, in all members of its pack.
pub(in crate::engine) type TenantId = u64;

/// A conversation as its member knows it.
pub(super) struct Tenant {
    pub presence: Arc<Presence>,
    pub cancel: Arc<AtomicBool>,
    /// By the numbers that the conversation itself uses.
    pub sequences: Vec<Sequence>,
    /// Lengths of the sequences and rows of the last batch; refuses what a member would refuse.
    pub ledger: Ledger,
    /// What is to be evaluated.
    pub request: Vec<BatchToken>,
    pub state: State,
    /// Whether it waits because the last batch, or the cache, had no room for it.
    pub left_out: bool,
    /// Where its rows begin in the member's last batch, and which batch that was.
    pub rows: (usize, u64),
    pub spent: Spent,
    /// The call that the request belongs to, for records.
    pub call: u32,
}

/// How far a request has come.
#[derive(Debug)]
pub(super) enum State {
    /// Nothing is asked for.
    Idle,
    /// In the queue.
    Waiting,
    /// It was evaluated, or failed.
    Done(Result<(), BackendError>),
}

/// A sequence of a conversation. It may be in the KV cache or not, or only its first tokens.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    pub cells: Vec<CellId>,
    /// The member's sequence that holds it.
    pub place: Option<SeqId>,
    /// How many of its cells that one holds.
    pub present: usize,
}

impl Sequence {
    /// Whether it has a place and all of it is in the KV cache.
    pub fn is_present(&self) -> bool {
        self.place.is_some() && self.present == self.cells.len()
    }

    /// How many of the first cells `other` has in the KV cache as well.
    pub fn shared_with(&self, other: &Sequence) -> usize {
        let theirs = &other.cells[..other.present];
        let pairs = self.cells.iter().zip(theirs);
        pairs.take_while(|(a, b)| a == b).count()
    }

    /// Forgets what is beyond `len`, of which nothing is in the KV cache any more.
    pub fn shorten(&mut self, len: usize, cells: &mut Cells) {
        cells.give_up(&self.cells[len..]);
        self.cells.truncate(len);
    }
}

impl Tenant {
    pub fn new(
        presence: Arc<Presence>,
        cancel: Arc<AtomicBool>,
        limits: Limits,
        vocab_len: usize,
    ) -> Self {
        let sequences = (0..limits.sequences).map(|_| Sequence::default());
        Self {
            presence,
            cancel,
            sequences: sequences.collect(),
            ledger: Ledger::new(limits, vocab_len),
            request: Vec::new(),
            state: State::Idle,
            left_out: false,
            rows: (0, 0),
            spent: Spent::default(),
            call: 0,
        }
    }

    pub fn is_cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    /// Whether an answer of it is under way.
    pub fn is_answering(&self) -> bool {
        self.presence.is_answering()
    }

    pub fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting)
    }

    /// Whether any of it is in the KV cache.
    pub fn holds_places(&self) -> bool {
        self.sequences.iter().any(|s| s.place.is_some())
    }

    /// Its request was evaluated, or failed.
    pub fn finish(&mut self, result: Result<(), BackendError>) {
        match result {
            Ok(()) => self.ledger.commit(&self.request),
            Err(_) => self.ledger.invalidate_rows(),
        }
        self.state = State::Done(result);
        self.presence.go_on();
    }

    /// The first of the sequences that the request needs which is not in the KV cache.
    pub fn missing(&self) -> Option<SeqId> {
        let of_request = self.request.iter().map(|entry| entry.seq);
        let mut sequences = of_request.filter(|&seq| !self.sequences[seq as usize].is_present());
        sequences.next()
    }
}
