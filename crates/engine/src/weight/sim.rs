//! `sim`: weights from the losses alone, λ = softmax(−c·L/τ) (PackLLM-sim).
//!
//! The paper's losses are per token. L_k is per byte, since tokenizers differ, so c = evidence
//! bytes per token (mean over members) brings it back to the scale for which τ = 1 is meant.

use super::{WeightError, normalise, uniform};

/// `losses`: L_k in nats per byte, may be infinite (weight 0, or equal weights if all are).
pub(super) fn weights(
    losses: &[f64],
    bytes_per_token: f64,
    tau: f64,
) -> Result<Vec<f64>, WeightError> {
    if !(tau > 0.0 && tau.is_finite()) {
        return Err(WeightError::Tau(tau));
    }
    let best = losses.iter().copied().fold(f64::INFINITY, f64::min);
    if best == f64::INFINITY {
        return Ok(uniform::weights(losses.len()));
    }
    // Relative to the best: the sum is at least 1, and a tiny tau is top1.
    let weight = |loss: &f64| {
        let gap = loss - best;
        if gap > 0.0 {
            (-bytes_per_token * gap / tau).exp()
        } else {
            1.0
        }
    };
    let mut lambda: Vec<f64> = losses.iter().map(weight).collect();
    normalise(&mut lambda);
    Ok(lambda)
}
