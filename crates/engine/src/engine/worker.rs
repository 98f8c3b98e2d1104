//! One OS thread a member, shared by all conversations of a pack: calls in, answers out, joined on
//! drop.
//!
//! A call is an async closure that runs on the member's thread, with what the conversation has
//! there, its [`MemberRuntime`]. Each call has a channel of its own for the answer, so the answer
//! has the type of the call. A [`Step`] is asked once a symbol: it goes there and back by value
//! over a channel that stays, and allocates next to nothing: a block of that channel now and then.
//!
//! A call that panics ends the thread and closes its channels. A caller that waits then gets an
//! error at once, and so does every later caller. The error carries the panic's message, which is
//! taken when the thread is joined. What is still in the inbox is dropped with its receiver, and
//! with it the senders of its answers: a bounded channel of crossbeam would keep both, and their
//! callers would wait for ever.

mod seat;
mod service;

pub(super) use seat::Seat;

use super::runtime::{MemberRuntime, Step};
use super::schedule::{Presence, Pulse, Scheduler, TenantId};
use super::spec::MemberSpec;
use super::spin::Spinners;
use crate::backend::{BackendError, MemberInfo, Watch};
use crate::vocab::sorted::SortedVocab;
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Something to be done on a member's thread.
pub(super) trait Call<T>:
    AsyncFnOnce(&mut MemberRuntime) -> Result<T, BackendError> + Send + 'static
{
}

impl<T, F> Call<T> for F where
    F: AsyncFnOnce(&mut MemberRuntime) -> Result<T, BackendError> + Send + 'static
{
}

/// A call without its answer, which it sends itself.
type Job = Box<dyn for<'a> FnOnce(&'a mut MemberRuntime) -> Work<'a> + Send>;

/// A job under way.
type Work<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// What a thread says once its member is loaded.
pub(super) type Loaded = (MemberInfo, Arc<SortedVocab>);

/// Where the answer to a call arrives.
pub(super) type Pending<T> = Receiver<Result<T, BackendError>>;

/// What a thread is sent.
enum Message {
    Open(TenantId, Tenancy),
    Close(TenantId),
    Call(TenantId, Job),
    Step(TenantId, Step),
    /// Of no conversation.
    Ask(Box<dyn FnOnce(&mut Scheduler) + Send>),
}

/// A conversation that moves in.
struct Tenancy {
    presence: Arc<Presence>,
    cancel: Arc<AtomicBool>,
    /// Tokens read of the prompt that is being evaluated.
    read: Arc<AtomicUsize>,
    outbox: Sender<Result<Step, BackendError>>,
}

/// How often a caller that waits for an answer looks at the progress, and at whether it still wants
/// the answer.
const TICK: Duration = Duration::from_millis(20);

/// The other end of a member's thread.
pub(super) struct Worker {
    inbox: Option<Sender<Message>>,
    loaded: Pending<Loaded>,
    pub watch: Arc<Watch>,
    spinners: Arc<Spinners>,
    /// Tokens of a prefetched prompt read so far.
    prefetched: Arc<AtomicUsize>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Once the thread has ended: what its panic said.
    panic: OnceLock<Option<String>>,
}

impl Worker {
    /// Starts a thread that loads a member and then serves conversations.
    pub fn start(
        spec: MemberSpec,
        cancel: &Arc<AtomicBool>,
        pulse: &Arc<Pulse>,
        spinners: &Arc<Spinners>,
    ) -> std::io::Result<Self> {
        let (inbox, messages) = unbounded();
        let watch = Arc::new(Watch::new(Arc::clone(cancel)));
        let prefetched = Arc::new(AtomicUsize::new(0));
        let (announce, loaded) = bounded(1);
        let name = format!("member {}", spec.name);
        let inside = service::Inside {
            watch: Arc::clone(&watch),
            cancel: Arc::clone(cancel),
            prefetched: Arc::clone(&prefetched),
            pulse: Arc::clone(pulse),
            spinners: Arc::clone(spinners),
            announce,
            messages,
        };
        let thread = std::thread::Builder::new()
            .name(name)
            .spawn(move || inside.run(spec))?;
        Ok(Self {
            inbox: Some(inbox),
            loaded,
            watch,
            spinners: Arc::clone(spinners),
            prefetched,
            thread: Mutex::new(Some(thread)),
            panic: OnceLock::new(),
        })
    }

    /// Waits a while for the load. None: not yet.
    pub fn wait_loaded(&self, timeout: Duration) -> Option<Result<Loaded, Gone>> {
        match self.loaded.recv_timeout(timeout) {
            Ok(result) => Some(result.map_err(Gone::Failed)),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Err(self.ended())),
        }
    }

    /// Has something done that is of no conversation.
    ///
    /// # Errors
    /// [`Gone::Ended`].
    pub fn ask<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Scheduler) -> Result<T, BackendError> + Send + 'static,
    ) -> Result<Pending<T>, Gone> {
        let (reply, answer) = bounded(1);
        self.send(Message::Ask(Box::new(move |scheduler| {
            drop(reply.send(call(scheduler)));
        })))?;
        Ok(answer)
    }

    /// Waits for the answer; `tick` is called now and then.
    ///
    /// # Errors
    /// The call's own, and [`Gone::Ended`].
    pub fn answer<T>(&self, answer: &Pending<T>, tick: &mut dyn FnMut()) -> Result<T, Gone> {
        loop {
            match answer.recv_timeout(TICK) {
                Ok(reply) => return reply.map_err(Gone::Failed),
                Err(RecvTimeoutError::Timeout) => tick(),
                Err(RecvTimeoutError::Disconnected) => return Err(self.ended()),
            }
        }
    }

    /// Tokens read so far of the prompt that is prefetched.
    pub fn tokens_prefetched(&self) -> usize {
        self.prefetched.load(Ordering::Relaxed)
    }

    fn send(&self, message: Message) -> Result<(), Gone> {
        match &self.inbox {
            Some(inbox) => inbox.send(message).map_err(|_| self.ended()),
            None => Err(self.ended()),
        }
    }

    /// Why there is no answer: a channel closes only when its thread ends.
    fn ended(&self) -> Gone {
        let panic = self.panic.get_or_init(|| {
            let panic = self.take_thread()?.join().err()?;
            said(&*panic)
        });
        Gone::Ended(panic.clone())
    }

    fn take_thread(&self) -> Option<JoinHandle<()>> {
        let thread = self.thread.lock();
        thread.unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Why a worker did not answer.
#[derive(Debug)]
pub(super) enum Gone {
    /// It answered with an error.
    Failed(BackendError),
    /// Its answer was not waited for.
    Left,
    /// Its thread ended, and what its panic said: a bug.
    Ended(Option<String>),
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Without a sender the thread's loop ends.
        self.inbox = None;
        if let Some(thread) = self.take_thread() {
            drop(thread.join());
        }
    }
}

/// What a panic says, if it is a text.
fn said(panic: &(dyn Any + Send)) -> Option<String> {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
}
