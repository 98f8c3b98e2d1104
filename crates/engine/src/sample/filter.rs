//! Filters over candidate symbols, as llama.cpp applies them.
//!
//! All work on ln-probabilities that need not be normalised. Symbols of equal probability are taken
//! in the order of the alphabet, so that nothing depends on how a sort treats equals.

use std::cmp::Ordering;

/// A symbol and its ln-probability, finite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Candidate {
    pub symbol: usize,
    pub ln_q: f64,
}

impl Candidate {
    /// Likelier first, then by symbol.
    fn order(a: &Candidate, b: &Candidate) -> Ordering {
        b.ln_q.total_cmp(&a.ln_q).then(a.symbol.cmp(&b.symbol))
    }
}

/// The `n` likeliest symbols that `allowed` does not refuse, in no order. `log_q` has
/// ln-probabilities; what is not finite is impossible.
pub(crate) fn likeliest(
    log_q: &[f64],
    n: usize,
    allowed: impl Fn(usize) -> bool,
    found: &mut Vec<Candidate>,
) {
    const CHUNK: usize = 64;
    found.clear();
    let Some(last) = n.checked_sub(1) else {
        return;
    };
    let shrink = |found: &mut Vec<Candidate>| {
        found.select_nth_unstable_by(last, Candidate::order);
        found.truncate(n);
    };
    // The least of the n best so far: an equal one further on comes after it.
    let mut least = f64::NEG_INFINITY;
    for (chunk, first) in log_q.chunks(CHUNK).zip((0..).step_by(CHUNK)) {
        // Nearly all chunks have nothing above it. Without a branch, this vectorises.
        if !chunk.iter().fold(false, |any, &ln_q| any | (ln_q > least)) {
            continue;
        }
        for (symbol, &ln_q) in (first..).zip(chunk) {
            if ln_q > least && ln_q.is_finite() && allowed(symbol) {
                found.push(Candidate { symbol, ln_q });
            }
        }
        if found.len() >= n.saturating_mul(2).max(n.saturating_add(CHUNK)) {
            shrink(found);
            least = found[last].ln_q;
        }
    }
    if found.len() > n {
        shrink(found);
    }
}

/// Keeps the fewest of the likeliest whose share of the candidates' mass reaches `p`, at least one;
/// leaves them sorted. `p` ≥ 1 keeps all, as they are.
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

/// Draws from softmax(ln q / temperature) with `unit` in `0..1`; `temperature` > 0. The candidates
/// are used up.
pub(super) fn draw(candidates: &mut [Candidate], temperature: f64, unit: f64) -> Option<usize> {
    // In the order of the alphabet the same number gives the same symbol, in whatever order the
    // filters left them.
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_likeliest_are_the_first_of_all_in_order(
            steps in prop::collection::vec(prop::sample::select(vec![-3.0, -2.0, -1.0, 0.0, f64::NEG_INFINITY, f64::NAN]), 0..900),
            slope in 0..40usize, n in 0..70usize, refused in 0..9usize,
        ) {
            // Some ascend, so that what was found has to leave again.
            let log_q: Vec<f64> = steps.iter().enumerate().map(|(i, step)| step + (i * slope / 100) as f64).collect();
            let allowed = |symbol: usize| symbol % 9 != refused;
            let possible = (0..log_q.len()).filter(|&s| log_q[s].is_finite() && allowed(s));
            let mut expected: Vec<Candidate> = possible.map(|symbol| Candidate { symbol, ln_q: log_q[symbol] }).collect();
            expected.sort_by(Candidate::order);
            expected.truncate(n);
            let mut found = Vec::new();
            likeliest(&log_q, n, allowed, &mut found);
            found.sort_by(Candidate::order);
            prop_assert_eq!(found, expected);
        }
    }
}
