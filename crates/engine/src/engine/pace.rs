//! Batches of a member are timed, for its [`Pace`](crate::backend::Pace).

use super::schedule::Scheduler;
use super::{Engine, EngineError};
use crate::backend::{BackendError, BatchToken, Token, WIDTHS};
use std::time::Instant;

impl Engine {
    /// Times batches of [`WIDTHS`] tokens, as far as they fit, on member `k` while the others rest:
    /// sizes, and medians over `rounds` in seconds. All conversations have to be clear.
    ///
    /// # Errors
    /// From the member.
    pub fn time_batches(&self, k: usize, rounds: usize) -> Result<Vec<(usize, f64)>, EngineError> {
        self.ask_one(k, move |scheduler: &mut Scheduler| {
            scheduler.time_batches(rounds.max(1))
        })
    }
}

impl Scheduler {
    fn time_batches(&mut self, rounds: usize) -> Result<Vec<(usize, f64)>, BackendError> {
        let limits = self.member().limits();
        let most = limits.batch.min(limits.context) as usize;
        let widths: Vec<usize> = WIDTHS.into_iter().filter(|n| *n <= most).collect();
        let mut times = vec![Vec::with_capacity(rounds); widths.len()];
        // The first of each is not counted: buffers are made, and cores wake up.
        for round in 0..=rounds {
            for (&n, times) in widths.iter().zip(&mut times) {
                let time = self.time_batch(n)?;
                if round > 0 {
                    times.push(time);
                }
            }
        }
        let median = |times: &mut Vec<f64>| {
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        };
        Ok(widths
            .into_iter()
            .zip(times.iter_mut().map(median))
            .collect())
    }

    /// Seconds for a batch of `n` tokens of a text, as many rows of it as may be asked for.
    fn time_batch(&mut self, n: usize) -> Result<f64, BackendError> {
        let member = self.member();
        let (limits, tokens) = (member.limits(), member.vocab().len());
        let seq = limits.sequences - 1;
        let rows = (limits.outputs as usize).min(n);
        let entry = |i: usize| BatchToken {
            token: (i * 7919 % tokens) as Token,
            pos: i as u32,
            seq,
            output: i + rows >= n,
        };
        let batch: Vec<BatchToken> = (0..n).map(entry).collect();
        let start = Instant::now();
        member.decode(&batch)?;
        // A device is done once a row has come from it.
        member.logits(n - 1)?;
        let time = start.elapsed().as_secs_f64();
        member.seq_truncate(seq, 0)?;
        Ok(time)
    }
}
