//! One conversation with all members, in lockstep over a shared alphabet.

use super::Engine;
use super::answer::{Allowed, Symbols};
use super::chain::Scores;
use super::draft::Drafter;
use super::error::EngineError;
use super::fusion::Fusion;
use super::meter::Spent;
use super::reference::Reference;
use super::runtime::MemberRuntime;
use super::schedule::Presence;
use super::worker::Seat;
use crate::backend::{MemberInfo, Vocab};
use crate::competence::Standings;
use crate::constraint::{Constraint, Utf8};
use crate::mix::Mix;
use crate::vocab::Alphabet;
use crate::weight::Outlook;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A conversation: what it has read and said is in the members' KV caches, and evidence, weights,
/// settings and the drafter are its own. When it is dropped, everything is given back.
pub struct Lockstep {
    pub(super) engine: Arc<Engine>,
    /// Its place at every member.
    pub(super) seats: Vec<Seat>,
    pub(super) presence: Arc<Presence>,
    pub(super) fusion: Fusion,
    pub(super) alphabet: Alphabet,
    /// The vocabulary that is shared in a mapped alphabet.
    pub(super) reference: Option<Reference>,
    /// The member that answers alone, in its own tokens.
    pub(super) soloist: Option<usize>,
    /// Which members rest: they read nothing.
    pub(super) resting: Vec<bool>,
    /// Which members were lost, and left out since.
    pub(super) lost: Vec<bool>,
    /// What can be expected of the next answer, if that is known.
    pub(super) outlook: Option<Outlook>,
    /// What members are good at as plain text goes, if that is known.
    pub(super) at_text: Option<Arc<Standings>>,
    /// Which members can end a turn.
    pub(super) can_end: Vec<bool>,
    /// Which members are silent.
    pub(super) silent: Vec<bool>,
    /// Which members decide when an answer ends.
    pub(super) ending_members: Vec<bool>,
    pub(super) lambda: Vec<f64>,
    /// Everything scored since the last [`Lockstep::clear`], member by member.
    pub(super) scores: Vec<Scores>,
    /// Tokens of the last prompt, member by member.
    pub(super) prompt_tokens: Vec<usize>,
    /// What the last prompt says, for drafts.
    pub(super) prompt_text: Vec<u8>,
    pub(super) drafter: Option<Box<dyn Drafter>>,
    constraint: Option<Box<dyn Constraint>>,
    pub(super) prefetched: bool,
    /// Whether the last reading failed or was cancelled.
    pub(super) read_in_part: bool,
    /// KV sequences to have at least.
    least_sequences: u32,
    pub(super) cancel: Arc<AtomicBool>,
}

impl Lockstep {
    pub(super) fn open(engine: &Arc<Engine>, cancel: Arc<AtomicBool>) -> Result<Self, EngineError> {
        let n = engine.members.len();
        let (id, presence) = (engine.next_name(), Arc::new(Presence::new(&engine.pulse)));
        let seats = engine.workers.iter();
        let seats = seats.map(|worker| Seat::open(worker, id, &presence, &cancel));
        let seats = seats.collect();
        engine.open.fetch_add(1, Ordering::SeqCst);
        let mut lockstep = Self {
            engine: Arc::clone(engine),
            seats,
            presence,
            fusion: Fusion::default(),
            alphabet: Alphabet::Bytes,
            reference: None,
            soloist: None,
            resting: vec![false; n],
            lost: vec![false; n],
            outlook: None,
            at_text: None,
            can_end: vec![true; n],
            silent: vec![false; n],
            ending_members: vec![true; n],
            lambda: vec![1.0 / n as f64; n],
            scores: vec![Scores::default(); n],
            prompt_tokens: vec![0; n],
            prompt_text: Vec::new(),
            drafter: None,
            constraint: None,
            prefetched: false,
            read_in_part: false,
            least_sequences: 1,
            cancel,
        };
        lockstep.fuse(Fusion::default(), vec![true; n])?;
        // Runtimes begin with bytes, and may have prefetched a prompt.
        if lockstep.alphabet != Alphabet::Bytes {
            lockstep.configure_runtimes()?;
        }
        Ok(lockstep)
    }

