//! Answers with drafts against answers without, in turns, in one process.

use super::{generation, median};
use crate::app::App;
use crate::cli::BenchArgs;
use crate::settings;
use anyhow::Result;
use packllm_engine::chat::speaker::plain_text;
use packllm_engine::engine::{Answer, Drafted, Ending, Lockstep, ScoreRequest};
use serde_json::{Value, json};
use std::fmt;

/// Texts whose continuation repeats them, almost or exactly.
const REPEATING: [&str; 3] = [
    "```python\ndef area(width, height):\n    \"\"\"The area of a rectangle.\"\"\"\n    if width < 0 or \
height < 0:\n        raise ValueError(\"a side is negative\")\n    return width * height\n\n\ndef \
perimeter(width, height):\n    \"\"\"The perimeter of a rectangle.\"\"\"\n    return 2 * (width + \
height)\n```\n\nThe same file, with `width` renamed to `length`:\n\n```python\n",
    "A: When the tower was built, the light could be seen from fifteen miles away, and the number of \
wrecks fell within a few years to less than half. The lamp was first fed with oil, then with gas, and in \
the end with electricity.\n\nB: I did not hear that. Say it again, word for word.\n\nA: When the tower",
    "{\"name\": \"lamp\", \"unit\": \"piece\", \"price\": 12, \"stock\": 4}\n{\"name\": \"rope\", \"unit\": \
\"metre\", \"price\": 3, \"stock\": 120}\n{\"name\": \"sail\", \"unit\": \"piece\", \"price\": 240, \
\"stock\": 2}\n{\"name\": \"tar\", \"unit\": \"barrel\",",
];

/// Time without drafts divided by the time with them, for the same texts.
pub struct Drafting {
    repeating: Gain,
    prose: Gain,
}

#[derive(Default)]
struct Gain {
    /// Median over all pairs.
    ratio: f64,
    drafted: Drafted,
    /// Answers that came out different, and all answers. They differ where kernels round
    /// differently for other batch shapes.
    differing: usize,
    answers: usize,
}

/// None where drafts are off.
pub fn measure(
    app: &App,
    args: &BenchArgs,
    engine: &mut Lockstep,
    request: ScoreRequest,
) -> Result<Option<Drafting>> {
    if settings::drafter(args.draft.draft(), engine.members()).is_none() {
        return Ok(None);
    }
    let drafting = Drafting {
        repeating: gain(app, args, engine, request, &REPEATING)?,
        prose: gain(app, args, engine, request, &[super::PROMPT])?,
    };
    Ok(Some(drafting))
}

fn gain(
    app: &App,
    args: &BenchArgs,
    engine: &mut Lockstep,
    request: ScoreRequest,
    texts: &[&str],
) -> Result<Gain> {
    let mut gain = Gain::default();
    let mut ratios = Vec::new();
    let pairs = (args.pairs * texts.len()) as u64;
    let bar = app.bar(pairs, "drafting {bar:30} {pos}/{len} pairs, {eta} left");
    for pair in 0..args.pairs {
        for text in texts {
            let mut one = |with: bool| -> Result<Answer> {
                // A new drafter every time, or what it has learnt would favour later pairs.
                let drafter = settings::drafter(args.draft.draft(), engine.members());
                engine.draft_with(drafter.filter(|_| with));
                engine.clear()?;
                engine.prepare(plain_text(text, engine.members().len(), Ending::Continue))?;
                engine.read(request)?;
                engine.weigh()?;
                Ok(engine.answer(&generation(args.predict), &mut |_| {})?)
            };
            // They take turns, as in the comparison with the replay.
            let (with, without) = if pair % 2 == 0 {
                let with = one(true)?;
                (with, one(false)?)
            } else {
                let without = one(false)?;
                (one(true)?, without)
            };
            ratios.push(per_byte(&without) / per_byte(&with));
            if pair == 0 {
                gain.drafted.proposed += with.drafted.proposed;
                gain.drafted.accepted += with.drafted.accepted;
                gain.differing += usize::from(with.text != without.text);
                gain.answers += 1;
            }
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    engine.draft_with(None);
    gain.ratio = median(ratios);
    Ok(gain)
}

/// In seconds. Answers that differ may differ in length.
fn per_byte(answer: &Answer) -> f64 {
    answer.time.as_secs_f64().max(1e-9) / answer.text.len().max(1) as f64
}

impl fmt::Display for Drafting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "drafting: {} where the prompt is repeated, {} on prose",
            self.repeating, self.prose
        )
    }
}

impl fmt::Display for Gain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Drafted { proposed, accepted } = self.drafted;
        write!(
            f,
            "{:.2} x ({accepted} of {proposed} bytes said)",
            self.ratio
        )
    }
}

impl Drafting {
    /// Its part of `--json`.
    pub fn document(&self) -> Value {
        let of = |gain: &Gain| {
            json!({
                "ratio": gain.ratio,
                "proposed": gain.drafted.proposed,
                "accepted": gain.drafted.accepted,
                "differing": gain.differing,
                "answers": gain.answers,
            })
        };
        json!({"repeating": of(&self.repeating), "prose": of(&self.prose)})
    }
}
