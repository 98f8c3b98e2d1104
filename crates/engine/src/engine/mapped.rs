//! The published mode: one member's vocabulary is the alphabet, and the others are mapped to it.
//!
//! 1. [`Engine::losses_per_token`] measures every member on its own prompt in its own tokens. The one
//!    with the lowest loss becomes the reference.
//!    Or the caller names one, which may be a vocabulary without a model ([`Engine::refer_to_file`]).
//! 2. The caller aligns the others' vocabularies to the reference's, and [`Engine::refer_to`] takes the
//!    maps.
//! 3. From then on it is the alphabet of tokens: the reference tokenises its prompt, the others read
//!    the mapped ids in their own KV caches, one evaluation a token, and what they predict is gathered
//!    through the map.
//!
//! What was read is not kept for the next prompt, as it is elsewhere: a baseline need not be fast.

use super::chain::Scores;
use super::runtime::ScoreRequest;
use super::tokenized::{Prefix, TokenizedPrompt, read};
use super::view::Lens;
use super::worker::{Command, Reply};
use super::{Engine, EngineError};
use crate::backend::tokenizer_json::TokenizerJson;
use crate::backend::{Token, Vocab};
use crate::prompt::Prompt;
use crate::vocab::mapped::Map;
use crate::vocab::sorted::SortedVocab;
use crate::vocab::speller;
use std::sync::Arc;

/// Whose vocabulary is the alphabet.
pub(super) enum Reference {
    Member(usize),
    Outside(Outside),
}

/// A vocabulary without a model. It has no template: in a chat all read what the first member's template
/// writes.
pub(super) struct Outside {
    tokenizer: Arc<TokenizerJson>,
    sorted: SortedVocab,
}

impl Outside {
    fn new(tokenizer: Arc<TokenizerJson>) -> Self {
        let sorted = SortedVocab::new(tokenizer.vocab());
        Self { tokenizer, sorted }
    }

    pub fn vocab(&self) -> &Arc<Vocab> {
        self.tokenizer.vocab()
    }

    fn read(&self, prompts: &[Prompt]) -> Result<TokenizedPrompt, EngineError> {
        let prompt = prompts.first().cloned().unwrap_or_default();
        let mut tokenizer = &*self.tokenizer;
        let nothing = Prefix::default();
        read(&mut tokenizer, &self.sorted, &prompt, &nothing).map_err(EngineError::Reference)
    }

    fn spell(&self, texts: &[String]) -> Result<Vec<Vec<Token>>, EngineError> {
        let mut tokenizer = &*self.tokenizer;
        let spell = |text: &String| {
            let spelt = speller::plain(&mut tokenizer, &self.sorted, text);
            let spelt = spelt.map_err(EngineError::Reference)?;
            match spelt.lost.first() {
                Some(&byte) => Err(EngineError::UnreadableByReference { byte }),
                None => Ok(spelt.tokens),
            }
        };
        texts.iter().map(spell).collect()
    }
}

/// For every member as the reference the maps of all, as [`Engine::refer_to`] takes them.
pub type Maps = Vec<Vec<Option<Arc<Map>>>>;

/// Index of the lowest loss, the first of equals; 0 if none is a number.
#[must_use]
pub fn lowest(losses: &[f64]) -> usize {
    let measured = (0..losses.len()).filter(|&k| !losses[k].is_nan());
    let best = measured.min_by(|&a, &b| losses[a].total_cmp(&losses[b]));
    best.unwrap_or(0)
}

impl Engine {
    /// The member whose vocabulary is the alphabet, once there is one. Only in the mined alphabet.
    #[must_use]
    pub fn reference(&self) -> Option<usize> {
        match self.reference {
            Some(Reference::Member(k)) => Some(k),
            Some(Reference::Outside(_)) | None => None,
        }
    }

    /// Whether there is a reference, a member or not.
    #[must_use]
    pub fn has_reference(&self) -> bool {
        self.reference.is_some()
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
        let scores = ScoreRequest {
            scores: true,
            ..ScoreRequest::NOTHING
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
        self.refer(Reference::Member(reference), maps)
    }

    /// Makes the vocabulary of a file the alphabet; `maps` align all members to it. Forgets everything.
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
            Command::Look(maps[k].as_ref().map(lens))
        })?;
        Ok(())
    }

    /// Measures every member on the prompts, as [`Engine::losses_per_token`], and makes the one with the
    /// lowest loss the reference (the first where nothing is scored). Returns the losses.
    ///
    /// # Errors
    /// As [`Engine::losses_per_token`].
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
    ) -> Result<Vec<Reply>, EngineError> {
        let reference = match self.reference.as_ref().ok_or(EngineError::NoReference)? {
            Reference::Member(k) => *k,
            Reference::Outside(outside) => {
                let spelt = Arc::new(outside.spell(texts)?);
                return self.all(|_| Command::ContinueMapped(Arc::clone(&spelt), request));
            }
        };
        let mut spelt = Arc::default();
        for reply in self.some(&[reference], |_| Command::Spell(Arc::clone(texts)))? {
            match reply {
                Reply::Spelt(Ok(tokens)) => spelt = Arc::new(tokens),
                Reply::Spelt(Err(byte)) => {
                    let member = self.members[reference].name.clone();
                    return Err(EngineError::Unreadable { member, byte });
                }
                _ => {}
            }
        }
        self.all(|_| Command::ContinueMapped(Arc::clone(&spelt), request))
    }

    /// The reference tokenises its prompt, the others map what it will read.
    pub(super) fn prepare_by_reference(
        &self,
        prompts: Vec<Prompt>,
    ) -> Result<Vec<Reply>, EngineError> {
        let reference = self.reference.as_ref().ok_or(EngineError::NoReference)?;
        self.all(|_| Command::Clear)?;
        let starts: Vec<_> = prompts.iter().map(|prompt| prompt.start).collect();
        let reference = match reference {
            Reference::Member(k) => *k,
            Reference::Outside(outside) => {
                let reading = Arc::new(outside.read(&prompts)?);
                return self.all(|k| Command::PrepareMapped(Arc::clone(&reading), starts[k]));
            }
        };
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
