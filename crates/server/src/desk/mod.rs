//! Where requests wait and answers are made: a queue, first come first served, and a thread for
//! each active conversation.
//!
//! A [`Ticket`] is a place in the queue and, later, the end of a channel. Who drops it leaves: out
//! of the queue at once, and an answer under way stops within one step.

mod event;
mod reason;
mod run;
mod scored;
mod shelf;
mod stop;
mod talk;
mod telling;
mod thought;
mod watched;

pub use event::{Begun, Ended, Event, Gathered, Gatherer, Kind, Message, More, Scored, Word};

use crate::config::Options;
use crate::error::Refusal;
use crate::facts::Facts;
use crate::request::{Prompt, Request};
use packllm_engine::pack::{Host, Pack};
use packllm_grammar::Grammars;
use shelf::Shelf;
use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Events that wait for a client that reads slowly.
const CHANNEL: usize = 64;

/// Where the pack comes from.
pub trait Source: Send + Sync {
    /// Loads the pack: at the start, and after it was unloaded.
    ///
    /// # Errors
    /// What the caller is told; clients only hear that it failed.
    fn load(&self) -> Result<Pack, Box<dyn Error + Send + Sync>>;

    /// Who hears the notes of a conversation, and has maps and the time.
    fn host(&self) -> Box<dyn Host + '_>;

    /// What went wrong, for whoever runs the server.
    fn trouble(&self, what: &str);
}

/// What is to be done.
#[derive(Debug, Clone)]
pub enum Job {
    Answer(Box<Request>),
    Count(Prompt),
}

/// A job, and who waits for it.
struct Order {
    id: u64,
    job: Job,
    to: mpsc::Sender<Message>,
}

/// How the pack is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Loading,
    Ready,
    /// Unloaded, until the next request.
    Asleep,
    Failed,
}

struct State {
    phase: Phase,
    waiting: VecDeque<Order>,
    /// Active conversations: what stops each, and since when it is there.
    running: BTreeMap<u64, Running>,
    shelf: Shelf,
    facts: Option<Arc<Facts>>,
    /// The last request came or went.
    used: Instant,
    /// No more is taken.
    closing: bool,
    /// A member's thread has ended: the pack has to be loaded anew.
    broken: bool,
    next: u64,
}

struct Running {
    cancel: Arc<AtomicBool>,
    /// Its place among those that may be active at once.
    slot: usize,
}

impl State {
    /// The first place that nobody has.
    fn free_slot(&self) -> usize {
        let is_taken = |slot: &usize| self.running.values().any(|r| r.slot == *slot);
        (0..).find(|slot| !is_taken(slot)).unwrap_or(0)
    }
}

/// See the module.
pub struct Desk {
    pub options: Arc<Options>,
    state: Mutex<State>,
    changed: Condvar,
    start: Instant,
    /// Milliseconds from `start` to the last step of anybody.
    progress: AtomicU64,
    pub totals: Totals,
    pub grammars: Grammars,
}

/// Sums since the start.
#[derive(Debug, Default)]
pub struct Totals {
    pub requests: AtomicU64,
    pub prompt_tokens: AtomicU64,
    pub cached_tokens: AtomicU64,
    pub prompt_micros: AtomicU64,
    pub tokens: AtomicU64,
    pub micros: AtomicU64,
}

/// The desk at this moment.
#[derive(Debug, Clone, Copy)]
pub struct Glance {
    pub phase: Phase,
    pub waiting: usize,
    pub running: usize,
    /// Somebody waits, and nobody has made a step for long.
    pub stalled: bool,
}

