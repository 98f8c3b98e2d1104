//! What the symbols of the alphabet mean, and which of them may come next.

use crate::backend::{TokenKind, Vocab};
use crate::engine::EngineError;
use crate::mix;
use crate::sample::Utf8State;
use crate::vocab::{Alphabet, END};
use std::sync::Arc;

/// The alphabet's symbols, and how much of a character has been said.
pub(super) struct Symbols {
    alphabet: Alphabet,
    pub vocab: Arc<Vocab>,
    pub utf8: Utf8State,
    /// Tokens that may follow a text that ends between two characters: it stays valid UTF-8.
    starts_well: Vec<bool>,
}

impl Symbols {
    pub fn new(alphabet: Alphabet, vocab: &Arc<Vocab>) -> Self {
        let starts_well = match alphabet {
            Alphabet::Bytes => Vec::new(),
            Alphabet::Tokens | Alphabet::Mapped => (0..vocab.len() as u32)
                .map(|t| keeps_utf8(Utf8State::new(), vocab.piece(t)))
                .collect(),
        };
        Self {
            alphabet,
            vocab: Arc::clone(vocab),
            utf8: Utf8State::new(),
            starts_well,
        }
    }

    pub fn alphabet(&self) -> Result<mix::SymbolSet, EngineError> {
        Ok(match self.alphabet {
            Alphabet::Bytes => mix::SymbolSet::bytes(),
            Alphabet::Tokens | Alphabet::Mapped => {
                let ends = self.vocab.ends().map(|t| t as usize).collect();
                mix::SymbolSet::tokens(self.vocab.len(), ends)?
            }
        })
    }

    pub fn is_end(&self, symbol: usize) -> bool {
        match self.alphabet {
            Alphabet::Bytes => symbol == END,
            Alphabet::Tokens | Alphabet::Mapped => self.vocab.kind(symbol as u32) == TokenKind::End,
        }
    }

    /// Whether the symbol keeps the text valid UTF-8; END only between characters.
    pub fn allows(&self, symbol: usize) -> bool {
        if self.alphabet == Alphabet::Bytes {
            return self.utf8.allows_symbol(symbol);
        }
        if self.is_end(symbol) || self.utf8.is_boundary() {
            return self.utf8.is_boundary() && (self.is_end(symbol) || self.starts_well[symbol]);
        }
        keeps_utf8(self.utf8, self.vocab.piece(symbol as u32))
    }

    pub fn bytes<'a>(&self, vocab: &'a Vocab, symbol: usize, one: &'a mut [u8; 1]) -> &'a [u8] {
        match self.alphabet {
            Alphabet::Bytes => {
                one[0] = symbol as u8;
                one
            }
            Alphabet::Tokens | Alphabet::Mapped => vocab.piece(symbol as u32),
        }
    }
}

fn keeps_utf8(mut state: Utf8State, bytes: &[u8]) -> bool {
    bytes.iter().all(|&b| state.push(b))
}
