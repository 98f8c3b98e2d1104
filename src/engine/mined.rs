//! The published mode: one member's vocabulary is the alphabet, and the others are mapped to it.
//!
//! 1. [`Engine::losses_per_token`] measures every member on its own prompt in its own tokens. The one
//!    with the lowest loss becomes the reference.
//! 2. The caller aligns the others' vocabularies to the reference's, and [`Engine::refer_to`] takes the
//!    maps.
//! 3. From then on it is the alphabet of tokens: the reference tokenises its prompt, the others read
//!    the mapped ids in their own KV caches, one evaluation a token, and what they predict is gathered
//!    through the map.
//!
//! What was read is not kept for the next prompt, as it is elsewhere: a baseline need not be fast.

use super::chain::Scores;
use super::prompt::Prompt;
use super::seat::Wish;
use super::view::Lens;
use super::worker::{Command, Reply};
use super::{Engine, EngineError};
use crate::vocab::mined::Map;
use std::sync::Arc;

impl Engine {
    /// The member whose vocabulary is the alphabet, once there is one. Only in the mined alphabet.
    #[must_use]
    pub fn reference(&self) -> Option<usize> {
        self.reference
    }

    /// Every member's mean loss over the scored tokens of its own prompt, in nats per token of its
    /// own; NaN where nothing is scored. Forgets everything, the reference too.
    ///
    /// # Errors
    /// As [`Engine::prepare`] and [`Engine::read`].
    pub fn losses_per_token(&mut self, prompts: Vec<Prompt>) -> Result<Vec<f64>, EngineError> {
        self.reference = None;
        self.clear()?;
        self.all(|_| Command::Look(None))?;
        let replies = self.prepare_each(prompts)?;
        self.take_prepared(replies, true)?;
        let scores = Wish {
            scores: true,
            ..Wish::NOTHING
        };
        let replies = self.all(|_| Command::Evaluate(scores))?;
        self.all(|_| Command::Clear)?;
        let mean = |reply| match reply {
            Reply::Scored(Scores { nats, .. }) => {
                nats.iter().copied().map(f64::from).sum::<f64>() / nats.len() as f64
            }
            _ => f64::NAN,
        };
        Ok(replies.into_iter().map(mean).collect())
    }

    /// Makes the vocabulary of member `reference` the alphabet. `maps`, in member order, align the others
    /// to it; none for a member that has this very vocabulary. Forgets everything.
    ///
    /// # Errors
    /// From a member.
    pub fn refer_to(
        &mut self,
        reference: usize,
        maps: &[Option<Arc<Map>>],
    ) -> Result<(), EngineError> {
        self.clear()?;
        self.reference = Some(reference);
        let vocab = Arc::clone(self.shared_vocab());
        self.all(|k| {
            let lens = |map: &Arc<Map>| Lens {
                reference: Arc::clone(&vocab),
                map: Arc::clone(map),
            };
            Command::Look(maps[k].as_ref().map(lens))
        })?;
        Ok(())
    }

    /// The reference tokenises its prompt, the others map what it will read.
    pub(super) fn prepare_mined(&self, prompts: Vec<Prompt>) -> Result<Vec<Reply>, EngineError> {
        let reference = self.reference.ok_or(EngineError::NoReference)?;
        self.all(|_| Command::Clear)?;
        let starts: Vec<_> = prompts.iter().map(|prompt| prompt.start).collect();
        let mut prompt = prompts.into_iter().nth(reference);
        let only = [reference];
        let first = self.some(&only, |_| {
            Command::Prepare(prompt.take().unwrap_or_default())
        })?;
        let mut reading = Arc::default();
        for reply in self.some(&only, |_| Command::Show)? {
            if let Reply::Shown(shown) = reply {
                reading = Arc::new(shown);
            }
        }
        let others: Vec<usize> = (0..self.members.len())
            .filter(|&k| k != reference)
            .collect();
        let mut replies = self.some(&others, |k| {
            Command::PrepareMapped(Arc::clone(&reading), starts[k])
        })?;
        replies.splice(reference..reference, first);
        Ok(replies)
    }
}
