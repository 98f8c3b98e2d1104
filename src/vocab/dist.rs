//! One next-token distribution, and its masses over the bytes that may follow.
//!
//! From logits z (natural-log scale) of one row: p(v) = exp(z_v − max) / Σ, over text and
//! end-of-generation tokens; control tokens are masked and the rest renormalised. Sums are f64.
//! Weights are kept by token id, unnormalised; a mass is a direct sum over the ranks of a trie node,
//! so masses far below 1 keep their relative precision. The sums by first byte, which every decode
//! needs and which run over the whole vocabulary, are made once in the order of the ids.

use super::sorted::{Cursor, SortedVocab};
use super::{END, Row};
use crate::backend::{BackendError, Token};

/// Precision of the exponentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// f32, relative error under 2e-7: the default.
    Fast,
    /// f64: for the exact cover.
    Exact,
}

#[derive(Debug, Clone)]
enum Weights {
    Fast(Vec<f32>),
    Exact(Vec<f64>),
}

/// A next-token distribution. Reuse one with [`Dist::fill`]: it holds a number per token.
#[derive(Debug, Clone)]
pub struct Dist {
    weights: Weights,
    /// 1 / Σ weights.
    scale: f64,
    /// Probability of each first byte, and of END at index 256.
    first: Box<Row>,
}

impl Dist {
    /// An empty buffer.
    #[must_use]
    pub fn new(precision: Precision) -> Self {
        let weights = match precision {
            Precision::Fast => Weights::Fast(Vec::new()),
            Precision::Exact => Weights::Exact(Vec::new()),
        };
        Self {
            weights,
            scale: 0.0,
            first: Box::new([0.0; END + 1]),
        }
    }

    /// Takes the distribution from a row of logits, one per token id of `vocab`.
    ///
    /// # Errors
    /// [`BackendError::NotANumber`] if the row has no finite maximum or contains NaN.
    pub fn fill(&mut self, vocab: &SortedVocab, logits: &[f32]) -> Result<(), BackendError> {
        let bytes = vocab.first_bytes();
        let max = masked_max(vocab, logits);
        if !max.is_finite() {
            return Err(BackendError::NotANumber);
        }
        let sums = match &mut self.weights {
            Weights::Fast(w) => {
                w.resize(logits.len(), 0.0);
                exponentials(logits, max, w);
                sums_by_first_byte(w, bytes)
            }
            Weights::Exact(w) => {
                w.clear();
                w.extend(
                    logits
                        .iter()
                        .map(|&z| (f64::from(z) - f64::from(max)).exp()),
                );
                sums_by_first_byte(w, bytes)
            }
        };
        *self.first = sums;
        self.first[END] = vocab.ends().iter().map(|&t| self.weight(t)).sum();
        let total: f64 = self.first.iter().sum();
        if !total.is_finite() {
            return Err(BackendError::NotANumber);
        }
        self.scale = 1.0 / total;
        self.first.iter_mut().for_each(|m| *m *= self.scale);
        Ok(())
    }

    fn weight(&self, token: Token) -> f64 {
        match &self.weights {
            Weights::Fast(w) => f64::from(w[token as usize]),
            Weights::Exact(w) => w[token as usize],
        }
    }

    /// Probability of one text token.
    ///
    /// # Panics
    /// If the token is outside the vocabulary.
    #[must_use]
    pub fn token(&self, token: Token) -> f64 {
        self.weight(token) * self.scale
    }

    /// Probability of END: all end-of-generation tokens together.
    #[must_use]
    pub fn end(&self) -> f64 {
        self.first[END]
    }

    /// Writes the probability of every next symbol after the cursor's prefix into `out` (END only at
    /// the root) and returns their sum: the mass of the tokens strictly longer than the prefix.
    pub fn masses(&self, vocab: &SortedVocab, at: Cursor, out: &mut Row) -> f64 {
        if at == Cursor::ROOT {
            out.copy_from_slice(&self.first[..]);
            return out.iter().sum();
        }
        out.fill(0.0);
        let mut total = 0.0;
        for branch in vocab.branches(at) {
            let tokens = &vocab.tokens()[branch.ranks];
            let mass = self.scale
                * match &self.weights {
                    Weights::Fast(w) => gathered_sum(w, tokens),
                    Weights::Exact(w) => gathered_sum(w, tokens),
                };
            out[branch.byte as usize] = mass;
            total += mass;
        }
        total
    }
}

/// Largest logit among text and end tokens.
fn masked_max(vocab: &SortedVocab, logits: &[f32]) -> f32 {
    let max = maximum(logits);
    // A control token on top is rare; only then is it worth looking who holds the maximum.
    let holder_counts = |&(t, &z): &(usize, &f32)| {
        z >= max && (vocab.first_bytes()[t] < 256 || vocab.ends().contains(&(t as Token)))
    };
    if max.is_nan() || logits.iter().enumerate().any(|e| holder_counts(&e)) {
        return max;
    }
    let ends = vocab.ends().iter().map(|&t| logits[t as usize]);
    let text = vocab.tokens().iter().map(|&t| logits[t as usize]);
    text.chain(ends).fold(f32::NEG_INFINITY, f32::max)
}

/// The maximum in independent lanes; NaN if any element is. Compiled for the vector instructions at
/// hand, chosen at run time.
fn maximum(values: &[f32]) -> f32 {
    pulp::Arch::new().dispatch(Maximum(values))
}

