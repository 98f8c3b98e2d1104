//! From evidence to weights: how much each member counts.
//!
//! Evidence is a text x_1…x_n and what every member k predicted for it, `−ln p_k(x_i | x_<i)`
//! (nats). With B its length in bytes, `L_k = (1/B) Σ_i −ln p_k(x_i | x_<i)` is the member's loss
//! in nats per byte, the one perplexity that compares across tokenizers. Each method of [`Method`]
//! turns losses into weights λ ≥ 0 with Σ λ = 1; one file a method. Source: PackLLM, Mavromatis et
//! al. 2024, arXiv 2404.11531.

mod adaptive;
mod auto;
mod curve;
mod cut;
mod evidence;
mod exact;
mod method;
mod mixture;
mod opt;
mod sim;
mod simplex;
mod top1;
mod uniform;

use thiserror::Error;

use crate::mix::{self, Mix, MixError};
pub use adaptive::{Adaptive, Course};
pub use auto::Outlook;
pub(crate) use auto::centred;
pub use cut::Cut;
pub use evidence::{Evidence, MemberEvidence, Rows, SparseRows};
pub use exact::{Certificate, TOLERANCE};
pub use method::{Method, MethodError};
pub use mixture::Mixture;

/// Weight under which a member is not decoded.
pub const DEFAULT_DROP: f64 = 0.02;
/// Temperature of [`Method::Sim`].
pub const DEFAULT_TAU: f64 = 1.0;
/// Bytes of evidence that the prior of [`Method::Exact`] is worth.
///
/// Weights fitted on 20, 50, 100, 300 and 1,000 bytes, scored on the 1,000 bytes that follow,
/// windows of four English texts and two in German and French, SmolLM2 + Gemma, log mixing, loss as
/// a fraction of the better member's:
///
/// | n₀ | 0 | 2 | 5 | 10 | 20 | 40 | 80 |
/// | --- | --- | --- | --- | --- | --- | --- | --- |
/// | π = weights by `sim`, mean | 0.9857 | 0.9813 | 0.9806 | 0.9803 | 0.9803 | 0.9804 | 0.9806 |
/// | π = equal weights, mean | 0.9857 | 0.9827 | 0.9847 | 0.9879 | 0.9926 | 0.9981 | 1.0042 |
///
/// (`sim` 0.9812, `uniform` 1.0272.) From 20 bytes 0.984, as `sim`; from 1,000 bytes 0.976, as
/// without a prior (`sim` 0.979). The worst mean of a text at one length is 1.008 for n₀ = 20,
/// 1.012 for `sim`, 1.024 for n₀ = 0.
pub const DEFAULT_PRIOR_BYTES: f64 = 20.0;

/// Rate of [`Method::Adaptive`].
///
/// In the measurement of [`DEFAULT_PRIOR_BYTES`], from `exact` at n₀ = 2: 0.983 if nothing is
/// learnt, 0.979 at η = 0.01, 0.977 at 0.02, 0.976 at 0.05 and 0.1.
pub const DEFAULT_RATE: f64 = 0.05;

/// Options for deriving weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// How generation mixes.
    pub mix: Mix,
    /// Smallest probability a member may give a symbol in log mixing.
    pub floor: f64,
    /// κ of [`mix::confidence`], which [`follow`] predicts with; weights are derived without.
    pub confidence: f64,
    /// Temperature of [`Method::Sim`], above 0.
    pub tau: f64,
    /// n₀ of [`Method::Exact`], in bytes, at least 0.
    pub prior_bytes: f64,
    /// π of [`Method::Exact`], one number ≥ 0 a member in any unit; empty for the weights by
    /// [`Method::Sim`].
    pub prior: Vec<f64>,
    /// η of [`Method::Adaptive`], at least 0.
    pub rate: f64,
    /// In [`Method::Opt`]: of equally good weights those with most for the newcomer, as the
    /// released scorer has it, instead of those with most for the mix.
    pub ties_to_newcomer: bool,
    /// What [`Method::Auto`] knows of the members' answers.
    pub outlook: Option<Outlook>,
    /// What [`Method::Auto`] leans to without an outlook on an answer: that on plain text.
    pub leaning: Option<Outlook>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            mix: Mix::Log,
            floor: mix::DEFAULT_FLOOR,
            confidence: 0.0,
            tau: DEFAULT_TAU,
            prior_bytes: DEFAULT_PRIOR_BYTES,
            prior: Vec::new(),
            rate: DEFAULT_RATE,
            ties_to_newcomer: false,
            outlook: None,
            leaning: None,
        }
    }
}

impl Options {
    /// The given π, normalised, if there is one. Checks n₀.
    fn given_prior(&self, members: usize) -> Result<Option<Vec<f64>>, WeightError> {
        if !(self.prior_bytes >= 0.0 && self.prior_bytes.is_finite()) {
            return Err(WeightError::PriorBytes(self.prior_bytes));
        }
        if self.prior.is_empty() {
            return Ok(None);
        }
        if self.prior.len() != members {
            return Err(WeightError::Count {
                expected: members,
                actual: self.prior.len(),
            });
        }
        let total: f64 = self.prior.iter().sum();
        let numbers = self.prior.iter().all(|p| *p >= 0.0);
        if !(numbers && total > 0.0 && total.is_finite()) {
            return Err(WeightError::Prior);
        }
        let mut prior = self.prior.clone();
        normalise(&mut prior);
        Ok(Some(prior))
    }
}

