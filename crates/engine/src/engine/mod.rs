//! Members on threads of their own, and conversations with them.
//!
//! [`Engine::load`] starts one thread a member. The engine is shared: any number of conversations,
//! each a [`Lockstep`], run on it at the same time, and what they want evaluated of one member goes
//! into the same batches.
//!
//! Of one conversation, [`Lockstep::prepare`] tokenises a prompt for each member and checks that it
//! fits; [`Lockstep::read`] evaluates it and gathers the evidence; [`Lockstep::weigh`] turns
//! evidence into weights; [`Lockstep::generate`] makes an answer. Calls go out to all members at
//! once and answers are taken in member order, so that sums of floats repeat.
//!
//! Alone, a conversation gives the same answer again, bit by bit. Beside others it shares batches
//! with them, and kernels round a little differently for batches of another shape: answers differ
//! where two symbols are almost equally likely.
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
mod lockstep;
mod loss;
mod mapped;
mod meter;
mod pace;
pub mod prompt_cache;
mod prompt_prefetch;
mod reading;
mod reference;
mod replay;
mod runtime;
mod schedule;
mod score_request;
mod silence;
mod spec;
mod spin;
mod tokenized;
mod view;
mod weighing;
mod worker;

pub use crate::backend::MemberInfo;
pub use crate::prompt::{Ending, Place, Prompt, Segment, Start};
pub use answer::{Answer, AnswerOptions, Event, Finish, Generation, Predicted};
pub use draft::{Drafted, Drafter, Lookup};
pub use error::EngineError;
pub use fusion::{Fusion, MAX_HYPOTHESES, MAX_SEQUENCES};
pub use lockstep::Lockstep;
pub use mapped::{Maps, lowest};
pub use meter::{Operation, Part, Spent};
pub use prompt_prefetch::{ExpectedPrompt, PromptPrefetch};
pub use reading::Prepared;
pub use replay::Recording;
pub use runtime::Standing;
pub use schedule::Occupancy;
pub use score_request::ScoreRequest;
pub use spec::{Loader, MemberSpec};

use crate::backend::Vocab;
use crate::constraint::Utf8;
use crate::vocab::sorted::SortedVocab;
use crate::vocab::{Alphabet, identical};
use schedule::{Pulse, Scheduler, TenantId};
use spin::Spinners;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use worker::Worker;

/// A loaded pack of members, shared by conversations.
///
/// ```
/// # fn is_shared<T: Send + Sync>() {}
/// is_shared::<packllm_engine::engine::Engine>();
/// ```
pub struct Engine {
    workers: Vec<Worker>,
    members: Vec<MemberInfo>,
    /// Their vocabularies, for splitting text.
    sorted: Vec<Arc<SortedVocab>>,
    /// What keeps a text valid UTF-8 in the vocabulary that was asked for last.
    utf8: Mutex<Option<(Arc<Vocab>, Utf8)>>,
    pulse: Arc<Pulse>,
    /// Conversations so far, and those that are open.
    names: AtomicU64,
    open: AtomicUsize,
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

    /// Tokens of context that every member has.
    #[must_use]
    pub fn smallest_context(&self) -> u32 {
        let contexts = self.members.iter().map(|m| m.limits.context);
        contexts.min().unwrap_or(0)
    }

    /// The alphabet that a fusion of the members has.
    ///
    /// # Errors
    /// [`EngineError::NotIdentical`] for the alphabet of tokens with different vocabularies.
    pub fn alphabet_of(&self, fusion: &Fusion) -> Result<Alphabet, EngineError> {
        let first = &self.members[0];
        let mut others = self.members.iter();
        let other = others.find(|m| !identical(&first.vocab, &m.vocab));
        Ok(match (fusion.alphabet, other) {
            (None, None) | (Some(Alphabet::Tokens), None) => Alphabet::Tokens,
            (None, Some(_)) | (Some(Alphabet::Bytes), _) => Alphabet::Bytes,
            (Some(Alphabet::Mapped), _) => Alphabet::Mapped,
            (Some(Alphabet::Tokens), Some(m)) => {
                let names = (first.name.clone(), m.name.clone());
                return Err(EngineError::NotIdentical(names.0, names.1));
            }
        })
    }

    /// Conversations that are open.
    #[must_use]
    pub fn conversations(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// Opens a conversation. It looks at `cancel` between two evaluations, and is stopped once that
    /// is raised; no other conversation is.
    ///
    /// # Errors
    /// [`EngineError::Panicked`], [`EngineError::Died`].
    pub fn lockstep(self: &Arc<Self>, cancel: Arc<AtomicBool>) -> Result<Lockstep, EngineError> {
        Lockstep::open(self, cancel)
    }

    /// How full the members' KV caches are, in order.
    ///
    /// # Errors
    /// [`EngineError::Panicked`], [`EngineError::Died`].
    pub fn occupancy(&self) -> Result<Vec<Occupancy>, EngineError> {
        self.ask_all(|_| |scheduler: &mut Scheduler| Ok(scheduler.occupancy()))
    }

    /// Valid UTF-8 in the tokens of a vocabulary. To make it takes milliseconds; a copy none.
    fn utf8(&self, vocab: &Arc<Vocab>) -> Utf8 {
        let mut last = self.utf8.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((of, utf8)) if Arc::ptr_eq(of, vocab) => utf8.clone(),
            _ => {
                let utf8 = Utf8::tokens(vocab);
                *last = Some((Arc::clone(vocab), utf8.clone()));
                utf8
            }
        }
    }

    fn next_name(&self) -> TenantId {
        self.names.fetch_add(1, Ordering::Relaxed)
    }
}
