//! Several questions at a time, each in a conversation of its own with one loaded pack.
//!
//! What the conversations ask of a member goes into the same batches, and weights of one question
//! are derived while members evaluate others. A question is decided the same way whoever is beside
//! it, but kernels round a little differently for batches of another shape: a pick can differ from
//! that of a run with one conversation where two scores are [nearly equal](super::is_near_tie).

use super::judge::{Judge, Verdict};
use super::layout::Sheet;
use packllm_engine::engine::{EngineError, Lockstep};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Decides all questions. Each conversation takes the next one as soon as it has decided one, on a
/// thread of its own; they have to be configured alike.
///
/// `take` is given the number of each question, from 0, and what came of it, one at a time, in the
/// order in which they are decided. Once it fails, or a conversation is cancelled, no further
/// question is begun; those under way are still handed to it.
///
/// # Errors
/// What `take` made of the first question, in order, at which it failed.
pub fn decide_all<E: Send>(
    judge: &Judge,
    conversations: &mut [Lockstep],
    sheets: &[&Sheet],
    take: &mut (dyn FnMut(usize, Result<Verdict, EngineError>) -> Result<(), E> + Send),
) -> Result<(), E> {
    let (next, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let taking = Mutex::new((take, None));
    let at_once = conversations.len().max(1) as u32;
    let work = |conversation: &mut Lockstep| {
        while !over.load(Ordering::Relaxed) {
            let i = next.fetch_add(1, Ordering::Relaxed);
            let Some(sheet) = sheets.get(i) else { return };
            let verdict = match conversation.cancel_flag().load(Ordering::Relaxed) {
                true => Err(EngineError::Cancelled),
                false => judge.decide_among(at_once, conversation, sheet),
            };
            let mut taking = taking.lock().unwrap_or_else(PoisonError::into_inner);
            let (take, failure) = &mut *taking;
            if let Err(error) = take(i, verdict) {
                over.store(true, Ordering::Relaxed);
                // Whoever is before it was begun before it, so the first to fail is always found.
                if failure.as_ref().is_none_or(|(first, _)| i < *first) {
                    *failure = Some((i, error));
                }
            }
        }
    };
    thread::scope(|scope| {
        let mut conversations = conversations.iter_mut();
        let own = conversations.next();
        for other in conversations {
            scope.spawn(|| work(other));
        }
        own.map(work);
    });
    let (_, failure) = taking.into_inner().unwrap_or_else(PoisonError::into_inner);
    failure.map_or(Ok(()), |(_, error)| Err(error))
}
