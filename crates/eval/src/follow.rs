//! Words that come next: whether greedy decoding says them, from one evaluation of the members.
//!
//! It says a text exactly if each symbol is the likeliest where it stands, so one evaluation serves
//! all contestants. In the alphabet of bytes members follow the text as they would make it, and so
//! everybody says what it would generate. In alphabets of tokens they read it in its own tokens.
//! What follows the text is not looked at, as in the published measure: a longer word that begins
//! like the right one counts.

use super::contestant::{Contestant, ContestantKind};
use super::judge::{Judge, Predictions, seconds, spent_since};
use super::layout::Sheet;
use packllm_engine::engine::{Ending, EngineError, Lockstep, Prompt};
use packllm_engine::vocab::Alphabet;
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
        let by_bytes = engine.alphabet() == Alphabet::Bytes;
        let reading = match by_bytes {
            true => {
                let question = self.read_evidence(engine, goes_on(sheet))?;
                Predictions {
                    outlook: engine.text_outlook(&question),
                    question,
                    options: Vec::new(),
                }
            }
            false => self.read(engine, sheet)?,
        };
        let question_time = start.elapsed();
        let lambdas = self.contestants.iter();
        let outlook = reading.outlook.as_ref();
        let lambdas = lambdas.map(|c| self.lambda(&c.kind, &reading.question, outlook));
        let lambdas: Vec<Vec<f64>> = lambdas.collect::<Result<_, _>>()?;
        let weighed = start.elapsed();
        let likeliest = match by_bytes {
            true => engine.follow(&sheet.options[0], &lambdas)?,
            false => {
                let text = &reading.options[0];
                let mixture = self.fusion.mixture(text)?;
                let likeliest = lambdas.iter().map(|lambda| mixture.likeliest(lambda));
                likeliest.collect::<Result<_, _>>()?
            }
        };
        let shared = question_time + (start.elapsed() - weighed);
        let spent = spent_since(engine, &before)?;
        let time = |contestant: &Contestant| match contestant.kind {
            ContestantKind::Member(k) | ContestantKind::Again(k, _) => spent[k].time,
            ContestantKind::Mixture(_) | ContestantKind::Among(_) => shared / at_once,
        };
        let shown = lambdas.into_iter().zip(&self.contestants);
        let shown = shown.map(|(lambda, c)| {
            if c.kind.is_mixture() {
                lambda
            } else {
                Vec::new()
            }
        });
        Ok(Followed {
            likeliest,
            lambda: shown.collect(),
            seconds: self.contestants.iter().map(|c| seconds(time(c))).collect(),
            tokens: spent.iter().map(|s| s.tokens).collect(),
            total_seconds: seconds(start.elapsed() / at_once),
        })
    }
}

/// The prompt in front of the text, which goes on with it.
pub(super) fn goes_on(sheet: &Sheet) -> Prompt {
    Prompt {
        ending: Ending::Continue,
        ..sheet.prompt()
    }
}
