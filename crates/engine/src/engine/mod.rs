//! The coordinator: members on their own threads, in lockstep over a shared alphabet.
//!
//! [`Engine::load`] starts one thread a member; [`Engine::prepare`] tokenises a prompt for each and
//! checks that it fits; [`Engine::read`] evaluates it and gathers the evidence; [`Engine::weigh`]
//! turns evidence into weights; [`Engine::answer`] generates. Calls go out to all members at once
//! and answers are taken in member order, so that sums of floats repeat.
//!
//! The engine knows no templates and prints nothing: it reports [`Event`]s.

mod answer;
mod attribution;
mod branches;
mod caching;
mod chain;
mod draft;
mod error;
mod evidence;
mod exchange;
mod fusion;
mod load;
mod mapped;
mod meeting;
mod meter;
pub mod prompt_cache;
mod prompt_prefetch;
mod reading;
mod reference;
mod replay;
mod runtime;
mod score_request;
mod silence;
mod spec;
mod tokenized;
mod view;
mod worker;

pub use crate::backend::MemberInfo;
pub use crate::prompt::{Ending, Place, Prompt, Segment, Start};
pub use answer::{Answer, Event, Finish, Generation};
pub use draft::{Drafted, Drafter, Lookup};
pub use error::EngineError;
pub use fusion::{Fusion, MAX_HYPOTHESES};
pub use mapped::{Maps, lowest};
pub use meter::{Operation, Spent};
pub use prompt_prefetch::{ExpectedPrompt, PromptPrefetch};
pub use reading::Prepared;
pub use replay::Recording;
pub use runtime::Standing;
pub use score_request::ScoreRequest;
pub use spec::{Loader, MemberSpec};

use crate::backend::Vocab;
use crate::mix::Mix;
use crate::vocab::{Alphabet, identical};
use crate::weight::{self, Evidence, Method};
use chain::Scores;
use reference::Reference;
use runtime::MemberRuntime;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use worker::Worker;

/// A pack at work.
pub struct Engine {
    workers: Vec<Worker>,
    members: Vec<MemberInfo>,
    fusion: Fusion,
    alphabet: Alphabet,
    /// The vocabulary that is shared in a mapped alphabet.
    reference: Option<Reference>,
    /// Which members can end a turn.
    can_end: Vec<bool>,
    /// Which members are silent.
    silent: Vec<bool>,
    /// Which members decide when an answer ends.
    ending_members: Vec<bool>,
    lambda: Vec<f64>,
    /// Everything scored since the last [`Engine::clear`], member by member.
    scores: Vec<Scores>,
    /// Tokens of the last prompt, member by member.
    prompt_tokens: Vec<usize>,
    /// What the last prompt says, for drafts.
    prompt_text: Vec<u8>,
    drafter: Option<Box<dyn Drafter>>,
    prefetched: bool,
    cancel: Arc<AtomicBool>,
}

impl Engine {
    /// Names and facts of the members, in order.
    #[must_use]
    pub fn members(&self) -> &[MemberInfo] {
        &self.members
    }

