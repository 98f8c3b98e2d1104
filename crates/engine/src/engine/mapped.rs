//! The published mode, called `mined` in the command line and in files: one member's vocabulary is
//! the alphabet, and the others are mapped to it.
//!
//! 1. [`Lockstep::losses_per_token`] measures every member on its own prompt in its own tokens. The
//!    one with the lowest loss becomes the reference. Or the caller names one, which may be a
//!    vocabulary without a model ([`Lockstep::refer_to_file`]).
//! 2. The caller aligns the others' vocabularies to the reference's, and [`Lockstep::refer_to`] takes
//!    the maps.
//! 3. From then on it is the alphabet of tokens: the reference tokenises its prompt, the others
//!    read the mapped ids in their own KV caches, one evaluation a token, and what they predict is
//!    gathered through the map.
//!
//! Unlike in the other modes, nothing is reused for the next prompt: a baseline need not be fast.

use super::reference::{Outside, Reference};
use super::runtime::{Continuations, Evaluation, MemberRuntime};
use super::score_request::ScoreRequest;
use super::tokenized::{PreparedPrompt, TokenizedPrompt};
use super::view::Lens;
use super::{EngineError, Lockstep};
use crate::backend::tokenizer_json::TokenizerJson;
use crate::prompt::Prompt;
use crate::vocab::mapped::Map;
use std::sync::Arc;

/// For every member, the maps of all members where it is the reference, as [`Lockstep::refer_to`]
/// takes them.
pub type Maps = Vec<Vec<Option<Arc<Map>>>>;

/// Index of the lowest loss, the first of equals; 0 if none is a number.
#[must_use]
pub fn lowest(losses: &[f64]) -> usize {
    let measured = (0..losses.len()).filter(|&k| !losses[k].is_nan());
    let best = measured.min_by(|&a, &b| losses[a].total_cmp(&losses[b]));
    best.unwrap_or(0)
}

impl Lockstep {
    /// The member whose vocabulary is the alphabet, once there is one. Only in a mapped alphabet.
    #[must_use]
    pub fn reference(&self) -> Option<usize> {
        match self.reference {
            Some(Reference::Member(k)) => Some(k),
            Some(Reference::Outside(_)) | None => None,
        }
    }

    /// Whether there is a reference: the vocabulary of a member or of a file.
    #[must_use]
    pub fn has_reference(&self) -> bool {
        self.reference.is_some()
    }

    /// Every member's mean loss over the scored tokens of its own prompt, in nats per token of its
    /// own; NaN where nothing is scored. Forgets everything, the reference too.
    ///
    /// # Errors
    /// As [`Lockstep::prepare`] and [`Lockstep::read`].
    pub fn losses_per_token(&mut self, prompts: Vec<Prompt>) -> Result<Vec<f64>, EngineError> {
        self.reference = None;
        self.clear()?;
        self.all(|_| async |runtime: &mut MemberRuntime| runtime.look(None))?;
        let prepared = self.prepare_each(prompts)?;
        self.check_prepared(prepared, true)?;
        let scores = ScoreRequest {
            scores: true,
            ..ScoreRequest::NOTHING
        };
        let evaluate = async move |runtime: &mut MemberRuntime| runtime.evaluate(scores).await;
        let read = self.all(|_| evaluate)?;
        self.all(|_| async |runtime: &mut MemberRuntime| runtime.clear())?;
        let mean = |read: Evaluation| {
            let nats = read.scores.nats;
            nats.iter().copied().map(f64::from).sum::<f64>() / nats.len() as f64
        };
        Ok(read.into_iter().map(mean).collect())
    }

    /// Makes the vocabulary of member `reference` the alphabet. `maps`, in member order, align the
    /// others to it; none for a member that has this very vocabulary. Forgets everything.
    ///
    /// # Errors
    /// From a member.
    pub fn refer_to(
        &mut self,
        reference: usize,
        maps: &[Option<Arc<Map>>],
    ) -> Result<(), EngineError> {
        self.refer(Reference::Member(reference), maps)
    }

