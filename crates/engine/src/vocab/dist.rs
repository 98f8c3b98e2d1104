//! One next-token distribution, and its masses over the bytes that may follow.
//!
//! From logits z (natural-log scale) of one row: p(v) = exp(z_v − max) / Σ, over text and
//! end-of-generation tokens; control tokens are masked and the rest renormalised. Sums are f64.
//! Weights (the exponentials) are kept by token id, not normalised. A mass is a direct sum over the
//! ranks of a trie node, so that masses far below 1 keep their relative precision. Every decode
//! needs the sums by first byte, which run over the whole vocabulary: they are made once, in the
//! order of the ids.

use super::sorted::{Cursor, SortedVocab};
use super::{END, Row};
use crate::backend::{BackendError, Token};
use crate::vector::{exponentials, maximum};

/// Precision of the exponentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Precision {
    /// f32, relative error under 2e-7: the default.
    Fast,
    /// f64: for the exact cover.
    Exact,
}

#[derive(Debug, Clone)]
enum Exponentials {
    Fast(Vec<f32>),
    Exact(Vec<f64>),
}

/// A next-token distribution. It holds a number a token, so reuse one with [`Dist::fill`].
#[derive(Debug, Clone)]
pub(crate) struct Dist {
    weights: Exponentials,
    /// 1 / Σ weights.
    scale: f64,
    /// Probability of each first byte, and of END at index 256.
    first: Box<Row>,
}

impl Dist {
    /// An empty buffer.
    pub fn new(precision: Precision) -> Self {
        let weights = match precision {
            Precision::Fast => Exponentials::Fast(Vec::new()),
            Precision::Exact => Exponentials::Exact(Vec::new()),
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
            Exponentials::Fast(w) => {
                w.resize(logits.len(), 0.0);
                exponentials(logits, max, w);
                sums_by_first_byte(w, bytes)
            }
            Exponentials::Exact(w) => {
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
            Exponentials::Fast(w) => f64::from(w[token as usize]),
            Exponentials::Exact(w) => w[token as usize],
        }
    }

    /// Probability of one text token.
    ///
    /// # Panics
    /// If the token is outside the vocabulary.
    pub fn token(&self, token: Token) -> f64 {
        self.weight(token) * self.scale
    }

    /// Writes the probability of every next symbol after the cursor's prefix into `out` (END only
    /// at the root) and returns their sum: the mass of the tokens strictly longer than the prefix.
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
                    Exponentials::Fast(w) => gathered_sum(w, tokens),
                    Exponentials::Exact(w) => gathered_sum(w, tokens),
                };
            out[branch.byte as usize] = mass;
            total += mass;
        }
        total
    }
}

/// Largest logit among text and end tokens.
fn masked_max(vocab: &SortedVocab, logits: &[f32]) -> f32 {
    const CHUNK: usize = 64;
    let max = maximum(logits);
    // That a control token has the maximum is rare; only then the others are searched.
    let counts = |t: usize| vocab.first_bytes()[t] < 256 || vocab.ends().contains(&(t as Token));
    let holds = |(chunk, first): (&[f32], usize)| {
        // Without a branch, this vectorises.
        chunk.iter().fold(false, |any, &z| any | (z >= max))
            && (first..).zip(chunk).any(|(t, &z)| z >= max && counts(t))
    };
    let mut chunks = logits.chunks(CHUNK).zip((0..).step_by(CHUNK));
    if max.is_nan() || chunks.any(holds) {
        return max;
    }
    let ends = vocab.ends().iter().map(|&t| logits[t as usize]);
    let text = vocab.tokens().iter().map(|&t| logits[t as usize]);
    text.chain(ends).fold(f32::NEG_INFINITY, f32::max)
}

/// Sums of the weights by first byte, in eight interleaved accumulators: consecutive ids often
/// share a byte, and their additions would wait for each other.
fn sums_by_first_byte<T: Copy + Into<f64>>(weights: &[T], bytes: &[u16]) -> Row {
    const WAYS: usize = 8;
    let mut sums = [[0.0f64; END + 1]; WAYS];
    let (weights_of_eight, bytes_of_eight) = (weights.chunks_exact(WAYS), bytes.chunks_exact(WAYS));
    let rest = weights_of_eight
        .remainder()
        .iter()
        .zip(bytes_of_eight.remainder());
    for (w, b) in rest {
        sums[0][usize::from(*b).min(END)] += (*w).into();
    }
    for (w, b) in weights_of_eight.zip(bytes_of_eight) {
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
