//! The next symbol's distribution, from heads and from the prior for candidates.

use super::{Candidate, Cover, Cursor};
use crate::vocab::prior::{Heads, Stage};

/// What the prior gave a byte of x, by stage.
#[derive(Debug, Clone, Copy)]
pub(super) struct Given {
    ended: f64,
    inside: f64,
}

impl Candidate {
    fn stage(&self) -> Stage {
        if self.since == 0 {
            Stage::Ended
        } else {
            Stage::Inside
        }
    }
}

impl Cover {
    /// x is about to grow by `byte`: the prior learns from it, candidates go on as it said, and what
    /// it said is kept.
    pub(super) fn observe(&mut self, byte: u8) {
        let given = Given {
            ended: self.prior.row(Stage::Ended)[byte as usize],
            inside: self.prior.row(Stage::Inside)[byte as usize],
        };
        let (ended, inside) = self.unevaluated_shares();
        let p = self.predicted[byte as usize];
        let last = self.last_byte();
        let explained = (ended * given.ended / p, inside * given.inside / p);
        self.prior
            .observe(last, &self.from_heads, byte, explained.0, explained.1);
        self.text.push(byte);
        self.priors.push(given);
        for candidate in &mut self.candidates {
            candidate.share *= match candidate.stage() {
                Stage::Ended => given.ended,
                Stage::Inside => given.inside,
            };
            candidate.since += 1;
        }
    }

    /// What the prior gave the last `since` bytes after a token that ended before them.
    pub(super) fn given_since(&self, since: usize) -> f64 {
        let mut bytes = self.priors[self.priors.len() - since..].iter();
        let first = bytes.next().map_or(1.0, |given| given.ended);
        first * bytes.map(|given| given.inside).product::<f64>()
    }

    /// Shares of the candidates whose token has just ended, and of the others.
    fn unevaluated_shares(&self) -> (f64, f64) {
        let (mut ended, mut inside) = (0.0, 0.0);
        for candidate in &self.candidates {
            match candidate.stage() {
                Stage::Ended => ended += candidate.share,
                Stage::Inside => inside += candidate.share,
            }
        }
        (ended, inside)
    }

    /// Writes p(s | x) and learns what heads say where a token has just ended.
    pub(super) fn predict(&mut self) {
        let last = self.last_byte();
        let Heads { all, ended } = &mut self.from_heads;
        all.fill(0.0);
        ended.fill(0.0);
        for head in &self.heads {
            let just_ended = head.at == Cursor::ROOT;
            if just_ended {
                self.prior.observe_head(last, &head.masses, head.live);
            }
            for (s, mass) in head.masses.iter().enumerate() {
                all[s] += head.weight * mass;
                if just_ended {
                    ended[s] += head.weight * mass;
                }
            }
        }
        self.prior.predict(last, &self.from_heads);
        let (ended, inside) = self.unevaluated_shares();
        let total = self.from_heads.all.iter().sum::<f64>() + ended + inside;
        let (after_ended, after_inside) =
            (self.prior.row(Stage::Ended), self.prior.row(Stage::Inside));
        if total > 0.0 {
            for (s, p) in self.predicted.iter_mut().enumerate() {
                let prior = ended * after_ended[s] + inside * after_inside[s];
                *p = (self.from_heads.all[s] + prior) / total;
            }
            self.unevaluated = (ended + inside) / total;
        } else {
            // Nothing the model can say spells the text: the prior is all there is.
            self.predicted.copy_from_slice(&after_inside[..]);
            self.unevaluated = 1.0;
        }
        self.skipped += self.unevaluated;
        let sum: f64 = self.predicted.iter().sum();
        self.predicted.iter_mut().for_each(|p| *p /= sum);
        self.steps += 1;
    }
}
