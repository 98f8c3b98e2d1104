//! Several questions at a time, each in a conversation of its own with one loaded pack.
//!
//! What the conversations ask of a member goes into the same batches, and weights of one question
//! are derived while members evaluate others. A question is decided the same way whoever is beside
//! it, but kernels round a little differently for batches of another shape: a pick can differ from
//! that of a run with one conversation where two scores are [nearly equal](super::is_near_tie).

use packllm_engine::engine::EngineError;
use packllm_engine::pack::{Conversation, PackError};
use packllm_engine::vocab::Alphabet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// What comes of a question, where so many are decided at the same time.
pub type Decide<'a, Q, V> = dyn Fn(u32, &mut Conversation, &Q) -> Result<V, PackError> + Sync + 'a;

/// What is told of every question: its number, and what came of it.
pub type Take<'a, V, E> = dyn FnMut(usize, Result<V, PackError>) -> Result<(), E> + Send + 'a;

/// Decides all questions. Each conversation takes the next one as soon as it has decided one, on a
/// thread of its own; they have to be configured alike. Where questions come after the same
/// examples, the conversations `share` what the first question has read of them.
///
/// `take` is given the number of each question, from 0, and what came of it, one at a time, in the
/// order in which they are decided. Once it fails no further question is begun; those under way are
/// still handed to it.
///
/// # Errors
/// What `take` made of the first question, in order, at which it failed.
pub fn decide_all<Q: Sync, V: Send, E: Send>(
    conversations: &mut [Conversation],
    questions: &[Q],
    share: bool,
    decide: &Decide<'_, Q, V>,
    take: &mut Take<'_, V, E>,
) -> Result<(), E> {
    let run = Run {
        decide,
        questions,
        next: AtomicUsize::new(0),
        over: AtomicBool::new(false),
        taking: Mutex::new(Taking {
            take,
            failure: None,
        }),
    };
    if let [first, others @ ..] = conversations
        && !others.is_empty()
        && share
        // Otherwise nothing is kept from one question to the next.
        && first.lockstep.alphabet() != Alphabet::Mapped
    {
        run.decide_next(1, first);
        others.iter_mut().for_each(|other| join(other, first));
    }
    let at_once = conversations.len().max(1) as u32;
    thread::scope(|scope| {
        let mut conversations = conversations.iter_mut();
        let own = conversations.next();
        for other in conversations {
            scope.spawn(|| while run.decide_next(at_once, other) {});
        }
        if let Some(own) = own {
            while run.decide_next(at_once, own) {}
        }
    });
    let taking = run.taking.into_inner();
    let taking = taking.unwrap_or_else(PoisonError::into_inner);
    taking.failure.map_or(Ok(()), |(_, error)| Err(error))
}

/// Goes on from what another conversation has read. If that fails it reads by itself, and says then
/// what is wrong.
fn join(conversation: &mut Conversation, other: &Conversation) {
    if let Ok(fork) = other.fork(Arc::clone(conversation.lockstep.cancel_flag())) {
        *conversation = fork;
    }
}

/// Questions on their way.
struct Run<'a, 'b, Q, V, E> {
    decide: &'a Decide<'a, Q, V>,
    questions: &'a [Q],
    /// The next question.
    next: AtomicUsize,
    /// Whether no further one is begun.
    over: AtomicBool,
    taking: Mutex<Taking<'a, 'b, V, E>>,
}

/// Who is told what came of a question, and the first failure in order.
struct Taking<'a, 'b, V, E> {
    take: &'a mut Take<'b, V, E>,
    failure: Option<(usize, E)>,
}

impl<Q, V, E> Run<'_, '_, Q, V, E> {
    /// Decides the next question where so many are decided at the same time. False if there is none.
    fn decide_next(&self, at_once: u32, conversation: &mut Conversation) -> bool {
        if self.over.load(Ordering::Relaxed) {
            return false;
        }
        let i = self.next.fetch_add(1, Ordering::Relaxed);
        let Some(question) = self.questions.get(i) else {
            return false;
        };
        let cancelled = conversation.lockstep.cancel_flag().load(Ordering::Relaxed);
        let verdict = match cancelled {
            true => Err(EngineError::Cancelled.into()),
            false => (self.decide)(at_once, conversation, question),
        };
        if matches!(verdict, Err(PackError::Engine(EngineError::Cancelled))) {
            // An answer lowers the flag that stopped it; the others are to see it as well.
            conversation
                .lockstep
                .cancel_flag()
                .store(true, Ordering::Relaxed);
        }
        let mut taking = self.taking.lock().unwrap_or_else(PoisonError::into_inner);
        let Taking { take, failure } = &mut *taking;
        if let Err(error) = take(i, verdict) {
            self.over.store(true, Ordering::Relaxed);
            // All before it were begun before it, so the first to fail is always found.
            if failure.as_ref().is_none_or(|(first, _)| i < *first) {
                *failure = Some((i, error));
            }
        }
        true
    }
}
