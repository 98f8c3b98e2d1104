//! What the symbols of the alphabet mean.

use crate::backend::{TokenKind, Vocab};
use crate::engine::EngineError;
use crate::mix;
use crate::vocab::sorted::SortedVocab;
use crate::vocab::{Alphabet, END, speller};
use std::sync::Arc;

/// The alphabet's symbols.
pub(in crate::engine) struct Symbols {
    alphabet: Alphabet,
    pub vocab: Arc<Vocab>,
    /// To split bytes into symbols, where a member has this vocabulary.
    sorted: Option<Arc<SortedVocab>>,
}

impl Symbols {
    pub fn new(alphabet: Alphabet, vocab: &Arc<Vocab>, sorted: Option<&Arc<SortedVocab>>) -> Self {
        Self {
            alphabet,
            vocab: Arc::clone(vocab),
            sorted: sorted.cloned(),
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

    pub fn bytes<'a>(&self, vocab: &'a Vocab, symbol: usize, one: &'a mut [u8; 1]) -> &'a [u8] {
        match self.alphabet {
            Alphabet::Bytes => {
                one[0] = symbol as u8;
                one
            }
            Alphabet::Tokens | Alphabet::Mapped => vocab.piece(symbol as u32),
        }
    }

    /// The bytes of several symbols.
    pub fn spell(&self, symbols: &[usize]) -> Vec<u8> {
        let mut one = [0];
        let pieces = symbols.iter();
        pieces.fold(Vec::new(), |mut text, &symbol| {
            text.extend_from_slice(self.bytes(&self.vocab, symbol, &mut one));
            text
        })
    }

    /// Symbols that spell these bytes, as a draft may be said.
    pub fn split(&self, bytes: &[u8]) -> Vec<usize> {
        match (self.alphabet, &self.sorted) {
            (Alphabet::Bytes, _) => bytes.iter().map(|&byte| usize::from(byte)).collect(),
            (_, Some(sorted)) => {
                let tokens = speller::greedy(sorted, bytes).tokens;
                tokens.into_iter().map(|token| token as usize).collect()
            }
            (_, None) => Vec::new(),
        }
    }
}
