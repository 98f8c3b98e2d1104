//! The settings of a run, as they are in its journal and in its results.

use super::plan::Exam;
use crate::cli::{EvalArgs, ScoreName};
use crate::settings::PackPlan;
use anyhow::Result;
use packllm_engine::pack::Reference;
use packllm_engine::weight::Method;
use packllm_eval::{Judge, Task};
use serde_json::{Map, Value, json};

/// Everything that the answers of a run depend on: it is in the journal and in the results.
pub fn record(
    args: &EvalArgs,
    pack: &PackPlan,
    judge: &Judge,
    exams: &[Exam],
) -> Result<Map<String, Value>> {
    let name = |path: &std::path::Path| {
        path.file_name()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default()
    };
    let members: Vec<Value> = pack
        .members
        .iter()
        .map(|m| {
            let bytes = std::fs::metadata(&m.path).map_or(0, |m| m.len());
            json!({"name": m.name, "file": name(&m.path), "bytes": bytes})
        })
        .collect();
    let tasks: Vec<Value> = exams
        .iter()
        .map(|exam| json!({"task": exam.name, "sha256": exam.digest}))
        .collect();
    let shots = match &args.shots_from {
        Some(file) => json!({"file": name(file), "sha256": Task::read(file, None)?.digest}),
        None => Value::Null,
    };
    let reference = match &pack.reference {
        Some(Reference::File(file, tokenizer)) => {
            json!({"file": name(file), "sha256": tokenizer.digest()})
        }
        _ => json!(args.given.reference),
    };
    let fusion = &judge.fusion;
    let contestants: Vec<&str> = judge.contestants.iter().map(|c| c.name.as_str()).collect();
    let record = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "members": members,
        "tasks": tasks,
        "limit": args.limit,
        "few_shot": args.few_shot,
        "shots_from": shots,
        "seed": args.seed(),
        "separator": args.separator,
        "framing": if args.raw { "raw" } else { "chat" },
        "predict": args.predict,
        "dev": args.dev,
        "again": args.again,
        "score": match args.score {
            ScoreName::Mean => "mean",
            ScoreName::Sum => "sum",
            ScoreName::Token => "token",
        },
        "as_published": args.as_published,
        "skip_bad": args.skip_bad,
        "replay": args.replay,
        "contestants": contestants,
        "given": matches!(fusion.method, Method::Given(_)).then(|| fusion.method.to_string()),
        "vocab": fusion.alphabet.map_or("auto", |alphabet| alphabet.name()),
        "reference": reference,
        "mix": fusion.mix.map(|mix| mix.to_string()),
        "tau": fusion.tau,
        "prior_bytes": fusion.prior_bytes,
        "prior": fusion.prior,
        "rate": fusion.rate,
        "floor": fusion.floor,
        "confidence": fusion.confidence,
        "drop": fusion.drop,
        "epsilon": fusion.budget.epsilon,
        "heads": fusion.budget.hypotheses,
        "ctx_size": args.given.ctx_size,
    });
    Ok(record.as_object().cloned().unwrap_or_default())
}
