//! Calls to the members, and their answers.

use super::runtime::{MemberRuntime, Standing, Step};
use super::schedule::Scheduler;
use super::worker::{Call, Gone, Seat};
use super::{Engine, EngineError, Lockstep};
use crate::backend::BackendError;

impl Lockstep {
    /// Calls every member, then takes every answer in order. `call` makes the call of each.
    pub(super) fn all<T: Send + 'static, C: Call<T>>(
        &self,
        call: impl FnMut(usize) -> C,
    ) -> Result<Vec<T>, EngineError> {
        self.some_while(self.everyone(), call, &mut || true)
    }

    /// As [`Lockstep::some`], until it is cancelled; `progress` is called now and then with the number
    /// of tokens that each member has read.
    pub(super) fn some_watched<T: Send + 'static, C: Call<T>>(
        &self,
        which: &[usize],
        call: impl FnMut(usize) -> C,
        progress: &mut dyn FnMut(&[usize]),
    ) -> Result<Vec<T>, EngineError> {
        let mut report = || {
            let read: Vec<usize> = self.seats.iter().map(Seat::tokens_read).collect();
            progress(&read);
            !self.cancelled()
        };
        self.some_while(which.iter().copied(), call, &mut report)
    }

    /// Calls some members, then takes all their answers in order.
    pub(super) fn some<T: Send + 'static, C: Call<T>>(
        &self,
        which: &[usize],
        call: impl FnMut(usize) -> C,
    ) -> Result<Vec<T>, EngineError> {
        self.some_while(which.iter().copied(), call, &mut || true)
    }

    /// Calls one member.
    pub(super) fn one<T: Send + 'static>(
        &self,
        k: usize,
        call: impl Call<T>,
    ) -> Result<T, EngineError> {
        let _inside = self.presence.enter();
        self.presence.next_call();
        let (seat, worker) = (&self.seats[k], &self.engine.workers[k]);
        let answer = seat.call(worker, call);
        let answer = answer.and_then(|answer| seat.wait_while(worker, answer, &mut || true));
        answer.map_err(|gone| self.name_failure(k, gone))
    }

    fn everyone(&self) -> std::ops::Range<usize> {
        0..self.seats.len()
    }

    /// As [`Lockstep::some`], but gives up once the answers are not `wanted`, which is checked now
    /// and then. All answers are taken, also after a failure, so that no member is at work when a
    /// failure is returned.
    fn some_while<T: Send + 'static, C: Call<T>>(
        &self,
        which: impl Iterator<Item = usize>,
        mut call: impl FnMut(usize) -> C,
        wanted: &mut dyn FnMut() -> bool,
    ) -> Result<Vec<T>, EngineError> {
        let _inside = self.presence.enter();
        self.presence.next_call();
        let workers = &self.engine.workers;
        let called = which.map(|k| (k, self.seats[k].call(&workers[k], call(k))));
        let called: Vec<_> = called.collect();
        let mut failure = None;
        let mut answers = Vec::with_capacity(called.len());
        for (k, answer) in called {
            let seat = &self.seats[k];
            match answer.and_then(|answer| seat.wait_while(&workers[k], answer, wanted)) {
                Ok(answer) => answers.push(answer),
                Err(gone) => failure = graver(failure, self.name_failure(k, gone)),
            }
        }
        failure.map_or(Ok(answers), Err)
    }

    /// Sends some members the next symbol, if there is one yet; they fill their rows with what they
    /// predict after it. Called once a symbol, so nothing is allocated.
    pub(super) fn step(
        &self,
        which: &[usize],
        symbol: Option<u32>,
        rows: &mut [Vec<f64>],
        standings: &mut [Standing],
    ) -> Result<(), EngineError> {
        let workers = &self.engine.workers;
        self.presence.next_call();
        let mut failure = None;
        for &k in which {
            let step = Step {
                symbol,
                row: std::mem::take(&mut rows[k]),
                standing: Standing::default(),
            };
            if let Err(gone) = self.seats[k].step(&workers[k], step) {
                failure = graver(failure, self.name_failure(k, gone));
            }
        }
        for &k in which {
            match self.seats[k].wait_step(&workers[k]) {
                Ok(step) => (rows[k], standings[k]) = (step.row, step.standing),
                Err(gone) => failure = graver(failure, self.name_failure(k, gone)),
            }
        }
        failure.map_or(Ok(()), Err)
    }

    /// An answer is given up, unless it was committed. Nobody waits for it; what is asked of the
    /// members later is done later.
    pub(super) fn give_up(&self, which: &[usize]) {
        for &k in which {
            let give_up = async |runtime: &mut MemberRuntime| runtime.give_up();
            // Whoever asks for something later is told of a thread that has ended.
            drop(self.seats[k].call(&self.engine.workers[k], give_up));
        }
    }

    /// Waits for members that still evaluate a cancelled prompt. Until then the flag has to stay
    /// raised, or they go on to the end; other calls to them wait as well.
    pub fn settle(&self) {
        self.seats.iter().for_each(Seat::settle);
    }

    fn name_failure(&self, k: usize, gone: Gone) -> EngineError {
        EngineError::of(&self.engine.members[k].name, gone)
    }
}

impl Engine {
    /// Has something done on every member's thread, between two batches.
    pub(super) fn ask_all<T, F>(&self, call: impl FnMut(usize) -> F) -> Result<Vec<T>, EngineError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Scheduler) -> Result<T, BackendError> + Send + 'static,
    {
        self.ask_all_watched(call, &mut || {})
    }

    /// As [`Engine::ask_all`], of one member.
    pub(super) fn ask_one<T, F>(&self, k: usize, call: F) -> Result<T, EngineError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Scheduler) -> Result<T, BackendError> + Send + 'static,
    {
        let answer = self.workers[k].ask(call);
        let answer = answer.and_then(|answer| self.workers[k].answer(&answer, &mut || {}));
        answer.map_err(|gone| EngineError::of(&self.members[k].name, gone))
    }

    /// As [`Engine::ask_all`]; `tick` is called now and then until all have answered.
    pub(super) fn ask_all_watched<T, F>(
        &self,
        mut call: impl FnMut(usize) -> F,
        tick: &mut dyn FnMut(),
    ) -> Result<Vec<T>, EngineError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Scheduler) -> Result<T, BackendError> + Send + 'static,
    {
        let asked = self.workers.iter().enumerate();
        let asked: Vec<_> = asked.map(|(k, worker)| worker.ask(call(k))).collect();
        let mut failure = None;
        let mut answers = Vec::with_capacity(asked.len());
        for ((worker, member), answer) in self.workers.iter().zip(&self.members).zip(asked) {
            match answer.and_then(|answer| worker.answer(&answer, tick)) {
                Ok(answer) => answers.push(answer),
                Err(gone) => failure = graver(failure, EngineError::of(&member.name, gone)),
            }
        }
        failure.map_or(Ok(answers), Err)
    }
}

/// The failure to return, of two: the graver one, or the first of equals. A cancellation must not
/// hide the failure of another member, and neither must a full context, which ends an answer
/// normally.
fn graver(first: Option<EngineError>, other: EngineError) -> Option<EngineError> {
    let gravity = |error: &EngineError| match error {
        EngineError::Cancelled => 0,
        EngineError::Member {
            source: BackendError::ContextFull { .. },
            ..
        } => 1,
        _ => 2,
    };
    match first {
        Some(first) if gravity(&first) >= gravity(&other) => Some(first),
        _ => Some(other),
    }
}