struct Maximum<'a>(&'a [f32]);

impl pulp::WithSimd for Maximum<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) -> f32 {
        const LANES: usize = 32;
        let mut max = [f32::NEG_INFINITY; LANES];
        // Stays 0 unless there is a NaN.
        let mut zero = [0.0f32; LANES];
        let chunks = self.0.chunks_exact(LANES);
        let rest = chunks.remainder();
        for chunk in chunks {
            for i in 0..LANES {
                max[i] = if chunk[i] > max[i] { chunk[i] } else { max[i] };
                zero[i] += if chunk[i].is_nan() { f32::NAN } else { 0.0 };
            }
        }
        // Apart from the lanes, which a loop over fewer of them would put into memory.
        let rest_max = rest.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        if zero.iter().sum::<f32>().is_nan() || rest.iter().any(|v| v.is_nan()) {
            return f32::NAN;
        }
        max.iter().copied().fold(rest_max, f32::max)
    }
}

/// `out[i] = exp(logits[i] − max)`, compiled like [`maximum`].
fn exponentials(logits: &[f32], max: f32, out: &mut [f32]) {
    pulp::Arch::new().dispatch(Exponentials { logits, max, out });
}

/// A closure would not do: it stays a function of its own, without the vector instructions.
struct Exponentials<'a> {
    logits: &'a [f32],
    max: f32,
    out: &'a mut [f32],
}

impl pulp::WithSimd for Exponentials<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        for (w, &z) in self.out.iter_mut().zip(self.logits) {
            *w = exp_nonpositive(z - self.max);
        }
    }
}

/// exp(x) for x ≤ 0 in f32, relative error under 2e-7, 0 below −87: 2^n·exp(r) with |r| ≤ ln 2 / 2
/// and a polynomial (Cephes' `expf` coefficients). Branch-free, so that it vectorises.
#[inline(always)]
fn exp_nonpositive(x: f32) -> f32 {
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    // ln 2 in two parts, so that n·ln 2 is subtracted without rounding.
    const LN2_HI: f32 = 0.693_359_4;
    const LN2_LO: f32 = -2.121_944_4e-4;
    // Adding and subtracting 1.5·2^23 rounds to an integer.
    const ROUND: f32 = 12_582_912.0;
    let clamped = if x < -87.0 { -87.0 } else { x };
    let rounded = clamped * LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = (clamped - n * LN2_HI) - n * LN2_LO;
    let mut p = 1.987_569_1e-4;
    p = p * r + 1.398_199_9e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 0.5;
    let y = p * (r * r) + r + 1.0;
    // The low bits of `rounded` are n in two's complement; n is in −126..=0, so that n + 127 is a valid
    // exponent, and the shift drops the rest. (`as i32` saturates, which does not vectorise.)
    let scaled = y * f32::from_bits(rounded.to_bits().wrapping_add(127) << 23);
    if x < -87.0 { 0.0 } else { scaled }
}

/// Sums of the weights by first byte. Four interleaved accumulators, because consecutive ids often
/// share a byte and would wait for each other.
fn sums_by_first_byte<T: Copy + Into<f64>>(weights: &[T], bytes: &[u16]) -> Row {
    const WAYS: usize = 4;
    let mut sums = [[0.0f64; END + 1]; WAYS];
    let (weights_of_four, bytes_of_four) = (weights.chunks_exact(WAYS), bytes.chunks_exact(WAYS));
    let rest = weights_of_four
        .remainder()
        .iter()
        .zip(bytes_of_four.remainder());
    for (w, b) in rest {
        sums[0][usize::from(*b).min(END)] += (*w).into();
    }
    for (w, b) in weights_of_four.zip(bytes_of_four) {
        for i in 0..WAYS {
            sums[i][usize::from(b[i]).min(END)] += w[i].into();
        }
    }
    let [mut total, others @ ..] = sums;
    for other in others {
        total.iter_mut().zip(other).for_each(|(t, o)| *t += o);
    }
    total
}

fn gathered_sum<T: Copy + Into<f64>>(weights: &[T], tokens: &[Token]) -> f64 {
    let mut lanes = [0.0f64; 4];
    let chunks = tokens.chunks_exact(4);
    let rest: f64 = chunks
        .remainder()
        .iter()
        .map(|&t| weights[t as usize].into())
        .sum();
    for chunk in chunks {
        for (lane, &t) in lanes.iter_mut().zip(chunk) {
            *lane += weights[t as usize].into();
        }
    }
    lanes.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fast_exponential_is_close_to_the_exact_one() {
        let mut worst = 0.0f64;
        for i in 0..870_000 {
            let x = -(i as f32) * 1e-4;
            let exact = f64::from(x).exp();
            worst = worst.max((f64::from(exp_nonpositive(x)) - exact).abs() / exact);
        }
        assert!(worst < 2e-7, "relative error {worst:e}");
        assert_eq!(exp_nonpositive(-88.0), 0.0);
        assert_eq!(exp_nonpositive(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp_nonpositive(0.0), 1.0);
    }

    #[test]
    fn a_maximum_with_nan_is_nan() {
        let mut v = vec![1.0f32; 100];
        v[37] = 5.0;
        assert_eq!(maximum(&v), 5.0);
        v[99] = f32::NAN;
        assert!(maximum(&v).is_nan());
        v[99] = 0.0;
        v[8] = f32::NAN;
        assert!(maximum(&v).is_nan());
    }
}
