//! The coordinator: members on their own threads, in lockstep over a shared alphabet.
//!
//! [`Engine::load`] starts one thread a member; [`Engine::prepare`] tokenises a prompt for each and
//! checks that it fits; [`Engine::read`] evaluates it and gathers the evidence; [`Engine::weigh`]
//! turns evidence into weights; [`Engine::answer`] generates. Commands go out to all members at once
//! and answers are taken in member order, so that sums of floats repeat.
//!
//! The engine knows no templates and prints nothing: it reports [`Event`]s.

mod answer;
mod attribution;
pub mod branches;
mod chain;
mod draft;
mod error;
mod evidence;
mod foresight;
mod fusion;
pub mod kept;
mod load;
mod meter;
mod mined;
mod prompt;
mod replay;
mod seat;
mod silence;
mod view;
mod worker;

pub use answer::{Answer, Event, Finish, Generation};
pub use draft::{Drafted, Drafter, Lookup};
pub use error::EngineError;
pub use foresight::{Ahead, Foresight};
pub use fusion::Fusion;
pub use load::{MemberInfo, MemberSpec};
pub use meter::{Operation, Spent};
pub use mined::{Maps, lowest};
pub use prompt::{Ending, Place, Prompt, Segment, Start};
pub use replay::Recording;
pub use seat::{Standing, Wish};
pub use worker::Loader;

use crate::backend::Vocab;
use crate::mix::Mix;
use crate::vocab::{Alphabet, identical};
use crate::weight::{self, Evidence, Method};
use chain::Scores;
use mined::Reference;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use worker::{Command, Gone, Reply, Worker};

/// A pack at work.
pub struct Engine {
    workers: Vec<Worker>,
    members: Vec<MemberInfo>,
    fusion: Fusion,
    alphabet: Alphabet,
    /// Whose vocabulary is shared in the mined alphabet.
    reference: Option<Reference>,
    /// Which members can end a turn.
    can_end: Vec<bool>,
    /// Which members have no say.
    silent: Vec<bool>,
    /// Which members decide when an answer ends.
    enders: Vec<bool>,
    lambda: Vec<f64>,
    /// Everything scored since the last [`Engine::clear`], member by member.
    scores: Vec<Scores>,
    /// Tokens of the last prompt, member by member.
    prompt_tokens: Vec<usize>,
    /// What the last prompt says, for drafts.
    prompt_text: Vec<u8>,
    drafter: Option<Box<dyn Drafter>>,
    read_ahead: bool,
    cancel: Arc<AtomicBool>,
}

