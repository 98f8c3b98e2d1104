//! The constraint that every answer has: it is valid UTF-8.

use super::{Constraint, ConstraintError, Mask};
use crate::backend::{TokenKind, Vocab};
use crate::mix::{END, SYMBOLS};
use crate::sample::Utf8State;
use std::sync::{Arc, OnceLock};

/// Valid UTF-8: a symbol may come if the text with it begins some valid UTF-8, END between two
/// characters only.
///
/// A token is what it spells; control tokens count as their written form, as in
/// [`Vocab::piece`]. That they are no part of a text is the members' to say.
///
/// What is allowed depends on the begun character alone, of which there are eight kinds. Each has
/// its mask, worked out when it is first needed (that of a boundary at once) and shared by all
/// forks. So a fork of a constraint that is kept starts without that work.
#[derive(Debug, Clone)]
pub struct Utf8 {
    masks: Arc<Masks>,
    now: Place,
    /// Where the text was before each of its symbols.
    before: Vec<Place>,
}

/// Where a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// It goes on, perhaps inside a character.
    Open(Utf8State),
    /// END was said.
    Ended,
}

impl Utf8 {
    /// Over the 256 bytes and [`END`].
    #[must_use]
    pub fn bytes() -> Self {
        Utf8::over(Symbols::Bytes)
    }

    /// Over the tokens of `vocab`. Walks over all of its pieces.
    #[must_use]
    pub fn tokens(vocab: &Arc<Vocab>) -> Self {
        Utf8::over(Symbols::Tokens(Arc::clone(vocab)))
    }

    fn over(symbols: Symbols) -> Self {
        let start = Utf8State::new();
        let masks = Masks {
            symbols,
            by_state: Default::default(),
        };
        masks.of(start);
        Utf8 {
            masks: Arc::new(masks),
            now: Place::Open(start),
            before: Vec::new(),
        }
    }
}

impl Constraint for Utf8 {
    fn alphabet_size(&self) -> usize {
        self.masks.symbols.size()
    }

    fn allows(&mut self, allowed: &mut Mask) -> Result<(), ConstraintError> {
        match self.now {
            Place::Open(state) => allowed.intersect(self.masks.of(state)),
            Place::Ended => allowed.clear(),
        }
        Ok(())
    }

    fn advance(&mut self, symbol: usize) -> Result<(), ConstraintError> {
        let after = match self.now {
            Place::Open(state) => self.masks.symbols.after(state, symbol),
            Place::Ended => None,
        };
        let after = after.ok_or(ConstraintError::NotAllowed { symbol })?;
        self.before.push(self.now);
        self.now = after;
        Ok(())
    }

    fn may_end(&mut self) -> Result<bool, ConstraintError> {
        Ok(match self.now {
            Place::Open(state) => state.is_boundary(),
            Place::Ended => true,
        })
    }

    fn rollback(&mut self, symbols: usize) -> Result<(), ConstraintError> {
        let said = self.before.len();
        let kept = said
            .checked_sub(symbols)
            .ok_or(ConstraintError::BeyondBeginning {
                asked: symbols,
                said,
            })?;
        // Where nothing is taken back there is nothing at `kept`.
        self.now = self.before.get(kept).copied().unwrap_or(self.now);
        self.before.truncate(kept);
        Ok(())
    }

    fn fork(&self) -> Box<dyn Constraint> {
        Box::new(self.clone())
    }
}

/// The masks of one alphabet.
#[derive(Debug)]
struct Masks {
    symbols: Symbols,
    /// By [`Utf8State::index`].
    by_state: [OnceLock<Mask>; Utf8State::INDICES],
}

impl Masks {
    /// What may come next in `state`.
    fn of(&self, state: Utf8State) -> &Mask {
        self.by_state[state.index()].get_or_init(|| {
            let mut mask = Mask::all(self.symbols.size());
            mask.retain(|symbol| self.symbols.after(state, symbol).is_some());
            mask
        })
    }
}

/// What is shared: bytes, or the tokens of a vocabulary.
#[derive(Debug)]
enum Symbols {
    Bytes,
    Tokens(Arc<Vocab>),
}

impl Symbols {
    fn size(&self) -> usize {
        match self {
            Symbols::Bytes => SYMBOLS,
            Symbols::Tokens(vocab) => vocab.len(),
        }
    }

    /// Where a text in `state` is after `symbol`; None if that may not come.
    fn after(&self, mut state: Utf8State, symbol: usize) -> Option<Place> {
        if symbol >= self.size() {
            return None;
        }
        if self.is_end(symbol) {
            return state.is_boundary().then_some(Place::Ended);
        }
        let valid = match self {
            Symbols::Bytes => state.push(symbol as u8),
            Symbols::Tokens(vocab) => {
                let piece = vocab.piece(symbol as u32);
                piece.iter().all(|&byte| state.push(byte))
            }
        };
        valid.then_some(Place::Open(state))
    }

    /// Whether a symbol of the alphabet ends the text.
    fn is_end(&self, symbol: usize) -> bool {
        match self {
            Symbols::Bytes => symbol == END,
            Symbols::Tokens(vocab) => vocab.kind(symbol as u32) == TokenKind::End,
        }
    }
}