    /// The members' names, in order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.members.iter().map(|m| m.name.clone()).collect()
    }

    /// The shared alphabet in use.
    #[must_use]
    pub fn alphabet(&self) -> Alphabet {
        self.alphabet
    }

    /// How members are fused.
    #[must_use]
    pub fn fusion(&self) -> &Fusion {
        &self.fusion
    }

    /// The weights in use: one a member, sum 1, 0 for the dropped.
    #[must_use]
    pub fn lambda(&self) -> &[f64] {
        &self.lambda
    }

    /// Tokens of the last prepared prompt, one number a member.
    #[must_use]
    pub fn prompt_tokens(&self) -> &[usize] {
        &self.prompt_tokens
    }

    /// Tokens of context that every member has.
    #[must_use]
    pub fn smallest_context(&self) -> u32 {
        self.members
            .iter()
            .map(|m| m.limits.context)
            .min()
            .unwrap_or(0)
    }

    /// Sets how members are fused and which of them can end a turn.
    ///
    /// # Errors
    /// [`EngineError::NotIdentical`] for the alphabet of tokens with different vocabularies.
    pub fn configure(&mut self, fusion: Fusion, can_end: Vec<bool>) -> Result<(), EngineError> {
        self.fuse(fusion, can_end)?;
        // A reference is chosen anew for every text.
        if self.reference.take().is_some() {
            self.all(|_| |runtime: &mut MemberRuntime| runtime.look(None))?;
        }
        self.configure_runtimes()
    }

    fn configure_runtimes(&self) -> Result<(), EngineError> {
        let (alphabet, budget) = (self.alphabet, self.fusion.budget);
        self.all(|_| move |runtime: &mut MemberRuntime| runtime.configure(alphabet, budget))?;
        Ok(())
    }

    /// As [`Engine::configure`], without telling the members.
    fn fuse(&mut self, fusion: Fusion, can_end: Vec<bool>) -> Result<(), EngineError> {
        let first = &self.members[0];
        let other = self
            .members
            .iter()
            .find(|m| !identical(&first.vocab, &m.vocab));
        self.alphabet = match (fusion.alphabet, other) {
            (None, None) | (Some(Alphabet::Tokens), None) => Alphabet::Tokens,
            (None, Some(_)) | (Some(Alphabet::Bytes), _) => Alphabet::Bytes,
            (Some(Alphabet::Mapped), _) => Alphabet::Mapped,
            (Some(Alphabet::Tokens), Some(m)) => {
                let names = (first.name.clone(), m.name.clone());
                return Err(EngineError::NotIdentical(names.0, names.1));
            }
        };
        self.can_end = can_end;
        self.find_ending_members();
        self.fusion = fusion;
        Ok(())
    }

    /// The vocabulary whose tokens are the symbols, in an alphabet of tokens.
    fn shared_vocab(&self) -> &Arc<Vocab> {
        match &self.reference {
            Some(Reference::Outside(outside)) => outside.vocab(),
            Some(Reference::Member(k)) => &self.members[*k].vocab,
            None => &self.members[0].vocab,
        }
    }

    /// Drafts answers from now on, or no longer. The text stays the same; see [`Drafter`].
    pub fn draft_with(&mut self, drafter: Option<Box<dyn Drafter>>) {
        self.drafter = drafter;
    }

    /// Forgets everything read, said and scored.
    ///
    /// # Errors
    /// From a member.
    pub fn clear(&mut self) -> Result<(), EngineError> {
        self.forget_evidence();
        self.all(|_| MemberRuntime::clear)?;
        Ok(())
    }

    /// The request that a weighting method needs.
    #[must_use]
    pub fn score_request_for(&self, method: &Method) -> ScoreRequest {
        ScoreRequest::of(method, self.members.len())
    }

    /// Derives the weights from the evidence and uses them from now on.
    ///
    /// # Errors
    /// [`EngineError::Weight`].
    pub fn weigh(&mut self) -> Result<weight::Weights, EngineError> {
        let evidence = if self.members.len() == 1 {
            None
        } else {
            Some(self.evidence()?)
        };
        let weights = match &evidence {
            Some(evidence) => self.weights(&self.fusion.method, self.fusion.mix, evidence)?,
            None => weight::Weights {
                lambda: vec![1.0],
                no_evidence: false,
                certificate: None,
            },
        };
        self.lambda.clone_from(&weights.lambda);
        Ok(weights)
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
        let ending_member = (0..self.members.len())
            .filter(|&k| self.ending_members[k])
            .max_by(|&a, &b| weights.lambda[a].total_cmp(&weights.lambda[b]));
        let keep: Vec<bool> = (0..self.members.len())
            .map(|k| Some(k) == ending_member)
            .collect();
        weights.lambda = weight::apply_drop(&weights.lambda, self.fusion.drop, &keep);
        Ok(weights)
    }

    /// Whether a member takes part in generation.
    fn is_active(&self, k: usize) -> bool {
        let last_resort = self.ending_members[k]
            && !(0..self.members.len()).any(|j| self.ending_members[j] && self.lambda[j] > 0.0)
            && (0..self.members.len()).find(|&j| self.ending_members[j]) == Some(k);
        self.lambda[k] > 0.0 || last_resort
    }

    /// The flag that stops loads and evaluations when raised.
    #[must_use]
    pub fn cancel_flag(&self) -> &Arc<AtomicBool> {
        &self.cancel
    }

    fn cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    /// What the members have spent so far, in order.
    ///
    /// # Errors
    /// From a member.
    pub fn spent(&self) -> Result<Vec<Spent>, EngineError> {
        self.all(|_| |runtime: &mut MemberRuntime| Ok(runtime.member.spent))
    }
}
