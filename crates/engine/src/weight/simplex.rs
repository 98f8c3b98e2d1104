//! The step of [`super::exact`]: a quadratic and a logarithmic barrier, minimised over the simplex.
//!
//! ```text
//! minimise   g·(λ − c) + ½ (λ − c)ᵀ H (λ − c) − Σ_k β_k ln λ_k     over λ ≥ 0, Σ λ = 1
//! ```
//!
//! by a primal–dual interior-point method (Wright, *Primal-Dual Interior-Point Methods*, 1997,
//! chapter 1). With a multiplier y for the sum and z_k for each bound the optimum is where `g + H(λ
//! − c) − z − y·1 = 0` and `λ_k z_k = β_k`: a barrier of the problem's own is a complementarity
//! that does not go to 0. The method follows `λ_k z_k = β_k + μ` for μ → 0, a K × K system a step.

/// The problem.
#[derive(Debug)]
pub(super) struct Model<'a> {
    /// c, a point of the simplex.
    pub centre: &'a [f64],
    /// g, the gradient at the centre, without the barrier's.
    pub gradient: &'a [f64],
    /// H, K × K, positive semidefinite.
    pub hessian: &'a [f64],
    /// β ≥ 0.
    pub barrier: &'a [f64],
}

/// Steps at most; about 25 are needed.
const STEPS: usize = 100;
/// What μ falls by from step to step.
const SHRINK: f64 = 0.2;
/// How far towards the boundary a step goes.
const FRACTION: f64 = 0.99;
/// Where μ stops, as a fraction of the scale of the gradient.
const LEAST: f64 = 1e-16;
/// A weight without a barrier that is under this is 0.
const ZERO: f64 = 1e-11;

/// The minimum. Weights without a barrier may be exactly 0.
pub(super) fn minimise(model: &Model) -> Vec<f64> {
    let n = model.centre.len();
    let spread = |values: &[f64]| values.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    let scale = spread(model.gradient) + spread(model.hessian) + spread(model.barrier) + 1e-30;
    let mut mu = scale / n as f64;
    let mut lambda = vec![1.0 / n as f64; n];
    let mut z: Vec<f64> = (0..n)
        .map(|k| (model.barrier[k] + mu) / lambda[k])
        .collect();
    for _ in 0..STEPS {
        let aim: Vec<f64> = model.barrier.iter().map(|b| b + mu).collect();
        let slope = model.slope(&lambda);
        // (H + diag(z/λ)) dλ = y·1 − slope + aim/λ, with y such that Σ dλ = 0. σ·11ᵀ does not
        // change a step along the simplex, and keeps the factor of a singular H sound.
        let sigma = spread(model.hessian);
        let mut matrix: Vec<f64> = model.hessian.iter().map(|h| h + sigma).collect();
        (0..n).for_each(|k| matrix[k * n + k] += z[k] / lambda[k]);
        factorise(&mut matrix, n);
        let mut step: Vec<f64> = (0..n).map(|k| aim[k] / lambda[k] - slope[k]).collect();
        let mut ones = vec![1.0; n];
        solve(&matrix, n, &mut step);
        solve(&matrix, n, &mut ones);
        let y = -step.iter().sum::<f64>() / ones.iter().sum::<f64>();
        step.iter_mut().zip(&ones).for_each(|(s, o)| *s += y * o);
        let dual: Vec<f64> = (0..n)
            .map(|k| (aim[k] - z[k] * step[k]) / lambda[k] - z[k])
            .collect();
        let length = FRACTION * reach(&lambda, &step).min(reach(&z, &dual));
        let length = length.min(1.0);
        lambda
            .iter_mut()
            .zip(&step)
            .for_each(|(x, d)| *x += length * d);
        z.iter_mut().zip(&dual).for_each(|(x, d)| *x += length * d);
        let total: f64 = lambda.iter().sum();
        lambda.iter_mut().for_each(|x| *x /= total);
        if mu <= LEAST * scale && length == 1.0 && spread(&step) < LEAST.sqrt() {
            break;
        }
        // μ falls only if the step was not cut short.
        if length > 0.5 {
            mu = (mu * SHRINK).max(LEAST * scale);
        }
    }
    for (x, &barrier) in lambda.iter_mut().zip(model.barrier) {
        if barrier == 0.0 && *x < ZERO {
            *x = 0.0;
        }
    }
    super::normalise(&mut lambda);
    lambda
}

impl Model<'_> {
    /// g + H(λ − c).
    fn slope(&self, lambda: &[f64]) -> Vec<f64> {
        let n = lambda.len();
        let row = |k: usize| {
            let h = &self.hessian[k * n..(k + 1) * n];
            let moved = h.iter().zip(lambda.iter().zip(self.centre));
            moved.map(|(h, (x, c))| h * (x - c)).sum::<f64>()
        };
        (0..n).map(|k| self.gradient[k] + row(k)).collect()
    }

    /// The model's value at λ less that at the centre.
    pub fn change(&self, lambda: &[f64]) -> f64 {
        let slope = self.slope(lambda);
        let mut change = 0.0;
        for k in 0..lambda.len() {
            // ∇ at the centre and at λ, averaged: exact for a quadratic.
            change += 0.5 * (self.gradient[k] + slope[k]) * (lambda[k] - self.centre[k]);
            if self.barrier[k] > 0.0 {
                change -= self.barrier[k] * (lambda[k] / self.centre[k]).ln();
            }
        }
        change
    }
}

/// How many times `step` fits before an entry is 0.
fn reach(at: &[f64], step: &[f64]) -> f64 {
    let falling = at.iter().zip(step).filter(|(_, d)| **d < 0.0);
    falling.fold(f64::INFINITY, |most, (x, d)| most.min(-x / d))
}

/// Cholesky, in place: the lower triangle becomes L of L·Lᵀ.
fn factorise(matrix: &mut [f64], n: usize) {
    for k in 0..n {
        for l in 0..=k {
            let done: f64 = (0..l).map(|j| matrix[k * n + j] * matrix[l * n + j]).sum();
            let rest = matrix[k * n + l] - done;
            matrix[k * n + l] = if k == l {
                rest.max(f64::MIN_POSITIVE).sqrt()
            } else {
                rest / matrix[l * n + l]
            };
        }
    }
}

/// Solves with the factor of [`factorise`], in place.
fn solve(factor: &[f64], n: usize, b: &mut [f64]) {
    for k in 0..n {
        let done: f64 = (0..k).map(|j| factor[k * n + j] * b[j]).sum();
        b[k] = (b[k] - done) / factor[k * n + k];
    }
    for k in (0..n).rev() {
        let done: f64 = (k + 1..n).map(|j| factor[j * n + k] * b[j]).sum();
        b[k] = (b[k] - done) / factor[k * n + k];
    }
}