    /// A conversation that goes on from here by itself: what was read and said is held once for
    /// both. It has the same settings, evidence and weights, no drafter and no constraint, and is
    /// stopped by `cancel`. Before it answers it has to read.
    ///
    /// # Errors
    /// From a member.
    pub fn fork(&self, cancel: Arc<AtomicBool>) -> Result<Self, EngineError> {
        let snapshots = self.all(|_| async |runtime: &mut MemberRuntime| Ok(runtime.snapshot()))?;
        let mut fork = Self::open(&self.engine, cancel)?;
        let mut snapshots = snapshots.into_iter();
        fork.all(|_| {
            let snapshot = snapshots.next();
            async move |runtime: &mut MemberRuntime| match snapshot {
                Some(snapshot) => runtime.begin_as(snapshot),
                None => Ok(()),
            }
        })?;
        fork.fusion.clone_from(&self.fusion);
        fork.alphabet = self.alphabet;
        fork.reference.clone_from(&self.reference);
        fork.soloist = self.soloist;
        fork.resting.clone_from(&self.resting);
        fork.lost.clone_from(&self.lost);
        fork.outlook.clone_from(&self.outlook);
        fork.at_text.clone_from(&self.at_text);
        fork.can_end.clone_from(&self.can_end);
        fork.silent.clone_from(&self.silent);
        fork.ending_members.clone_from(&self.ending_members);
        fork.lambda.clone_from(&self.lambda);
        fork.scores.clone_from(&self.scores);
        fork.prompt_tokens.clone_from(&self.prompt_tokens);
        fork.prompt_text.clone_from(&self.prompt_text);
        fork.least_sequences = self.least_sequences;
        Ok(fork)
    }

    /// Keeps what this conversation has read and said in the KV caches, also where others need the
    /// room: those have to wait, or do not fit. Without it, a conversation that says nothing leaves
    /// for one that does, and reads again when it speaks.
    pub fn stay(&self, stays: bool) {
        self.presence.stay(stays);
    }

    /// The members that it is with.
    #[must_use]
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Names and facts of the members, in order.
    #[must_use]
    pub fn members(&self) -> &[MemberInfo] {
        &self.engine.members
    }

