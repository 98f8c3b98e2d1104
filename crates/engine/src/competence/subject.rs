//! Which domain a question is of: naive Bayes over trigrams of characters.
//!
//! It has read the probe and nothing else. Of the thousand questions of `eval --suite full` it finds
//! the domain of 74%; ln p of the right one is −0.87 in the mean, at equal odds −2.30. Overlapping
//! trigrams say the same thing several times, so what they say counts [`TRUST`] of what it would if
//! each were news. Those that the probe has nowhere say nothing.

use super::{DOMAINS, pairs};
use std::collections::HashMap;
use std::sync::LazyLock;

/// How often every trigram counts as seen before it was.
const SMOOTHING: f64 = 0.3;
/// What a trigram counts. ln p of the right domain of the suite's questions: −0.91 at 0.1, −0.87 at
/// 0.15, −0.93 at 0.2.
const TRUST: f64 = 0.15;
/// Bytes at the end of a question that are looked at.
const LOOKED_AT: usize = 600;

type Trigram = [char; 3];

struct Trained {
    /// ln p of a trigram in each domain.
    ln_p: HashMap<Trigram, [f64; DOMAINS.len()]>,
}

static TRAINED: LazyLock<Trained> = LazyLock::new(|| {
    let texts = pairs().iter();
    Trained::on(texts.map(|pair| (pair.domain, format!("{} {}", pair.question, pair.answer))))
});

/// The probability of each of the [`DOMAINS`].
#[must_use]
pub fn subject(question: &str) -> Vec<f64> {
    let mut from = question.len().saturating_sub(LOOKED_AT);
    while !question.is_char_boundary(from) {
        from += 1;
    }
    TRAINED.posterior(&question[from..])
}

impl Trained {
    fn on(texts: impl Iterator<Item = (usize, String)>) -> Self {
        let mut counts: HashMap<Trigram, [f64; DOMAINS.len()]> = HashMap::new();
        let mut totals = [0.0; DOMAINS.len()];
        for (domain, text) in texts {
            for trigram in trigrams(&text) {
                counts.entry(trigram).or_default()[domain] += 1.0;
                totals[domain] += 1.0;
            }
        }
        let kinds = (counts.len() + 1) as f64;
        let ln_p = |domain: usize, count: f64| {
            ((count + SMOOTHING) / (totals[domain] + SMOOTHING * kinds)).ln()
        };
        let all = |counts: &[f64; DOMAINS.len()]| std::array::from_fn(|d| ln_p(d, counts[d]));
        Trained {
            ln_p: counts.iter().map(|(t, c)| (*t, all(c))).collect(),
        }
    }

    fn posterior(&self, text: &str) -> Vec<f64> {
        let mut ln_p = vec![0.0; DOMAINS.len()];
        for said in trigrams(text).iter().filter_map(|t| self.ln_p.get(t)) {
            for (sum, x) in ln_p.iter_mut().zip(said) {
                *sum += TRUST * x;
            }
        }
        let top = ln_p.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        ln_p.iter_mut().for_each(|x| *x = (*x - top).exp());
        let total: f64 = ln_p.iter().sum();
        ln_p.iter_mut().for_each(|p| *p /= total);
        ln_p
    }
}

/// Trigrams of the text in lower case, each digit as 0 and each run of white space as a space.
fn trigrams(text: &str) -> Vec<Trigram> {
    let words = text.split_whitespace().flat_map(|word| {
        let letters = word.chars().flat_map(char::to_lowercase);
        let letters = letters.map(|c| if c.is_numeric() { '0' } else { c });
        letters.chain([' '])
    });
    let letters: Vec<char> = [' '].into_iter().chain(words).collect();
    let windows = letters.windows(3);
    windows.map(|w| [w[0], w[1], w[2]]).collect()
}
