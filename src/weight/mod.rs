//! From evidence to weights: how much each member counts.
//!
//! Evidence is a text x_1…x_n and what every member k predicted for it, `−ln p_k(x_i | x_<i)` (nats). With B
//! its length in bytes, `L_k = (1/B) Σ_i −ln p_k(x_i | x_<i)` is the member's loss in nats per byte, the one
//! perplexity that compares across tokenizers. Each method of [`Method`] turns losses into weights λ ≥ 0 with
//! Σ λ = 1; one file a method. Source: PackLLM, Mavromatis et al. 2024, arXiv 2404.11531.

mod cut;
mod evidence;
mod method;
mod mixture;
mod opt;
mod sim;
mod top1;
mod uniform;

use thiserror::Error;

use crate::mix::{Mix, MixError};
pub use cut::Cut;
pub use evidence::{Evidence, MemberEvidence, Rows, SparseRows};
pub use method::{Method, MethodError};
pub use mixture::Mixture;

/// Weight under which a member is not decoded.
pub const DEFAULT_DROP: f64 = 0.02;
/// Temperature of [`Method::Sim`].
pub const DEFAULT_TAU: f64 = 1.0;

/// Why weights could not be derived.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum WeightError {
    /// `--tau` is no temperature.
    #[error("--tau must be above 0, not {0}")]
    Tau(f64),
    /// A floor that is none, or another fault of the mixture.
    #[error(transparent)]
    Mix(#[from] MixError),
    /// Weights for another number of members than there are.
    #[error("{actual} weights for {expected} members")]
    Count {
        /// Members in the evidence.
        expected: usize,
        /// Weights given.
        actual: usize,
    },
    /// Evidence without members.
    #[error("no members to weigh")]
    NoMembers,
    /// A member's list is not as long as the evidence.
    #[error("member {member}: {actual} {what} for {expected} symbols of evidence")]
    Length {
        /// Index of the member.
        member: usize,
        /// What is counted.
        what: &'static str,
        /// Symbols of evidence, or their number of probabilities.
        expected: usize,
        /// Entries found.
        actual: usize,
    },
    /// A loss or probability that is NaN, or a probability above 1.
    #[error("member {member}: no probability at symbol {index} of the evidence")]
    NotAProbability {
        /// Index of the member.
        member: usize,
        /// Index of the symbol.
        index: usize,
    },
    /// A symbol that is END or not in the alphabet: evidence is text.
    #[error("symbol {symbol} at {index} of the evidence is not text")]
    NotText {
        /// Index of the symbol.
        index: usize,
        /// The symbol.
        symbol: u32,
    },
    /// A cut beyond the end of the evidence.
    #[error("the evidence cannot be cut beyond its end")]
    Cut,
    /// A mixture's loss was asked for without every member's distributions, all dense or all sparse.
    #[error("member {member}: no distributions (or of another kind than the first member's)")]
    NoRows {
        /// Index of the member.
        member: usize,
    },
}

/// Weights and what they rest on.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    /// One weight a member, ≥ 0, sum 1.
    pub lambda: Vec<f64>,
    /// True if the method asks for evidence and there was none, so that all weights are equal.
    pub no_evidence: bool,
}

/// Derives the weights of all members by `method`.
///
/// `tau` > 0 is the temperature of [`Method::Sim`]; `mix` and `floor` are those of generation, which
/// [`Method::Opt`] optimises for. Only `opt` reads distributions ([`MemberEvidence::rows`]).
///
/// # Errors
/// Evidence that contradicts itself, a method's setting out of range, given weights of another count.
pub fn weights(
    method: &Method,
    evidence: &Evidence,
    tau: f64,
    mix: Mix,
    floor: f64,
) -> Result<Weights, WeightError> {
    evidence.check()?;
    let members = evidence.members.len();
    let plain = |lambda| Weights {
        lambda,
        no_evidence: false,
    };
    let needs_evidence = !matches!(method, Method::Uniform | Method::Given(_));
    if needs_evidence && evidence.is_empty() {
        return Ok(Weights {
            lambda: uniform::weights(members),
            no_evidence: true,
        });
    }
    let losses = || -> Vec<f64> { (0..members).map(|k| evidence.nats_per_byte(k)).collect() };
    Ok(plain(match method {
        Method::Uniform => uniform::weights(members),
        Method::Top1 => top1::weights(&losses()),
        Method::Sim => sim::weights(&losses(), evidence.bytes_per_token(), tau)?,
        Method::Opt => opt::weights(&Mixture::new(evidence, mix, floor)?, &losses()),
        Method::Given(given) if given.len() == members => given.iter().map(|(_, w)| *w).collect(),
        Method::Given(given) => {
            return Err(WeightError::Count {
                expected: members,
                actual: given.len(),
            });
        }
    }))
}

/// Bits per byte of the mixture with weights `lambda` on the evidence. To ask for several weights, keep a
/// [`Mixture`].
///
/// # Errors
/// As [`Mixture::new`] and [`Mixture::bits_per_byte`].
pub fn mixture_bits_per_byte(
    lambda: &[f64],
    evidence: &Evidence,
    mix: Mix,
    floor: f64,
) -> Result<f64, WeightError> {
    Mixture::new(evidence, mix, floor)?.bits_per_byte(lambda)
}

/// Weights with every member under `drop` at 0 and the others renormalised.
///
/// `keep[k]` saves member k whatever its weight (missing entries are false); the heaviest member, the first of
/// equals, always stays.
pub fn apply_drop(lambda: &[f64], drop: f64, keep: &[bool]) -> Vec<f64> {
    let best = (0..lambda.len())
        .rev()
        .max_by(|&a, &b| lambda[a].total_cmp(&lambda[b]));
    let stays = |k: usize| lambda[k] >= drop || keep.get(k) == Some(&true) || Some(k) == best;
    let kept = |k: usize| if stays(k) { lambda[k] } else { 0.0 };
    let mut rest: Vec<f64> = (0..lambda.len()).map(kept).collect();
    normalise(&mut rest);
    rest
}

/// Scales weights to sum 1; leaves them if they have no positive sum.
fn normalise(weights: &mut [f64]) {
    let total: f64 = weights.iter().sum();
    if total > 0.0 {
        weights.iter_mut().for_each(|w| *w /= total);
    }
}

#[cfg(test)]
mod tests;
