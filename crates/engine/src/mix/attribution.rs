//! Who argued for a symbol: every member against what the others alone would have said.
//!
//! The contribution of member k to symbol s is `ln q(s) − ln q₋ₖ(s)` in nats, where q is the
//! mixture and q₋ₖ the mixture, by the same definition, of all members but k, their weights
//! renormalised. It is positive where k made the symbol likelier, and for two members the
//! contributions differ by `ln p₁(s) − ln p₂(s)`, but for what was decided about END. The others have
//! what the [confidence](super::confidence) of the step gave them in the mixture of all. A member of
//! weight 0 contributes nothing. Where there are no others, or the symbol is impossible to them, a
//! contribution is infinite.

use super::end::{Split, pool_end, votes};
use super::{Mix, MixError, Mixer, SymbolSet, lift};

impl Mixer {
    /// Writes every member's contribution to `symbol`, which is not END, into `out`. `mixed` is
    /// what [`Mixer::mix`] made of the same rows and weights. Costs an exponential a symbol of the
    /// alphabet and member where three or more are mixed by [`Mix::Log`], and next to nothing
    /// otherwise.
    ///
    /// # Errors
    /// As [`Mixer::mix`].
    pub fn contributions<R: AsRef<[f64]>>(
        &mut self,
        rows: &[R],
        lambda: &[f64],
        can_end: &[bool],
        mixed: &[f64],
        symbol: usize,
        out: &mut Vec<f64>,
    ) -> Result<(), MixError> {
        let total = self.check(rows, lambda, can_end, mixed.len())?;
        self.split(rows);
        self.share_out(rows, lambda, total);
        let present = |k: usize| !rows[k].as_ref().is_empty();
        let may_end = |k: usize| can_end[k] && present(k) && !self.alphabet.ends().is_empty();
        let (mut voters, mut others) = (lambda.to_vec(), self.weights.clone());
        out.clear();
        for k in 0..lambda.len() {
            if lambda[k] == 0.0 {
                out.push(0.0);
                continue;
            }
            (voters[k], others[k]) = (0.0, 0.0);
            votes(&voters, |j| j != k && may_end(j), &mut self.shares);
            let pooled = pool_end(self.mix, self.ln_floor, &self.shares, |j| self.splits[j]);
            let without = Without {
                member: k,
                others: &others,
                rows,
                splits: &self.splits,
                alphabet: &self.alphabet,
            };
            let said = match self.mix {
                Mix::Linear => without.linear(symbol),
                Mix::Log => without.log(symbol, mixed, self.weights[k], self.ln_floor),
            };
            out.push(mixed[symbol] - (pooled.go_on + said));
            (voters[k], others[k]) = (lambda[k], self.weights[k]);
        }
        Ok(())
    }
}

/// The mixture of all members but one.
struct Without<'a, R> {
    member: usize,
    /// The weights, 0 for the member that is left out.
    others: &'a [f64],
    rows: &'a [R],
    splits: &'a [Split],
    alphabet: &'a SymbolSet,
}

impl<R: AsRef<[f64]>> Without<'_, R> {
    fn weighted(&self) -> impl Iterator<Item = (usize, f64)> {
        let weights = self.others.iter().copied().enumerate();
        weights.filter(|(_, weight)| *weight > 0.0)
    }

    /// `ln p_k(s | not END)`.
    fn conditional(&self, k: usize, s: usize) -> f64 {
        self.splits[k].condition(self.rows[k].as_ref()[s], self.alphabet)
    }

    /// `ln q₋ₖ(s | not END)`; −∞ if there is no other.
    fn linear(&self, symbol: usize) -> f64 {
        let total: f64 = self.others.iter().sum();
        let terms = self
            .weighted()
            .map(|(j, weight)| weight / total * self.conditional(j, symbol).exp());
        terms.sum::<f64>().ln()
    }

    /// As [`Without::linear`]. With the weights summing to 1, `ln q` is `Σ λ_j ln p_j` and a
    /// constant: taking `λ_k ln p_k` away and dividing by `1 − λ_k` leaves the others, up to a
    /// constant that normalising removes.
    fn log(&self, symbol: usize, mixed: &[f64], weight: f64, ln_floor: f64) -> f64 {
        let mut others = self.weighted();
        match (others.next(), others.next()) {
            (None, _) => return f64::NEG_INFINITY,
            // A member alone is itself, without the floor.
            (Some((j, _)), None) => return self.conditional(j, symbol),
            _ => {}
        }
        let uniform = self.splits[self.member].go_on == f64::NEG_INFINITY;
        let bottom = if uniform { f64::NEG_INFINITY } else { ln_floor };
        let (split, row) = (self.splits[self.member], self.rows[self.member].as_ref());
        let rest = |q: f64, p: f64| {
            let own = lift(split.condition(p, self.alphabet), bottom);
            (q - weight * own) / (1.0 - weight)
        };
        // Relative to the symbol, which was drawn and so is none of the unlikeliest.
        let here = rest(mixed[symbol], row[symbol]);
        let sum = |from: usize, to: usize| -> f64 {
            let pairs = mixed[from..to].iter().zip(&row[from..to]);
            pairs.map(|(&q, &p)| (rest(q, p) - here).exp()).sum()
        };
        // All but the END symbols.
        let (mut z, mut from) = (0.0, 0);
        for &end in self.alphabet.ends() {
            z += sum(from, end);
            from = end + 1;
        }
        z += sum(from, mixed.len());
        -z.ln()
    }
}
