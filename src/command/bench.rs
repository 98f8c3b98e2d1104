//! `packllm bench`: what members alone and the pack cost on this machine.
//!
//! `overhead` is the price of everything that is not the members' evaluation: the time of a fused
//! answer divided by the time of a replay of the very same batches, interleaved in one process, the
//! median of the pairs, minus 1.

mod drafting;

use super::run::milliseconds;
use super::session::Session;
use crate::app::App;
use crate::cli::BenchArgs;
use crate::settings::{self, PackPlan};
use anyhow::Result;
use packllm::engine::{Answer, Ending, Engine, Generation, Wish};
use packllm::sample::Params;
use packllm::vocab::Alphabet;
use packllm::weight::Method;
use serde_json::{Value, json};
use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Neutral English, about 100 tokens: long enough for a batch, short enough to be a question.
const PROMPT: &str = "The history of the lighthouse is older than that of the harbour it serves. \
For centuries a fire was kept burning on the headland, first of wood and later of coal, and the keeper \
was paid by the ships that passed. When the tower was built, the light could be seen from fifteen miles \
away, and the number of wrecks fell within a few years to less than half. The lamp was first fed with \
oil, then with gas, and in the end with electricity. Today nobody lives there any more, and the";

/// What one member does alone, with all the threads.
struct Alone {
    name: String,
    prompt_per_second: f64,
    decode_per_second: f64,
    load_time: Duration,
    rss: Option<u64>,
}

/// What the pack does.
struct Together {
    answer: Answer,
    prompt_time: Duration,
    overhead: f64,
    prompt_overhead: f64,
    decode_overhead: f64,
    batch_tokens: Vec<usize>,
    drafting: Option<drafting::Drafting>,
}

