//! Evidence in two parts: one that weights are derived from, one that they are judged on.

use super::{Evidence, MemberEvidence, Rows, SparseRows, WeightError};

/// What lies before some place of the evidence.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cut {
    /// Symbols.
    pub symbols: usize,
    /// Bytes that they spell.
    pub bytes: usize,
    /// Tokens of each member's own that begin before it.
    pub tokens: Vec<usize>,
}

impl Evidence {
    /// The evidence before the cut and the evidence after it.
    ///
    /// # Errors
    /// [`WeightError::Cut`] for a cut beyond the end; evidence that contradicts itself.
    pub fn split_at(self, cut: &Cut) -> Result<(Evidence, Evidence), WeightError> {
        self.check()?;
        let n = self.symbols.len();
        let fits = cut.symbols <= n
            && cut.bytes <= self.bytes
            && cut.tokens.len() == self.members.len()
            && (cut.tokens.iter().zip(&self.members)).all(|(&before, of)| before <= of.tokens);
        if !fits {
            return Err(WeightError::Cut);
        }
        let size = self.alphabet.size();
        let mut first = Vec::with_capacity(self.members.len());
        let mut second = Vec::with_capacity(self.members.len());
        for (member, (of, &before)) in self.members.into_iter().zip(&cut.tokens).enumerate() {
            let (tokens, can_end) = (of.tokens, of.can_end);
            let halves = split_rows(of.rows, cut.symbols, n, size);
            let (head, tail) = halves.ok_or(WeightError::NoRows { member })?;
            let part = |tokens, nats: &[f32], rows| MemberEvidence {
                tokens,
                can_end,
                nats: nats.to_vec(),
                rows,
            };
            first.push(part(before, &of.nats[..cut.symbols], head));
            second.push(part(tokens - before, &of.nats[cut.symbols..], tail));
        }
        let part = |bytes, symbols: &[u32], members| Evidence {
            alphabet: self.alphabet.clone(),
            bytes,
            symbols: symbols.to_vec(),
            members,
        };
        Ok((
            part(cut.bytes, &self.symbols[..cut.symbols], first),
            part(self.bytes - cut.bytes, &self.symbols[cut.symbols..], second),
        ))
    }
}

