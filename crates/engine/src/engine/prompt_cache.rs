//! A cached prompt, which outlives the program: every member's prefix with its KV cache, and what
//! was scored of it.
//!
//! [`Lockstep::cache_next_prompt`](super::Lockstep::cache_next_prompt) caches the next prompt as it is
//! read, up to the last scored message but one;
//! [`Lockstep::take_cached_prompt`](super::Lockstep::take_cached_prompt) hands it over, to be written
//! to a [`mod@file`]; [`Lockstep::restore`](super::Lockstep::restore) puts it back. The prompt that is
//! read next is compared with it token by token. What agrees is reused with its scores, up to the
//! end of a scored message. Batches end there too, so all that follows is the same, bit by bit, as
//! without the cache.

pub mod file;
pub mod identity;

use super::chain::{ScoredRows, Scores};
use super::tokenized::Mark;
use crate::backend::{BackendError, Token};
use crate::vocab::SYMBOLS;

pub use identity::{Identity, Kin, Loaded, fingerprint};

/// A prompt as one member read it.
#[derive(Debug, Clone)]
pub struct CachedPrompt {
    pub(super) tokens: Vec<Token>,
    /// Where scored messages end in it, at least one.
    pub(super) marks: Vec<Mark>,
    /// What was scored up to the last mark.
    pub(super) scores: Scores,
    /// By [`Member::save`](crate::backend::Member::save).
    pub(super) state: Vec<u8>,
    /// Whether it is longer than what was restored.
    pub(super) grown: bool,
}

impl CachedPrompt {
    /// Tokens of the prompt.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.tokens.len()
    }

    /// Checks that the parts fit each other and a vocabulary of so many tokens.
    pub(super) fn check(&self, vocab_len: usize) -> Result<(), BackendError> {
        let known = self.tokens.iter().all(|&t| (t as usize) < vocab_len);
        let scored = self.scores.nats.len();
        let ascends = self
            .marks
            .is_sorted_by_key(|m| (m.len, m.symbols, m.tokens));
        let ends = self.marks.last().is_some_and(|m| {
            let (symbols, tokens) = (m.symbols, m.tokens);
            m.len <= self.tokens.len() && symbols == scored && tokens == self.scores.tokens.len()
        });
        let rows = match &self.scores.rows {
            ScoredRows::None => true,
            ScoredRows::Dense(rows) => rows.len() == scored * SYMBOLS,
            ScoredRows::Sparse(rows) => rows.len() == scored,
        };
        let skipped = [0, scored].contains(&self.scores.skipped.len());
        let lengths = [self.scores.places.len(), self.scores.symbols.len()];
        if known && ascends && ends && rows && skipped && lengths == [scored; 2] {
            return Ok(());
        }
        Err(BackendError::Refused(
            "a kept prompt whose parts do not fit each other".into(),
        ))
    }
}