/// What [`Engine::prepare`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prepared {
    /// Tokens of the whole prompt, member by member.
    pub tokens: Vec<usize>,
    /// Tokens that have to be evaluated, member by member.
    pub new_tokens: Vec<usize>,
    /// Bytes that a member has no token for and will not see, member by member.
    pub lost: Vec<Vec<u8>>,
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
            self.all(|_| Command::Look(None))?;
        }
        self.configure_seats()
    }

    fn configure_seats(&self) -> Result<(), EngineError> {
        self.all(|_| Command::Configure(self.alphabet, self.fusion.budget))?;
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
            (Some(Alphabet::Mined), _) => Alphabet::Mined,
            (Some(Alphabet::Tokens), Some(m)) => {
                let names = (first.name.clone(), m.name.clone());
                return Err(EngineError::NotIdentical(names.0, names.1));
            }
        };
        self.can_end = can_end;
        self.find_enders();
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
        self.all(|_| Command::Clear)?;
        Ok(())
    }

    /// Tokenises one prompt a member and checks that each fits its member's context. Nothing is
    /// evaluated.
    ///
    /// # Errors
    /// [`EngineError::TooLong`], which says by how much; [`EngineError::Empty`].
    pub fn prepare(&mut self, prompts: Vec<Prompt>) -> Result<Prepared, EngineError> {
        let closed = prompts.iter().all(|p| p.ending == Ending::Closed);
        self.prompt_text.clear();
        let said = prompts.first().into_iter().flat_map(|p| &p.segments);
        said.for_each(|s| self.prompt_text.extend_from_slice(s.text.as_bytes()));
        let replies = match self.alphabet {
            Alphabet::Mined => self.prepare_mined(prompts)?,
            Alphabet::Tokens | Alphabet::Bytes => self.prepare_each(prompts)?,
        };
        let prepared = self.take_prepared(replies, closed)?;
        self.prompt_tokens.clone_from(&prepared.tokens);
        Ok(prepared)
    }

    /// What the members say of their prompts, if all fit. A `closed` prompt may fill the context.
    fn take_prepared(&self, replies: Vec<Reply>, closed: bool) -> Result<Prepared, EngineError> {
        let mut prepared = Prepared::default();
        for (k, reply) in replies.into_iter().enumerate() {
            let Reply::Prepared {
                tokens,
                new_tokens,
                lost,
            } = reply
            else {
                continue;
            };
            let info = &self.members[k];
            if tokens == 0 {
                return Err(EngineError::Empty {
                    member: info.name.clone(),
                });
            }
            let reserve = if closed {
                0
            } else {
                reserve(info.limits.context)
            };
            check_room(info, tokens, reserve)?;
            prepared.tokens.push(tokens);
            prepared.new_tokens.push(new_tokens);
            prepared.lost.push(lost);
        }
        Ok(prepared)
    }

    /// Every member tokenises a prompt of its own.
    fn prepare_each(&self, prompts: Vec<Prompt>) -> Result<Vec<Reply>, EngineError> {
        let mut prompts: Vec<Option<Prompt>> = prompts.into_iter().map(Some).collect();
        self.all(|k| Command::Prepare(prompts[k].take().unwrap_or_default()))
    }

    /// Evaluates the prepared prompts, all members at the same time, and adds what they predicted for
    /// the scored bytes to the evidence.
    ///
    /// # Errors
    /// From a member; [`EngineError::Cancelled`].
    pub fn read(&mut self, wish: Wish) -> Result<(), EngineError> {
        self.read_watched(wish, &mut |_| {})
    }

    /// As [`Engine::read`]. While members evaluate, `progress` is told now and then how many of the
    /// [new tokens](Prepared::new_tokens) each has read. If it is cancelled, members may be at work for a moment
    /// longer, see [`Engine::settle`]: nothing is thrown away within a large matrix product.
    ///
    /// # Errors
    /// As [`Engine::read`].
    pub fn read_watched(
        &mut self,
        wish: Wish,
        progress: &mut dyn FnMut(&[usize]),
    ) -> Result<(), EngineError> {
        let replies = self.all_watched(|_| Command::Evaluate(wish), progress)?;
        let foreseen = |reply: &Reply| matches!(reply, Reply::Foreseen(_));
        self.read_ahead = replies.iter().all(foreseen);
        for (scores, reply) in self.scores.iter_mut().zip(replies) {
            if let Reply::Scored(new) | Reply::Foreseen(new) = reply {
                scores.extend(new);
            }
        }
        Ok(())
    }

    /// Whether all members had read the last prompt when it was asked for, see [`MemberSpec::foresight`].
    #[must_use]
    pub fn read_ahead(&self) -> bool {
        self.read_ahead
    }

    /// Scores one member on a prompt of its own, which leaves its cache empty.
    ///
    /// # Errors
    /// As [`Engine::prepare`] and [`Engine::read`].
    pub fn read_apart(&mut self, k: usize, prompt: Prompt, wish: Wish) -> Result<(), EngineError> {
        let mut prompt = Some(prompt);
        let info = &self.members[k];
        let prepared = self.some(&[k], |_| {
            Command::Prepare(prompt.take().unwrap_or_default())
        })?;
        if let Some(Reply::Prepared { tokens, .. }) = prepared.first() {
            check_room(info, *tokens, 0)?;
        }
        for reply in self.some(&[k], |_| Command::Evaluate(wish))? {
            if let Reply::Scored(new) = reply {
                self.scores[k].extend(new);
            }
        }
        self.some(&[k], |_| Command::Clear)?;
        Ok(())
    }

    /// The wish that a weighting method needs.
    #[must_use]
    pub fn wish_for(&self, method: &Method) -> Wish {
        Wish::of(method, self.members.len())
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

    /// The weights that generation would use after `evidence`, by any method and for any mix. Members
    /// under the drop threshold get 0, except that one that can end a turn always stays.
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
        let ender = (0..self.members.len())
            .filter(|&k| self.enders[k])
            .max_by(|&a, &b| weights.lambda[a].total_cmp(&weights.lambda[b]));
        let keep: Vec<bool> = (0..self.members.len()).map(|k| Some(k) == ender).collect();
        weights.lambda = weight::apply_drop(&weights.lambda, self.fusion.drop, &keep);
        Ok(weights)
    }

    /// Whether a member takes part in generation.
    fn is_active(&self, k: usize) -> bool {
        let ender_of_last_resort = self.enders[k]
            && !(0..self.members.len()).any(|j| self.enders[j] && self.lambda[j] > 0.0)
            && (0..self.members.len()).find(|&j| self.enders[j]) == Some(k);
        self.lambda[k] > 0.0 || ender_of_last_resort
    }

    /// Sends a command to every member, then takes every answer in order.
    fn all(&self, command: impl FnMut(usize) -> Command) -> Result<Vec<Reply>, EngineError> {
        let everyone: Vec<usize> = (0..self.workers.len()).collect();
        self.some(&everyone, command)
    }

    /// As [`Engine::all`], until it is cancelled; `progress` is told now and then how many tokens each has read.
    fn all_watched(
        &self,
        command: impl FnMut(usize) -> Command,
        progress: &mut dyn FnMut(&[usize]),
    ) -> Result<Vec<Reply>, EngineError> {
        let everyone: Vec<usize> = (0..self.workers.len()).collect();
        let mut report = || {
            let read: Vec<usize> = self.workers.iter().map(Worker::tokens_read).collect();
            progress(&read);
            !self.cancelled()
        };
        self.some_while(&everyone, command, &mut report)
    }

    /// Sends a command to some members, then takes all their answers in order, also after a failure:
    /// an answer left behind would be taken for the next one.
    fn some(
        &self,
        which: &[usize],
        command: impl FnMut(usize) -> Command,
    ) -> Result<Vec<Reply>, EngineError> {
        self.some_while(which, command, &mut || true)
    }

    /// As [`Engine::some`], as long as the answers are `wanted`, which is asked now and then.
    fn some_while(
        &self,
        which: &[usize],
        mut command: impl FnMut(usize) -> Command,
        wanted: &mut dyn FnMut() -> bool,
    ) -> Result<Vec<Reply>, EngineError> {
        let mut failure = None;
        let mut sent = Vec::with_capacity(which.len());
        for &k in which {
            match self.workers[k].send(command(k)) {
                Ok(()) => sent.push(k),
                Err(gone) => failure = failure.or(Some(self.name_failure(k, gone))),
            }
        }
        let mut replies = Vec::with_capacity(sent.len());
        for k in sent {
            match self.workers[k].receive_while(wanted) {
                Ok(reply) => replies.push(reply),
                Err(gone) => failure = failure.or(Some(self.name_failure(k, gone))),
            }
        }
        failure.map_or(Ok(replies), Err)
    }

    /// Waits for members that still evaluate what was cancelled. Until then the flag has to stay raised, or they go
    /// on to the end; whatever else they are told waits as well.
    pub fn settle(&self) {
        self.workers.iter().for_each(Worker::settle);
    }

    fn name_failure(&self, k: usize, gone: Gone) -> EngineError {
        EngineError::of(&self.members[k].name, gone)
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
        let replies = self.all(|_| Command::Spent)?;
        let spent = |r| {
            if let Reply::Spent(s) = r {
                s
            } else {
                Spent::default()
            }
        };
        Ok(replies.into_iter().map(spent).collect())
    }
}

/// Whether a prompt fits a member whose context keeps `reserve` tokens free.
fn check_room(info: &MemberInfo, tokens: usize, reserve: u32) -> Result<(), EngineError> {
    let context = info.limits.context;
    let room = (context - reserve) as usize;
    if tokens <= room {
        return Ok(());
    }
    Err(EngineError::TooLong {
        member: info.name.clone(),
        tokens,
        room,
        context,
    })
}

/// Tokens of context that a prompt leaves free: room for an answer to begin and for forks.
fn reserve(context: u32) -> u32 {
    (context / 8).min(64)
}
