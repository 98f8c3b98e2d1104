//! The member's thread: it hands messages to conversations, lets them work until all wait for an
//! evaluation or for a message, and evaluates.
//!
//! A conversation is a task: an endless future that takes its messages one after the other. It
//! waits in two places only, for a message and for an evaluation, and this loop knows when either
//! has come; so tasks need no wakers.

use super::{Job, Loaded, Message, Tenancy};
use crate::backend::{BackendError, Member, MemberInfo, Pace, Watch};
use crate::engine::runtime::{Beginnings, MemberRuntime, Step};
use crate::engine::schedule::{Lease, Presence, Pulse, Scheduler, TenantId, drive};
use crate::engine::spec::MemberSpec;
use crate::engine::spin::Spinners;
use crate::vocab::sorted::SortedVocab;
use crossbeam::channel::{Receiver, Sender};
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

#[cfg(test)]
mod tests;

/// Longest wait for conversations that may join a batch. They mix and sample, which takes much
/// less; who takes longer is not waited for.
const GATHERING: Duration = Duration::from_millis(5);

/// How often a thread that waits for others to join looks whether any still could.
const LOOK: Duration = Duration::from_micros(100);

/// The thread's end.
pub(super) struct Inside {
    pub watch: Arc<Watch>,
    /// Stops the load, and what is read meanwhile.
    pub cancel: Arc<AtomicBool>,
    /// Tokens read meanwhile.
    pub prefetched: Arc<AtomicUsize>,
    pub pulse: Arc<Pulse>,
    pub spinners: Arc<Spinners>,
    pub announce: Sender<Result<Loaded, BackendError>>,
    pub messages: Receiver<Message>,
}

/// Messages to a conversation that it has not taken yet.
type Mailbox = Rc<RefCell<VecDeque<Work>>>;

/// What a conversation is asked to do.
enum Work {
    Call(Job),
    Step(Step),
}

/// A conversation on this thread.
struct Task {
    mailbox: Mailbox,
    future: Pin<Box<dyn Future<Output = ()>>>,
}

impl Inside {
    /// Loads the member, reads what is expected of it, and serves until all are gone.
    pub fn run(self, spec: MemberSpec) {
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
            pace: spec.pace,
        };
        let loaded = (info.clone(), Arc::clone(&sorted));
        if self.announce.send(Ok(loaded)).is_err() {
            return;
        }
        let mut service = Service::new(self, member, sorted, spec.pace);
        if let Some(expected) = spec.prefetch.and_then(|expect| expect(&info)) {
            let mut runtime = service.first_runtime();
            let scheduler = Rc::clone(&service.scheduler);
            drive(&scheduler, runtime.prefetch_prompt(expected));
            service.first = Some(runtime);
        }
        service.serve();
    }
}

struct Service {
    inside: Inside,
    scheduler: Rc<RefCell<Scheduler>>,
    sorted: Arc<SortedVocab>,
    // Dropped before the scheduler is: tasks give back what they have.
    tasks: BTreeMap<TenantId, Task>,
    beginnings: Beginnings,
    /// What prefetched a prompt, for the first conversation.
    first: Option<MemberRuntime>,
    /// Conversations that can go on.
    ready: Vec<TenantId>,
    /// Since when a batch waits for others to join.
    gathering: Option<Instant>,
}

/// What the thread waits for between two turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// Nothing: there is more to do.
    Nothing,
    /// A message.
    Message,
    /// Others who may join the next batch, for a moment.
    Others(Instant),
    /// Room in the cache. It may come without a message: who holds it is at work no longer.
    Room,
}

impl Service {
    fn new(inside: Inside, member: Box<dyn Member>, sorted: Arc<SortedVocab>, pace: Pace) -> Self {
        let scheduler = Scheduler::new(member, Arc::clone(&inside.watch), pace);
        Self {
            inside,
            scheduler: Rc::new(RefCell::new(scheduler)),
            sorted,
            tasks: BTreeMap::new(),
            beginnings: Beginnings::default(),
            first: None,
            ready: Vec::new(),
            gathering: None,
        }
    }

    /// Takes turns until all are gone.
    fn serve(&mut self) {
        loop {
            let message = match self.turn() {
                Wait::Nothing => None,
                Wait::Message => match self.next_message() {
                    None => return,
                    message => message,
                },
                Wait::Others(since) => self.message_of_others(since),
                Wait::Room => self.inside.messages.recv_timeout(GATHERING).ok(),
            };
            if let Some(message) = message {
                self.take(message);
            }
        }
    }

