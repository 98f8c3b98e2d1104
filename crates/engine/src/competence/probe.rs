//! The probe: short questions of our own, with answers as one would like to read them.

use serde::Deserialize;
use std::sync::LazyLock;

/// The domains, in the order of their numbers.
pub const DOMAINS: [&str; 10] = [
    "facts",
    "arithmetic",
    "code",
    "german",
    "french",
    "spanish",
    "instructions",
    "science",
    "reading",
    "everyday",
];

/// Changes whenever the pairs do, or how they are read: other measurements do not compare.
pub const VERSION: u32 = 2;

/// A question of the probe and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Number of its domain.
    pub domain: usize,
    /// What is asked.
    pub question: String,
    /// What one would like to read.
    pub answer: String,
}

impl Pair {
    /// The pair as plain text: what comes before the answer, and the answer.
    #[must_use]
    pub fn plain(&self) -> (String, String) {
        (
            format!("Question: {}\nAnswer:", self.question),
            format!(" {}", self.answer),
        )
    }
}

#[derive(Deserialize)]
struct Line {
    domain: String,
    query: String,
    answer: String,
}

static PAIRS: LazyLock<Vec<Pair>> = LazyLock::new(|| {
    let lines = include_str!("probe.jsonl").lines();
    let pair = |line: &str| {
        let line: Line = serde_json::from_str(line).ok()?;
        Some(Pair {
            domain: DOMAINS.iter().position(|d| **d == line.domain)?,
            question: line.query,
            answer: line.answer,
        })
    };
    lines.filter_map(pair).collect()
});

/// All pairs, eight of each domain.
#[must_use]
pub fn pairs() -> &'static [Pair] {
    &PAIRS
}
