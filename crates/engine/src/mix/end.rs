//! Whether the text ends: parts 1 and 3 of the definition in [`crate::mix`].

use super::{Mix, SymbolSet, lift};

/// A two-way distribution, end or go on, as natural logarithms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Split {
    pub end: f64,
    pub go_on: f64,
}

impl Split {
    pub(crate) const NEVER: Split = Split {
        end: f64::NEG_INFINITY,
        go_on: 0.0,
    };

    /// From the probabilities of ending and of going on, not necessarily normalised.
    pub(crate) fn new(end: f64, go_on: f64) -> Self {
        let total = end + go_on;
        if total == 0.0 {
            return Split::NEVER;
        }
        Split {
            end: (end / total).ln(),
            go_on: (go_on / total).ln(),
        }
    }

    /// A row of ln-probabilities, split. The complement stands for the sum over all other symbols,
    /// which costs an exponential each, unless END is likely and the difference would be rounding
    /// error.
    pub(crate) fn of<F: Copy + Into<f64>>(row: &[F], alphabet: &SymbolSet) -> Self {
        let p = |s: usize| row[s].into().exp();
        let end = alphabet.ends().iter().map(|&s| p(s)).sum();
        let go_on = if end <= 0.5 {
            1.0 - end
        } else {
            let others = (0..alphabet.size()).filter(|&s| !alphabet.is_end(s));
            others.map(p).sum()
        };
        Split::new(end, go_on)
    }

    /// `ln p(s | not END)` from `ln p(s)`.
    pub(crate) fn condition(self, ln_p: f64, alphabet: &SymbolSet) -> f64 {
        if self.go_on == f64::NEG_INFINITY {
            alphabet.ln_uniform()
        } else {
            ln_p - self.go_on
        }
    }
}

/// Shares of the members that decide about END: λ renormalised among those that may, equal if
/// theirs are all 0, and all 0 if none may.
pub(crate) fn votes(lambda: &[f64], may_end: impl Fn(usize) -> bool, shares: &mut Vec<f64>) {
    let vote = |(k, &weight): (usize, &f64)| if may_end(k) { weight } else { 0.0 };
    shares.clear();
    shares.extend(lambda.iter().enumerate().map(vote));
    let mut total: f64 = shares.iter().sum();
    if total <= 0.0 {
        for (k, share) in shares.iter_mut().enumerate() {
            *share = f64::from(u8::from(may_end(k)));
            total += *share;
        }
    }
    if total > 0.0 {
        shares.iter_mut().for_each(|share| *share /= total);
    }
}

/// Part 1 of the module's definition. `shares` come from [`votes`]; `split(k)` is asked of voters
/// only.
pub(crate) fn pool_end(
    mix: Mix,
    ln_floor: f64,
    shares: &[f64],
    split: impl Fn(usize) -> Split,
) -> Split {
    let voters = || shares.iter().enumerate().filter(|(_, share)| **share > 0.0);
    let mut first_two = voters();
    match (first_two.next(), first_two.next()) {
        (None, _) => return Split::NEVER,
        (Some((k, _)), None) => return split(k),
        _ => {}
    }
    let (mut end, mut go_on) = (0.0, 0.0);
    for (k, share) in voters() {
        let s = split(k);
        match mix {
            Mix::Log => {
                end += share * lift(s.end, ln_floor);
                go_on += share * lift(s.go_on, ln_floor);
            }
            Mix::Linear => {
                end += share * s.end.exp();
                go_on += share * s.go_on.exp();
            }
        }
    }
    match mix {
        Mix::Log => {
            let top = end.max(go_on);
            let z = top + ((end - top).exp() + (go_on - top).exp()).ln();
            Split {
                end: end - z,
                go_on: go_on - z,
            }
        }
        Mix::Linear => Split::new(end, go_on),
    }
}

/// Part 3: shares `end` = ln q(END) out among the END symbols, equally if no voter gives any of
/// them mass.
pub(super) fn which_end<'a>(
    voters: impl Iterator<Item = (f64, &'a [f64], Split)>,
    end: f64,
    alphabet: &SymbolSet,
    out: &mut [f64],
) {
    let ends = alphabet.ends();
    if ends.len() == 1 {
        out[ends[0]] = end;
        return;
    }
    ends.iter().for_each(|&s| out[s] = 0.0);
    for (share, row, split) in voters.filter(|(_, _, split)| split.end > f64::NEG_INFINITY) {
        for &s in ends {
            out[s] += share * (row[s] - split.end).exp();
        }
    }
    let total: f64 = ends.iter().map(|&s| out[s]).sum();
    for &s in ends {
        let share = if total > 0.0 {
            out[s] / total
        } else {
            1.0 / ends.len() as f64
        };
        out[s] = share.ln() + end;
    }
}