pub fn run(app: &App, args: &BenchArgs) -> Result<ExitCode> {
    if args.predict == 0 || args.pairs == 0 {
        return settings::usage("--predict and --pairs must be at least 1");
    }
    let mut plan = settings::plan(app, &args.pack, &args.fusion)?;
    if plan.fusion.alphabet == Some(Alphabet::Mined) {
        return settings::usage("--vocab mined is not measured: use auto, tokens or bytes");
    }
    let members = alone(app, args, &plan)?;
    // A dropped member would be missing from the replay.
    plan.fusion.drop = 0.0;
    if matches!(plan.fusion.method, Method::Top1) {
        return settings::usage("--weights top1 leaves one member: there is nothing to fuse");
    }
    let pack = together(app, args, &plan)?;
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", document(&members, &pack))?;
    } else {
        write_table(&mut out, &members, &pack)?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn generation(tokens: usize) -> Generation {
    let sampling = Params {
        temperature: 0.0,
        ..Params::default()
    };
    Generation {
        limit: Some(tokens),
        sampling,
        stops: Vec::new(),
        attribution: false,
    }
}

/// Every member by itself, one after the other, each with the threads of the whole pack.
fn alone(app: &App, args: &BenchArgs, plan: &PackPlan) -> Result<Vec<Alone>> {
    let threads = plan.members.iter().map(|m| m.load.threads).sum();
    plan.members
        .iter()
        .map(|member| {
            let before = resident();
            let mut one = PackPlan {
                members: vec![member.clone()],
                ..plan.clone()
            };
            one.members[0].load.threads = threads;
            one.fusion.method = Method::Uniform;
            one.fusion.alphabet = None;
            let mut session = Session::open(app, &one, true)?;
            let (prompt, decode) = rates(&mut session.engine, args.predict)?;
            Ok(Alone {
                name: member.name.clone(),
                prompt_per_second: prompt,
                decode_per_second: decode,
                load_time: session.engine.members()[0].load_time,
                rss: resident()
                    .zip(before)
                    .map(|(after, before)| after.saturating_sub(before)),
            })
        })
        .collect()
}

/// Tokens a second of prompt and of decoding, by the model's own time.
fn rates(engine: &mut Engine, tokens: usize) -> Result<(f64, f64)> {
    let wish = Wish::NOTHING;
    let before = engine.spent()?;
    engine.prepare(packllm::chat::speaker::plain_text(
        PROMPT,
        1,
        Ending::Continue,
    ))?;
    engine.read(wish)?;
    engine.weigh()?;
    let read = engine.spent()?[0] - before[0];
    let answer = engine.answer(&generation(tokens), &mut |_| {})?;
    let rate = |tokens: usize, time: Duration| tokens as f64 / time.as_secs_f64().max(1e-9);
    Ok((
        rate(read.tokens, read.time),
        rate(answer.spent[0].tokens, answer.spent[0].time),
    ))
}

fn together(app: &App, args: &BenchArgs, plan: &PackPlan) -> Result<Together> {
    let mut session = Session::open(app, plan, true)?;
    let engine = &mut session.engine;
    let wish = engine.wish_for(&plan.fusion.method);
    let read = |engine: &mut Engine| -> Result<Duration> {
        let start = Instant::now();
        let n = engine.members().len();
        engine.prepare(packllm::chat::speaker::plain_text(
            PROMPT,
            n,
            Ending::Continue,
        ))?;
        engine.read(wish)?;
        engine.weigh()?;
        Ok(start.elapsed())
    };
    // The prompt and the answer are recorded apart, and replayed in the same two parts.
    engine.start_recording()?;
    read(engine)?;
    let prompt_tape = engine.stop_recording()?;
    engine.continue_recording()?;
    engine.answer(&generation(args.predict), &mut |_| {})?;
    let answer_tape = engine.stop_recording()?;
    let batch_tokens: Vec<usize> = prompt_tape
        .tokens()
        .iter()
        .zip(answer_tape.tokens())
        .map(|(a, b)| a + b)
        .collect();
    let bar = app.bar(
        args.pairs as u64,
        "measuring {bar:30} {pos}/{len} pairs, {eta} left",
    );
    let mut ratios: [Vec<f64>; 3] = Default::default();
    let mut fused = None;
    let fuse = |engine: &mut Engine| -> Result<(Duration, Duration, Answer)> {
        engine.clear()?;
        let prompt_time = read(engine)?;
        let start = Instant::now();
        let answer = engine.answer(&generation(args.predict), &mut |_| {})?;
        Ok((prompt_time, start.elapsed(), answer))
    };
    let replay = |engine: &mut Engine| -> Result<(Duration, Duration)> {
        engine.clear()?;
        let times = (engine.replay(&prompt_tape)?, engine.replay(&answer_tape)?);
        engine.end_replay()?;
        Ok(times)
    };
    for pair in 0..args.pairs {
        // A machine that warms up or slows down would favour whoever comes second: they take turns.
        let ahead = if pair % 2 == 0 {
            None
        } else {
            Some(replay(engine)?)
        };
        let (prompt, time, answer) = fuse(engine)?;
        let replayed = ahead.map_or_else(|| replay(engine), Ok)?;
        let ratio = |a: Duration, b: Duration| a.as_secs_f64() / b.as_secs_f64().max(1e-9);
        ratios[0].push(ratio(prompt + time, replayed.0 + replayed.1));
        ratios[1].push(ratio(prompt, replayed.0));
        ratios[2].push(ratio(time, replayed.1));
        fused = Some((answer, prompt));
        bar.inc(1);
    }
    bar.finish_and_clear();
    let [overhead, prompt_overhead, decode_overhead] = ratios.map(|r| median(r) - 1.0);
    let Some((answer, prompt_time)) = fused else {
        return settings::usage("--pairs must be at least 1");
    };
    Ok(Together {
        answer,
        prompt_time,
        overhead,
        prompt_overhead,
        decode_overhead,
        batch_tokens,
        drafting: drafting::measure(app, args, engine, wish)?,
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    (values[(n - 1) / 2] + values[n / 2]) / 2.0
}

/// Resident memory of this process in bytes, where the system tells.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kilobytes * 1024)
}

fn write_table(out: &mut impl Write, members: &[Alone], pack: &Together) -> Result<()> {
    let width = members
        .iter()
        .map(|m| m.name.chars().count())
        .max()
        .unwrap_or(0)
        .max(10);
    writeln!(
        out,
        "{:width$}  {:>12}  {:>12}  {:>8}  {:>9}",
        "member", "prompt tok/s", "decode tok/s", "load ms", "memory MB"
    )?;
    for m in members {
        let rss = m
            .rss
            .map_or("?".to_owned(), |b| (b / 1_000_000).to_string());
        writeln!(
            out,
            "{:width$}  {:>12.1}  {:>12.1}  {:>8.0}  {:>9}",
            m.name,
            m.prompt_per_second,
            m.decode_per_second,
            milliseconds(m.load_time),
            rss
        )?;
    }
    let answer = &pack.answer;
    writeln!(out)?;
    writeln!(
        out,
        "pack: {:.1} tok/s, prompt {:.0} ms, mixing {:.0} µs a step, {} evaluations for {} tokens",
        answer.tokens as f64 / answer.time.as_secs_f64().max(1e-9),
        milliseconds(pack.prompt_time),
        mix_us(answer),
        answer
            .spent
            .iter()
            .map(|s| s.tokens.to_string())
            .collect::<Vec<_>>()
            .join(" + "),
        answer.tokens,
    )?;
    writeln!(
        out,
        "overhead over a replay of the same batches: {:+.3} (prompt {:+.3}, answer {:+.3})",
        pack.overhead, pack.prompt_overhead, pack.decode_overhead
    )?;
    if let Some(drafting) = &pack.drafting {
        writeln!(out, "{drafting}")?;
    }
    Ok(())
}

fn mix_us(answer: &Answer) -> f64 {
    answer.mix_time.as_secs_f64() * 1e6 / answer.steps.max(1) as f64
}

fn document(members: &[Alone], pack: &Together) -> Value {
    let members: Vec<Value> = members
        .iter()
        .map(|m| {
            json!({
                "name": m.name,
                "prompt_tokens_per_second": m.prompt_per_second,
                "decode_tokens_per_second": m.decode_per_second,
                "load_ms": milliseconds(m.load_time),
                "rss_bytes": m.rss,
            })
        })
        .collect();
    let answer = &pack.answer;
    json!({
        "members": members,
        "pack": {
            "decode_tokens_per_second": answer.tokens as f64 / answer.time.as_secs_f64().max(1e-9),
            "prompt_ms": milliseconds(pack.prompt_time),
            "mix_us_per_step": mix_us(answer),
            "overhead": pack.overhead,
            "prompt_overhead": pack.prompt_overhead,
            "decode_overhead": pack.decode_overhead,
            "completion_tokens": answer.tokens,
            "evaluations": answer.spent.iter().map(|s| s.tokens).collect::<Vec<_>>(),
            "replayed_tokens": pack.batch_tokens,
            "drafting": pack.drafting.as_ref().map(drafting::Drafting::document),
        },
    })
}