impl Desk {
    pub fn new(options: Arc<Options>) -> Arc<Self> {
        Arc::new(Self {
            options,
            state: Mutex::new(State {
                phase: Phase::Loading,
                waiting: VecDeque::new(),
                running: BTreeMap::new(),
                shelf: Shelf::default(),
                facts: None,
                used: Instant::now(),
                closing: false,
                broken: false,
                next: 0,
            }),
            changed: Condvar::new(),
            start: Instant::now(),
            progress: AtomicU64::new(0),
            totals: Totals::default(),
            grammars: Grammars::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place in the queue.
    ///
    /// # Errors
    /// It is full, the server ends, or the pack is not there and will not be.
    pub fn submit(self: &Arc<Self>, job: Job) -> Result<Ticket, Refusal> {
        let mut state = self.state();
        if state.closing {
            return Err(Refusal::unavailable("the server is shutting down"));
        }
        match state.phase {
            Phase::Loading if state.facts.is_none() => {
                return Err(Refusal::unavailable("the pack is loading"));
            }
            Phase::Failed => return Err(Refusal::unavailable("the pack could not be loaded")),
            _ => {}
        }
        let free = self.options.parallel.saturating_sub(state.running.len());
        if state.waiting.len() >= self.options.limits.queue + free {
            let message = format!("{} requests are waiting already", state.waiting.len());
            return Err(Refusal::unavailable(message));
        }
        if state.waiting.is_empty() && state.running.is_empty() {
            self.step();
        }
        let (to, events) = mpsc::channel(CHANNEL);
        let id = state.next;
        state.next += 1;
        state.waiting.push_back(Order { id, job, to });
        drop(state);
        self.changed.notify_all();
        let desk = Arc::clone(self);
        Ok(Ticket { desk, id, events })
    }

    /// Who had this place leaves.
    fn leave(&self, id: u64) {
        let mut state = self.state();
        state.waiting.retain(|order| order.id != id);
        if let Some(running) = state.running.get(&id) {
            running.cancel.store(true, Ordering::Relaxed);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// No more is taken; what was taken is answered.
    pub fn close(&self) {
        self.state().closing = true;
        self.changed.notify_all();
    }

    /// No more is taken, and answers under way stop.
    pub fn stop(&self) {
        let mut state = self.state();
        state.closing = true;
        state.waiting.clear();
        for running in state.running.values() {
            running.cancel.store(true, Ordering::Relaxed);
        }
        drop(state);
        self.changed.notify_all();
    }

    pub fn facts(&self) -> Option<Arc<Facts>> {
        self.state().facts.clone()
    }

    /// The request that has each place for an active conversation; None: nobody.
    pub fn slots(&self) -> Vec<Option<u64>> {
        let mut slots = vec![None; self.options.parallel];
        for (id, running) in &self.state().running {
            if let Some(slot) = slots.get_mut(running.slot) {
                *slot = Some(*id);
            }
        }
        slots
    }

    pub fn glance(&self) -> Glance {
        let state = self.state();
        let busy = !state.running.is_empty() || !state.waiting.is_empty();
        let still = self
            .start
            .elapsed()
            .saturating_sub(Duration::from_millis(self.progress.load(Ordering::Relaxed)));
        Glance {
            phase: state.phase,
            waiting: state.waiting.len(),
            running: state.running.len(),
            stalled: busy && state.phase == Phase::Ready && still > self.options.limits.stall,
        }
    }

    /// Somebody has made a step.
    fn step(&self) {
        let millis = u64::try_from(self.start.elapsed().as_millis());
        self.progress
            .store(millis.unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// A place in the queue, and what comes of it. Dropped, it is given up.
pub struct Ticket {
    desk: Arc<Desk>,
    id: u64,
    pub events: mpsc::Receiver<Message>,
}

impl Ticket {
    /// The next event; None: that was all.
    pub async fn next(&mut self) -> Option<Message> {
        self.events.recv().await
    }

    /// All of the answer.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn gather(mut self) -> Result<Gathered, Refusal> {
        let mut gatherer = Gatherer::default();
        while let Some(message) = self.next().await {
            gatherer.push(message?);
        }
        let broken = || Refusal::unavailable("the answer was stopped");
        gatherer.finish().ok_or_else(broken)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.desk.leave(self.id);
    }
}
