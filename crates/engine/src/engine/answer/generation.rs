//! An answer that its caller drives: mix, pick, advance.

use super::predicted::{Predicted, Recorder};
use super::run::Run;
use super::{Answer, AnswerOptions, Event, Finish};
use crate::backend::BackendError;
use crate::engine::draft::Drafting;
use crate::engine::meter::Spent;
use crate::engine::runtime::MemberRuntime;
use crate::engine::{EngineError, Lockstep};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// An answer that is being made, one [event](Generation::next) after the other. It goes on only
/// while it is asked for the next one; other conversations do not wait for it.
///
/// What was said stays in the members' caches once it is [finished](Generation::finish), so that a
/// next prompt that contains it is not evaluated again. One that is dropped before is given up: the
/// caches are as before it, but that weights that [follow](crate::engine::Fusion::follow_answer)
/// the answer stay what they were.
///
/// A raised cancel flag ends the answer and is lowered by it: it is down after
/// [`Finish::Cancelled`] and after an error on the way. An answer that ends by itself leaves the
/// flag alone: if it was raised at the last moment, the next call sees it.
pub struct Generation<'a> {
    lockstep: &'a mut Lockstep,
    run: Run,
    drafting: Drafting,
    before: Vec<Spent>,
    time: Duration,
    /// Why it ended, once it has.
    ended: Option<Result<Finish, EngineError>>,
}

impl<'a> Generation<'a> {
    pub(super) fn new(
        lockstep: &'a mut Lockstep,
        options: &AnswerOptions,
    ) -> Result<Self, EngineError> {
        let run = Run::new(lockstep, options)?;
        let before = lockstep.spent()?;
        let drafting = Drafting::new(lockstep.drafter.take(), &lockstep.prompt_text);
        lockstep.presence.begin_answer();
        Ok(Self {
            lockstep,
            run,
            drafting,
            before,
            time: Duration::ZERO,
            ended: None,
        })
    }

    /// Counts the limit, and the answer's tokens, by member `k` if it takes part, instead of by the
    /// member with the largest weight.
    pub fn count_by(&mut self, k: usize) {
        self.run.count_by(self.lockstep, k);
    }

    /// Keeps from now on how likely each symbol was, with so many of the likeliest in its place.
    pub fn keep_predictions(&mut self, alternatives: usize) {
        self.run.recorder = Some(Recorder::new(alternatives));
    }

    /// The symbols of the events since this was asked last. One that an event ends inside comes
    /// with the next.
    pub fn predictions(&mut self) -> Vec<Predicted> {
        let recorder = self.run.recorder.as_mut();
        recorder.map(Recorder::take).unwrap_or_default()
    }

    /// The index of the stop string that ended the answer, if one did.
    #[must_use]
    pub fn stopped_by(&self) -> Option<usize> {
        self.run.stopped_by
    }

    /// Goes on until there is more text. None: it is over.
    ///
    /// # Errors
    /// From a member, and then it is over. What was reported before stays valid; it is all that was
    /// said until then.
    #[allow(
        clippy::should_implement_trait,
        reason = "an event borrows from the generation, which an Iterator's item cannot"
    )]
    pub fn next(&mut self) -> Result<Option<Event<'_>>, EngineError> {
        if self.ended.is_none() {
            let _inside = self.lockstep.presence.enter();
            let start = Instant::now();
            let went = self.run.go_on(self.lockstep, &mut self.drafting);
            self.time += start.elapsed();
            if let Some(finish) = went.transpose() {
                self.end(finish);
            }
        }
        if self.run.has_text() {
            return Ok(self.run.take());
        }
        match self.ended.take() {
            // An error is told once, and it stays over.
            Some(Err(error)) => {
                self.ended = Some(Ok(Finish::Cancelled));
                Err(error)
            }
            other => {
                self.ended = other;
                Ok(None)
            }
        }
    }

    /// It is over; what was held back is let go.
    fn end(&mut self, finish: Result<Finish, EngineError>) {
        let finish = match finish {
            Err(EngineError::Cancelled) => Ok(Finish::Cancelled),
            // The margin should prevent it. If it happens, the answer is cut, not lost.
            Err(EngineError::Member {
                source: BackendError::ContextFull { .. },
                ..
            }) => Ok(Finish::Length),
            other => other,
        };
        if matches!(finish, Ok(Finish::Cancelled) | Err(_)) {
            self.lockstep.cancel.store(false, Ordering::Relaxed);
        }
        self.run.flush();
        self.ended = Some(finish);
    }

    /// The answer as far as it has come: all of it after [`next`](Generation::next) has said None,
    /// else a [cancelled](Finish::Cancelled) one.
    ///
    /// # Errors
    /// From a member.
    pub fn finish(mut self) -> Result<Answer, EngineError> {
        let finish = match self.ended.take() {
            Some(finish) => finish?,
            None => Finish::Cancelled,
        };
        let active = self.run.active.clone();
        let commit = async |runtime: &mut MemberRuntime| runtime.commit().await;
        let committed = self.lockstep.some(&active, |_| commit)?;
        self.ended = Some(Ok(finish));
        let spent = self.lockstep.spent()?.into_iter().zip(&self.before);
        let spent = spent.map(|(after, &before)| after - before).collect();
        let run = &mut self.run;
        let mut member_tokens = vec![0; self.lockstep.members().len()];
        for (&k, tokens) in active.iter().zip(committed) {
            member_tokens[k] = tokens;
        }
        let lost: Vec<usize> = run.lost.iter().map(|(k, _)| *k).collect();
        self.lockstep.give_up(&lost);
        self.lockstep.lose(&lost);
        let lambda = &mut self.lockstep.lambda;
        let skipped = active.iter();
        let skipped = skipped.map(|&k| lambda[k] * run.standings[k].skipped_mass);
        let skipped_mass = skipped.sum();
        lambda.clone_from(&run.lambda);
        let lost = std::mem::take(&mut run.lost).into_iter();
        let lost = lost.map(|(k, what)| (self.lockstep.members()[k].name.clone(), what));
        let lost = lost.collect();
        Ok(Answer {
            skipped_mass,
            text: std::mem::take(&mut run.text),
            finish,
            tokens: member_tokens[run.counting],
            member_tokens,
            spent,
            time: self.time,
            mix_time: run.mix_time,
            steps: run.steps,
            overruled: run.overruled,
            mean_weights: mean(&run.weights, run.steps),
            drafted: self.drafting.drafted,
            lost,
        })
    }
}

impl Drop for Generation<'_> {
    fn drop(&mut self) {
        self.lockstep.drafter = self.drafting.take_drafter();
        self.lockstep.give_up(&self.run.active);
        let lost: Vec<usize> = self.run.lost.iter().map(|(k, _)| *k).collect();
        self.lockstep.give_up(&lost);
        self.lockstep.presence.rest();
    }
}

fn mean(sums: &[f64], n: usize) -> Vec<f64> {
    sums.iter().map(|sum| sum / n.max(1) as f64).collect()
}
