//! `exact`: the weights that minimise the mixture's loss on the evidence, tempered by a prior.
//!
//! ```text
//! F(λ) = L(λ) + (n₀/n) · KL(π ‖ λ),   KL(π ‖ λ) = Σ_k π_k ln(π_k / λ_k)
//! ```
//!
//! over the simplex, where L is the loss in nats per byte of what generation would mix, END
//! included, n the evidence in bytes, and π the prior weights. The prior is that of n₀ bytes seen
//! before, of which member k was the better one π_k of the time: it keeps a short text from
//! deciding everything. Unless the manifest gives π, it is the weights by [`super::sim`]: a few
//! bytes are enough to see from the losses which member is good, but not which mixture is.
//!
//! # Method
//! Proximal Newton steps from the centre: [`Curve`] gives value, gradient and Hessian of L in one
//! pass over the evidence, [`simplex`](super::simplex) minimises that quadratic together with the
//! KL term as it is, and the step is halved until F falls enough. A handful of passes suffice. The
//! Frank–Wolfe gap `max_k ⟨∇F, λ − e_k⟩` bounds F(λ) − min F where F is convex: for either mix, if
//! all members can end, or at most one can. Where some can and others cannot, the vote on END makes
//! F not quite convex; the gap then only says that no direction falls any further, and
//! [`Certificate::convex`] is false. (That part of the loss is small: text seldom ends, and members
//! know it.)
//!
//! # Corners
//! Alone, a member has no floor, so L jumps at the corners of the simplex, and where one vote
//! decides END. A positive prior keeps λ off the boundary. Without one the corners, and the point
//! that [`super::opt`] finds, are compared with the solution and the best is taken: at n₀ = 0
//! `exact` is never worse on the evidence than `opt` or any single member.

use super::curve::Curve;
use super::mixture::Mixture;
use super::simplex::{Model, minimise};
use super::{opt, uniform};

/// The gap that is promised, in nats per byte.
pub const TOLERANCE: f64 = 1e-6;
/// The gap that is aimed at; Newton steps get there in one more pass.
const AIM: f64 = 1e-10;
/// Passes over the evidence at most.
const PASSES: usize = 100;
/// How far from a corner its neighbour is tried.
const INWARDS: f64 = 1e-9;
/// Shortest step tried.
const SHORTEST: f64 = 1e-6;
/// Fraction of the promised descent that must come true.
const DESCENT: f64 = 1e-4;
/// Differences of F that are rounding error.
const TIE: f64 = 1e-13;

/// How well `exact` is known to have solved its problem.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Certificate {
    /// Frank–Wolfe gap, in nats per byte.
    pub gap: f64,
    /// Passes over the evidence.
    pub passes: usize,
    /// Whether the problem is convex, so that no weights are better by more than the gap.
    pub convex: bool,
}

/// `losses`: L_k in nats per byte; `prior`: π, sum 1; `strength`: n₀/n.
pub(super) fn weights(
    mixture: &Mixture,
    losses: &[f64],
    prior: &[f64],
    strength: f64,
) -> (Vec<f64>, Certificate) {
    let problem = Problem {
        mixture,
        prior,
        barrier: prior.iter().map(|p| strength * p).collect(),
    };
    let (lambda, certificate) = problem.solve();
    let mut best = (problem.value(&lambda), lambda);
    let nudged = inwards(&best.1);
    for candidate in problem.corners(losses).into_iter().chain([nudged]) {
        let value = problem.value(&candidate);
        // Not "<" alone: an infinite loss is no reason to move.
        if value + TIE < best.0 {
            best = (value, candidate);
        }
    }
    (best.1, certificate)
}

/// A little inside the simplex: a corner is where a member is alone and has no floor, which may
/// cost it.
fn inwards(lambda: &[f64]) -> Vec<f64> {
    let share = INWARDS / lambda.len() as f64;
    lambda.iter().map(|x| (1.0 - INWARDS) * x + share).collect()
}

struct Problem<'a> {
    mixture: &'a Mixture<'a>,
    prior: &'a [f64],
    /// (n₀/n)·π, the coefficients of −ln λ_k.
    barrier: Vec<f64>,
}

impl Problem<'_> {
    /// (n₀/n)·KL(π ‖ λ).
    fn penalty(&self, lambda: &[f64]) -> f64 {
        let terms = self.barrier.iter().zip(self.prior).zip(lambda);
        let terms = terms.filter(|((b, _), _)| **b > 0.0);
        terms.map(|((b, p), x)| b * (p / x).ln()).sum()
    }

    /// F as generation would see it.
    fn value(&self, lambda: &[f64]) -> f64 {
        self.mixture.nats_per_byte_of(lambda) + self.penalty(lambda)
    }

    /// max_k ⟨∇F, λ − e_k⟩.
    fn gap(&self, lambda: &[f64], curve: &Curve) -> f64 {
        let slope = |k: usize| match self.barrier[k] {
            0.0 => curve.gradient[k],
            barrier => curve.gradient[k] - barrier / lambda[k],
        };
        let slopes: Vec<f64> = (0..lambda.len()).map(slope).collect();
        let least = slopes.iter().copied().fold(f64::INFINITY, f64::min);
        // Relative to the least, so that what all have in common does not cancel.
        let part = |(x, slope): (&f64, &f64)| x * (slope - least);
        lambda.iter().zip(&slopes).map(part).sum()
    }

    /// The minimum of F with the floor everywhere.
    fn solve(&self) -> (Vec<f64>, Certificate) {
        let mut lambda = uniform::weights(self.prior.len());
        let mut curve = Curve::of(self.mixture, &lambda);
        let mut certificate = Certificate {
            gap: self.gap(&lambda, &curve),
            passes: 1,
            convex: Curve::is_convex(self.mixture),
        };
        while certificate.gap > AIM && certificate.passes < PASSES {
            let Some((next, at, passes)) = self.step(&lambda, &curve) else {
                break;
            };
            (lambda, curve) = (next, at);
            certificate.gap = self.gap(&lambda, &curve);
            certificate.passes += passes;
        }
        (lambda, certificate)
    }

    /// One Newton step, halved until F falls; None if it does not. Gives the passes it took.
    fn step(&self, lambda: &[f64], curve: &Curve) -> Option<(Vec<f64>, Curve, usize)> {
        let model = Model {
            centre: lambda,
            gradient: &curve.gradient,
            hessian: &curve.hessian,
            barrier: &self.barrier,
        };
        let target = minimise(&model);
        let promised = model.change(&target);
        let before = curve.value + self.penalty(lambda);
        let mut length = 1.0;
        let mut passes = 0;
        while length >= SHORTEST {
            let between = |(x, t): (&f64, &f64)| (1.0 - length) * x + length * t;
            let trial: Vec<f64> = lambda.iter().zip(&target).map(between).collect();
            let at = Curve::of(self.mixture, &trial);
            passes += 1;
            let after = at.value + self.penalty(&trial);
            if after <= before + DESCENT * length * promised + TIE * before.abs() {
                return Some((trial, at, passes));
            }
            length *= 0.5;
        }
        None
    }

    /// Where F may be lower than with the floor everywhere; nothing if a prior keeps λ inside.
    fn corners(&self, losses: &[f64]) -> Vec<Vec<f64>> {
        let members = losses.len();
        if self.barrier.iter().all(|b| *b > 0.0) {
            return Vec::new();
        }
        let corner = |k: usize| (0..members).map(|l| f64::from(u8::from(k == l))).collect();
        let corners = (0..members).map(corner);
        corners
            .chain([opt::weights(self.mixture, losses, false)])
            .collect()
    }
}
