//! `packllm bench`: what the members alone and the whole pack cost on this machine.
//!
//! `overhead` is the cost of everything besides the members' evaluations: the time of a fused
//! answer divided by the time of a replay of the same batches, minus 1. The two take turns in one
//! process, and the median over the pairs counts. The prompt is measured twice: scored, so that
//! weights follow from it, and with given weights, which need its last row of logits only.

mod alone;
mod conversations;
mod drafting;
mod report;
mod together;
mod tune;

use crate::app::App;
use crate::cli::BenchArgs;
use crate::settings;
use anyhow::{Context, Result};
use packllm_engine::engine::{AnswerOptions, Lockstep, MAX_SEQUENCES, ScoreRequest};
use packllm_engine::sample::Params;
use packllm_engine::vocab::Alphabet;
use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Plain English, about 100 tokens: long enough for a batch, short enough for a question.
const PROMPT: &str = "The history of the lighthouse is older than that of the harbour it serves. \
For centuries a fire was kept burning on the headland, first of wood and later of coal, and the keeper \
was paid by the ships that passed. When the tower was built, the light could be seen from fifteen miles \
away, and the number of wrecks fell within a few years to less than half. The lamp was first fed with \
oil, then with gas, and in the end with electricity. Today nobody lives there any more, and the";

pub fn run(app: &App, args: &BenchArgs) -> Result<ExitCode> {
    if args.predict == 0 || args.pairs == 0 {
        return settings::usage("--predict and --pairs must be at least 1");
    }
    if args.conversations == Some(0) {
        return settings::usage("--conversations must be at least 1");
    }
    let prompt = match &args.file {
        None => PROMPT.to_owned(),
        Some(file) => std::fs::read_to_string(file).with_context(|| file.display().to_string())?,
    };
    if prompt.trim().is_empty() {
        return settings::usage("the prompt is empty");
    }
    let mut plan = settings::plan(&app.sources(), &args.given)?;
    if plan.fusion.alphabet == Some(Alphabet::Mapped) {
        return settings::usage("--vocab mined is not measured: use auto, tokens or bytes");
    }
    if args.tune {
        return tuned(app, args, &plan);
    }
    let at_once = args.conversations.unwrap_or(1).min(MAX_SEQUENCES) as u32;
    for member in &mut plan.members {
        let sequences = member.load.sequences.saturating_mul(at_once);
        member.load.sequences = sequences.min(MAX_SEQUENCES as u32);
    }
    let members = alone::measure(app, args, &plan, &prompt)?;
    // A dropped member would be missing in the replay.
    plan.fusion.drop = 0.0;
    let pack = together::measure(app, args, &plan, &prompt)?;
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", report::document(&members, &pack))?;
    } else {
        report::write_table(&mut out, &members, &pack)?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn tuned(app: &App, args: &BenchArgs, plan: &settings::PackPlan) -> Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    tune::run(app, plan, args.json, &mut out)?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn generation(tokens: usize) -> AnswerOptions {
    let sampling = Params {
        temperature: 0.0,
        // All say as much.
        repeat_stop: false,
        ..Params::default()
    };
    AnswerOptions {
        limit: Some(tokens),
        sampling,
        stops: Vec::new(),
        attribution: false,
    }
}

/// Reads the prompt and derives the weights.
fn read(engine: &mut Lockstep, prompt: &str, request: ScoreRequest) -> Result<Duration> {
    use packllm_engine::chat::speaker::plain_text;
    use packllm_engine::engine::Ending;
    let start = Instant::now();
    let n = engine.members().len();
    engine.prepare(plain_text(prompt, n, Ending::Continue))?;
    engine.read(request)?;
    engine.weigh()?;
    Ok(start.elapsed())
}

/// The question for the time to the first byte of a short `run`.
const QUESTION: &str = "Explain in two sentences why the sky is blue.";

/// Time to the first piece of an answer to [`QUESTION`], counted from the start of loading, which
/// took `opening`.
fn first_byte(engine: &mut Lockstep, opening: Duration, request: ScoreRequest) -> Result<Duration> {
    let start = Instant::now();
    read(engine, QUESTION, request)?;
    let mut first = None;
    engine.answer(&generation(1), &mut |_| {
        first.get_or_insert_with(|| start.elapsed());
    })?;
    engine.clear()?;
    Ok(opening + first.unwrap_or_else(|| start.elapsed()))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    (values[(n - 1) / 2] + values[n / 2]) / 2.0
}

/// Resident memory of this process in bytes, if the system tells it.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kilobytes * 1024)
}
