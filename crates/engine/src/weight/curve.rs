//! L(λ) with its gradient and Hessian, in one pass over the evidence.
//!
//! Write `a_k(s) = ln max(p_k(s | not END), floor)` and x for the symbol that came. A position
//! costs
//!
//! | mix | loss | gradient | Hessian |
//! | --- | --- | --- | --- |
//! | log | `ln Σ_s exp Σ_k λ_k (a_k(s) − a_k(x))` | `E_q[a_k] − a_k(x)` | `Cov_q(a_k, a_l)` |
//! | linear | `−ln Σ_k λ_k p_k(x)` | `−p_k(x) / q(x)` | `p_k(x) p_l(x) / q(x)²` |
//!
//! both convex in λ: a log-sum-exp of linear functions, and −ln of a linear one. Centring on a(x)
//! leaves the covariance as it is, and keeps a confident q from cancelling.
//!
//! Not ending costs `−ln(1 − q(END))`, the same two expressions over a two-way alphabet, but of the
//! *votes* `v = λ_E / Σ λ_E` of the members E that can end. It is convex in v. In λ it is convex if
//! all members can end (v = λ) or at most one can (it is constant). Else it is a convex function of
//! a projective map, which need not be convex: [`Curve::is_convex`] says so, and the Hessian leaves
//! out the curvature of that map (Gauss–Newton), so that it is positive semidefinite in every case.
//!
//! The floor applies everywhere here, also where one member is alone. It does not in generation, so
//! that the loss at a corner of the simplex, or with one vote, may differ from this by what the
//! floor takes: see [`super::exact`].

use super::mixture::Mixture;
use crate::mix::{Mix, Split, lift};

/// A loss and its derivatives in K variables.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Curve {
    pub value: f64,
    pub gradient: Vec<f64>,
    /// K × K, row-major, symmetric.
    pub hessian: Vec<f64>,
}

impl Curve {
    fn zero(variables: usize) -> Self {
        Curve {
            value: 0.0,
            gradient: vec![0.0; variables],
            hessian: vec![0.0; variables * variables],
        }
    }

    /// L at weights that sum to 1, in nats per byte.
    pub fn of(mixture: &Mixture, lambda: &[f64]) -> Self {
        let mut curve = go_on(mixture, lambda);
        curve.add(&end(mixture, lambda));
        let bytes = mixture.bytes();
        curve.value /= bytes;
        curve.gradient.iter_mut().for_each(|g| *g /= bytes);
        curve.hessian.iter_mut().for_each(|h| *h /= bytes);
        curve
    }

    /// Whether L is convex on the simplex.
    pub fn is_convex(mixture: &Mixture) -> bool {
        let ending_members = mixture.ending_members().len();
        ending_members <= 1 || ending_members == mixture.members()
    }

    fn add(&mut self, other: &Curve) {
        self.value += other.value;
        let pairs = self.gradient.iter_mut().zip(&other.gradient);
        pairs.for_each(|(a, b)| *a += b);
        let pairs = self.hessian.iter_mut().zip(&other.hessian);
        pairs.for_each(|(a, b)| *a += b);
    }

    /// Adds a position of log mixing. `rows[k][c]` is a_k(c) − a_k(x), `copies(c)` how many symbols
    /// column c stands for; `q` and `weighted` are scratch.
    #[inline(always)]
    fn add_log(
        &mut self,
        rows: &[Vec<f64>],
        lambda: &[f64],
        copies: impl Fn(usize) -> f64,
        q: &mut Vec<f64>,
        weighted: &mut Vec<f64>,
    ) {
        let members = rows.len();
        let width = rows.first().map_or(0, Vec::len);
        q.clear();
        q.resize(width, 0.0);
        for (row, &weight) in rows.iter().zip(lambda).filter(|(_, w)| **w > 0.0) {
            q.iter_mut().zip(row).for_each(|(q, a)| *q += weight * a);
        }
        let top = q.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut z = 0.0;
        for (c, q) in q.iter_mut().enumerate() {
            *q = copies(c) * (*q - top).exp();
            z += *q;
        }
        self.value += top + z.ln();
        q.iter_mut().for_each(|q| *q /= z);
        let mean: Vec<f64> = rows.iter().map(|row| dot(q, row)).collect();
        for k in 0..members {
            self.gradient[k] += mean[k];
            weighted.clear();
            weighted.extend(q.iter().zip(&rows[k]).map(|(q, a)| q * a));
            for l in 0..=k {
                let covariance = dot(weighted, &rows[l]) - mean[k] * mean[l];
                self.hessian[k * members + l] += covariance;
                if l < k {
                    self.hessian[l * members + k] += covariance;
                }
            }
        }
    }

