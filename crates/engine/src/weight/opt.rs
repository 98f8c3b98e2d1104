//! `opt`: the greedy search of PackLLM-opt for the λ that minimise the mixture's loss on the
//! evidence.
//!
//! Members are taken by rising loss. The mix starts as the best member; each next member joins with
//! the λ of {0, 0.05, …, 1} for which `M(λ·mix + (1 − λ)·next)` has the lowest loss, and the
//! weights found so far are multiplied by λ. A tie keeps the mix, the larger λ, so a member that
//! brings nothing has weight 0 (the released scorer gives it to the newcomer,
//! [`super::Options::ties_to_newcomer`]). The loss never rises from step to step: `opt` is at least
//! as good on the evidence as `top1`.
//!
//! # Cost
//! For n symbols, C columns (256 in bytes) and K members, 2·n·C·(K − 1) exponentials and 19·n·C·(K
//! − 1) multiplications for log mixing, where instead of a new exponential for every λ the
//! unnormalised mixture `exp(λA + (1 − λ)B)` walks up the grid by the factor `exp(0.05·(A − B))`;
//! A, the weighted sum of the members mixed so far, takes n·C·8 bytes. Linear mixing looks at the
//! evidence's own symbols only: 20·n·(K − 1) additions. Pooling END takes K·20·n·(K − 1) more. 8
//! members on 8,000 bytes take under a second on one core.

use super::mixture::Mixture;
use super::top1::by_loss;
use crate::mix::{Mix, lift};

/// Steps of the grid: λ = j / STEPS.
const STEPS: usize = 20;
/// Differences of loss (nats per byte) that are rounding error.
const TIE: f64 = 1e-12;

/// The mix so far, position after position, as [`part`] gives a member's: for log mixing Σ λ_k ln
/// p_k over all columns, not normalised; for linear mixing Σ λ_k p_k of the evidence's own symbol.
type Blend = Vec<f64>;

/// `losses`: L_k in nats per byte, for the order.
pub(super) fn weights(mixture: &Mixture, losses: &[f64], ties_to_newcomer: bool) -> Vec<f64> {
    let mut lambda = vec![0.0; losses.len()];
    let order = by_loss(losses);
    let Some((&best, others)) = order.split_first() else {
        return lambda;
    };
    lambda[best] = 1.0;
    let mut loss = mixture.nats_per_byte_of(&lambda);
    let mut blend = start(mixture, best);
    for &next in others {
        let grid: Vec<Vec<f64>> = (0..=STEPS).map(|j| joined(&lambda, next, j)).collect();
        let mut losses = match mixture.mix() {
            Mix::Log => log_losses(mixture, &blend, next, &grid),
            Mix::Linear => linear_losses(mixture, &blend, next, &grid),
        };
        // A single member is itself, without the floor.
        losses[0] = mixture.nats_per_byte_of(&grid[0]);
        let mut chosen = STEPS;
        for j in (0..STEPS).rev() {
            let ties = ties_to_newcomer && losses[j] <= loss + TIE;
            if ties || losses[j] + TIE < loss {
                (chosen, loss) = (j, loss.min(losses[j]));
            }
        }
        if chosen < STEPS {
            join(mixture, &mut blend, next, chosen as f64 / STEPS as f64);
            lambda.clone_from(&grid[chosen]);
        }
    }
    lambda
}

/// The weights when `next` joins at grid point j.
fn joined(lambda: &[f64], next: usize, j: usize) -> Vec<f64> {
    let share = j as f64 / STEPS as f64;
    let mut joined: Vec<f64> = lambda.iter().map(|w| w * share).collect();
    joined[next] = 1.0 - share;
    joined
}

/// What member k brings to a blend at position i: floored ln p over all columns (log), p of the
/// evidence's own symbol (linear).
fn part(mixture: &Mixture, k: usize, i: usize, out: &mut Vec<f64>) {
    out.clear();
    match mixture.mix() {
        Mix::Log => {
            out.resize(mixture.width(i), 0.0);
            mixture.conditional(k, i, out);
            out.iter_mut()
                .for_each(|x| *x = lift(*x, mixture.ln_floor()));
        }
        Mix::Linear => out.push(mixture.conditional_target(k, i).exp()),
    }
}

fn start(mixture: &Mixture, member: usize) -> Blend {
    let mut blend = Blend::new();
    let mut row = Vec::new();
    for i in 0..mixture.len() {
        part(mixture, member, i, &mut row);
        blend.extend_from_slice(&row);
    }
    blend
}

/// blend ← λ·blend + (1 − λ)·next.
fn join(mixture: &Mixture, blend: &mut Blend, next: usize, lambda: f64) {
    let mut row = Vec::new();
    let mut rest = blend.as_mut_slice();
    for i in 0..mixture.len() {
        part(mixture, next, i, &mut row);
        let (here, after) = rest.split_at_mut(row.len());
        for (a, b) in here.iter_mut().zip(&row) {
            *a = lambda * *a + (1.0 - lambda) * b;
        }
        rest = after;
    }
}

/// What not ending costs at every grid point, in nats.
fn end_losses(mixture: &Mixture, grid: &[Vec<f64>]) -> [f64; STEPS + 1] {
    std::array::from_fn(|j| mixture.end_loss(&grid[j]))
}

/// Loss in nats per byte at the inner grid points; those at both ends mean nothing.
fn log_losses(
    mixture: &Mixture,
    blend: &Blend,
    next: usize,
    grid: &[Vec<f64>],
) -> [f64; STEPS + 1] {
    let mut losses = end_losses(mixture, grid);
    let mut row = Vec::new();
    let mut blend = blend.as_slice();
    for i in 0..mixture.len() {
        part(mixture, next, i, &mut row);
        let (here, after) = blend.split_at(row.len());
        blend = after;
        let mut z = [0.0; STEPS + 1];
        for (c, (a, b)) in here.iter().zip(&row).enumerate() {
            // Both logarithms are finite and at least the floor's, so no product over- or
            // underflows.
            let step = ((a - b) / STEPS as f64).exp();
            let mut p = b.exp() * mixture.copies(i, c);
            for z in &mut z[1..STEPS] {
                p *= step;
                *z += p;
            }
        }
        let (a, b) = (here[mixture.target(i)], row[mixture.target(i)]);
        for j in 1..STEPS {
            let share = j as f64 / STEPS as f64;
            losses[j] -= share * a + (1.0 - share) * b - z[j].ln();
        }
    }
    losses.map(|nats| nats / mixture.bytes())
}

/// As [`log_losses`].
fn linear_losses(
    mixture: &Mixture,
    blend: &Blend,
    next: usize,
    grid: &[Vec<f64>],
) -> [f64; STEPS + 1] {
    let mut losses = end_losses(mixture, grid);
    for (i, a) in blend.iter().enumerate() {
        let b = mixture.conditional_target(next, i).exp();
        for (j, loss) in losses.iter_mut().enumerate() {
            let share = j as f64 / STEPS as f64;
            *loss -= (share * a + (1.0 - share) * b).ln();
        }
    }
    losses.map(|nats| nats / mixture.bytes())
}
