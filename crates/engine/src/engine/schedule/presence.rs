//! Which conversations are at work, so that a batch waits for those that are about to join it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicIsize, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a conversation between two calls still counts as one at work.
const PAUSE: Duration = Duration::from_millis(50);

/// What the members of a pack know of its conversations.
#[derive(Debug)]
pub(in crate::engine) struct Pulse {
    /// Conversations inside a call and waiting for no evaluation: they will ask for one soon. May
    /// be less for a moment where a call was given up.
    running: AtomicIsize,
    tickets: AtomicU64,
    start: Instant,
}

/// One conversation, as the members of its pack see it.
#[derive(Debug)]
pub(in crate::engine) struct Presence {
    pulse: Arc<Pulse>,
    /// Calls that it is inside of, and the number of the last one.
    inside: AtomicU32,
    call: AtomicU32,
    /// Members at which it waits for an evaluation.
    waiting: AtomicU32,
    /// Its place among those at work, from 1; 0 if it is not.
    ticket: AtomicU64,
    /// When it was last inside: milliseconds since the start.
    seen: AtomicU64,
    /// Whether an answer is under way.
    answering: AtomicBool,
    /// Whether it stays in the KV caches though others need room.
    stays: AtomicBool,
}

/// A call, until it is dropped.
pub(in crate::engine) struct Inside(Arc<Presence>);

impl Default for Pulse {
    fn default() -> Self {
        Self {
            running: AtomicIsize::new(0),
            tickets: AtomicU64::new(0),
            start: Instant::now(),
        }
    }
}

impl Pulse {
    /// Whether a conversation is about to ask for an evaluation.
    pub fn is_running(&self) -> bool {
        self.running.load(Ordering::SeqCst) > 0
    }

    fn now(&self) -> u64 {
        self.start.elapsed().as_millis() as u64
    }
}

impl Presence {
    /// A conversation that does nothing yet.
    pub fn new(pulse: &Arc<Pulse>) -> Self {
        Self {
            pulse: Arc::clone(pulse),
            inside: AtomicU32::new(0),
            call: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
            ticket: AtomicU64::new(0),
            seen: AtomicU64::new(0),
            answering: AtomicBool::new(false),
            stays: AtomicBool::new(false),
        }
    }

    /// A call begins.
    pub fn enter(self: &Arc<Self>) -> Inside {
        if self.rank().is_err() && self.inside.load(Ordering::SeqCst) == 0 {
            let ticket = self.pulse.tickets.fetch_add(1, Ordering::Relaxed) + 1;
            self.ticket.store(ticket, Ordering::Relaxed);
        }
        if self.inside.fetch_add(1, Ordering::SeqCst) == 0 {
            self.pulse.running.fetch_add(1, Ordering::SeqCst);
        }
        Inside(Arc::clone(self))
    }

    /// From now on it stays in the KV caches, or leaves where others need room.
    pub fn stay(&self, stays: bool) {
        self.stays.store(stays, Ordering::Relaxed);
    }

    /// Whether it may have to leave them.
    pub fn may_leave(&self) -> bool {
        !self.stays.load(Ordering::Relaxed)
    }

    /// An answer begins.
    pub fn begin_answer(&self) {
        self.answering.store(true, Ordering::Relaxed);
    }

    /// Its answer is over: whoever is at work comes before it.
    pub fn rest(&self) {
        self.answering.store(false, Ordering::Relaxed);
        self.ticket.store(0, Ordering::Relaxed);
    }

    /// Whether an answer is under way, and was lately.
    pub fn is_answering(&self) -> bool {
        self.answering.load(Ordering::Relaxed) && self.rank().is_ok()
    }

    /// The members are asked for something, all at once.
    pub fn next_call(&self) {
        self.call.fetch_add(1, Ordering::Relaxed);
    }

    /// How often they were.
    pub fn call(&self) -> u32 {
        self.call.load(Ordering::Relaxed)
    }

    /// It waits for an evaluation of a member.
    pub fn wait(&self) {
        if self.waiting.fetch_add(1, Ordering::SeqCst) == 0 {
            self.pulse.running.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// It waits for it no longer.
    pub fn go_on(&self) {
        if self.waiting.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.pulse.running.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Its place among the conversations at work: who came first has the lower one. Idle ones have
    /// none, and when they were last seen.
    pub fn rank(&self) -> Result<u64, u64> {
        let (ticket, seen) = (
            self.ticket.load(Ordering::Relaxed),
            self.seen.load(Ordering::Relaxed),
        );
        let inside = self.inside.load(Ordering::SeqCst) > 0;
        let recent = self.pulse.now().saturating_sub(seen) < PAUSE.as_millis() as u64;
        match ticket > 0 && (inside || recent) {
            true => Ok(ticket),
            false => Err(seen),
        }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let Self(presence) = self;
        presence.seen.store(presence.pulse.now(), Ordering::Relaxed);
        if presence.inside.fetch_sub(1, Ordering::SeqCst) == 1 {
            presence.pulse.running.fetch_sub(1, Ordering::SeqCst);
        }
    }
}