    /// Makes the vocabulary of a file the alphabet; `maps` align all members to it. Forgets
    /// everything.
    ///
    /// # Errors
    /// From a member.
    pub fn refer_to_file(
        &mut self,
        reference: Arc<TokenizerJson>,
        maps: &[Option<Arc<Map>>],
    ) -> Result<(), EngineError> {
        self.refer(Reference::Outside(Outside::new(reference)), maps)
    }

    fn refer(
        &mut self,
        reference: Reference,
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
            let through = maps[k].as_ref().map(lens);
            async move |runtime: &mut MemberRuntime| runtime.look(through)
        })?;
        Ok(())
    }

    /// Measures every member on the prompts, as [`Lockstep::losses_per_token`], and makes the one
    /// with the lowest loss the reference (the first where nothing is scored). Returns the losses.
    ///
    /// # Errors
    /// As [`Lockstep::losses_per_token`].
    pub fn refer_by_loss(
        &mut self,
        prompts: Vec<Prompt>,
        maps: &Maps,
    ) -> Result<Vec<f64>, EngineError> {
        let losses = self.losses_per_token(prompts)?;
        let best = lowest(&losses);
        self.refer_to(best, &maps[best])?;
        Ok(losses)
    }

    /// The reference tokenises texts that may come next, and all read the mapped ids.
    pub(super) fn continue_by_reference(
        &self,
        texts: &Arc<[String]>,
        request: ScoreRequest,
    ) -> Result<Vec<Continuations>, EngineError> {
        let spelt = match self.reference.as_ref().ok_or(EngineError::NoReference)? {
            Reference::Outside(outside) => outside.spell(texts)?,
            Reference::Member(k) => {
                let texts = Arc::clone(texts);
                let spelt = self.one(*k, async move |runtime: &mut MemberRuntime| {
                    runtime.spell(&texts)
                })?;
                let member = || self.engine.members[*k].name.clone();
                spelt.map_err(|byte| EngineError::Unreadable {
                    member: member(),
                    byte,
                })?
            }
        };
        let spelt = Arc::new(spelt);
        self.all(|_| {
            let spelt = Arc::clone(&spelt);
            async move |runtime: &mut MemberRuntime| runtime.continue_mapped(&spelt, request).await
        })
    }

    /// The reference tokenises its prompt, the others map what it will read.
    pub(super) fn prepare_by_reference(
        &self,
        prompts: Vec<Prompt>,
    ) -> Result<Vec<PreparedPrompt>, EngineError> {
        let reference = self.reference.as_ref().ok_or(EngineError::NoReference)?;
        self.all(|_| async |runtime: &mut MemberRuntime| runtime.clear())?;
        let starts: Vec<_> = prompts.iter().map(|prompt| prompt.start).collect();
        let mapped = |reading: &Arc<TokenizedPrompt>, k: usize| {
            let (reading, start) = (Arc::clone(reading), starts[k]);
            async move |runtime: &mut MemberRuntime| runtime.prepare_mapped(&reading, start)
        };
        let reference = match reference {
            Reference::Member(k) => *k,
            Reference::Outside(outside) => {
                let reading = Arc::new(outside.read(&prompts)?);
                return self.all(|k| mapped(&reading, k));
            }
        };
        let prompt = prompts.into_iter().nth(reference).unwrap_or_default();
        let (own, reading) = self.one(reference, async move |runtime: &mut MemberRuntime| {
            let own = runtime.prepare(&prompt)?;
            Ok((own, runtime.prepared().cloned().unwrap_or_default()))
        })?;
        let reading = Arc::new(reading);
        let others: Vec<usize> = (0..self.engine.members.len())
            .filter(|&k| k != reference)
            .collect();
        let mut prepared = self.some(&others, |k| mapped(&reading, k))?;
        prepared.insert(reference, own);
        Ok(prepared)
    }
}
