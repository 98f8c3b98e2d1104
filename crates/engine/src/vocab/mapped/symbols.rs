//! Pieces as sequences of symbols, over which edit distances are counted.

use std::collections::HashMap;

/// Stands for every symbol that no target has. It differs from all symbols of targets.
pub(super) const FOREIGN: u32 = u32::MAX;

/// The symbols of a piece: its characters; every byte that belongs to no UTF-8 character is a
/// symbol of its own, different from all characters. Two pieces have the same symbols if and only
/// if they are the same bytes.
pub(super) fn symbols(piece: &[u8]) -> impl Iterator<Item = u32> + '_ {
    const LONE_BYTE: u32 = char::MAX as u32 + 1;
    piece.utf8_chunks().flat_map(|chunk| {
        let characters = chunk.valid().chars().map(u32::from);
        characters.chain(chunk.invalid().iter().map(|&b| LONE_BYTE + u32::from(b)))
    })
}

/// Consecutive numbers for the symbols that the targets use.
#[derive(Debug, Default)]
pub(super) struct Numbering {
    numbers: HashMap<u32, u32>,
}

impl Numbering {
    /// How many symbols there are.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// A target's symbols by number; new ones get the next.
    pub fn admit(&mut self, piece: &[u8]) -> Vec<u32> {
        let number = |symbol| {
            let next = self.numbers.len() as u32;
            *self.numbers.entry(symbol).or_insert(next)
        };
        symbols(piece).map(number).collect()
    }

    /// Any piece's symbols by number, [`FOREIGN`] for those of no target.
    pub fn translate(&self, piece: &[u8]) -> Vec<u32> {
        let number = |symbol| self.numbers.get(&symbol).copied().unwrap_or(FOREIGN);
        symbols(piece).map(number).collect()
    }
}
