//! What an answer may say: valid UTF-8, and what its conversation's constraint says.

use crate::constraint::{Constraint, ConstraintError, Mask, Utf8, permitted};

/// See the module.
pub(in crate::engine) struct Allowed {
    utf8: Utf8,
    constraint: Option<Box<dyn Constraint>>,
    mask: Mask,
}

impl Allowed {
    /// At the beginning of a text.
    ///
    /// # Errors
    /// [`ConstraintError::Failed`] for a constraint over another alphabet.
    pub fn new(
        utf8: Utf8,
        constraint: Option<Box<dyn Constraint>>,
    ) -> Result<Self, ConstraintError> {
        let size = utf8.alphabet_size();
        if let Some(other) = &constraint
            && other.alphabet_size() != size
        {
            let other = other.alphabet_size();
            let what = format!("it is over {other} symbols, and the alphabet has {size}");
            return Err(ConstraintError::Failed(what));
        }
        Ok(Self {
            mask: Mask::none(size),
            utf8,
            constraint,
        })
    }

    /// The symbols that may come next.
    pub fn next(&mut self) -> Result<&Mask, ConstraintError> {
        self.mask.fill();
        self.utf8.allows(&mut self.mask)?;
        if let Some(constraint) = &mut self.constraint {
            constraint.allows(&mut self.mask)?;
        }
        Ok(&self.mask)
    }

    /// Nothing that may come next is possible. The text ends here if it may.
    pub fn end(&mut self) -> Result<(), ConstraintError> {
        let stuck = "the text may not end yet, and nothing may come next";
        match self.constraint_may_end()? {
            true => Ok(()),
            false => Err(ConstraintError::Failed(stuck.into())),
        }
    }

    /// The text grows.
    pub fn advance(&mut self, symbol: usize) -> Result<(), ConstraintError> {
        self.utf8.advance(symbol)?;
        match &mut self.constraint {
            Some(constraint) => constraint.advance(symbol),
            None => Ok(()),
        }
    }

    /// Whether no character is begun.
    pub fn is_boundary(&mut self) -> Result<bool, ConstraintError> {
        self.utf8.may_end()
    }

    /// Whether the text may end here.
    pub fn may_end(&mut self) -> Result<bool, ConstraintError> {
        Ok(self.is_boundary()? && self.constraint_may_end()?)
    }

    fn constraint_may_end(&mut self) -> Result<bool, ConstraintError> {
        match &mut self.constraint {
            Some(constraint) => constraint.may_end(),
            None => Ok(true),
        }
    }

    /// Whether more than UTF-8 is asked of the text.
    pub fn is_constrained(&self) -> bool {
        self.constraint.is_some()
    }

    /// What has to come next.
    pub fn forced(&mut self, symbols: &mut Vec<usize>) -> Result<(), ConstraintError> {
        match &mut self.constraint {
            Some(constraint) => constraint.forced(symbols),
            None => Ok(()),
        }
    }

    /// How many of these symbols may come, one after the other. What members expect is valid UTF-8
    /// in any case.
    pub fn permitted(&mut self, symbols: &[usize]) -> Result<usize, ConstraintError> {
        match &mut self.constraint {
            Some(constraint) => permitted(&mut **constraint, symbols.iter().copied()),
            None => Ok(symbols.len()),
        }
    }
}
