//! Words that come next: whether greedy decoding says them, from one evaluation of the members.
//!
//! It says a text exactly if each symbol is the likeliest where it stands, so nothing is generated
//! and one evaluation serves all contestants. Two things differ from an answer that is generated.
//! What members predict along a text is read by its own tokens, while a cover also follows other
//! paths that spell it; and END counts as one alternative. What follows the text is not looked at, as
//! in the published measure: a longer word that begins like the right one counts.

use super::judge::{ContestantKind, Judge, seconds};
use super::layout::Sheet;
use packllm_engine::engine::{EngineError, Lockstep};
use packllm_engine::weight::Mixture;
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// Whether greedy decoding says a fixed text, for every contestant, from one evaluation of the text:
/// it does if each symbol is the likeliest where it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Followed {
    /// For each contestant, whether each symbol is.
    pub likeliest: Vec<Vec<bool>>,
    /// The weights; empty for a member.
    pub lambda: Vec<Vec<f64>>,
    /// As [`Verdict::seconds`](super::Verdict::seconds).
    pub seconds: Vec<f64>,
    /// As [`Verdict::tokens`](super::Verdict::tokens).
    pub tokens: Vec<usize>,
    /// As [`Verdict::total_seconds`](super::Verdict::total_seconds).
    pub total_seconds: f64,
}

impl Judge {
    /// Evaluates a text and what follows it once, and tells which contestants would say that. As
    /// [`Judge::decide`].
    ///
    /// # Errors
    /// As [`Judge::decide`].
    pub fn follow(
        &self,
        at_once: u32,
        engine: &mut Lockstep,
        sheet: &Sheet,
    ) -> Result<Followed, EngineError> {
        let (start, before) = (Instant::now(), engine.spent()?);
        let reading = self.read(engine, sheet)?;
        let spent = engine.spent()?.into_iter().zip(before);
        let spent: Vec<_> = spent.map(|(after, before)| after - before).collect();
        let mut followed = Followed {
            likeliest: Vec::new(),
            lambda: Vec::new(),
            seconds: Vec::new(),
            tokens: spent.iter().map(|s| s.tokens).collect(),
            total_seconds: 0.0,
        };
        let text = &reading.options[0];
        let mixture = Mixture::new(text, self.fusion.mix, self.fusion.floor)?;
        let shared = start.elapsed();
        for contestant in &self.contestants {
            let began = Instant::now();
            let (lambda, time) = match &contestant.kind {
                ContestantKind::Member(k) | ContestantKind::Again(k, _) => {
                    let alone = (0..text.members.len()).map(|j| f64::from(u8::from(j == *k)));
                    (alone.collect(), Some(spent[*k].time))
                }
                ContestantKind::Mixture(method) => (self.weights(method, &reading.question)?, None),
            };
            followed.likeliest.push(mixture.likeliest(&lambda)?);
            let time = time.unwrap_or((shared + began.elapsed()) / at_once);
            followed.seconds.push(seconds(time));
            let is_mixture = matches!(contestant.kind, ContestantKind::Mixture(_));
            followed
                .lambda
                .push(if is_mixture { lambda } else { Vec::new() });
        }
        followed.total_seconds = seconds(start.elapsed() / at_once);
        Ok(followed)
    }
}
