//! A cover along a text whose tokens are known: the chain.

use super::{Cover, PathId};
use crate::backend::{BackendError, Token};
use crate::vocab::fallback::FallbackModel;

/// Smallest weight, relative to its parent, of the chain's own token: its path is known to be the
/// text, however unlikely the model finds it.
const CHAIN_FLOOR: f64 = 1e-30;

impl Cover<()> {
    /// Starts anew along a chain, with logits that predict its first token. What the fallback model
    /// has learnt is forgotten.
    ///
    /// # Errors
    /// [`BackendError::NotANumber`].
    pub(crate) fn begin_chain(
        &mut self,
        logits: &[f32],
        before: Option<u8>,
    ) -> Result<(), BackendError> {
        self.fallback = FallbackModel::fixed();
        self.begin((), logits, before)
    }

    /// Evaluates nothing but the chain: makes the hypothesis for the chain's next token, which ends
    /// here, from the logits after it. Returns its path, to be pinned.
    ///
    /// # Errors
    /// [`BackendError::NotANumber`].
    pub(crate) fn follow(
        &mut self,
        parent: PathId,
        token: Token,
        logits: &[f32],
    ) -> Result<PathId, BackendError> {
        let found = self.unevaluated.iter().position(|u| {
            u.since == 0
                && self.paths.token(u.path) == Some(token)
                && self.paths.parent(u.path) == parent
        });
        let (path, weight) = match found {
            Some(i) => {
                let fork = self.unevaluated.remove(i);
                (fork.path, fork.base)
            }
            None => {
                let weight = self
                    .hypotheses
                    .iter()
                    .chain(&self.dead)
                    .find(|h| h.path == parent)
                    .map_or(1.0, |h| h.weight);
                (self.paths.push(parent, token), weight * CHAIN_FLOOR)
            }
        };
        let hypothesis = self.hypothesis(path, (), logits, weight)?;
        self.hypotheses.push(hypothesis);
        Ok(path)
    }
}
