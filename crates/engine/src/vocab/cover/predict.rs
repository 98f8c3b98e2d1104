//! The next symbol's distribution: from hypotheses, and for unevaluated ones from the fallback
//! model.

use super::{Cover, Cursor, Unevaluated};
use crate::vocab::fallback::{HypothesisMasses, Stage};

/// What the fallback model gave a byte of x, by stage.
#[derive(Debug, Clone, Copy)]
pub(super) struct ByteFallback {
    ended: f64,
    inside: f64,
}

impl Unevaluated {
    fn stage(&self) -> Stage {
        if self.since == 0 {
            Stage::Ended
        } else {
            Stage::Inside
        }
    }
}

impl<S: Copy> Cover<S> {
    /// x is about to grow by `byte`: the fallback model learns from it, unevaluated hypotheses go
    /// on with what it said, and that is kept.
    pub(super) fn observe(&mut self, byte: u8) {
        let given = ByteFallback {
            ended: self.fallback.row(Stage::Ended)[byte as usize],
            inside: self.fallback.row(Stage::Inside)[byte as usize],
        };
        let (ended, inside) = self.unevaluated_shares();
        let p = self.predicted[byte as usize];
        let last = self.last_byte();
        let explained = (ended * given.ended / p, inside * given.inside / p);
        self.fallback
            .observe(last, &self.from_hypotheses, byte, explained.0, explained.1);
        self.text.push(byte);
        self.fallbacks.push(given);
        for unevaluated in &mut self.unevaluated {
            unevaluated.share *= match unevaluated.stage() {
                Stage::Ended => given.ended,
                Stage::Inside => given.inside,
            };
            unevaluated.since += 1;
        }
    }

    /// What the fallback model gave the last `since` bytes after a token that ended before them.
    pub(super) fn fallback_since(&self, since: usize) -> f64 {
        let mut bytes = self.fallbacks[self.fallbacks.len() - since..].iter();
        let first = bytes.next().map_or(1.0, |given| given.ended);
        first * bytes.map(|given| given.inside).product::<f64>()
    }

    /// Shares of the unevaluated hypotheses whose token has just ended, and of the others.
    fn unevaluated_shares(&self) -> (f64, f64) {
        let (mut ended, mut inside) = (0.0, 0.0);
        for unevaluated in &self.unevaluated {
            match unevaluated.stage() {
                Stage::Ended => ended += unevaluated.share,
                Stage::Inside => inside += unevaluated.share,
            }
        }
        (ended, inside)
    }

    /// Writes p(s | x) and learns what hypotheses say where a token has just ended.
    pub(super) fn predict(&mut self) {
        let last = self.last_byte();
        let HypothesisMasses { all, ended } = &mut self.from_hypotheses;
        all.fill(0.0);
        ended.fill(0.0);
        for hypothesis in &self.hypotheses {
            let just_ended = hypothesis.at == Cursor::ROOT;
            if just_ended {
                self.fallback
                    .observe_ended(last, &hypothesis.masses, hypothesis.live);
            }
            for (s, mass) in hypothesis.masses.iter().enumerate() {
                all[s] += hypothesis.weight * mass;
                if just_ended {
                    ended[s] += hypothesis.weight * mass;
                }
            }
        }
        self.fallback.predict(last, &self.from_hypotheses);
        let (ended, inside) = self.unevaluated_shares();
        let total = self.from_hypotheses.all.iter().sum::<f64>() + ended + inside;
        let after_ended = self.fallback.row(Stage::Ended);
        let after_inside = self.fallback.row(Stage::Inside);
        if total > 0.0 {
            for (s, p) in self.predicted.iter_mut().enumerate() {
                let fallback = ended * after_ended[s] + inside * after_inside[s];
                *p = (self.from_hypotheses.all[s] + fallback) / total;
            }
            self.skipped = (ended + inside) / total;
        } else {
            // Nothing the model can say spells the text: the fallback model is all there is.
            self.predicted.copy_from_slice(&after_inside[..]);
            self.skipped = 1.0;
        }
        self.skipped_sum += self.skipped;
        let sum: f64 = self.predicted.iter().sum();
        self.predicted.iter_mut().for_each(|p| *p /= sum);
        self.steps += 1;
    }
}