/// The first `at` of n rows and the others; None if there are not n.
fn split_rows(rows: Rows, at: usize, n: usize, size: usize) -> Option<(Rows, Rows)> {
    match rows {
        Rows::None => Some((Rows::None, Rows::None)),
        Rows::Dense(mut head) if head.len() == n * size => {
            let tail = head.split_off(at * size);
            Some((Rows::Dense(head), Rows::Dense(tail)))
        }
        Rows::Sparse(rows) if rows.len() == n => {
            let part = |range: std::ops::Range<usize>| -> SparseRows {
                rows.select(&range.collect::<Vec<usize>>())
            };
            Some((Rows::Sparse(part(0..at)), Rows::Sparse(part(at..n))))
        }
        Rows::Dense(_) | Rows::Sparse(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mix::{Mix, SYMBOLS, SymbolSet};
    use crate::weight::Mixture;
    use proptest::prelude::*;

    /// Evidence of two members over bytes, with whole distributions.
    fn evidence(text: &[u8], seed: u64) -> Evidence {
        let mut state = seed | 1;
        let mut next = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % 1000) as f64 / 100.0
        };
        let symbols: Vec<u32> = text.iter().map(|&b| u32::from(b)).collect();
        let members = (0..2).map(|k| {
            let (mut nats, mut rows) = (Vec::new(), Vec::new());
            for &symbol in &symbols {
                let logits: Vec<f64> = (0..SYMBOLS).map(|_| next()).collect();
                let ln_sum = logits.iter().map(|z| z.exp()).sum::<f64>().ln();
                nats.push((ln_sum - logits[symbol as usize]) as f32);
                rows.extend(logits.iter().map(|z| (z - ln_sum) as f32));
            }
            MemberEvidence {
                tokens: symbols.len().div_ceil(k + 1),
                can_end: k == 1,
                nats,
                rows: Rows::Dense(rows),
            }
        });
        Evidence {
            alphabet: SymbolSet::bytes(),
            bytes: text.len(),
            members: members.collect(),
            symbols,
        }
    }

    fn cut_at(whole: &Evidence, at: usize) -> Cut {
        let tokens = whole.members.iter().map(|m| m.tokens.min(at));
        Cut {
            symbols: at,
            bytes: at,
            tokens: tokens.collect(),
        }
    }

    proptest! {
        #[test]
        fn the_losses_of_the_parts_add_up_to_that_of_the_whole(
            text in prop::collection::vec(any::<u8>(), 1..20),
            at in 0usize..20,
            seed in any::<u64>(),
        ) {
            let whole = evidence(&text, seed);
            let at = at.min(text.len());
            let (first, second) = whole.clone().split_at(&cut_at(&whole, at)).unwrap();
            prop_assert_eq!((first.bytes, second.bytes), (at, text.len() - at));
            let total = |of: &Evidence, k: usize| of.bits_per_byte(k) * of.bytes as f64;
            for k in 0..2 {
                prop_assert_eq!(first.members[k].tokens + second.members[k].tokens, whole.members[k].tokens);
                let sum = total(&first, k) + total(&second, k);
                prop_assert!((sum - total(&whole, k)).abs() < 1e-6 * total(&whole, k));
            }
            for mix in [Mix::Log, Mix::Linear] {
                let loss = |of: &Evidence| {
                    Mixture::new(of, mix, 1e-10).unwrap().bits_per_byte(&[0.3, 0.7]).unwrap() * of.bytes as f64
                };
                prop_assert!((loss(&first) + loss(&second) - loss(&whole)).abs() < 1e-6 * loss(&whole));
            }
        }
    }

    #[test]
    fn listed_rows_are_divided_at_the_same_symbol() {
        let mut rows = SparseRows::new();
        for i in 0..3 {
            rows.push(&[(i, -0.5), (i + 1, -2.0)], (i, -0.5), 0.25);
        }
        let whole = Evidence {
            alphabet: SymbolSet::tokens(9, vec![8]).unwrap(),
            bytes: 7,
            symbols: vec![0, 1, 2],
            members: vec![MemberEvidence {
                tokens: 3,
                can_end: true,
                nats: vec![0.5; 3],
                rows: Rows::Sparse(rows.clone()),
            }],
        };
        let cut = Cut {
            symbols: 1,
            bytes: 4,
            tokens: vec![1],
        };
        let (first, second) = whole.split_at(&cut).unwrap();
        assert_eq!((first.bytes, second.bytes), (4, 3));
        assert_eq!(
            (&first.symbols[..], &second.symbols[..]),
            (&[0][..], &[1, 2][..])
        );
        assert_eq!(first.members[0].rows, Rows::Sparse(rows.select(&[0])));
        assert_eq!(second.members[0].rows, Rows::Sparse(rows.select(&[1, 2])));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let whole = evidence(b"abc", 7);
        let good = cut_at(&whole, 2);
        let bad = [
            Cut {
                symbols: 4,
                ..good.clone()
            },
            Cut {
                bytes: 4,
                ..good.clone()
            },
            Cut {
                tokens: vec![1],
                ..good.clone()
            },
            Cut {
                tokens: vec![1, 9],
                ..good.clone()
            },
        ];
        for cut in bad {
            assert_eq!(whole.clone().split_at(&cut), Err(WeightError::Cut));
        }
        let mut short = whole;
        short.members[1].rows = Rows::Dense(vec![0.0; SYMBOLS]);
        assert_eq!(
            short.split_at(&good),
            Err(WeightError::NoRows { member: 1 })
        );
    }
}
