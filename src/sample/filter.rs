//! Filters over candidate symbols, as llama.cpp applies them.
//!
//! All work on ln-probabilities that need not be normalised. Symbols of equal probability are taken in the
//! order of the alphabet, so that nothing depends on how a sort treats equals.

use std::cmp::Ordering;

/// A symbol and its ln-probability, finite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Candidate {
    pub symbol: usize,
    pub ln_q: f64,
}

impl Candidate {
    /// Likelier first, then by symbol.
    fn order(a: &Candidate, b: &Candidate) -> Ordering {
        b.ln_q.total_cmp(&a.ln_q).then(a.symbol.cmp(&b.symbol))
    }
}

/// The likeliest symbol, the lowest of equals.
pub(super) fn likeliest(candidates: &[Candidate]) -> Option<usize> {
    candidates
        .iter()
        .min_by(|a, b| Candidate::order(a, b))
        .map(|best| best.symbol)
}

/// Keeps the k likeliest; 0 keeps all.
pub(super) fn top_k(candidates: &mut Vec<Candidate>, k: usize) {
    if k > 0 && k < candidates.len() {
        candidates.select_nth_unstable_by(k, Candidate::order);
        candidates.truncate(k);
    }
}

/// Keeps the fewest of the likeliest whose share of the candidates' mass reaches `p`, at least one; leaves them
/// sorted. `p` ≥ 1 keeps all, as they are.
pub(super) fn top_p(candidates: &mut Vec<Candidate>, p: f64) {
    if p >= 1.0 || candidates.is_empty() {
        return;
    }
    candidates.sort_unstable_by(Candidate::order);
    let best = candidates[0].ln_q;
    let mass = |candidate: &Candidate| (candidate.ln_q - best).exp();
    let enough = p * candidates.iter().map(mass).sum::<f64>();
    let mut sum = 0.0;
    let reaches = |candidate: &Candidate| {
        sum += mass(candidate);
        sum >= enough
    };
    if let Some(last) = candidates.iter().position(reaches) {
        candidates.truncate(last + 1);
    }
}

/// Keeps symbols of at least `p` times the likeliest one's probability; 0 keeps all.
pub(super) fn min_p(candidates: &mut Vec<Candidate>, p: f64) {
    if p > 0.0 {
        let best = candidates
            .iter()
            .map(|c| c.ln_q)
            .fold(f64::NEG_INFINITY, f64::max);
        let least = best + p.ln();
        candidates.retain(|candidate| candidate.ln_q >= least);
    }
}

/// Draws from softmax(ln q / temperature) with `unit` in `0..1`; `temperature` > 0. The candidates are used up.
pub(super) fn draw(candidates: &mut [Candidate], temperature: f64, unit: f64) -> Option<usize> {
    // In the order of the alphabet, the same number gives the same symbol however the filters left them.
    candidates.sort_unstable_by_key(|candidate| candidate.symbol);
    let best = candidates
        .iter()
        .map(|c| c.ln_q)
        .fold(f64::NEG_INFINITY, f64::max);
    let mut total = 0.0;
    for candidate in candidates.iter_mut() {
        candidate.ln_q = ((candidate.ln_q - best) / temperature).exp();
        total += candidate.ln_q;
    }
    let mut left = unit * total;
    let mut last = None;
    for candidate in candidates.iter().filter(|candidate| candidate.ln_q > 0.0) {
        last = Some(candidate.symbol);
        left -= candidate.ln_q;
        if left < 0.0 {
            break;
        }
    }
    last
}
