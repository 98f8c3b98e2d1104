//! Who takes part, and by which weights.

use super::judge::Judge;
use packllm_engine::weight::{self, Evidence, Method, Outlook, WeightError};

/// A member or a mixture that picks options, or answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Contestant {
    /// Its name in tables.
    pub name: String,
    /// How it predicts.
    pub kind: ContestantKind,
}

/// How a contestant predicts.
#[derive(Debug, Clone, PartialEq)]
pub enum ContestantKind {
    /// As this member.
    Member(usize),
    /// As a mixture of all, with weights by this method.
    Mixture(Method),
    /// As the pack would if it were of these members alone: its own method, the others silent.
    Among(Vec<usize>),
    /// As this member, which answers so many times; see [`Judge::answer_again`].
    Again(usize, u32),
}

impl ContestantKind {
    /// Whether it mixes members, by weights.
    #[must_use]
    pub fn is_mixture(&self) -> bool {
        matches!(self, Self::Mixture(_) | Self::Among(_))
    }
}

impl Judge {
    /// Whether some mixture has weights by this method.
    #[must_use]
    pub fn weighs_by(&self, method: &Method) -> bool {
        let by = |c: &Contestant| match &c.kind {
            ContestantKind::Mixture(own) => own == method,
            ContestantKind::Among(_) => self.fusion.method == *method,
            ContestantKind::Member(_) | ContestantKind::Again(..) => false,
        };
        self.contestants.iter().any(by)
    }

    /// A contestant's weights after a text of which so much can be expected: all on one for a member.
    pub(super) fn lambda(
        &self,
        kind: &ContestantKind,
        evidence: &Evidence,
        outlook: Option<&Outlook>,
    ) -> Result<Vec<f64>, WeightError> {
        let mut lambda = vec![0.0; evidence.members.len()];
        match kind {
            ContestantKind::Member(k) | ContestantKind::Again(k, _) => lambda[*k] = 1.0,
            ContestantKind::Mixture(method) => {
                return self.weights(method, evidence, outlook.cloned());
            }
            ContestantKind::Among(members) => {
                let (evidence, outlook) = (evidence.of(members), outlook.map(|o| o.of(members)));
                let weights = self.weights(&self.fusion.method, &evidence, outlook)?;
                for (&k, weight) in members.iter().zip(weights) {
                    lambda[k] = weight;
                }
            }
        }
        Ok(lambda)
    }

    fn weights(
        &self,
        method: &Method,
        evidence: &Evidence,
        leaning: Option<Outlook>,
    ) -> Result<Vec<f64>, WeightError> {
        let options = weight::Options {
            leaning,
            ties_to_newcomer: self.per_option,
            ..self.fusion.weighing(&evidence.alphabet)
        };
        let weights = weight::weights(method, evidence, &options)?;
        Ok(weight::apply_drop(&weights.lambda, self.fusion.drop, &[]))
    }
}
