//! The hand-over between callers and members' threads, in every order in which their steps can
//! come.
//!
//! What runs is the real thing: seats, channels, mailboxes, tasks, presences and schedulers, only
//! on one thread, where the test says who takes the next step. A caller's steps are those of a
//! call: it enters, sends to each member, takes each answer, leaves. A member's step is a
//! [turn](Service::turn) of its loop; where it would wait a moment for others, the next turn comes
//! after that moment, or after a message. From every state each possible step is tried, so a
//! wake-up that is lost in any order shows as a state in which nobody can go on.
//!
//! Not `loom`: it knows nothing of crossbeam's channels, which are the hand-over, and would check a
//! model of them. What it could check are the counters of [`Presence`], and those need no search:
//! `inside` and `waiting` change in one atomic step each, and the one step that leaves or reaches
//! zero adds to `running`; additions commute, so once the steps that have begun are done, the sum
//! is the same in any order. In between it is off by what is still to be added, and then a batch
//! begins without somebody who could have joined it, or 5 ms later: the loop sleeps without a time
//! limit only while no request waits, and then whatever gives it something to do is a message.

use super::*;
use crate::backend::fake::{FakeMember, FakeOptions};
use crate::backend::{BatchToken, PREFIX, Token};
use crate::engine::worker::{Pending, Seat, Worker};
use crossbeam::channel::{bounded, never};
use std::any::Any;
use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, OnceLock};

/// What a caller does, at members 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Deed {
    Enter,
    Call(usize),
    Take(usize),
    Leave,
    Cancel,
    Close(usize),
}

use Deed::{Call, Cancel, Close, Enter, Leave, Take};

/// Both members are called, and both answers are taken.
const CALL: [Deed; 6] = [Enter, Call(0), Call(1), Take(0), Take(1), Leave];
const GO: [Deed; 2] = [Close(0), Close(1)];

/// Who takes the next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Who {
    Caller(usize),
    Member(usize),
}

/// A member without its thread.
struct Side {
    worker: Worker,
    service: Service,
    wait: Wait,
    /// Whose messages it has not taken, and which step of theirs sent them.
    sent: Vec<(usize, usize)>,
}

struct Caller {
    script: Vec<Deed>,
    next: usize,
    presence: Arc<Presence>,
    cancel: Arc<AtomicBool>,
    inside: Option<Box<dyn Any>>,
    seats: Vec<Seat>,
    answers: [Option<Pending<Vec<f32>>>; 2],
    /// Tokens that each member was told.
    told: [Vec<Token>; 2],
}

/// Two members and the callers, in some state.
struct House {
    pulse: Arc<Pulse>,
    sides: Vec<Side>,
    callers: Vec<Caller>,
    bare: FakeMember,
}

fn fake() -> FakeMember {
    let options = FakeOptions::default();
    FakeMember::new(FakeMember::vocab_of(&[b"a", b"b", b"c"], true), options)
}

impl Side {
    fn new(pulse: &Arc<Pulse>) -> Self {
        let (inbox, messages) = bounded(64);
        let (spinners, watch) = (Arc::<Spinners>::default(), Arc::<Watch>::default());
        let inside = Inside {
            watch: Arc::clone(&watch),
            cancel: Arc::default(),
            prefetched: Arc::default(),
            pulse: Arc::clone(pulse),
            spinners: Arc::clone(&spinners),
            announce: bounded(1).0,
            messages,
        };
        let worker = Worker {
            inbox: Some(inbox),
            loaded: never(),
            watch,
            spinners,
            prefetched: Arc::default(),
            thread: Mutex::new(None),
            panic: OnceLock::new(),
        };
        let member = fake();
        let sorted = Arc::new(SortedVocab::new(member.vocab()));
        Self {
            worker,
            service: Service::new(inside, Box::new(member), sorted, Default::default()),
            wait: Wait::Message,
            sent: Vec::new(),
        }
    }

    /// A turn; where it waits for others and nothing comes, that moment is over.
    fn turn(&mut self) {
        let over = matches!(self.wait, Wait::Others(_)) && self.sent.is_empty();
        let since = if over { GATHERING } else { Duration::ZERO };
        self.service.gathering = Instant::now().checked_sub(since);
        self.sent.clear();
        self.wait = self.service.turn();
    }

    /// Whether it has something to do.
    fn is_live(&self) -> bool {
        !self.sent.is_empty() || self.wait != Wait::Message
    }
}

impl House {
    /// All have moved in.
    fn new(scripts: &[Vec<Deed>]) -> Self {
        let pulse = Arc::<Pulse>::default();
        let mut sides: Vec<Side> = (0..2).map(|_| Side::new(&pulse)).collect();
        let callers = scripts.iter().enumerate().map(|(id, script)| {
            let presence = Arc::new(Presence::new(&pulse));
            let cancel = Arc::default();
            let seats = sides.iter();
            let seats = seats.map(|side| Seat::open(&side.worker, id as u64, &presence, &cancel));
            Caller {
                script: script.clone(),
                next: 0,
                seats: seats.collect(),
                presence,
                cancel,
                inside: None,
                answers: [None, None],
                told: [Vec::new(), Vec::new()],
            }
        });
        let callers = callers.collect();
        sides.iter_mut().for_each(Side::turn);
        Self {
            pulse,
            sides,
            callers,
            bare: fake(),
        }
    }

    /// Who can take a step.
    fn able(&self) -> Vec<Who> {
        let callers = self.callers.iter().enumerate().filter(|(_, c)| c.is_able());
        let callers = callers.map(|(i, _)| Who::Caller(i));
        let sides = self.sides.iter().enumerate();
        let sides = sides.filter(|(_, side)| side.is_live());
        callers.chain(sides.map(|(k, _)| Who::Member(k))).collect()
    }

