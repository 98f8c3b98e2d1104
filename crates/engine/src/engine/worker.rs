//! One OS thread a member: calls in, answers out, joined on drop.
//!
//! A call is a closure that runs on the member's thread. Each call has a channel of its own for the
//! answer, so the answer has the type of the call. A [`Step`] is asked once a symbol: it goes there
//! and back by value over a channel that stays, and allocates nothing.
//!
//! A call that panics ends the thread and closes its channels. A caller that waits then gets an
//! error at once, and so does every later caller. The error carries the panic's message, which is
//! taken when the thread is joined.

use super::meter::Metered;
use super::runtime::{MemberRuntime, Step};
use super::spec::MemberSpec;
use crate::backend::{BackendError, MemberInfo, Watch};
use crate::vocab::sorted::SortedVocab;
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded};
use std::any::Any;
use std::cell::{Cell, OnceCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Something to be done on a member's thread.
pub(super) trait Call<T>:
    FnOnce(&mut MemberRuntime) -> Result<T, BackendError> + Send + 'static
{
}

impl<T, F> Call<T> for F where
    F: FnOnce(&mut MemberRuntime) -> Result<T, BackendError> + Send + 'static
{
}

/// Where the answer to a call arrives.
pub(super) type Pending<T> = Receiver<Result<T, BackendError>>;

/// What a thread is sent.
enum Message {
    /// Sends its answer itself.
    Call(Box<dyn FnOnce(&mut MemberRuntime) + Send>),
    Step(Step),
}

/// The coordinator's end of a member's thread.
pub(super) struct Worker {
    inbox: Option<Sender<Message>>,
    steps: Pending<Step>,
    loaded: Pending<MemberInfo>,
    pub watch: Arc<Watch>,
    /// Tokens read of the prompt that is being evaluated.
    read: Arc<AtomicUsize>,
    /// Waits for an answer that is still to come and that its caller has given up.
    owed: Cell<Option<Box<dyn FnOnce() + Send>>>,
    thread: Cell<Option<JoinHandle<()>>>,
    /// Once the thread has ended: what its panic said.
    panic: OnceCell<Option<String>>,
}

/// How often a caller that waits for an answer looks at the progress, and at whether it still wants
/// the answer.
const TICK: Duration = Duration::from_millis(20);

/// How long a thread looks for a message, giving way to others, before it sleeps.
const PATIENCE: Duration = Duration::from_micros(200);

impl Worker {
    /// Starts a thread that loads a member and then serves calls.
    pub fn start(spec: MemberSpec, watch: Arc<Watch>) -> std::io::Result<Self> {
        let (inbox, messages) = bounded(1);
        let (outbox, steps) = bounded(1);
        let (announce, loaded) = bounded(1);
        let read = Arc::new(AtomicUsize::new(0));
        let inside = Inside {
            watch: Arc::clone(&watch),
            read: Arc::clone(&read),
            announce,
            messages,
            outbox,
        };
        let thread = std::thread::Builder::new()
            .name(format!("member {}", spec.name))
            .spawn(move || inside.run(spec))?;
        Ok(Self {
            inbox: Some(inbox),
            steps,
            loaded,
            watch,
            read,
            owed: Cell::default(),
            thread: Cell::new(Some(thread)),
            panic: OnceCell::new(),
        })
    }

    /// Waits a while for the load. None: not yet.
    pub fn wait_loaded(&self, timeout: Duration) -> Option<Result<MemberInfo, Gone>> {
        match self.loaded.recv_timeout(timeout) {
            Ok(result) => Some(result.map_err(Gone::Failed)),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Err(self.ended())),
        }
    }

    /// Sends a call. Its answer has to be [waited](Worker::wait_while) for.
    ///
    /// # Errors
    /// [`Gone::Ended`].
    pub fn call<T: Send + 'static>(&self, call: impl Call<T>) -> Result<Pending<T>, Gone> {
        let (reply, answer) = bounded(1);
        // The receiver is gone if the caller has given the answer up.
        let answering = move |runtime: &mut MemberRuntime| drop(reply.send(call(runtime)));
        self.send(Message::Call(Box::new(answering)))?;
        Ok(answer)
    }

    /// Waits for the answer as long as it is `wanted`, which is checked now and then. An answer
    /// that comes later is thrown away.
    ///
    /// # Errors
    /// [`Gone::Left`] if it is not wanted any more; the call's own, and [`Gone::Ended`].
    pub fn wait_while<T: Send + 'static>(
        &self,
        answer: Pending<T>,
        wanted: &mut dyn FnMut() -> bool,
    ) -> Result<T, Gone> {
        if let Some(reply) = soon(&answer) {
            return reply.map_err(Gone::Failed);
        }
        loop {
            match answer.recv_timeout(TICK) {
                Ok(reply) => return reply.map_err(Gone::Failed),
                Err(RecvTimeoutError::Timeout) if wanted() => {}
                Err(RecvTimeoutError::Timeout) => {
                    self.owed.set(Some(Box::new(move || drop(answer.recv()))));
                    return Err(Gone::Left);
                }
                Err(RecvTimeoutError::Disconnected) => return Err(self.ended()),
            }
        }
    }

    /// Sends a step. It has to be [taken back](Worker::wait_step) before anything else is asked.
    ///
    /// # Errors
    /// [`Gone::Ended`].
    pub fn step(&self, step: Step) -> Result<(), Gone> {
        self.send(Message::Step(step))
    }

    /// Takes the step back.
    ///
    /// # Errors
    /// The member's, and [`Gone::Ended`].
    pub fn wait_step(&self) -> Result<Step, Gone> {
        match soon(&self.steps).map_or_else(|| self.steps.recv(), Ok) {
            Ok(step) => step.map_err(Gone::Failed),
            Err(_) => Err(self.ended()),
        }
    }

    fn send(&self, message: Message) -> Result<(), Gone> {
        self.settle();
        match &self.inbox {
            Some(inbox) => inbox.send(message).map_err(|_| self.ended()),
            None => Err(self.ended()),
        }
    }

    /// Waits for an answer that its caller has given up, if there is one.
    pub fn settle(&self) {
        if let Some(wait) = self.owed.take() {
            wait();
        }
    }

    /// Tokens read so far of the prompt that is being evaluated, or was last.
    pub fn tokens_read(&self) -> usize {
        self.read.load(Ordering::Relaxed)
    }

    /// Why there is no answer: a channel closes only when its thread ends.
    fn ended(&self) -> Gone {
        let panic = self.panic.get_or_init(|| {
            let panic = self.thread.take()?.join().err()?;
            said(&*panic)
        });
        Gone::Ended(panic.clone())
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
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// What a panic says, if it is a text.
fn said(panic: &(dyn Any + Send)) -> Option<String> {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
}

/// What comes within [`PATIENCE`]. Most bytes need no evaluation and are answered in some ten
/// microseconds, and to be put to sleep and woken up for each takes longer than that.
fn soon<T>(channel: &Receiver<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        match channel.try_recv() {
            Ok(message) => return Some(message),
            Err(TryRecvError::Empty) if start.elapsed() < PATIENCE => std::thread::yield_now(),
            Err(_) => return None,
        }
    }
}

