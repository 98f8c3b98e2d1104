//! What may come next in an answer, whatever the members say.
//!
//! A [`Constraint`] knows a set of texts and follows one of them, symbol by symbol. At every step
//! it says which symbols of the shared alphabet (256 bytes and END, or the tokens of a shared
//! vocabulary) keep the text in the set. It is asked after mixing and before sampling, and members
//! know nothing of it: the mixed distribution is cut down to a [`Mask`] and renormalised by the
//! draw. Several constraints narrow one mask, each in its turn:
//!
//! ```
//! use packllm_engine::constraint::{Constraint, Mask, Utf8};
//!
//! let mut utf8 = Utf8::bytes();
//! let mut mask = Mask::none(utf8.alphabet_size());
//! utf8.advance(0xE2)?; // The first of the three bytes of €.
//! mask.fill();
//! utf8.allows(&mut mask)?;
//! assert!(mask.contains(0x82));
//! assert!(!mask.contains(usize::from(b'a')) && !utf8.may_end()?);
//! # Ok::<(), packllm_engine::constraint::ConstraintError>(())
//! ```
//!
//! * [`Mask`]: a set of symbols.
//! * [`Utf8`]: the constraint that every answer has, valid UTF-8.
//! * [`permitted`]: how much of a draft may be said.
//! * [`forced_by_mask`]: what has to be said, for any constraint.

mod ahead;
mod mask;
mod utf8;

pub use ahead::{FORCED_AT_MOST, forced_by_mask, permitted};
pub use mask::Mask;
pub use utf8::Utf8;

use thiserror::Error;

/// Says which symbols may come next in a text, and follows the text.
///
/// The text begins empty and grows by [`advance`](Self::advance). What a constraint says is a
/// function of the text alone: neither of the way that led to it nor of what was asked before.
///
/// An END closes the text: after it no symbol is allowed until it is taken back. ENDs are allowed
/// where [`may_end`](Self::may_end) says so and nowhere else; an alphabet may have several, or
/// none.
///
/// Questions take `&mut self` so that answers can be worked out when they are needed, and kept.
pub trait Constraint: Send {
    /// Number of symbols of its alphabet, END included: which masks it can be asked with.
    fn alphabet_size(&self) -> usize;

    /// Takes out of `allowed` every symbol that may not come next, and adds none. Nothing may be
    /// left: then no text of the set begins like this one, or it has ended.
    ///
    /// # Errors
    /// [`ConstraintError::Failed`]. What `allowed` holds then has no meaning.
    fn allows(&mut self, allowed: &mut Mask) -> Result<(), ConstraintError>;

    /// The text grew by `symbol`.
    ///
    /// # Errors
    /// [`ConstraintError::NotAllowed`] for exactly the symbols that [`allows`](Self::allows) would
    /// take out, [`ConstraintError::Failed`]. After an error the text is what it was.
    fn advance(&mut self, symbol: usize) -> Result<(), ConstraintError>;

    /// Whether the text is complete: it may end here. True where it has ended already.
    ///
    /// # Errors
    /// [`ConstraintError::Failed`].
    fn may_end(&mut self) -> Result<bool, ConstraintError>;

    /// Takes back the last `symbols` of the text: all is as it was before they came.
    ///
    /// # Errors
    /// [`ConstraintError::BeyondBeginning`] if the text has fewer, [`ConstraintError::Failed`].
    /// After an error the text is what it was.
    fn rollback(&mut self, symbols: usize) -> Result<(), ConstraintError>;

    /// Appends to `symbols` what has to come next, one after the other: there is no other way on,
    /// and the text may not end before. Never an END, and nothing where there is a choice. More
    /// than is appended may be forced.
    ///
    /// Unless a constraint has a quicker way, this is [`forced_by_mask`] with a mask made for it,
    /// up to [`FORCED_AT_MOST`] symbols.
    ///
    /// # Errors
    /// [`ConstraintError::Failed`]. `symbols` and the text are then what they were.
    fn forced(&mut self, symbols: &mut Vec<usize>) -> Result<(), ConstraintError> {
        let mut mask = Mask::none(self.alphabet_size());
        forced_by_mask(self, &mut mask, FORCED_AT_MOST, symbols)
    }

    /// The same constraint on the same text, which from here on go their own ways. Cheap: what
    /// does not depend on the text is shared.
    fn fork(&self) -> Box<dyn Constraint>;
}

/// Why a constraint has no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConstraintError {
    /// A symbol came that is not allowed.
    #[error("symbol {symbol} may not come next in the text")]
    NotAllowed {
        /// The symbol.
        symbol: usize,
    },
    /// More was to be taken back than was said.
    #[error("cannot take back {asked} symbols of a text of {said}")]
    BeyondBeginning {
        /// How many were to be taken back.
        asked: usize,
        /// How many symbols the text has.
        said: usize,
    },
    /// The constraint itself failed, in its own words.
    #[error("the constraint failed: {0}")]
    Failed(String),
}

#[cfg(test)]
mod tests;
