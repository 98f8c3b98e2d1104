//! `uniform`: the plain ensemble, λ_k = 1/K.

pub(super) fn weights(members: usize) -> Vec<f64> {
    vec![1.0 / members as f64; members]
}
