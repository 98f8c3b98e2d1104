//! Mix, pick, advance, until the answer ends.

use super::run::Run;
use super::{Answer, Event, Finish, Generation};
use crate::backend::BackendError;
use crate::engine::draft::Drafting;
use crate::engine::runtime::MemberRuntime;
use crate::engine::{Engine, EngineError};
use std::sync::atomic::Ordering;
use std::time::Instant;

impl Engine {
    /// Generates after the prompts that were [read](Engine::read), with the weights of
    /// [`Engine::weigh`]. `sink` is given the text as it is made. What was said stays in the
    /// members' caches, so that a next prompt that contains it is not evaluated again.
    ///
    /// A raised cancel flag ends the answer and is lowered by it: it is down after
    /// [`Finish::Cancelled`] and after an error on the way. An answer that ends by itself leaves
    /// the flag alone: if it was raised at the last moment, the next call sees it.
    ///
    /// # Errors
    /// From a member, or for settings out of range. What was reported stays valid; it is all that
    /// was said until then.
    pub fn answer(
        &mut self,
        generation: &Generation,
        sink: &mut dyn FnMut(Event<'_>),
    ) -> Result<Answer, EngineError> {
        let mut run = Run::new(self, generation)?;
        let before = self.spent()?;
        let start = Instant::now();
        let mut drafting = Drafting::new(self.drafter.take(), &self.prompt_text);
        let result = run.generate(self, &mut drafting, sink);
        let drafted = drafting.drafted;
        self.drafter = drafting.finish();
        let finish = match result {
            Err(EngineError::Cancelled) => Ok(Finish::Cancelled),
            // The margin should prevent it. If it happens, the answer is cut, not lost.
            Err(EngineError::Member {
                source: BackendError::ContextFull { .. },
                ..
            }) => Ok(Finish::Length),
            other => other,
        };
        if matches!(finish, Ok(Finish::Cancelled) | Err(_)) {
            self.cancel.store(false, Ordering::Relaxed);
        }
        let time = start.elapsed();
        run.flush(sink);
        let finish = finish?;
        let active = run.active.clone();
        let committed = self.some(&active, |_| MemberRuntime::commit)?;
        let spent = self
            .spent()?
            .into_iter()
            .zip(before)
            .map(|(after, before)| after - before)
            .collect();
        let mut member_tokens = vec![0; self.members.len()];
        for (&k, tokens) in active.iter().zip(committed) {
            member_tokens[k] = tokens;
        }
        let skipped = active
            .iter()
            .map(|&k| self.lambda[k] * run.standings[k].skipped_mass)
            .sum();
        self.lambda.clone_from(&run.lambda);
        Ok(Answer {
            skipped_mass: skipped,
            text: run.text,
            finish,
            tokens: member_tokens[run.lead],
            member_tokens,
            spent,
            time,
            mix_time: run.mix_time,
            steps: run.steps,
            mean_weights: mean(run.weights, run.steps),
            drafted,
        })
    }
}

fn mean(sums: Vec<f64>, n: usize) -> Vec<f64> {
    sums.into_iter().map(|sum| sum / n.max(1) as f64).collect()
}