    /// Adds a position of linear mixing; `ln_p[k]` is ln p_k(x). A symbol that is impossible to all
    /// costs an infinity under every λ, and is passed over.
    fn add_linear(&mut self, ln_p: &[f64], lambda: &[f64]) {
        let top = ln_p.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if top == f64::NEG_INFINITY {
            return;
        }
        let p: Vec<f64> = ln_p.iter().map(|x| (x - top).exp()).collect();
        let q = dot(&p, lambda);
        self.value -= top + q.ln();
        for k in 0..p.len() {
            self.gradient[k] -= p[k] / q;
            for l in 0..p.len() {
                self.hessian[k * p.len() + l] += p[k] * p[l] / (q * q);
            }
        }
    }

    /// The same loss as a function of λ, where this one is of `votes = λ / total`, for total > 0.
    fn pulled_back(mut self, votes: &[f64], total: f64) -> Self {
        let n = votes.len();
        let along = dot(&self.gradient, votes);
        let rows: Vec<f64> = (0..n)
            .map(|k| dot(&self.hessian[k * n..(k + 1) * n], votes))
            .collect();
        let both = dot(&rows, votes);
        for k in 0..n {
            self.gradient[k] = (self.gradient[k] - along) / total;
            for l in 0..n {
                let h = &mut self.hessian[k * n + l];
                *h = (*h - rows[k] - rows[l] + both) / (total * total);
            }
        }
        self
    }
}

/// What going on as the text does costs, in nats.
fn go_on(mixture: &Mixture, lambda: &[f64]) -> Curve {
    let members = mixture.members();
    let mut curve = Curve::zero(members);
    let mut rows = vec![Vec::new(); members];
    let (mut q, mut weighted) = (Vec::new(), Vec::new());
    for i in 0..mixture.len() {
        match mixture.mix() {
            Mix::Log => {
                for (k, row) in rows.iter_mut().enumerate() {
                    row.resize(mixture.width(i), 0.0);
                    mixture.conditional(k, i, row);
                    let bottom = mixture.ln_floor();
                    let target = lift(row[mixture.target(i)], bottom);
                    row.iter_mut().for_each(|a| *a = lift(*a, bottom) - target);
                }
                let copies = |c| mixture.copies(i, c);
                // Compiled for several kinds of vector instructions; chosen at run time.
                pulp::Arch::new().dispatch(
                    #[inline(always)]
                    || curve.add_log(&rows, lambda, copies, &mut q, &mut weighted),
                );
            }
            Mix::Linear => {
                let ln_p: Vec<f64> = (0..members)
                    .map(|k| mixture.conditional_target(k, i))
                    .collect();
                curve.add_linear(&ln_p, lambda);
            }
        }
    }
    curve
}

/// What not ending costs, in nats.
fn end(mixture: &Mixture, lambda: &[f64]) -> Curve {
    let ending_members = mixture.ending_members();
    let mut whole = Curve::zero(mixture.members());
    let total: f64 = ending_members.iter().map(|&k| lambda[k]).sum();
    if ending_members.len() < 2 || total <= 0.0 {
        whole.value = mixture.end_loss(lambda);
        return whole;
    }
    let votes: Vec<f64> = ending_members.iter().map(|&k| lambda[k] / total).collect();
    let mut curve = Curve::zero(ending_members.len());
    let mut rows = vec![Vec::new(); ending_members.len()];
    let (mut q, mut weighted) = (Vec::new(), Vec::new());
    for i in 0..mixture.len() {
        let splits = || ending_members.iter().map(|&k| mixture.split(k, i));
        match mixture.mix() {
            Mix::Log => {
                for (row, Split { end, go_on }) in rows.iter_mut().zip(splits()) {
                    let bottom = mixture.ln_floor();
                    row.clear();
                    row.extend([lift(end, bottom) - lift(go_on, bottom), 0.0]);
                }
                curve.add_log(&rows, &votes, |_| 1.0, &mut q, &mut weighted);
            }
            Mix::Linear => {
                let ln_p: Vec<f64> = splits().map(|split| split.go_on).collect();
                curve.add_linear(&ln_p, &votes);
            }
        }
    }
    let curve = curve.pulled_back(&votes, total);
    whole.value = curve.value;
    for (a, &k) in ending_members.iter().enumerate() {
        whole.gradient[k] = curve.gradient[a];
        for (b, &l) in ending_members.iter().enumerate() {
            whole.hessian[k * lambda.len() + l] = curve.hessian[a * ending_members.len() + b];
        }
    }
    whole
}

/// Σ a·b in independent lanes.
#[inline(always)]
fn dot(a: &[f64], b: &[f64]) -> f64 {
    const LANES: usize = 16;
    let mut lanes = [0.0; LANES];
    let (fours_a, fours_b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = fours_a.remainder().iter().zip(fours_b.remainder());
    let rest: f64 = rest.map(|(x, y)| x * y).sum();
    for (x, y) in fours_a.zip(fours_b) {
        for j in 0..LANES {
            lanes[j] += x[j] * y[j];
        }
    }
    lanes.iter().sum::<f64>() + rest
}
