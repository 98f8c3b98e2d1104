//! Every member alone, one after the other, each with the threads of the whole pack.

use super::{first_byte, generation, read, resident};
use crate::app::App;
use crate::cli::BenchArgs;
use crate::command::loaded::LoadedPack;
use crate::settings::PackPlan;
use anyhow::Result;
use packllm_engine::backend::Pace;
use packllm_engine::engine::{Lockstep, ScoreRequest};
use packllm_engine::weight::Method;
use std::time::{Duration, Instant};

/// What one member does alone.
pub struct Alone {
    pub name: String,
    /// Where it runs, as in the pack.
    pub placement: String,
    pub pace: Pace,
    /// Tokens a second, in wall-clock time as for the pack.
    pub prompt_per_second: f64,
    pub decode_per_second: f64,
    pub load_time: Duration,
    /// From the start of loading to the first piece of an answer.
    pub first_byte: Duration,
    pub rss: Option<u64>,
}

pub fn measure(app: &App, args: &BenchArgs, plan: &PackPlan, prompt: &str) -> Result<Vec<Alone>> {
    let members = plan.members.iter().map(|member| {
        let before = resident();
        let mut one = PackPlan {
            members: vec![member.clone()],
            ..plan.clone()
        };
        one.members[0].load.threads = member.load.threads_batch;
        one.fusion.method = Method::Uniform;
        one.fusion.alphabet = None;
        let start = Instant::now();
        let mut loaded = LoadedPack::open(app, &one, true)?;
        let opening = start.elapsed();
        let engine = &mut loaded.conversation.lockstep;
        let first_byte = first_byte(engine, opening, ScoreRequest::NOTHING)?;
        let (prompt_per_second, decode_per_second) = rates(engine, prompt, args.predict)?;
        Ok(Alone {
            name: member.name.clone(),
            placement: engine.members()[0].description.placement.clone(),
            pace: engine.members()[0].pace,
            prompt_per_second,
            decode_per_second,
            load_time: engine.members()[0].load_time,
            first_byte,
            rss: resident()
                .zip(before)
                .map(|(after, before)| after.saturating_sub(before)),
        })
    });
    members.collect()
}

fn rates(engine: &mut Lockstep, prompt: &str, tokens: usize) -> Result<(f64, f64)> {
    let reading = read(engine, prompt, ScoreRequest::NOTHING)?;
    let read = engine.prompt_tokens()[0] as f64 / reading.as_secs_f64().max(1e-9);
    let answer = engine.answer(&generation(tokens), &mut |_| {})?;
    Ok((read, answer.tokens_per_second()))
}
