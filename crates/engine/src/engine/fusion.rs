//! The settings of a fusion.

use crate::mix::{self, Mix, MixError, Mixer, SymbolSet};
use crate::vocab::Alphabet;
use crate::vocab::cover::Budget;
use crate::weight::{self, Evidence, Method, Mixture, WeightError};

/// Most KV sequences that a member is given: llama.cpp serves 256.
pub const MAX_SEQUENCES: usize = 250;

/// Most hypotheses that a [`Budget`] may ask for: with as many forks on trial they fit into the
/// sequences.
pub const MAX_HYPOTHESES: usize = MAX_SEQUENCES / 2 - 4;

/// How members are fused.
#[derive(Debug, Clone, PartialEq)]
pub struct Fusion {
    /// The shared alphabet; None: tokens if all vocabularies are identical, else bytes.
    pub alphabet: Option<Alphabet>,
    /// How distributions are combined. None: as [is usual](Mix::usual) over the alphabet.
    pub mix: Option<Mix>,
    /// Smallest probability a member may give a symbol in log mixing.
    pub floor: f64,
    /// κ: how much more of its weight a member has where it is sure; see [`mix::confidence`]. None:
    /// [`mix::confidence::OF_BYTES`] over bytes, 0 over tokens.
    pub confidence: Option<f64>,
    /// Where weights come from.
    pub method: Method,
    /// Temperature of `sim`.
    pub tau: f64,
    /// Bytes of evidence that the prior of `exact` is worth.
    pub prior_bytes: f64,
    /// Prior weights of `exact`, one a member in any unit; empty for those of `sim`.
    pub prior: Vec<f64>,
    /// How fast `adaptive` follows the text.
    pub rate: f64,
    /// Whether `adaptive` also follows the answer while it is made.
    pub follow_answer: bool,
    /// Members under this weight are not evaluated.
    pub drop: f64,
    /// How much of a cover is evaluated.
    pub budget: Budget,
    /// Whether the others go on when a member is [lost](crate::backend::BackendError::Lost).
    pub outlive: bool,
}

impl Default for Fusion {
    fn default() -> Self {
        Self {
            alphabet: None,
            mix: None,
            floor: mix::DEFAULT_FLOOR,
            confidence: None,
            method: Method::Auto,
            tau: weight::DEFAULT_TAU,
            prior_bytes: weight::DEFAULT_PRIOR_BYTES,
            prior: Vec::new(),
            rate: weight::DEFAULT_RATE,
            follow_answer: false,
            drop: weight::DEFAULT_DROP,
            budget: Budget::default(),
            outlive: false,
        }
    }
}

impl Fusion {
    /// KV sequences that a member needs for its part in it.
    #[must_use]
    pub fn sequences(&self) -> u32 {
        self.leased_sequences().min(MAX_SEQUENCES as u32)
    }

    /// As [`Fusion::sequences`], but all that there are where every path is evaluated.
    pub(super) fn leased_sequences(&self) -> u32 {
        sequences(self.alphabet.unwrap_or(Alphabet::Bytes), self.budget)
    }

    /// How distributions over this alphabet are combined.
    #[must_use]
    pub fn mix_in(&self, alphabet: Alphabet) -> Mix {
        self.mix.unwrap_or(Mix::usual(alphabet == Alphabet::Bytes))
    }

    /// The same, by the alphabet's symbols.
    #[must_use]
    pub fn mix_over(&self, alphabet: &SymbolSet) -> Mix {
        self.mix_in(match alphabet.is_bytes() {
            true => Alphabet::Bytes,
            false => Alphabet::Tokens,
        })
    }

    /// κ over this alphabet.
    fn confidence_over(&self, alphabet: &SymbolSet) -> f64 {
        let usual = || mix::confidence::usual(alphabet);
        self.confidence.unwrap_or_else(usual)
    }

    /// Mixes over `alphabet` as set here.
    ///
    /// # Errors
    /// A floor that is none.
    pub fn mixer(&self, alphabet: SymbolSet) -> Result<Mixer, MixError> {
        let (mix, confidence) = (self.mix_over(&alphabet), self.confidence_over(&alphabet));
        Ok(Mixer::new(mix, self.floor, alphabet)?.with_confidence(confidence))
    }

    /// What is lost on the evidence by mixing as set here.
    ///
    /// # Errors
    /// As [`Mixture::new`].
    pub fn mixture<'a>(&self, evidence: &'a Evidence) -> Result<Mixture<'a>, WeightError> {
        let alphabet = &evidence.alphabet;
        let mixture = Mixture::new(evidence, self.mix_over(alphabet), self.floor)?;
        Ok(mixture.with_confidence(self.confidence_over(alphabet)))
    }

    /// The options for deriving weights of members that are mixed over `alphabet`.
    #[must_use]
    pub fn weighing(&self, alphabet: &SymbolSet) -> weight::Options {
        weight::Options {
            mix: self.mix_over(alphabet),
            floor: self.floor,
            confidence: self.confidence_over(alphabet),
            tau: self.tau,
            prior_bytes: self.prior_bytes,
            prior: self.prior.clone(),
            rate: self.rate,
            ties_to_newcomer: false,
            outlook: None,
            leaning: None,
        }
    }
}

/// KV sequences that one conversation needs in a member; no end of them where every path is
/// evaluated.
pub(super) fn sequences(alphabet: Alphabet, budget: Budget) -> u32 {
    match alphabet {
        Alphabet::Tokens | Alphabet::Mapped => 2,
        Alphabet::Bytes if budget.exact() => u32::MAX,
        // Hypotheses, as many forks on trial, the prefix, one for the commit and one for drafts.
        Alphabet::Bytes => 2 * budget.hypotheses as u32 + 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_follow_the_alphabet_and_the_budget() {
        let needs = |alphabet, epsilon, hypotheses| {
            let budget = Budget {
                epsilon,
                hypotheses,
            };
            Fusion {
                alphabet,
                budget,
                ..Fusion::default()
            }
            .sequences()
        };
        assert_eq!(needs(Some(Alphabet::Tokens), 0.0, 8), 2);
        assert_eq!(needs(Some(Alphabet::Mapped), 0.03, 8), 2);
        assert_eq!(needs(Some(Alphabet::Bytes), 0.03, 8), 19);
        assert_eq!(needs(None, 0.03, 8), 19);
        assert_eq!(needs(None, 0.0, 8), 250);
        assert!(needs(None, 0.03, MAX_HYPOTHESES) <= 250);
    }
}
