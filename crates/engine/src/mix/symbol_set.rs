//! What is mixed over.

use super::MixError;

/// Index of END in the shared alphabet of bytes.
pub const END: usize = 256;
/// Size of the shared alphabet of bytes: 256 bytes and END.
pub const SYMBOLS: usize = 257;

/// The symbols that are mixed over, and which of them are END.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SymbolSet {
    size: usize,
    /// Ascending, without duplicates.
    ends: Vec<usize>,
}

impl SymbolSet {
    /// The 256 bytes and [`END`].
    pub fn bytes() -> Self {
        SymbolSet {
            size: SYMBOLS,
            ends: vec![END],
        }
    }

    /// A vocabulary of `size` tokens, of which `ends` (any order, possibly none) end the text.
    ///
    /// # Errors
    /// An END id outside the vocabulary, or a vocabulary of nothing else.
    pub fn tokens(size: usize, mut ends: Vec<usize>) -> Result<Self, MixError> {
        ends.sort_unstable();
        ends.dedup();
        if let Some(&id) = ends.last().filter(|&&id| id >= size) {
            return Err(MixError::EndOutside { id, size });
        }
        if ends.len() >= size {
            return Err(MixError::SymbolSet {
                size,
                ends: ends.len(),
            });
        }
        Ok(SymbolSet { size, ends })
    }

    /// Whether these are the 256 bytes and [`END`].
    pub fn is_bytes(&self) -> bool {
        self.size == SYMBOLS && self.ends == [END]
    }

    /// Number of symbols, END included.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The END symbols, ascending.
    pub fn ends(&self) -> &[usize] {
        &self.ends
    }

    /// Whether `symbol` is an END.
    pub fn is_end(&self, symbol: usize) -> bool {
        self.ends.binary_search(&symbol).is_ok()
    }

    /// `ln p(s | not END)` of a member that is certain of END.
    pub(crate) fn ln_uniform(&self) -> f64 {
        -((self.size - self.ends.len()) as f64).ln()
    }
}