    /// Hands over all messages, lets conversations work, and evaluates a batch if nobody is about
    /// to join it.
    fn turn(&mut self) -> Wait {
        while let Ok(message) = self.inside.messages.try_recv() {
            self.take(message);
        }
        self.go_on();
        if !self.scheduler.borrow().has_requests() {
            self.gathering = None;
            return Wait::Message;
        }
        let since = *self.gathering.get_or_insert_with(Instant::now);
        if self.inside.pulse.is_running() && since.elapsed() < GATHERING {
            return Wait::Others(since);
        }
        self.gathering = None;
        let mut scheduler = self.scheduler.borrow_mut();
        let went_on = scheduler.evaluate();
        scheduler.take_finished(&mut self.ready);
        match went_on {
            true => Wait::Nothing,
            false => Wait::Room,
        }
    }

    /// The next message, as long as anybody may send one.
    fn next_message(&self) -> Option<Message> {
        let Inside {
            spinners, messages, ..
        } = &self.inside;
        spinners.soon(messages).or_else(|| messages.recv().ok())
    }

    /// Waits a moment for a message of a conversation that may join the next batch.
    fn message_of_others(&self, since: Instant) -> Option<Message> {
        let Inside {
            spinners,
            messages,
            pulse,
            ..
        } = &self.inside;
        let left = GATHERING.saturating_sub(since.elapsed());
        let found = spinners.soon_while(messages, left, &|| pulse.is_running());
        // Where no core is free to look, it sleeps.
        found.or_else(|| match pulse.is_running() {
            true => messages.recv_timeout(LOOK).ok(),
            false => None,
        })
    }

    /// Hands a message over.
    fn take(&mut self, message: Message) {
        match message {
            Message::Open(id, tenancy) => self.open(id, tenancy),
            Message::Close(id) => drop(self.tasks.remove(&id)),
            Message::Call(id, call) => self.deliver(id, Work::Call(call)),
            Message::Step(id, step) => self.deliver(id, Work::Step(step)),
            Message::Ask(call) => call(&mut self.scheduler.borrow_mut()),
        }
    }

    fn deliver(&mut self, id: TenantId, work: Work) {
        if let Some(task) = self.tasks.get(&id) {
            task.mailbox.borrow_mut().push_back(work);
            self.ready.push(id);
        }
    }

    fn open(&mut self, id: TenantId, tenancy: Tenancy) {
        let Tenancy {
            presence,
            cancel,
            read,
            outbox,
        } = tenancy;
        let runtime = match self.first.take() {
            Some(mut first) => {
                first.move_in(id, presence, cancel, read);
                first
            }
            None => self.runtime(id, presence, cancel, read),
        };
        let mailbox = Mailbox::default();
        let future = Box::pin(converse(runtime, Rc::clone(&mailbox), outbox));
        self.tasks.insert(id, Task { mailbox, future });
    }

    fn runtime(
        &self,
        id: TenantId,
        presence: Arc<Presence>,
        cancel: Arc<AtomicBool>,
        read: Arc<AtomicUsize>,
    ) -> MemberRuntime {
        let lease = Lease::new(&self.scheduler, id, presence, cancel);
        let beginnings = Rc::clone(&self.beginnings);
        MemberRuntime::new(lease, Arc::clone(&self.sorted), beginnings, read)
    }

    /// Of nobody yet.
    fn first_runtime(&self) -> MemberRuntime {
        let presence = Arc::new(Presence::new(&self.inside.pulse));
        let (cancel, read) = (&self.inside.cancel, &self.inside.prefetched);
        self.runtime(
            TenantId::MAX,
            presence,
            Arc::clone(cancel),
            Arc::clone(read),
        )
    }

    /// Lets all conversations that can go on work until they wait.
    fn go_on(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        let mut ready = std::mem::take(&mut self.ready);
        for id in ready.drain(..) {
            let Some(task) = self.tasks.get_mut(&id) else {
                continue;
            };
            if task.future.as_mut().poll(&mut context).is_ready() {
                self.tasks.remove(&id);
            }
        }
        // Nothing became ready meanwhile; its room is kept.
        self.ready = ready;
    }
}

/// A conversation: it does what it is asked to, until nobody waits for its steps.
async fn converse(
    mut runtime: MemberRuntime,
    mailbox: Mailbox,
    outbox: Sender<Result<Step, BackendError>>,
) {
    loop {
        let work = poll_fn(|_| match mailbox.borrow_mut().pop_front() {
            Some(work) => Poll::Ready(work),
            None => Poll::Pending,
        });
        let work = work.await;
        match work {
            Work::Call(call) => call(&mut runtime).await,
            Work::Step(step) => {
                if outbox.send(runtime.step(step).await).is_err() {
                    return;
                }
            }
        }
    }
}
