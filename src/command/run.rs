//! `packllm run`: one answer, streamed.

use super::loaded::{LoadedPack, now, prefetch, tokens_line};
use super::screen::{Look, attribution::legend};
use crate::app::{App, leave};
use crate::cli::RunArgs;
use crate::exit::INTERRUPTED;
use crate::settings::{self, usage};
use anyhow::Result;
use packllm_engine::chat::Message;
use packllm_engine::chat::attribution::Attribution;
use packllm_engine::competence::Frame;
use packllm_engine::engine::{Answer, Ending, Finish};
use packllm_engine::pack::{First, FirstPrompt, Read};
use packllm_engine::weight::Method;
use serde_json::{Value, json};
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

pub fn run(app: &App, args: &RunArgs) -> Result<ExitCode> {
    let mut generation = settings::generation(&args.given)?;
    generation.sampling.repeat_stop = args.given.repeat_stop().ends(args.prompt.raw);
    let Some(prompt) = settings::read_prompt(&args.prompt)? else {
        return usage("no prompt: give -p TEXT, -f FILE, or text on stdin");
    };
    if prompt.trim().is_empty() && !args.prompt.raw {
        return usage("the prompt is empty: give -p TEXT, -f FILE, or text on stdin");
    }
    let form = settings::form(&args.form)?;
    let plan = settings::plan(&app.sources(), &args.given)?;
    let prompt_cache = settings::prompt_cache(&args.given, &plan.fusion, args.prompt.raw)?;
    let look = Look {
        plain: args.given.plain() || args.prompt.raw,
        ..Look::of(&args.given)
    };
    let first = first(args, &prompt, look.lets_think());
    let first = Arc::new(FirstPrompt { first, now });
    let cached = prompt_cache.is_some();
    let ahead = |k| (!cached).then(|| prefetch(&plan, &first, k)).flatten();
    let mut loaded = LoadedPack::open_with(app, &plan, args.prompt.raw, &ahead)?;
    if args.prompt.raw && plan.fusion.method == Method::Auto {
        loaded.learn(&plan, Frame::Plain)?;
    }
    loaded.form = form;
    if let Some(path) = prompt_cache {
        loaded.use_prompt_cache(path, &plan);
    }
    let lockstep = &mut loaded.conversation.lockstep;
    lockstep.draft_with(settings::drafter(args.given.draft(), lockstep.members()));
    loaded.conversation.ask_to_think(look.lets_think());
    generation.stops.extend(loaded.conversation.stops());
    let request = loaded
        .conversation
        .lockstep
        .score_request_for(&plan.fusion.method);
    let read = app.disposable(|| match &first.first {
        First::Text(text) => loaded.read_text(text, Ending::Continue, request),
        First::Chat { messages, .. } => loaded.read_chat(messages, 0, request),
    })?;
    generation.attribution = look.attribution;
    let names = loaded.conversation.lockstep.names();
    let streamed = if args.json {
        loaded.gather(&generation)?
    } else {
        loaded.stream(&generation, look, Instant::now(), "", &read.opening)?
    };
    streamed.written?;
    let (mut answer, said) = (streamed.answer, streamed.attribution);
    if !answer.text.is_empty() {
        answer.text.insert_str(0, &read.opening);
    }
    let mut out = std::io::stdout().lock();
    if args.json {
        let seed = generation.sampling.seed;
        let mut document = document(&loaded, &plan.fusion, &prompt, &read, &answer, seed);
        if let Some(said) = &said {
            document["attribution"] = attributed(said, &names, &answer.mean_weights);
        }
        writeln!(out, "{document}")?;
    } else {
        writeln!(out)?;
    }
    out.flush()?;
    if let Some(said) = said.filter(|_| !args.json) {
        app.dim(&legend(app, look, &said, &names, &answer.mean_weights));
    }
    app.dim(&statistics(
        &loaded,
        &read,
        &answer,
        generation.sampling.seed,
    ));
    if answer.finish == Finish::Repetition {
        app.dim("the answer went in circles and was ended: --repeat-stop off lets it go on");
    }
    if loaded.form.is_some() && answer.finish == Finish::Length {
        app.dim("the answer is not whole: it was cut at its longest (-n N sets that)");
    }
    loaded.write_prompt_cache();
    if answer.finish == Finish::Cancelled {
        leave(INTERRUPTED);
    }
    Ok(ExitCode::SUCCESS)
}

