//! A set of symbols, a bit each.

/// Symbols in a word.
const BITS: usize = u64::BITS as usize;

/// A set of symbols of an alphabet. Nothing is allocated once it is made.
///
/// Symbols that the alphabet does not have are in no mask: asking for one is false, adding one does
/// nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    /// Symbol s is bit s % 64 of word s / 64. Bits beyond the alphabet are 0.
    words: Box<[u64]>,
    /// Number of symbols of the alphabet.
    size: usize,
}

impl Mask {
    /// No symbol of an alphabet of `size`.
    #[must_use]
    pub fn none(size: usize) -> Self {
        Mask {
            words: vec![0; size.div_ceil(BITS)].into(),
            size,
        }
    }

    /// Every symbol of an alphabet of `size`.
    #[must_use]
    pub fn all(size: usize) -> Self {
        let mut mask = Mask::none(size);
        mask.fill();
        mask
    }

    /// Number of symbols of the alphabet, in the set or not.
    #[must_use]
    pub fn alphabet_size(&self) -> usize {
        self.size
    }

    /// Number of symbols in the set.
    #[must_use]
    pub fn count(&self) -> usize {
        self.words.iter().map(|w| w.count_ones() as usize).sum()
    }

    /// Whether no symbol is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|&word| word == 0)
    }

    /// Whether `symbol` is in the set.
    #[must_use]
    #[inline]
    pub fn contains(&self, symbol: usize) -> bool {
        let word = self.words.get(symbol / BITS);
        word.is_some_and(|word| word >> (symbol % BITS) & 1 == 1)
    }

    /// The symbols in the set, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        let words = self.words.iter().enumerate();
        words.flat_map(|(i, &word)| ones(word).map(move |bit| i * BITS + bit))
    }

    /// The symbol in the set, if it is the only one.
    #[must_use]
    pub fn only(&self) -> Option<usize> {
        let mut symbols = self.iter();
        let first = symbols.next()?;
        symbols.next().is_none().then_some(first)
    }

    /// Puts every symbol in.
    pub fn fill(&mut self) {
        self.words.fill(u64::MAX);
        self.trim();
    }

    /// Takes every symbol out.
    pub fn clear(&mut self) {
        self.words.fill(0);
    }

    /// Puts `symbol` in.
    pub fn insert(&mut self, symbol: usize) {
        if symbol < self.size {
            self.words[symbol / BITS] |= 1 << (symbol % BITS);
        }
    }

    /// Takes `symbol` out.
    pub fn remove(&mut self, symbol: usize) {
        if symbol < self.size {
            self.words[symbol / BITS] &= !(1 << (symbol % BITS));
        }
    }

    /// Takes out what is not in `other`.
    pub fn intersect(&mut self, other: &Mask) {
        let (both, alone) = self.split(other);
        for (word, theirs) in both.iter_mut().zip(&other.words) {
            *word &= theirs;
        }
        alone.fill(0);
    }

    /// Becomes `other`, without the symbols that this alphabet does not have.
    pub fn copy_from(&mut self, other: &Mask) {
        let (both, alone) = self.split(other);
        both.copy_from_slice(&other.words[..both.len()]);
        alone.fill(0);
        self.trim();
    }

    /// Takes out the symbols that `keep` refuses. It is asked about those in the set alone.
    pub fn retain(&mut self, mut keep: impl FnMut(usize) -> bool) {
        for (i, word) in self.words.iter_mut().enumerate() {
            for bit in ones(*word) {
                if !keep(i * BITS + bit) {
                    *word &= !(1 << bit);
                }
            }
        }
    }

    /// The words that `other` has as well, and the others.
    fn split(&mut self, other: &Mask) -> (&mut [u64], &mut [u64]) {
        let both = self.words.len().min(other.words.len());
        self.words.split_at_mut(both)
    }

    /// Clears the bits beyond the alphabet.
    fn trim(&mut self) {
        let used = self.size % BITS;
        if let Some(last) = self.words.last_mut().filter(|_| used > 0) {
            *last &= (1 << used) - 1;
        }
    }
}

/// The places of the ones in a word, ascending.
fn ones(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lowest = (word != 0).then(|| word.trailing_zeros() as usize);
        word &= word.wrapping_sub(1);
        lowest
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// A mask and its twin.
    fn pair(size: usize, symbols: &[usize]) -> (Mask, BTreeSet<usize>) {
        let mut mask = Mask::none(size);
        symbols.iter().for_each(|&s| mask.insert(s));
        (
            mask,
            symbols.iter().copied().filter(|&s| s < size).collect(),
        )
    }

    fn check(mask: &Mask, plain: &BTreeSet<usize>) -> Result<(), TestCaseError> {
        prop_assert!(mask.iter().eq(plain.iter().copied()));
        prop_assert_eq!(mask.count(), plain.len());
        prop_assert_eq!(mask.is_empty(), plain.is_empty());
        let only = plain.first().copied().filter(|_| plain.len() == 1);
        prop_assert_eq!(mask.only(), only);
        for symbol in 0..400 {
            prop_assert_eq!(mask.contains(symbol), plain.contains(&symbol));
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn a_mask_is_a_set(
            size in 0..300usize, other_size in 0..300usize,
            one in prop::collection::vec(0..320usize, 0..200),
            two in prop::collection::vec(0..320usize, 0..200),
        ) {
            let (mask, plain) = pair(size, &one);
            let (other, other_plain) = pair(other_size, &two);
            check(&mask, &plain)?;

            let mut changed = mask.clone();
            changed.intersect(&other);
            check(&changed, &(&plain & &other_plain))?;

            changed.copy_from(&other);
            check(&changed, &other_plain.iter().copied().filter(|&s| s < size).collect())?;

            changed.copy_from(&mask);
            two.iter().for_each(|&s| changed.remove(s));
            check(&changed, &plain.iter().copied().filter(|s| !two.contains(s)).collect())?;

            changed.copy_from(&mask);
            changed.retain(|s| s % 3 != 1);
            check(&changed, &plain.iter().copied().filter(|s| s % 3 != 1).collect())?;

            changed.fill();
            prop_assert_eq!(&changed, &Mask::all(size));
            check(&changed, &(0..size).collect())?;
            changed.clear();
            prop_assert_eq!(changed, Mask::none(size));
        }
    }
}