    /// The members' names, in order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.engine.names()
    }

    /// The shared alphabet in use.
    #[must_use]
    pub fn alphabet(&self) -> Alphabet {
        self.alphabet
    }

    /// How distributions are combined over it.
    #[must_use]
    pub fn mix(&self) -> Mix {
        self.fusion.mix_in(self.alphabet)
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
        self.engine.smallest_context()
    }

    /// Has at least so many KV sequences in every member from the next [`Lockstep::configure`] on,
    /// as far as there are so many: texts that may come next are evaluated together.
    pub fn lease_at_least(&mut self, sequences: u32) {
        self.least_sequences = sequences;
    }

    /// Sets how members are fused and which of them can end a turn.
    ///
    /// # Errors
    /// [`EngineError::NotIdentical`] for the alphabet of tokens with different vocabularies.
    pub fn configure(&mut self, fusion: Fusion, can_end: Vec<bool>) -> Result<(), EngineError> {
        self.fuse(fusion, can_end)?;
        self.see_own_tokens()?;
        self.configure_runtimes()
    }

    /// No vocabulary is the reference: it is chosen anew for every text.
    pub(super) fn see_own_tokens(&mut self) -> Result<(), EngineError> {
        if self.reference.take().is_some() {
            self.all(|_| async |runtime: &mut MemberRuntime| runtime.look(None))?;
        }
        Ok(())
    }

    pub(super) fn configure_runtimes(&self) -> Result<(), EngineError> {
        let (alphabet, budget) = (self.alphabet, self.fusion.budget);
        let sequences = self.fusion.leased_sequences().max(self.least_sequences);
        let configure =
            async move |runtime: &mut MemberRuntime| runtime.configure(alphabet, budget, sequences);
        self.all(|_| configure)?;
        Ok(())
    }

    /// As [`Lockstep::configure`], without telling the members.
    pub(super) fn fuse(&mut self, fusion: Fusion, can_end: Vec<bool>) -> Result<(), EngineError> {
        self.alphabet = self.engine.alphabet_of(&fusion)?;
        self.soloist = None;
        self.resting.fill(false);
        self.can_end = can_end;
        self.find_ending_members();
        self.fusion = fusion;
        Ok(())
    }

    /// The vocabulary whose tokens are the symbols, in an alphabet of tokens.
    pub(super) fn shared_vocab(&self) -> &Arc<Vocab> {
        if let Some(k) = self.soloist {
            return &self.engine.members[k].vocab;
        }
        match &self.reference {
            Some(Reference::Outside(outside)) => outside.vocab(),
            Some(Reference::Member(k)) => &self.engine.members[*k].vocab,
            None => &self.engine.members[0].vocab,
        }
    }

    /// The vocabulary whose tokens are the symbols of the [alphabet](Lockstep::alphabet) in use;
    /// None where those are bytes.
    #[must_use]
    pub fn tokens(&self) -> Option<&Arc<Vocab>> {
        (self.alphabet != Alphabet::Bytes).then(|| self.shared_vocab())
    }

    /// Answers from now on say only what this allows, each from the beginning, or whatever is valid
    /// UTF-8. It is over the symbols of the [alphabet](Lockstep::alphabet) in use.
    pub fn constrain(&mut self, constraint: Option<Box<dyn Constraint>>) {
        self.constraint = constraint;
    }

    /// What an answer may say.
    pub(super) fn allowed(&self) -> Result<Allowed, EngineError> {
        let utf8 = match self.alphabet {
            Alphabet::Bytes => Utf8::bytes(),
            Alphabet::Tokens | Alphabet::Mapped => self.engine.utf8(self.shared_vocab()),
        };
        let constraint = self.constraint.as_ref().map(|c| c.fork());
        Ok(Allowed::new(utf8, constraint)?)
    }

    /// The symbols of the alphabet.
    pub(super) fn symbols(&self) -> Symbols {
        let vocab = self.shared_vocab();
        let mut members = self.engine.members.iter().zip(&self.engine.sorted);
        let member = members.find(|(member, _)| Arc::ptr_eq(&member.vocab, vocab));
        Symbols::new(self.alphabet, vocab, member.map(|(_, sorted)| sorted))
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
        self.lost.fill(false);
        self.find_ending_members();
        self.all(|_| async |runtime: &mut MemberRuntime| runtime.clear())?;
        Ok(())
    }

    /// Forgets what the fallback models of paths that are not evaluated have learnt from texts so
    /// far, so that what is said next follows from what is in the prefix alone.
    ///
    /// # Errors
    /// From a member.
    pub fn unlearn(&mut self) -> Result<(), EngineError> {
        self.all(|_| {
            async |runtime: &mut MemberRuntime| {
                runtime.unlearn();
                Ok(())
            }
        })?;
        Ok(())
    }

    /// The flag that stops this conversation when raised.
    #[must_use]
    pub fn cancel_flag(&self) -> &Arc<AtomicBool> {
        &self.cancel
    }

    pub(super) fn cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    /// What the members have spent for it so far, in order.
    ///
    /// # Errors
    /// From a member.
    pub fn spent(&self) -> Result<Vec<Spent>, EngineError> {
        self.all(|_| async |runtime: &mut MemberRuntime| Ok(runtime.member.spent()))
    }
}

impl Drop for Lockstep {
    fn drop(&mut self) {
        let seats = self.seats.iter().zip(&self.engine.workers);
        seats.for_each(|(seat, worker)| seat.close(worker));
        self.engine.open.fetch_sub(1, Ordering::SeqCst);
    }
}
