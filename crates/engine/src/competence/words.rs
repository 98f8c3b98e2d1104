//! What `auto` goes by, in words.

use super::DOMAINS;
use crate::weight::Outlook;

/// Probability from which a domain is worth a word.
const LIKELY: f64 = 0.15;

/// What the question seems to be about: `german 83%`; empty if nothing is known of it.
#[must_use]
pub fn subject(outlook: &Outlook) -> String {
    let mut domains: Vec<(&str, f64)> = DOMAINS.into_iter().zip(outlook.subject.clone()).collect();
    domains.sort_by(|a, b| b.1.total_cmp(&a.1));
    let likely = domains.iter().filter(|(_, p)| *p >= LIKELY);
    let likely: Vec<String> = likely
        .map(|(domain, p)| format!("{domain} {:.0}%", 100.0 * p))
        .collect();
    likely.join(", ")
}

/// What each member can be expected to lose on the answer, the best's loss as 1: from the probe alone,
/// before the prompt shifts it.
#[must_use]
pub fn expected(outlook: &Outlook) -> Vec<f64> {
    let best = outlook
        .answers
        .iter()
        .copied()
        .fold(f64::INFINITY, f64::min);
    outlook
        .answers
        .iter()
        .map(|rho| (rho - best).exp())
        .collect()
}

/// Both in a line: `from the probe: german 83%; expected loss on the answer: qwen 1.00 · smollm2 1.72`.
/// `next`: what comes, as `the answer`.
#[must_use]
pub fn line(names: &[String], outlook: &Outlook, next: &str) -> String {
    let losses = names.iter().zip(expected(outlook));
    let losses = losses.map(|(name, loss)| match loss.is_finite() {
        true => format!("{name} {loss:.2}"),
        false => format!("{name} left out: no template"),
    });
    let losses = losses.collect::<Vec<_>>().join(" · ");
    match subject(outlook) {
        subject if subject.is_empty() => format!("expected loss on {next}: {losses}"),
        subject => format!("from the probe: {subject}; expected loss on {next}: {losses}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_said() {
        let names = ["qwen".to_owned(), "smollm2".to_owned()];
        let mut subject = vec![0.01; DOMAINS.len()];
        subject[3] = 0.83;
        let outlook = Outlook {
            answers: vec![-0.25, 0.25],
            questions: vec![0.0; 2],
            subject,
        };
        assert_eq!(
            line(&names, &outlook, "the answer"),
            "from the probe: german 83%; expected loss on the answer: qwen 1.00 · smollm2 1.65"
        );
        let plain = Outlook {
            answers: vec![0.0, f64::INFINITY],
            questions: vec![0.0; 2],
            subject: Vec::new(),
        };
        assert_eq!(
            line(&names, &plain, "the answer"),
            "expected loss on the answer: qwen 1.00 · smollm2 left out: no template"
        );
    }
}