/// Why weights could not be derived.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum WeightError {
    /// [`Options::tau`] is no temperature.
    #[error("tau must be above 0, not {0}")]
    Tau(f64),
    /// [`Options::prior_bytes`] is no number of bytes.
    #[error("the prior's bytes must be a number of at least 0, not {0}")]
    PriorBytes(f64),
    /// [`Options::rate`] is no rate.
    #[error("the rate must be a number of at least 0, not {0}")]
    Rate(f64),
    /// Prior weights that are none.
    #[error("prior weights must be numbers of at least 0 with a positive, finite sum")]
    Prior,
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
    /// A mixture's loss was asked for without every member's distributions, all dense or all
    /// sparse.
    #[error("member {member}: no distributions (or of another kind than the first member's)")]
    NoRows {
        /// Index of the member.
        member: usize,
    },
}

/// Weights, and how they were found.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    /// One weight a member, ≥ 0, sum 1.
    pub lambda: Vec<f64>,
    /// True if the method asks for evidence and there was none, so that all weights are equal, or
    /// the prior's.
    pub no_evidence: bool,
    /// How well its problem was solved, of [`Method::Exact`] (and where [`Method::Adaptive`]
    /// starts).
    pub certificate: Option<Certificate>,
}

/// Derives the weights of all members by `method`.
///
/// [`Method::Opt`], [`Method::Exact`] and [`Method::Adaptive`] read distributions
/// ([`MemberEvidence::rows`]), the others losses alone.
///
/// # Errors
/// Evidence that contradicts itself, a method's setting out of range, given weights of another
/// count.
pub fn weights(
    method: &Method,
    evidence: &Evidence,
    options: &Options,
) -> Result<Weights, WeightError> {
    evidence.check()?;
    let members = evidence.members.len();
    let losses: Vec<f64> = (0..members).map(|k| evidence.nats_per_byte(k)).collect();
    if let (Method::Auto, Some(outlook)) = (method, &options.outlook) {
        let (expected, actual) = (members, outlook.answers.len());
        if actual != expected {
            return Err(WeightError::Count { expected, actual });
        }
        let prior = options.given_prior(members)?;
        let prior = prior.unwrap_or_else(|| uniform::weights(members));
        return Ok(Weights {
            lambda: auto::weights(outlook, &prior, &losses, evidence.bytes),
            no_evidence: false,
            certificate: None,
        });
    }
    let given = match method {
        Method::Exact | Method::Adaptive | Method::Auto => options.given_prior(members)?,
        _ => None,
    };
    let needs_evidence = !matches!(method, Method::Uniform | Method::Given(_));
    if needs_evidence && evidence.is_empty() {
        let lambda = given.unwrap_or_else(|| uniform::weights(members));
        return Ok(Weights {
            lambda: lean(method, lambda, 0, options)?,
            no_evidence: true,
            certificate: None,
        });
    }
    let mixture = || Mixture::new(evidence, options.mix, options.floor);
    let sim = || sim::weights(&losses, evidence.bytes_per_token(), options.tau);
    let mut certificate = None;
    let lambda = match method {
        Method::Uniform => uniform::weights(members),
        Method::Top1 => top1::weights(&losses),
        Method::Sim => sim()?,
        Method::Opt => opt::weights(&mixture()?, &losses, options.ties_to_newcomer),
        Method::Exact | Method::Adaptive | Method::Auto => {
            let strength = options.prior_bytes / evidence.bytes as f64;
            let mixture = mixture()?;
            let prior = given.map_or_else(sim, Ok)?;
            let (lambda, proof) = exact::weights(&mixture, &losses, &prior, strength);
            certificate = Some(proof);
            if *method == Method::Adaptive {
                Adaptive::new(lambda, options)?.follow(&mixture).lambda
            } else {
                lean(method, lambda, evidence.bytes, options)?
            }
        }
        Method::Given(given) if given.len() == members => given.iter().map(|(_, w)| *w).collect(),
        Method::Given(given) => {
            return Err(WeightError::Count {
                expected: members,
                actual: given.len(),
            });
        }
    };
    Ok(Weights {
        lambda,
        no_evidence: false,
        certificate,
    })
}

/// The weights, and how [`Method::Auto`] leans to what is known of the members.
fn lean(
    method: &Method,
    lambda: Vec<f64>,
    bytes: usize,
    options: &Options,
) -> Result<Vec<f64>, WeightError> {
    let Some(outlook) = options.leaning.as_ref().filter(|_| *method == Method::Auto) else {
        return Ok(lambda);
    };
    let (expected, actual) = (lambda.len(), outlook.answers.len());
    if actual != expected {
        return Err(WeightError::Count { expected, actual });
    }
    Ok(auto::lean(lambda, outlook, bytes))
}

/// What the mixture loses along the evidence while its weights follow it from `start` (one a
/// member, sum 1).
///
/// # Errors
/// As [`Mixture::new`] and [`Adaptive::new`], weights of another count than the members.
pub fn follow(
    start: Vec<f64>,
    evidence: &Evidence,
    options: &Options,
) -> Result<Course, WeightError> {
    let (expected, actual) = (evidence.members.len(), start.len());
    if expected != actual {
        return Err(WeightError::Count { expected, actual });
    }
    let mixture = Mixture::new(evidence, options.mix, options.floor)?;
    let mixture = mixture.with_confidence(options.confidence);
    Ok(Adaptive::new(start, options)?.follow(&mixture))
}

/// Bits per byte of the mixture with weights `lambda` on the evidence. To ask for several weights,
/// keep a [`Mixture`].
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
/// `keep[k]` keeps member k even under `drop` (missing entries are false); the heaviest member, the
/// first of equals, always stays.
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
