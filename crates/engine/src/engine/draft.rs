//! Drafting: guessing what an answer says next, so that every member evaluates several tokens at
//! once.
//!
//! A draft is a *prefetch of logits* and nothing else. The coordinator sends the bytes it expects;
//! every member evaluates its own tokens for them in one batch, in a KV sequence apart, and keeps
//! the rows. Later, when a step wants the row after one of those tokens, it is there already. Which
//! rows are wanted, how members are mixed and which symbol is drawn do not depend on drafts, so
//! neither does the distribution of the text. Only the shape of the batches does, and with it the
//! last bits of what llama.cpp's kernels compute.
//!
//! All members prefetch in the same call. If each did when it next needs a row, the others would
//! wait for one long batch after the other.

mod lookup;

pub use lookup::Lookup;

use crate::constraint::ConstraintError;
use std::sync::Arc;

/// Guesses how a text goes on.
///
/// A drafter must be a function of the text alone: batches, and so the last bits of a result,
/// follow from what it says, and the same settings have to give the same answer.
pub trait Drafter: Send {
    /// An answer to a prompt begins. `text` is what the prompt says.
    fn begin(&mut self, text: &[u8]);

    /// The answer has grown by `byte`.
    fn push(&mut self, byte: u8);

    /// Writes what is expected to follow into the empty `ahead`. Returns how many bytes of it are
    /// worth evaluating: at most all, 0 for no draft. The rest tells tokenizers where the last
    /// token ends.
    fn propose(&mut self, ahead: &mut Vec<u8>) -> usize;
}

/// How good the drafts of an answer were: bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drafted {
    /// Bytes that were drafted.
    pub proposed: usize,
    /// Bytes of them that the answer said.
    pub accepted: usize,
}

/// What a member is sent: the answer is about to grow by `symbol`, and perhaps by more.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    /// The symbol that was picked and not sent yet.
    pub symbol: u32,
    /// Bytes expected after it.
    pub ahead: Arc<[u8]>,
    /// How many of them are worth evaluating.
    pub worth: usize,
}

/// The coordinator's side of an answer: when there is something to draft.
pub(super) struct Drafting {
    drafter: Option<Box<dyn Drafter>>,
    ahead: Vec<u8>,
    worth: usize,
    /// Bytes of `ahead` that were said.
    said: usize,
    /// Whether it may turn out otherwise.
    is_guess: bool,
    pub drafted: Drafted,
}

impl Drafting {
    /// With nothing drafted yet. `text` is what the prompt says.
    pub fn new(mut drafter: Option<Box<dyn Drafter>>, text: &[u8]) -> Self {
        if let Some(drafter) = &mut drafter {
            drafter.begin(text);
        }
        Self {
            drafter,
            ahead: Vec::new(),
            worth: 0,
            said: 0,
            is_guess: false,
            drafted: Drafted::default(),
        }
    }

    /// Gives the drafter back.
    pub fn take_drafter(&mut self) -> Option<Box<dyn Drafter>> {
        self.drafter.take()
    }

    /// The answer grows by `symbol`, which spells `bytes`. A draft if it leaves the last one, or
    /// uses it up, and there is another. `permitted` says how many of the bytes may be said at all.
    ///
    /// # Errors
    /// Those of `permitted`.
    pub fn grow(
        &mut self,
        symbol: u32,
        bytes: &[u8],
        permitted: &mut dyn FnMut(&[u8]) -> Result<usize, ConstraintError>,
    ) -> Result<Option<Draft>, ConstraintError> {
        self.follow(bytes);
        let Some(drafter) = self.drafter.as_mut().filter(|_| self.said == self.worth) else {
            return Ok(None);
        };
        self.ahead.clear();
        self.said = 0;
        self.worth = drafter.propose(&mut self.ahead).min(self.ahead.len());
        if self.worth > 0 {
            self.worth = permitted(&self.ahead[..self.worth])?;
        }
        self.drafted.proposed += self.worth;
        self.is_guess = true;
        Ok(self.draft(symbol))
    }

    /// As [`Drafting::grow`], where `ahead` has to come next. A draft of it, unless it is part of
    /// the last one.
    pub fn force(&mut self, symbol: u32, bytes: &[u8], ahead: &[u8]) -> Option<Draft> {
        self.follow(bytes);
        if self.ahead[self.said..self.worth].starts_with(ahead) {
            return None;
        }
        self.ahead.clear();
        self.ahead.extend_from_slice(ahead);
        (self.said, self.worth, self.is_guess) = (0, ahead.len(), false);
        self.draft(symbol)
    }

    /// The answer has grown.
    fn follow(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if let Some(drafter) = &mut self.drafter {
                drafter.push(byte);
            }
            if self.said < self.worth && self.ahead[self.said] == byte {
                self.said += 1;
                self.drafted.accepted += usize::from(self.is_guess);
            } else {
                (self.worth, self.said) = (0, 0);
            }
        }
    }

    fn draft(&self, symbol: u32) -> Option<Draft> {
        (self.worth > 0).then(|| Draft {
            symbol,
            ahead: self.ahead.as_slice().into(),
            worth: self.worth,
        })
    }
}