/// The thread's end.
struct Inside {
    watch: Arc<Watch>,
    read: Arc<AtomicUsize>,
    announce: Sender<Result<MemberInfo, BackendError>>,
    messages: Receiver<Message>,
    outbox: Sender<Result<Step, BackendError>>,
}

impl Inside {
    /// Loads the member, reads what is expected of it, and serves until the coordinator goes.
    fn run(self, spec: MemberSpec) {
        let start = Instant::now();
        let member = match (spec.loader)(&self.watch) {
            Ok(member) => member,
            // The receiver is gone if another member failed first.
            Err(error) => return drop(self.announce.send(Err(error))),
        };
        let vocab = Arc::clone(member.vocab());
        let sorted = Arc::new(SortedVocab::new(&vocab));
        let info = MemberInfo {
            name: spec.name,
            description: member.description().clone(),
            limits: member.limits(),
            vocab,
            load_time: start.elapsed(),
        };
        if self.announce.send(Ok(info.clone())).is_err() {
            return;
        }
        let read = Arc::clone(&self.read);
        let mut runtime = MemberRuntime::new(Metered::new(member), sorted, read);
        if let Some(expected) = spec.prefetch.and_then(|expect| expect(&info)) {
            runtime.prefetch_prompt(expected);
        }
        self.serve(runtime);
    }

    fn serve(&self, mut runtime: MemberRuntime) {
        while let Some(message) = soon(&self.messages).or_else(|| self.messages.recv().ok()) {
            runtime.member.mark_step();
            match message {
                Message::Call(call) => call(&mut runtime),
                Message::Step(step) => {
                    if self.outbox.send(runtime.step(step)).is_err() {
                        return;
                    }
                }
            }
        }
    }
}
