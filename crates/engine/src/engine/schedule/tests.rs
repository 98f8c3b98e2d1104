//! The scheduler on a fake, without threads. The fake's rule depends on every token before, so
//! whatever was read again in another place, or beside others, must predict the very same.

use super::presence::Inside;
use super::{Lease, Presence, Pulse, Scheduler, TenantId};
use crate::backend::fake::{FakeMember, FakeOptions};
use crate::backend::{
    BackendError, BatchToken, Description, Limits, Member, SeqId, Token, Vocab, Watch,
};
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

mod batches;
mod cells;
mod failures;
mod property;
mod room;

const PIECES: &[&[u8]] = &[b"a", b"b", b"c", b"d", b"e", b"f", b"g"];

/// What a context holds where a test says nothing else.
const LIMITS: Limits = Limits {
    context: 256,
    batch: 64,
    outputs: 64,
    sequences: 8,
};

/// What is seen of a member from outside.
#[derive(Default)]
struct Seen {
    cells: Cell<usize>,
    batches: RefCell<Vec<Vec<BatchToken>>>,
    /// Batches with this token fail.
    poison: Cell<Option<Token>>,
}

/// A fake that is looked at.
struct Watched {
    fake: FakeMember,
    seen: Rc<Seen>,
}

impl Watched {
    fn look<T>(&self, result: T) -> T {
        self.seen.cells.set(self.fake.cells_in_use());
        result
    }
}

impl Member for Watched {
    fn vocab(&self) -> &Arc<Vocab> {
        self.fake.vocab()
    }

    fn limits(&self) -> Limits {
        self.fake.limits()
    }

    fn description(&self) -> &Description {
        self.fake.description()
    }

    fn tokenize(&mut self, text: &str, markup: bool) -> Result<Vec<Token>, BackendError> {
        self.fake.tokenize(text, markup)
    }

    fn decode(&mut self, batch: &[BatchToken]) -> Result<(), BackendError> {
        self.seen.batches.borrow_mut().push(batch.to_vec());
        let poison = self.seen.poison.get();
        if batch.iter().any(|entry| Some(entry.token) == poison) {
            return Err(told_to_fail());
        }
        let result = self.fake.decode(batch);
        self.look(result)
    }

    fn logits(&self, index: usize) -> Result<&[f32], BackendError> {
        self.fake.logits(index)
    }

    fn seq_copy(&mut self, from: SeqId, to: SeqId, len: u32) -> Result<(), BackendError> {
        let result = self.fake.seq_copy(from, to, len);
        self.look(result)
    }

    fn seq_truncate(&mut self, seq: SeqId, len: u32) -> Result<(), BackendError> {
        let result = self.fake.seq_truncate(seq, len);
        self.look(result)
    }

    fn seq_len(&self, seq: SeqId) -> u32 {
        self.fake.seq_len(seq)
    }

    fn save(&mut self) -> Result<Vec<u8>, BackendError> {
        self.fake.save()
    }

    fn restore(&mut self, state: &[u8], len: u32) -> Result<(), BackendError> {
        let result = self.fake.restore(state, len);
        self.look(result)
    }
}

fn told_to_fail() -> BackendError {
    BackendError::Decode {
        code: -3,
        log: "told to fail".into(),
    }
}

/// A member with its scheduler.
struct Rig {
    /// To ask for its rule.
    bare: FakeMember,
    scheduler: Rc<RefCell<Scheduler>>,
    seen: Rc<Seen>,
    pulse: Arc<Pulse>,
    names: Cell<TenantId>,
}

impl Rig {
    fn new(limits: Limits) -> Self {
        let watch = Arc::<Watch>::default();
        let options = FakeOptions {
            limits,
            watch: Arc::clone(&watch),
            ..FakeOptions::default()
        };
        let fake = || FakeMember::new(FakeMember::vocab_of(PIECES, true), options.clone());
        let seen = Rc::<Seen>::default();
        let watched = Watched {
            fake: fake(),
            seen: Rc::clone(&seen),
        };
        Self {
            bare: fake(),
            scheduler: Rc::new(RefCell::new(Scheduler::new(
                Box::new(watched),
                watch,
                Default::default(),
            ))),
            seen,
            pulse: Arc::default(),
            names: Cell::new(0),
        }
    }

    /// A conversation with so many sequences, at work from now on.
    fn conversation(&self, sequences: u32) -> Conversation {
        let id = self.names.replace(self.names.get() + 1);
        let presence = Arc::new(Presence::new(&self.pulse));
        let cancel = Arc::default();
        let mut lease = Lease::new(
            &self.scheduler,
            id,
            Arc::clone(&presence),
            Arc::clone(&cancel),
        );
        lease.resize(sequences);
        Conversation {
            id,
            inside: Some(presence.enter()),
            presence,
            lease,
            cancel,
        }
    }

