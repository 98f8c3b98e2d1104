//! A grammar small enough to check by eye, as a constraint: `{` key `:` digits `}`, where key is
//! one of a few words. An automaton over bytes; a token may come if it survives all its bytes.

use packllm_engine::backend::{TokenKind, Vocab};
use packllm_engine::constraint::{Constraint, ConstraintError, Mask};
use packllm_engine::vocab::{END, SYMBOLS};
use std::sync::Arc;

/// The grammar of some keys.
#[derive(Debug, Clone)]
pub struct ToyGrammar {
    keys: Arc<[Vec<u8>]>,
    /// The shared vocabulary; None for bytes.
    vocab: Option<Arc<Vocab>>,
    /// Where the text was before each of its symbols, and where it is.
    places: Vec<Place>,
}

/// A state of the automaton.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    /// Inside a key: how much of it was said, and which keys begin so (a bit each).
    Key {
        said: usize,
        alive: u32,
    },
    /// Behind the colon.
    Colon,
    Digits,
    Closed,
    /// END was said.
    Ended,
}

impl ToyGrammar {
    /// Over bytes and END. Keys, at most 32, have no colon.
    pub fn bytes(keys: &[&str]) -> Self {
        ToyGrammar {
            keys: keys.iter().map(|key| key.as_bytes().to_vec()).collect(),
            vocab: None,
            places: vec![Place::Start],
        }
    }

    /// Over the tokens of a vocabulary. Control tokens may never come.
    pub fn tokens(keys: &[&str], vocab: &Arc<Vocab>) -> Self {
        ToyGrammar {
            vocab: Some(Arc::clone(vocab)),
            ..ToyGrammar::bytes(keys)
        }
    }

    fn now(&self) -> Place {
        self.places[self.places.len() - 1]
    }

    /// Where `place` is after `symbol`, if that may come.
    fn after(&self, place: Place, symbol: usize) -> Option<Place> {
        let end = || (place == Place::Closed).then_some(Place::Ended);
        let Some(vocab) = &self.vocab else {
            return match u8::try_from(symbol) {
                Ok(byte) => self.after_byte(place, byte),
                Err(_) => end().filter(|_| symbol == END),
            };
        };
        match vocab.kinds().get(symbol)? {
            TokenKind::Text => {
                let mut piece = vocab.piece(symbol as u32).iter();
                piece.try_fold(place, |place, &byte| self.after_byte(place, byte))
            }
            TokenKind::Control => None,
            TokenKind::End => end(),
        }
    }

    fn after_byte(&self, place: Place, byte: u8) -> Option<Place> {
        match (place, byte) {
            (Place::Start, b'{') => Some(Place::Key {
                said: 0,
                alive: self.alive(u32::MAX, |_| true),
            }),
            (Place::Key { said, alive }, b':') => {
                let complete = self.alive(alive, |key| key.len() == said);
                (complete != 0).then_some(Place::Colon)
            }
            (Place::Key { said, alive }, _) => {
                let alive = self.alive(alive, |key| key.get(said) == Some(&byte));
                let said = said + 1;
                (alive != 0).then_some(Place::Key { said, alive })
            }
            (Place::Colon | Place::Digits, b'0'..=b'9') => Some(Place::Digits),
            (Place::Digits, b'}') => Some(Place::Closed),
            _ => None,
        }
    }

    /// The keys of `alive` that `holds` is true of.
    fn alive(&self, alive: u32, holds: impl Fn(&[u8]) -> bool) -> u32 {
        let keys = self.keys.iter().enumerate();
        let bits = keys.map(|(i, key)| u32::from(holds(key)) << i);
        bits.fold(0, |all, bit| all | bit) & alive
    }
}

impl Constraint for ToyGrammar {
    fn alphabet_size(&self) -> usize {
        self.vocab.as_ref().map_or(SYMBOLS, |vocab| vocab.len())
    }

    fn allows(&mut self, allowed: &mut Mask) -> Result<(), ConstraintError> {
        allowed.retain(|symbol| self.after(self.now(), symbol).is_some());
        Ok(())
    }

    fn advance(&mut self, symbol: usize) -> Result<(), ConstraintError> {
        let after = self.after(self.now(), symbol);
        self.places
            .push(after.ok_or(ConstraintError::NotAllowed { symbol })?);
        Ok(())
    }

    fn may_end(&mut self) -> Result<bool, ConstraintError> {
        Ok(matches!(self.now(), Place::Closed | Place::Ended))
    }

    fn rollback(&mut self, symbols: usize) -> Result<(), ConstraintError> {
        let said = self.places.len() - 1;
        if symbols > said {
            let asked = symbols;
            return Err(ConstraintError::BeyondBeginning { asked, said });
        }
        self.places.truncate(said + 1 - symbols);
        Ok(())
    }

    fn fork(&self) -> Box<dyn Constraint> {
        Box::new(self.clone())
    }
}