/// What the members read.
fn first(args: &RunArgs, prompt: &str, may_think: bool) -> First {
    if args.prompt.raw {
        return First::Text(prompt.to_owned());
    }
    let system = args.prompt.system_prompt.iter().map(Message::system);
    First::Chat {
        messages: system.chain([Message::user(prompt)]).collect(),
        may_think,
    }
}

/// The dim line after an answer.
pub fn statistics(loaded: &LoadedPack<'_>, read: &Read, answer: &Answer, seed: u64) -> String {
    let time = match loaded.conversation.lockstep.prefetched() {
        true => "while loading".to_owned(),
        false => format!("{:.1} s", read.time.as_secs_f64()),
    };
    format!(
        "{} · prompt {} {time} · answer {} tok {:.1} tok/s · {} · seed {seed}",
        loaded.weights_line(),
        tokens_line(read),
        answer.tokens,
        answer.tokens_per_second(),
        answer.finish.name(),
    )
}

/// The document of `--json`, see `docs/json.md`.
fn document(
    loaded: &LoadedPack<'_>,
    fusion: &packllm_engine::engine::Fusion,
    prompt: &str,
    read: &Read,
    answer: &Answer,
    seed: u64,
) -> Value {
    let engine = &loaded.conversation.lockstep;
    let members: Vec<Value> = engine
        .members()
        .iter()
        .enumerate()
        .map(|(k, m)| {
            json!({
                "name": m.name,
                "weight": engine.lambda()[k],
                "prompt_tokens": engine.prompt_tokens()[k],
                "cached_tokens": read.cached_tokens[k],
                "evaluations": answer.spent[k].tokens,
                "eval_ms": milliseconds(answer.spent[k].time),
            })
        })
        .collect();
    json!({
        "text": answer.text,
        "finish_reason": answer.finish.name(),
        "vocab": engine.alphabet().name(),
        "mix": engine.mix().to_string(),
        "weights_method": fusion.method.to_string(),
        "members": members,
        "usage": {
            "prompt_bytes": prompt.len(),
            "completion_bytes": answer.text.len(),
            "completion_tokens": answer.tokens,
        },
        "timings": {
            "load_ms": milliseconds(loaded.load_time),
            "prompt_ms": milliseconds(read.time),
            "predicted_ms": milliseconds(answer.time),
            "tokens_per_second": answer.tokens_per_second(),
        },
        "draft": {
            "proposed": answer.drafted.proposed,
            "accepted": answer.drafted.accepted,
        },
        "skipped_mass": answer.skipped_mass,
        "seed": seed,
    })
}

/// The attribution: each member's share of the answer and mean weight, and each word with what
/// every member contributed to it, in nats. Null stands for infinity: nobody else could have said
/// the word.
fn attributed(said: &Attribution, names: &[String], weights: &[f64]) -> Value {
    let members = names.iter().zip(said.shares()).zip(weights);
    let members: Vec<Value> = members
        .map(|((name, share), weight)| json!({ "name": name, "share": share, "weight": weight }))
        .collect();
    let pieces = said.pieces().iter().map(|piece| {
        json!({
            "text": piece.text,
            "member": piece.attributed_to().map(|k| &names[k]),
            "contributions": piece.contributions,
        })
    });
    json!({ "members": members, "pieces": pieces.collect::<Vec<_>>() })
}

/// Milliseconds, with three decimals.
pub fn milliseconds(time: std::time::Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}
