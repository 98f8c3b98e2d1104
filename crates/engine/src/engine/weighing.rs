//! From evidence to the weights that an answer is made with.

use super::chain::Scores;
use super::score_request::ScoreRequest;
use super::{EngineError, Lockstep};
use crate::competence::Standings;
use crate::mix::Mix;
use crate::weight::{self, Evidence, Method, Outlook};
use std::sync::Arc;

impl Lockstep {
    /// The request that a weighting method needs.
    #[must_use]
    pub fn score_request_for(&self, method: &Method) -> ScoreRequest {
        ScoreRequest::of(method, self.engine.members.len())
    }

    /// What can be expected of the next answer: what [`Method::Auto`] weighs by. None: it is not
    /// known.
    pub fn expect(&mut self, outlook: Option<Outlook>) {
        self.outlook = outlook;
    }

    /// What can be expected of the next answer, if that is known.
    #[must_use]
    pub fn outlook(&self) -> Option<&Outlook> {
        self.outlook.as_ref()
    }

    /// Knows from now on what members are good at as plain text goes: where nothing is
    /// [expected](Lockstep::expect), [`Method::Auto`] leans to it.
    pub fn know_text(&mut self, standings: Option<Arc<Standings>>) {
        self.at_text = standings;
    }

    /// What can be expected of text that goes on from the evidence, if it is known what members are
    /// good at.
    #[must_use]
    pub fn text_outlook(&self, evidence: &Evidence) -> Option<Outlook> {
        let standings = self.at_text.as_ref()?;
        let text = self.spelt(&evidence.symbols);
        Some(standings.outlook(&String::from_utf8_lossy(&text)))
    }

    /// Derives the weights from the evidence and uses them from now on.
    ///
    /// # Errors
    /// [`EngineError::Weight`].
    pub fn weigh(&mut self) -> Result<weight::Weights, EngineError> {
        let n = self.engine.members.len();
        let alone = self.soloist.or((n == 1).then_some(0));
        let weights = match alone {
            None => {
                let evidence = self.evidence()?;
                let mix = self.fusion.mix_over(&evidence.alphabet);
                self.weights(&self.fusion.method, mix, &evidence)?
            }
            Some(k) => weight::Weights {
                lambda: (0..n).map(|j| f64::from(u8::from(j == k))).collect(),
                no_evidence: false,
                certificate: None,
            },
        };
        self.lambda.clone_from(&weights.lambda);
        Ok(weights)
    }

    /// The weights that generation would use if nothing were read.
    ///
    /// # Errors
    /// [`EngineError::Weight`].
    pub fn foresee(&self) -> Result<Vec<f64>, EngineError> {
        let nothing = self.evidence_in(&vec![Scores::default(); self.engine.members.len()])?;
        let mix = self.fusion.mix_over(&nothing.alphabet);
        Ok(self.weights(&self.fusion.method, mix, &nothing)?.lambda)
    }

    /// The weights that generation would use after `evidence`, by any method and for any mix.
    /// Members under the drop threshold get 0, except that one that can end a turn always stays.
    ///
    /// # Errors
    /// [`EngineError::Weight`].
    pub fn weights(
        &self,
        method: &Method,
        mix: Mix,
        evidence: &Evidence,
    ) -> Result<weight::Weights, EngineError> {
        let mut weights = self.weights_of_speakers(method, mix, evidence)?;
        let ending_member = (0..self.engine.members.len())
            .filter(|&k| self.ending_members[k])
            .max_by(|&a, &b| weights.lambda[a].total_cmp(&weights.lambda[b]));
        let keep: Vec<bool> = (0..self.engine.members.len())
            .map(|k| Some(k) == ending_member)
            .collect();
        weights.lambda = weight::apply_drop(&weights.lambda, self.fusion.drop, &keep);
        Ok(weights)
    }

    /// Whether a member takes part in generation.
    pub(super) fn is_active(&self, k: usize) -> bool {
        let last_resort = self.ending_members[k]
            && !(0..self.engine.members.len())
                .any(|j| self.ending_members[j] && self.lambda[j] > 0.0)
            && (0..self.engine.members.len()).find(|&j| self.ending_members[j]) == Some(k);
        self.lambda[k] > 0.0 || last_resort
    }
}
