//! The whole pack, against replays of its own batches.

use super::{QUESTION, conversations, drafting, first_byte, generation, median, read, resident};
use crate::app::App;
use crate::cli::BenchArgs;
use crate::command::loaded::{LoadedPack, now, prefetch};
use crate::settings::PackPlan;
use anyhow::{Context, Result, bail};
use packllm_engine::engine::{Answer, Lockstep, Recording, ScoreRequest};
use packllm_engine::pack::{First, FirstPrompt};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the pack does; rates, times and overheads are medians over the pairs.
pub struct Together {
    /// The last of the fused answers.
    pub answer: Answer,
    /// Of the answers.
    pub tokens_per_second: f64,
    /// Time of the prompt, scored.
    pub prompt_time: Duration,
    /// From the start of loading to the first piece of an answer.
    pub first_byte: Duration,
    pub overhead: f64,
    /// Of the scored prompt, which needs every row of logits.
    pub prompt_overhead: f64,
    /// Of the prompt with given weights, against an evaluation that asks for the last row of logits
    /// only.
    pub given_overhead: f64,
    pub decode_overhead: f64,
    pub batch_tokens: Vec<usize>,
    pub rss: Option<u64>,
    pub drafting: Option<drafting::Drafting>,
    pub conversations: Option<conversations::Conversations>,
}

/// The batches that the members evaluated.
struct Tapes {
    prompt: Recording,
    answer: Recording,
    given: Recording,
}

/// Times of a run, or of its replay.
struct Times {
    prompt: Duration,
    answer: Duration,
    given: Duration,
}

pub fn measure(app: &App, args: &BenchArgs, plan: &PackPlan, prompt: &str) -> Result<Together> {
    let before = resident();
    let start = Instant::now();
    // As `run` does.
    let first = First::Text(QUESTION.to_owned());
    let first = Arc::new(FirstPrompt { first, now });
    let prefetch = |k| prefetch(plan, &first, k);
    let mut loaded = LoadedPack::open_with(app, plan, true, &prefetch)?;
    let opening = start.elapsed();
    let engine = &mut loaded.conversation.lockstep;
    let request = engine.score_request_for(&plan.fusion.method);
    let first_byte = first_byte(engine, opening, request)?;
    let tapes = record(engine, args, prompt, request)?;
    let bar = app.bar(
        args.pairs as u64,
        "measuring {bar:30} {pos}/{len} pairs, {eta} left",
    );
    let mut ratios: [Vec<f64>; 4] = Default::default();
    let (mut rates, mut prompts, mut last) = (Vec::new(), Vec::new(), None);
    for pair in 0..args.pairs {
        // They take turns: a machine that warms up or slows down would favour one side.
        let ahead = if pair % 2 == 0 {
            None
        } else {
            Some(replay(engine, &tapes)?)
        };
        let (own, answer) = fuse(engine, args, prompt, request)?;
        let other = ahead.map_or_else(|| replay(engine, &tapes), Ok)?;
        let ratio = |a: Duration, b: Duration| a.as_secs_f64() / b.as_secs_f64().max(1e-9);
        let sums = [&own, &other].map(|times| times.prompt + times.answer);
        ratios[0].push(ratio(sums[0], sums[1]));
        ratios[1].push(ratio(own.prompt, other.prompt));
        ratios[2].push(ratio(own.given, other.given));
        ratios[3].push(ratio(own.answer, other.answer));
        rates.push(answer.tokens_per_second());
        prompts.push(own.prompt.as_secs_f64());
        last = Some(answer);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let [overhead, prompt_overhead, given_overhead, decode_overhead] =
        ratios.map(|r| median(r) - 1.0);
    let tokens = tapes.prompt.tokens().into_iter();
    let rss = resident().zip(before);
    let drafting = drafting::measure(app, args, engine, request)?;
    engine.clear()?;
    let conversations = conversations::measure(app, args, &loaded.pack, prompt, request)?;
    Ok(Together {
        answer: last.context("--pairs is at least 1")?,
        tokens_per_second: median(rates),
        prompt_time: Duration::from_secs_f64(median(prompts)),
        first_byte,
        overhead,
        prompt_overhead,
        given_overhead,
        decode_overhead,
        batch_tokens: tokens
            .zip(tapes.answer.tokens())
            .map(|(prompt, answer)| prompt + answer)
            .collect(),
        rss: rss.map(|(after, before)| after.saturating_sub(before)),
        drafting,
        conversations,
    })
}

/// The prompt and the answer are recorded apart, and replayed in the same two parts.
fn record(
    engine: &mut Lockstep,
    args: &BenchArgs,
    prompt: &str,
    request: ScoreRequest,
) -> Result<Tapes> {
    engine.clear()?;
    engine.engine().start_recording()?;
    read(engine, prompt, ScoreRequest::NOTHING)?;
    let given = engine.engine().stop_recording()?;
    engine.clear()?;
    engine.engine().start_recording()?;
    read(engine, prompt, request)?;
    let scored = engine.engine().stop_recording()?;
    let mut weights = engine.members().iter().zip(engine.lambda());
    if let Some((silent, _)) = weights.find(|(_, weight)| **weight == 0.0) {
        bail!(
            "--weights {} gives {} no weight on this prompt, and what takes no part cannot be compared: try \
             --weights uniform",
            engine.fusion().method,
            silent.name
        );
    }
    engine.engine().start_recording()?;
    engine.answer(&generation(args.predict), &mut |_| {})?;
    Ok(Tapes {
        prompt: scored,
        answer: engine.engine().stop_recording()?,
        given,
    })
}

fn fuse(
    engine: &mut Lockstep,
    args: &BenchArgs,
    prompt: &str,
    request: ScoreRequest,
) -> Result<(Times, Answer)> {
    engine.clear()?;
    let given = read(engine, prompt, ScoreRequest::NOTHING)?;
    engine.clear()?;
    let prompt = read(engine, prompt, request)?;
    let start = Instant::now();
    let answer = engine.answer(&generation(args.predict), &mut |_| {})?;
    let times = Times {
        prompt,
        answer: start.elapsed(),
        given,
    };
    Ok((times, answer))
}

fn replay(engine: &mut Lockstep, tapes: &Tapes) -> Result<Times> {
    engine.clear()?;
    let given = engine.engine().replay(&tapes.given)?;
    engine.engine().end_replay()?;
    let times = Times {
        prompt: engine.engine().replay(&tapes.prompt)?,
        answer: engine.engine().replay(&tapes.answer)?,
        given,
    };
    engine.engine().end_replay()?;
    Ok(times)
}