    fn step(&mut self, who: Who) {
        match who {
            Who::Member(k) => self.sides[k].turn(),
            Who::Caller(i) => self.act(i),
        }
    }

    fn act(&mut self, i: usize) {
        let caller = &mut self.callers[i];
        let deed = caller.script[caller.next];
        match deed {
            Enter => caller.inside = Some(Box::new(caller.presence.enter())),
            Leave => caller.inside = None,
            Cancel => caller.cancel.store(true, Ordering::Relaxed),
            Call(k) => {
                let token = ((i + caller.next) % 3) as Token;
                caller.told[k].push(token);
                let answer = caller.seats[k].call(&self.sides[k].worker, says(token));
                caller.answers[k] = Some(answer.unwrap());
            }
            Take(k) => {
                let answer = caller.answers[k].take().unwrap().try_recv().unwrap();
                assert_eq!(answer.unwrap(), self.bare.rule(&caller.told[k]));
            }
            Close(k) => caller.seats[k].close(&self.sides[k].worker),
        }
        if let Call(k) | Close(k) = deed {
            self.sides[k].sent.push((i, caller.next));
        }
        self.callers[i].next += 1;
    }

    /// Everything that decides how it goes on.
    fn key(&self) -> impl Eq + std::hash::Hash + use<> {
        let callers = self.callers.iter().map(|c| (c.next, c.arrived()));
        let sides = self.sides.iter().map(|side| {
            let wait = std::mem::discriminant(&side.wait);
            (side.sent.clone(), side.service.ready.clone(), wait)
        });
        (callers.collect::<Vec<_>>(), sides.collect::<Vec<_>>())
    }

    /// Where all callers wait for evaluations, nobody is running.
    fn check(&self) {
        let waits = |(i, caller): (usize, &Caller)| {
            let arrived = caller.arrived();
            let at = |k: usize| {
                let side = &self.sides[k];
                let taken = side.service.ready.is_empty() && side.sent.iter().all(|s| s.0 != i);
                caller.answers[k].is_some() && !arrived[k] && taken
            };
            caller.inside.is_none() || (0..2).any(at)
        };
        if self.callers.iter().enumerate().all(waits) {
            assert!(!self.pulse.is_running());
        }
    }

    /// Nobody can go on: all are through, and nothing is left.
    fn check_end(&self) {
        assert!(self.callers.iter().all(|c| c.next == c.script.len()));
        for side in &self.sides {
            let occupancy = side.service.scheduler.borrow().occupancy();
            let held = (occupancy.conversations, occupancy.cells);
            assert_eq!((held, occupancy.sequences), ((0, 0), 0));
            assert!(side.service.tasks.is_empty());
        }
        // With one inside it is one: it was exactly zero.
        assert!(!self.pulse.is_running());
        let _inside = self.callers[0].presence.enter();
        assert!(self.pulse.is_running());
    }
}

impl Caller {
    /// Whether its next step can be taken now.
    fn is_able(&self) -> bool {
        match self.script.get(self.next) {
            None => false,
            Some(Take(k)) => self.arrived()[*k],
            Some(_) => true,
        }
    }

    /// Which answers are there to be taken.
    fn arrived(&self) -> [bool; 2] {
        let arrived = |answer: &Option<Pending<Vec<f32>>>| {
            let answer = answer.as_ref();
            answer.is_some_and(|answer| !answer.is_empty())
        };
        [arrived(&self.answers[0]), arrived(&self.answers[1])]
    }
}

/// The prefix grows by a token: the row after it.
fn says(token: Token) -> impl crate::engine::worker::Call<Vec<f32>> {
    async move |runtime: &mut MemberRuntime| {
        let entry = BatchToken {
            token,
            pos: runtime.member.seq_len(PREFIX),
            seq: PREFIX,
            output: true,
        };
        runtime.member.decode(&[entry]).await?;
        let row = runtime.member.logits(0)?.to_vec();
        Ok(row)
    }
}

/// Tries every order of steps; how many states there are, and how many ends were reached.
fn explore(scripts: &[Vec<Deed>]) -> (usize, usize) {
    let (mut seen, mut ends) = (HashSet::new(), 0);
    let mut open = vec![Vec::new()];
    while let Some(mut steps) = open.pop() {
        let mut house = House::new(scripts);
        steps.iter().for_each(|&who| house.step(who));
        while seen.insert(house.key()) {
            house.check();
            let mut able = house.able();
            let Some(next) = able.pop() else {
                house.check_end();
                ends += 1;
                break;
            };
            open.extend(able.into_iter().map(|who| [&steps[..], &[who]].concat()));
            steps.push(next);
            house.step(next);
        }
    }
    (seen.len(), ends)
}

#[test]
fn in_any_order_nobody_is_forgotten() {
    let twice = [&CALL[..], &CALL, &GO].concat();
    let once = [&CALL[..], &GO].concat();
    let apart = [&[Enter, Call(1), Take(1), Call(0), Take(0), Leave], &GO[..]].concat();
    let gives_up = [&[Enter, Call(0), Call(1), Cancel, Leave], &GO[..]].concat();
    let goes = [&[Enter, Call(0), Leave], &GO[..]].concat();
    for scripts in [
        [once.clone(), once.clone()],
        [twice.clone(), apart],
        [once, gives_up],
        [twice, goes],
    ] {
        let (states, ends) = explore(&scripts);
        assert!(states > 300 && ends > 0, "{states} states, {ends} ends");
    }
}
