//! Silent members: they read along but take no part in answers.
//!
//! A silent member evaluates every prompt and is measured on it, so that it can speak again at
//! once. Its weight is 0, and weights are derived as if the others were the pack.

use super::{EngineError, Lockstep};
use crate::mix::Mix;
use crate::vocab::Alphabet;
use crate::weight::{self, Evidence, Method, Outlook};

impl Lockstep {
    /// Sets which members are silent: one flag a member. Weights change with the next
    /// [`Lockstep::weigh`].
    ///
    /// If no speaking member can end a turn, those of them that have an end token may.
    ///
    /// # Errors
    /// [`EngineError::AllSilent`], and nothing changes.
    pub fn silence(&mut self, silent: Vec<bool>) -> Result<(), EngineError> {
        if !silent.contains(&false) || silent.len() != self.engine.members.len() {
            return Err(EngineError::AllSilent);
        }
        self.silent = silent;
        self.find_ending_members();
        Ok(())
    }

    /// Member `k` answers the prompts that are read from now on as if it were loaded alone: in its
    /// own tokens, its weight 1, while the others rest. [`Lockstep::configure`] ends that.
    ///
    /// # Errors
    /// [`EngineError::AllSilent`] if there is no such member, or it is silent.
    pub fn solo(&mut self, k: usize) -> Result<(), EngineError> {
        let n = self.engine.members.len();
        if self.silent.get(k) != Some(&false) {
            return Err(EngineError::AllSilent);
        }
        self.see_own_tokens()?;
        (self.soloist, self.alphabet) = (Some(k), Alphabet::Tokens);
        self.resting = (0..n).map(|j| j != k).collect();
        self.find_ending_members();
        self.configure_runtimes()
    }

    /// The member that answers alone.
    #[must_use]
    pub fn soloist(&self) -> Option<usize> {
        self.soloist
    }

    /// These members do not read the prompts that are read from now on, until
    /// [`Lockstep::configure`]: one flag a member, not all. They read what they have missed when
    /// they are needed. Weights must leave them out.
    pub fn rest(&mut self, resting: Vec<bool>) {
        if resting.len() == self.resting.len() && resting.contains(&false) {
            self.resting = resting;
            self.find_ending_members();
        }
    }

    /// Whether some member rests.
    #[must_use]
    pub fn someone_rests(&self) -> bool {
        self.resting.contains(&true)
    }

    /// Whether a member has a say in answers: it is neither silent nor lost,
    /// nor does it rest.
    #[must_use]
    pub fn speaks(&self, k: usize) -> bool {
        !self.silent[k] && !self.resting[k] && !self.lost[k]
    }

    /// Which members are silent, in order.
    #[must_use]
    pub fn silent(&self) -> &[bool] {
        &self.silent
    }

    /// Determines which members decide when an answer ends.
    pub(super) fn find_ending_members(&mut self) {
        let n = self.engine.members.len();
        let among = |can: &dyn Fn(usize) -> bool| -> Vec<bool> {
            (0..n).map(|k| self.speaks(k) && can(k)).collect()
        };
        let by_template = among(&|k| self.can_end[k]);
        let someone_silent = !(0..n).all(|k| self.speaks(k));
        self.ending_members = match by_template.contains(&true) || !someone_silent {
            true => by_template,
            false => among(&|k| self.engine.members[k].has_end()),
        };
    }

    /// Weights of the members that speak, as if there were no others; 0 for the silent.
    pub(super) fn weights_of_speakers(
        &self,
        method: &Method,
        mix: Mix,
        evidence: &Evidence,
    ) -> Result<weight::Weights, EngineError> {
        let mut options = weight::Options {
            mix,
            outlook: self.outlook.clone(),
            leaning: self.leaning(method, evidence),
            ..self.fusion.weighing(&evidence.alphabet)
        };
        let speaking: Vec<usize> = (0..self.engine.members.len())
            .filter(|&k| self.speaks(k))
            .collect();
        if speaking.len() == self.engine.members.len() {
            return Ok(weight::weights(method, evidence, &options)?);
        }
        let of_speakers = evidence.of(&speaking);
        if !options.prior.is_empty() {
            options.prior = speaking.iter().map(|&k| options.prior[k]).collect();
            if options.prior.iter().all(|&p| p == 0.0) {
                options.prior.clear();
            }
        }
        options.outlook = options.outlook.map(|outlook| outlook.of(&speaking));
        options.leaning = options.leaning.map(|outlook| outlook.of(&speaking));
        let method = among(method, &speaking);
        let mut weights = weight::weights(&method, &of_speakers, &options)?;
        let mut lambda = vec![0.0; self.engine.members.len()];
        for (&k, &weight) in speaking.iter().zip(&weights.lambda) {
            lambda[k] = weight;
        }
        weights.lambda = lambda;
        Ok(weights)
    }

    /// What `auto` leans to where nothing is expected.
    fn leaning(&self, method: &Method, evidence: &Evidence) -> Option<Outlook> {
        let leans = *method == Method::Auto && self.outlook.is_none();
        leans.then(|| self.text_outlook(evidence)).flatten()
    }
}

/// The method for some of the members. Given weights are normalised over them; if those are all 0,
/// the speaking members count alike.
fn among(method: &Method, speaking: &[usize]) -> Method {
    let Method::Given(given) = method else {
        return method.clone();
    };
    let mut kept: Vec<(String, f64)> = speaking.iter().map(|&k| given[k].clone()).collect();
    let total: f64 = kept.iter().map(|(_, w)| w).sum();
    if total > 0.0 {
        kept.iter_mut().for_each(|(_, w)| *w /= total);
        Method::Given(kept)
    } else {
        Method::Uniform
    }
}