    /// One batch. What the scheduler knows of the cache is true afterwards.
    fn evaluate(&self) -> bool {
        let mut scheduler = self.scheduler.borrow_mut();
        scheduler.take_finished(&mut Vec::new());
        let went_on = scheduler.evaluate();
        drop(scheduler);
        self.check();
        went_on
    }

    fn check(&self) {
        let occupancy = self.scheduler.borrow().occupancy();
        assert_eq!(occupancy.cells, self.seen.cells.get());
    }

    fn evictions(&self) -> u64 {
        self.scheduler.borrow().occupancy().evictions
    }

    fn take_batches(&self) -> Vec<Vec<BatchToken>> {
        self.seen.batches.take()
    }

    /// What `conversation` reads in sequence `seq` is evaluated now, and predicts what it should
    /// after `before`.
    fn read(&self, conversation: &mut Conversation, seq: SeqId, before: &[Token], more: &[Token]) {
        let batch = conversation.batch(seq, more);
        let mut asked = conversation.ask(&batch);
        while asked.poll().is_none() {
            self.evaluate();
        }
        drop(asked);
        self.check_rows(conversation, before, more);
    }

    /// The rows after each of the tokens `more`, the last that were evaluated.
    fn check_rows(&self, conversation: &Conversation, before: &[Token], more: &[Token]) {
        let mut text = before.to_vec();
        for (i, &token) in more.iter().enumerate() {
            text.push(token);
            let row = conversation.lease.logits(i).unwrap();
            assert_eq!(*row, self.bare.rule(&text));
        }
    }

    /// Nobody has anything there any more.
    fn check_empty(&self) {
        let scheduler = self.scheduler.borrow();
        let occupancy = scheduler.occupancy();
        let held = (
            occupancy.conversations,
            occupancy.sequences,
            occupancy.cells,
        );
        assert_eq!(held, (0, 0, 0));
        assert_eq!((scheduler.cells.owned(), self.seen.cells.get()), (0, 0));
        assert!(!self.pulse.is_running());
    }
}

/// One conversation and its part of the member.
struct Conversation {
    id: TenantId,
    lease: Lease,
    presence: Arc<Presence>,
    cancel: Arc<AtomicBool>,
    inside: Option<Inside>,
}

impl Conversation {
    /// More of a sequence, with the rows after each token.
    fn batch(&self, seq: SeqId, tokens: &[Token]) -> Vec<BatchToken> {
        let entries = (self.lease.seq_len(seq)..).zip(tokens);
        let entries = entries.map(|(pos, &token)| BatchToken {
            token,
            pos,
            seq,
            output: true,
        });
        entries.collect()
    }

    /// Asks for an evaluation and waits for it.
    fn ask<'a>(&'a mut self, batch: &'a [BatchToken]) -> Asked<'a> {
        let mut asked = Asked(Box::pin(self.lease.decode(batch)));
        assert!(asked.poll().is_none());
        asked
    }

    /// It is not at work any more.
    fn rest(&mut self) {
        self.inside = None;
        self.presence.rest();
    }

    /// It is at work again, the last to begin.
    fn wake(&mut self) {
        self.inside = Some(self.presence.enter());
    }

    fn is_placed(&self, rig: &Rig) -> bool {
        let scheduler = rig.scheduler.borrow();
        let sequences = &scheduler.tenants[&self.id].sequences;
        sequences.iter().any(|s| s.place.is_some())
    }
}

/// All of them ask for something of their own.
fn ask_all<'a>(all: &'a mut [Conversation], requests: &'a [Vec<BatchToken>]) -> Vec<Asked<'a>> {
    let pairs = all.iter_mut().zip(requests);
    pairs.map(|(one, request)| one.ask(request)).collect()
}

/// A request under way.
struct Asked<'a>(Pin<Box<dyn Future<Output = Result<(), BackendError>> + 'a>>);

impl Asked<'_> {
    /// How it went, once it is done.
    fn result(&mut self) -> Option<Result<(), BackendError>> {
        let polled = self
            .0
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        match polled {
            Poll::Ready(result) => Some(result),
            Poll::Pending => None,
        }
    }

    /// As [`Asked::result`], where nothing may fail.
    fn poll(&mut self) -> Option<()> {
        self.result().map(|result| result.unwrap())
    }
}

/// So many tokens, other ones for another seed.
fn tokens(n: usize, seed: usize) -> Vec<Token> {
    let letters = PIECES.len();
    (0..n)
        .map(|i| ((i * i + seed * (i + 1) + seed) % letters) as Token)
        .collect()
}
