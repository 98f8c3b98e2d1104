//! `adaptive`: weights that follow the text, by exponentiated gradient.
//!
//! After every symbol x, `λ_k ∝ λ_k · exp(η ∂_k)` with the slope of ln q(x) in λ_k,
//!
//! | mix | ∂_k |
//! | --- | --- |
//! | log | `a_k(x) − E_q[a_k]`, a_k(s) = ln max(p_k(s), floor) |
//! | linear | `p_k(x) / q(x) − 1` |
//!
//! all of it given that the text goes on: END says little about which member knows the subject.
//! (Kivinen and Warmuth, *Exponentiated gradient versus gradient descent for linear predictors*,
//! 1997; log mixing as in Mattern, *Linear and geometric mixtures*, 2013.) Slopes are taken
//! relative to their mean under λ, which changes nothing, and then clipped, so that one surprise
//! does not overturn the weights; and no weight falls under 2% of its equal share, so that a member
//! can come back when the subject changes.
//!
//! The weights that a symbol is predicted with never know that symbol.

use super::mixture::Mixture;
use super::{Options, WeightError};
use crate::mix::{Mix, Split, SymbolSet, lift, ln_floor};

/// Bound of a slope, in nats: a guard, any from 1 to 20 cost the same on the texts measured.
const CLIP: f64 = 3.0;
/// The least weight of a member, as a fraction of 1/K.
const LEAST: f64 = 0.02;

/// Weights that learn symbol by symbol.
#[derive(Debug, Clone)]
pub struct Adaptive {
    lambda: Vec<f64>,
    mix: Mix,
    ln_floor: f64,
    rate: f64,
    /// Scratch: what each member says of every column, and the mixture.
    columns: Vec<Vec<f64>>,
    q: Vec<f64>,
}

/// What following a text led to.
#[derive(Debug, Clone, PartialEq)]
pub struct Course {
    /// −ln q(x_i) of every symbol under the weights before it, in nats.
    pub nats: Vec<f64>,
    /// The weights after the last symbol.
    pub lambda: Vec<f64>,
}

impl Adaptive {
    /// Starts at weights that sum to 1, usually those of `exact`.
    ///
    /// # Errors
    /// A rate that is negative or no number, a floor that is none.
    pub fn new(lambda: Vec<f64>, options: &Options) -> Result<Self, WeightError> {
        if !(options.rate >= 0.0 && options.rate.is_finite()) {
            return Err(WeightError::Rate(options.rate));
        }
        Ok(Adaptive {
            columns: vec![Vec::new(); lambda.len()],
            lambda,
            mix: options.mix,
            ln_floor: ln_floor(options.floor)?,
            rate: options.rate,
            q: Vec::new(),
        })
    }

    /// The weights in force: one a member, sum 1.
    pub fn lambda(&self) -> &[f64] {
        &self.lambda
    }

    /// Learns from a symbol. `rows[k]` is `ln p_k` over the alphabet before the symbol came, empty
    /// for a member that is absent: its weight stays as it is. END teaches nothing.
    ///
    /// # Errors
    /// Rows of another count than the weights.
    pub fn see<R, F>(
        &mut self,
        rows: &[R],
        alphabet: &SymbolSet,
        symbol: usize,
    ) -> Result<(), WeightError>
    where
        R: AsRef<[F]>,
        F: Copy + Into<f64>,
    {
        if rows.len() != self.lambda.len() {
            return Err(WeightError::Count {
                expected: rows.len(),
                actual: self.lambda.len(),
            });
        }
        if symbol >= alphabet.size() || alphabet.is_end(symbol) {
            return Ok(());
        }
        for (row, column) in rows.iter().zip(&mut self.columns) {
            let row = row.as_ref();
            column.clear();
            if row.is_empty() {
                continue;
            }
            let split = Split::of(row, alphabet);
            let go_on = (0..row.len()).filter(|&s| !alphabet.is_end(s));
            column.extend(go_on.map(|s| split.condition(row[s].into(), alphabet)));
        }
        let ends_before = alphabet.ends().partition_point(|&end| end < symbol);
        self.learn(symbol - ends_before, |_| 1.0);
        Ok(())
    }

    /// Learns from evidence, and says what it would have cost to predict it.
    pub(super) fn follow(mut self, mixture: &Mixture) -> Course {
        let mut nats = Vec::with_capacity(mixture.len());
        for i in 0..mixture.len() {
            nats.push(mixture.nats_at(i, &self.lambda));
            for (k, column) in self.columns.iter_mut().enumerate() {
                column.resize(mixture.width(i), 0.0);
                mixture.conditional(k, i, column);
            }
            self.learn(mixture.target(i), |c| mixture.copies(i, c));
        }
        Course {
            nats,
            lambda: self.lambda,
        }
    }

    /// The step, given what members say of every column and which column came.
    fn learn(&mut self, target: usize, copies: impl Fn(usize) -> f64) {
        let there = |k: &usize| !self.columns[*k].is_empty();
        let present: Vec<usize> = (0..self.lambda.len()).filter(there).collect();
        let before: f64 = present.iter().map(|&k| self.lambda[k]).sum();
        let slopes = match self.mix {
            Mix::Log => self.log_slopes(&present, target, copies),
            Mix::Linear => self.linear_slopes(&present, target),
        };
        // A symbol that is impossible to all teaches nothing.
        if before <= 0.0 || slopes.iter().any(|slope| slope.is_nan()) {
            return;
        }
        // A slope that all members share changes no weight, however large it is.
        let shares = present.iter().zip(&slopes);
        let common = shares.map(|(&k, s)| self.lambda[k] * s).sum::<f64>() / before;
        let least = LEAST * before / self.lambda.len() as f64;
        for (&k, slope) in present.iter().zip(slopes) {
            let factor = (self.rate * (slope - common).clamp(-CLIP, CLIP)).exp();
            self.lambda[k] = (self.lambda[k] * factor).max(least);
        }
        let after: f64 = present.iter().map(|&k| self.lambda[k]).sum();
        for k in present {
            self.lambda[k] *= before / after;
        }
    }

    /// `a_k(x) − E_q[a_k]` of the members present.
    fn log_slopes(
        &mut self,
        present: &[usize],
        target: usize,
        copies: impl Fn(usize) -> f64,
    ) -> Vec<f64> {
        let Adaptive {
            lambda,
            columns,
            q,
            ln_floor,
            ..
        } = self;
        q.clear();
        q.resize(present.first().map_or(0, |&k| columns[k].len()), 0.0);
        for &k in present {
            for (q, a) in q.iter_mut().zip(&mut columns[k]) {
                *a = lift(*a, *ln_floor);
                *q += lambda[k] * *a;
            }
        }
        let top = q.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        for (c, q) in q.iter_mut().enumerate() {
            *q = copies(c) * (*q - top).exp();
        }
        let z: f64 = q.iter().sum();
        let slope = |&k: &usize| {
            let mean = q.iter().zip(&columns[k]).map(|(q, a)| q * a);
            columns[k][target] - mean.sum::<f64>() / z
        };
        present.iter().map(slope).collect()
    }

    /// `p_k(x) / q(x) − 1` of the members present.
    fn linear_slopes(&self, present: &[usize], target: usize) -> Vec<f64> {
        let p: Vec<f64> = present
            .iter()
            .map(|&k| self.columns[k][target].exp())
            .collect();
        let pairs = present.iter().zip(&p);
        let q: f64 = pairs.map(|(&k, p)| self.lambda[k] * p).sum();
        p.iter().map(|p| p / q - 1.0).collect()
    }
}
