//! `top1`: all on the member with the lowest loss, the first of equals.

/// `losses`: L_k in nats per byte, not NaN, may be infinite.
pub(super) fn weights(losses: &[f64]) -> Vec<f64> {
    let mut lambda = vec![0.0; losses.len()];
    if let Some(&best) = by_loss(losses).first() {
        lambda[best] = 1.0;
    }
    lambda
}

/// Members by rising loss, equals in their own order.
pub(super) fn by_loss(losses: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..losses.len()).collect();
    order.sort_by(|&a, &b| losses[a].total_cmp(&losses[b]));
    order
}
