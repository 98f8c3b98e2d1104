//! What batches cost a member where it runs, and what follows from that.
//!
//! On a few processor cores a batch of sixteen tokens takes ten times as long as one token, on a GPU
//! hardly longer. How far to read ahead, when a draft is worth a try, and how much of a prompt may go
//! into a batch that answers of others wait for depends on it.

use crate::digest::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Sizes of the batches that are timed: tokens.
pub const WIDTHS: [usize; 14] = [1, 2, 3, 4, 5, 6, 7, 8, 16, 32, 64, 128, 256, 512];

/// What a pace may cost answers: a prompt that is read beside them may make a batch this many times
/// as long as one of a single token.
const PATIENCE: f64 = 24.0;
/// What a draft has to gain beyond what its batch costs: drafts break off, and what is drafted for
/// nothing delays what is said.
const GAIN: f64 = 1.3;
/// Two batches take the same time if one takes at most so much longer.
const SAME: f64 = 1.1;

/// How a member's batches are shaped.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Pace {
    /// What is read ahead is filled up to a multiple of so many tokens: kernels work on so many
    /// columns at once, and the last ones cost nothing.
    pub columns: usize,
    /// Smallest share of a draft that has to be expected to be said.
    pub worth: f64,
    /// Most tokens that a prompt adds to a batch while answers of others are under way: they wait for
    /// it at every token.
    pub beside: usize,
}

impl Default for Pace {
    /// As measured on two cores with SmolLM2-135M and Gemma-3-270M, one thread each: 8 tokens in a
    /// batch cost as much as 5.2 and 5.4 apart, 16 as much as 9.8; Gemma takes longer for 7 tokens
    /// than for 8. Answers of those two which repeat a few words of their question broke off so often
    /// that drafts were no gain on the whole from a share of 0.8 on.
    fn default() -> Self {
        Self {
            columns: 4,
            worth: 0.87,
            beside: 32,
        }
    }
}

/// What a member's pace is kept under: a model file, by its
/// [fingerprint](crate::engine::prompt_cache::fingerprint), and where and how it runs.
#[must_use]
pub fn pace_key(fingerprint: &str, place: &str) -> String {
    let mut hasher = Sha256::new_with_prefix(fingerprint.as_bytes());
    hasher.update(place.as_bytes());
    hex(hasher)
}

impl Pace {
    /// Whether members can go by it.
    #[must_use]
    pub fn is_sane(&self) -> bool {
        (1..=64).contains(&self.columns) && self.beside > 0 && (0.0..=1.0).contains(&self.worth)
    }

    /// The pace that fits batches which take so long: sizes in tokens, from one on, and seconds.
    #[must_use]
    pub fn of(times: &[(usize, f64)]) -> Self {
        let time = |n: usize| times.iter().find(|(size, _)| *size == n).map(|(_, t)| *t);
        let Some(one) = time(1).filter(|one| *one > 0.0) else {
            return Self::default();
        };
        let as_fast = |n: usize, than: usize| match (time(n), time(than)) {
            (Some(more), Some(fewer)) => more <= SAME * fewer,
            _ => false,
        };
        // The last of each few columns is free; of eight, the last four.
        let free = |c: &usize| match c {
            8 => as_fast(8, 5),
            c => (1..=8 / c).all(|i| as_fast(i * c, i * c - 1)),
        };
        let mut columns = [8, 4, 2].into_iter().filter(free);
        let share = |n: usize| time(n).map_or(1.0, |t| t / one / n as f64);
        let patient = times
            .iter()
            .filter(|(n, t)| *n >= 16 && t / one <= PATIENCE);
        Self {
            columns: columns.next().unwrap_or(1),
            worth: (GAIN * share(8).max(share(16))).clamp(0.05, 0.95),
            beside: patient.map(|(n, _)| *n).max().unwrap_or(16),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(cost: impl Fn(usize) -> f64) -> Vec<(usize, f64)> {
        WIDTHS.into_iter().map(|n| (n, 0.01 * cost(n))).collect()
    }

    #[test]
    fn two_cores_keep_the_pace_that_was_measured_on_them() {
        // Four columns take the time of three.
        let cost =
            |n: usize| 0.15 + 0.61 * n as f64 - 0.6 * f64::from(u8::from(n.is_multiple_of(4)));
        let pace = Pace::of(&times(|n| if n == 1 { 1.0 } else { cost(n) }));
        assert_eq!((pace.columns, pace.beside), (4, 32));
        assert!((0.7..0.9).contains(&pace.worth), "{pace:?}");
    }

    #[test]
    fn what_hardly_costs_more_is_done_at_once() {
        let pace = Pace::of(&times(|n| 1.0 + n as f64 / 64.0));
        assert_eq!((pace.columns, pace.beside), (8, 512));
        assert!(pace.worth < 0.2, "{pace:?}");
    }

    #[test]
    fn what_gains_nothing_together_is_done_apart() {
        let pace = Pace::of(&times(|n| n as f64));
        assert_eq!((pace.columns, pace.beside), (1, 16));
        assert!(pace.worth > 0.9 && pace.is_sane(), "{pace:?}");
        assert_eq!(Pace::of(&[]), Pace::default());
        // A small context: what was not timed is not counted on.
        let few = &times(|_| 1.0)[..4];
        assert_eq!(Pace::of(few).beside, 16);
    }
}
