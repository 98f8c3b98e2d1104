//! `/packllm/pack` and `/packllm/parameters`: what the page shows of the pack, and what a request may
//! set. No dialect has it.

use crate::config::Options;
use crate::error::Refusal;
use crate::http::Served;
use crate::openai::wire::Failure;
use axum::Json;
use axum::extract::State;
use packllm_parameter::{Kind, Parameter, Value, find};
use serde::Serialize;
use utoipa::ToSchema;

/// The pack.
#[derive(Debug, Serialize, ToSchema)]
pub struct PackTold {
    pub name: String,
    pub version: &'static str,
    /// Tokens of context that every member has.
    pub context: u32,
    pub members: Vec<Known>,
    /// How the members are fused where a request does not say.
    pub weights: String,
    pub mix: String,
    /// Whether conversations are kept here.
    pub sessions: bool,
    /// Answers at once.
    pub parallel: usize,
    /// Bytes that a request may have.
    pub body_limit: usize,
}

/// A member.
#[derive(Debug, Serialize, ToSchema)]
pub struct Known {
    pub name: String,
    /// What marks its words where there are no colours: its number, from 1.
    pub mark: usize,
    /// The number of its colour; they repeat after ten.
    pub colour: usize,
    /// Whether it has a chat template.
    pub template: bool,
    pub architecture: String,
    pub parameters: u64,
    pub bytes: u64,
    pub train_context: u32,
}

/// Colours there are for members.
const COLOURS: usize = 10;

/// The pack and its members.
#[utoipa::path(
    get,
    path = "/packllm/pack",
    tag = "packllm",
    responses(
        (status = 200, body = PackTold), (status = 401, body = Failure), (status = 403, body = Failure),
        (status = 503, body = Failure)
    )
)]
pub async fn pack(State(served): State<Served>) -> Result<Json<PackTold>, Refusal> {
    let facts = served.desk.facts();
    let facts = facts.ok_or_else(|| Refusal::unavailable("the pack is loading"))?;
    let options = &served.options;
    let members = facts.members.iter().enumerate();
    let members = members.map(|(k, member)| Known {
        name: member.name.clone(),
        mark: k + 1,
        colour: k % COLOURS,
        template: member.template,
        architecture: member.architecture.clone(),
        parameters: member.parameters,
        bytes: member.bytes,
        train_context: member.train_context,
    });
    Ok(Json(PackTold {
        name: served.name().to_owned(),
        version: env!("CARGO_PKG_VERSION"),
        context: facts.context,
        members: members.collect(),
        weights: options.fusion.method.to_string(),
        mix: facts.mix.to_string(),
        sessions: options.sessions.is_some(),
        parallel: options.parallel,
        body_limit: options.limits.body,
    }))
}

/// A parameter that a request may set.
#[derive(Debug, Serialize, ToSchema)]
pub struct ParameterTold {
    /// Its name, as flags and `/set` have it.
    pub name: String,
    /// The field of a chat request; inside `packllm` after a dot.
    pub field: &'static str,
    pub group: &'static str,
    pub help: &'static str,
    /// `whole`, `number`, `text`, `words` or `list`.
    pub kind: &'static str,
    /// What its value must be, in words.
    pub expected: String,
    /// The least and the greatest number, where there are such.
    pub least: Option<f64>,
    pub most: Option<f64>,
    /// Whether `least` itself is excluded.
    pub above: bool,
    /// The words that it may be; empty where it may be others.
    pub words: Vec<&'static str>,
    /// What holds where a request does not say; null: nothing is set.
    pub default: serde_json::Value,
}

/// The fields of requests, and the parameters that they are.
const FIELDS: &[(&str, &str)] = &[
    ("max_tokens", "predict"),
    ("seed", "seed"),
    ("temperature", "temp"),
    ("top_k", "top-k"),
    ("top_p", "top-p"),
    ("min_p", "min-p"),
    ("repeat_penalty", "repeat-penalty"),
    ("repeat_last_n", "repeat-last-n"),
    ("stop", "stop"),
    ("packllm.weights", "weights"),
    ("packllm.mix", "mix"),
    ("packllm.tau", "tau"),
    ("packllm.prior_bytes", "prior-bytes"),
    ("packllm.rate", "rate"),
    ("packllm.drop", "drop"),
    ("packllm.floor", "floor"),
    ("packllm.confidence", "confidence"),
    ("packllm.epsilon", "epsilon"),
    ("packllm.heads", "heads"),
];

/// The parameters that a chat request may set, from the one table of them.
#[utoipa::path(
    get,
    path = "/packllm/parameters",
    tag = "packllm",
    responses(
        (status = 200, body = Vec<ParameterTold>), (status = 401, body = Failure),
        (status = 403, body = Failure)
    )
)]
pub async fn parameters(State(served): State<Served>) -> Json<Vec<ParameterTold>> {
    let known = FIELDS.iter().filter_map(|(field, name)| {
        let parameter = find(name)?;
        Some(told(field, parameter, &served.options))
    });
    Json(known.collect())
}

fn told(field: &'static str, parameter: &Parameter, options: &Options) -> ParameterTold {
    let kind = match parameter.kind {
        Kind::Whole { .. } => "whole",
        Kind::Number => "number",
        Kind::Words(_) => "words",
        Kind::List(_) => "list",
        _ => "text",
    };
    let words = parameter.kind.words().iter().map(|word| word.name);
    let finite = |n: f64| Some(n).filter(|n| n.is_finite());
    let default = held(&parameter.name, options);
    ParameterTold {
        name: parameter.name.clone(),
        field,
        group: parameter.group.heading().unwrap_or("Conversation"),
        help: parameter.help,
        kind,
        expected: parameter.expected(),
        least: finite(parameter.range.least),
        most: finite(parameter.range.most),
        above: parameter.range.above,
        words: words.collect(),
        default: serde_json::to_value(default).unwrap_or_default(),
    }
}

/// What holds where a request does not say.
fn held(name: &str, options: &Options) -> Option<Value> {
    let (answers, fusion) = (&options.answers, &options.fusion);
    let sampling = &answers.sampling;
    let whole = |n: usize| i64::try_from(n).map_or(-1, i128::from);
    let value = match name {
        "predict" => Value::Whole(answers.limit.map_or(-1, |n| n as i128)),
        "seed" => return options.seeded.then(|| Value::Whole(sampling.seed.into())),
        "temp" => Value::Number(sampling.temperature),
        "top-k" => Value::Whole(whole(sampling.top_k)),
        "top-p" => Value::Number(sampling.top_p),
        "min-p" => Value::Number(sampling.min_p),
        "repeat-penalty" => Value::Number(sampling.repeat_penalty),
        "repeat-last-n" => Value::Whole(whole(sampling.repeat_last_n)),
        "stop" => Value::List(answers.stops.iter().cloned().map(Value::Text).collect()),
        "weights" => Value::Text(fusion.method.to_string()),
        "mix" => return fusion.mix.map(|mix| Value::Text(mix.to_string())),
        "tau" => Value::Number(fusion.tau),
        "prior-bytes" => Value::Number(fusion.prior_bytes),
        "rate" => Value::Number(fusion.rate),
        "drop" => Value::Number(fusion.drop),
        "floor" => Value::Number(fusion.floor),
        "confidence" => return fusion.confidence.map(Value::Number),
        "epsilon" => Value::Number(fusion.budget.epsilon),
        "heads" => Value::Whole(whole(fusion.budget.hypotheses)),
        _ => return None,
    };
    Some(value)
}
