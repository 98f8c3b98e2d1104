//! What members are good at.
//!
//! How well a member predicts a chat's question says little about who answers it better: that shows
//! in answers. So every member reads the [probe](pairs), eighty short questions with their answers in
//! ten domains, once, in its own template; what it loses on the answers is its [`Competence`]. Those
//! of a pack's members are its [`Standings`], and with the [subject](subject()) of a question they make an
//! [`Outlook`]: what each member can be expected to lose on the answer, relative to the others. For
//! plain text the probe is read as plain text.
//!
//! # Shrinkage
//! Write `a_kd` for member k's loss on the answers of domain d and `r_kd = ln a_kd − mean_j ln a_jd`,
//! which leaves out how hard the domain is; `r_k` is the same over all answers. Eight answers a
//! domain are noise, so `ρ_kd = r_k + n/(n + n₀) · (r_kd − r_k)` with n = 8. Each pair left out once
//! and predicted from the others, log mixing, weights by [`Method::Auto`](crate::weight::Method) as
//! if the domain were known, loss of the mixture on the answer against the better member's:
//!
//! | n₀ | 0 | 2 | 4 | 8 | 16 | ∞ |
//! | --- | --- | --- | --- | --- | --- | --- |
//! | SmolLM2-135M, Gemma-3-270M | −13.0% | −13.3% | −13.4% | −13.3% | −12.7% | −10.4% |
//! | Qwen2.5-Coder-0.5B, SmolLM2-135M | −4.5% | −4.3% | −4.0% | −3.4% | −2.8% | −1.8% |
//! | Qwen2.5-Coder-1.5B, 0.5B | −0.28% | −0.40% | −0.46% | −0.49% | −0.49% | −0.43% |

mod probe;
mod subject;
pub mod words;

pub use probe::{DOMAINS, Pair, VERSION, pairs};
pub use subject::subject;

use crate::digest::hex;
use crate::weight::Outlook;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// n₀ of the shrinkage, in pairs.
const SHRINKAGE: f64 = 2.0;

/// What was lost on a text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "(f64, usize)", into = "(f64, usize)")]
pub struct Loss {
    /// −ln p of all its bytes.
    pub nats: f64,
    /// Bytes that were predicted.
    pub bytes: usize,
}

impl From<(f64, usize)> for Loss {
    fn from((nats, bytes): (f64, usize)) -> Self {
        Self { nats, bytes }
    }
}

impl From<Loss> for (f64, usize) {
    fn from(loss: Loss) -> Self {
        (loss.nats, loss.bytes)
    }
}

/// What a member lost on each pair of the probe.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Competence {
    /// On the questions, in the order of [`pairs`].
    pub questions: Vec<Loss>,
    /// On the answers.
    pub answers: Vec<Loss>,
}

impl Competence {
    /// Whether it is of this probe, and says something of every domain.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let n = pairs().len();
        let whole = |losses: &[Loss]| {
            losses.len() == n && (0..DOMAINS.len()).all(|d| mean(losses, Some(d)) > 0.0)
        };
        whole(&self.questions) && whole(&self.answers)
    }

    /// Bits per byte of all answers, or of those in one of the [`DOMAINS`].
    #[must_use]
    pub fn bits_per_byte(&self, domain: Option<usize>) -> f64 {
        mean(&self.answers, domain) / std::f64::consts::LN_2
    }
}

/// How the probe is put to a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// As a chat, in its own template.
    Chat,
    /// As plain text, `Question: …` and `Answer: …` on two lines.
    Plain,
}

/// What a measurement belongs to: a model file, by its
/// [fingerprint](crate::engine::prompt_cache::fingerprint), and the template given in place of its
/// own, empty for none; for plain text no template counts.
#[must_use]
pub fn key(fingerprint: &str, template: &str, frame: Frame) -> String {
    let mut hasher = Sha256::new_with_prefix(fingerprint.as_bytes());
    hasher.update(match frame {
        Frame::Chat => template.as_bytes(),
        Frame::Plain => b"\0plain",
    });
    hasher.update(VERSION.to_le_bytes());
    hex(hasher)
}

/// Nats per byte of all pairs, or of those of one domain; 0 if nothing was predicted.
fn mean(losses: &[Loss], domain: Option<usize>) -> f64 {
    let of = losses.iter().zip(pairs());
    let of = of.filter(|(_, pair)| domain.is_none_or(|d| pair.domain == d));
    let (nats, bytes) = of.fold((0.0, 0), |(nats, bytes), (loss, _)| {
        (nats + loss.nats, bytes + loss.bytes)
    });
    match bytes {
        0 => 0.0,
        _ => nats / bytes as f64,
    }
}

/// What a pack's members are good at, relative to each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Standings {
    /// ρ of every domain and member, on answers.
    answers: Vec<Vec<f64>>,
    /// The same on questions.
    questions: Vec<Vec<f64>>,
}

impl Standings {
    /// The standings of these members; None unless each was measured on all of the probe.
    #[must_use]
    pub fn of(members: &[Competence]) -> Option<Self> {
        if members.is_empty() || !members.iter().all(Competence::is_whole) {
            return None;
        }
        let answers: Vec<&[Loss]> = members.iter().map(|m| &*m.answers).collect();
        let questions: Vec<&[Loss]> = members.iter().map(|m| &*m.questions).collect();
        Some(Self {
            answers: relative(&answers),
            questions: relative(&questions),
        })
    }

    /// What can be expected of an answer to this question.
    #[must_use]
    pub fn outlook(&self, question: &str) -> Outlook {
        let subject = subject(question);
        let expected = |of: &[Vec<f64>]| {
            let members = 0..of[0].len();
            let at = |k: usize| subject.iter().zip(of).map(|(p, rho)| p * rho[k]).sum();
            members.map(at).collect()
        };
        Outlook {
            answers: expected(&self.answers),
            questions: expected(&self.questions),
            subject,
        }
    }
}

/// ρ of every domain and member.
fn relative(members: &[&[Loss]]) -> Vec<Vec<f64>> {
    let overall = apart(members, None);
    let domain = |d: usize| {
        let n = pairs().iter().filter(|pair| pair.domain == d).count() as f64;
        let trust = n / (n + SHRINKAGE);
        let own = apart(members, Some(d));
        let shrunk = overall.iter().zip(own);
        shrunk.map(|(all, own)| all + trust * (own - all)).collect()
    };
    (0..DOMAINS.len()).map(domain).collect()
}

/// ln of each member's loss, less their mean.
fn apart(members: &[&[Loss]], domain: Option<usize>) -> Vec<f64> {
    crate::weight::centred(members.iter().map(|m| mean(m, domain).ln()).collect())
}

#[cfg(test)]
mod tests;
