//! The routes of llama-server that tell how it is.

use crate::desk::{Phase, Totals};
use crate::error::Refusal;
use crate::http::Served;
use crate::openai::wire::{Failure, fingerprint};
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};
use utoipa::ToSchema;

/// How the server is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    status: &'static str,
}

/// Whether requests are answered. Needs no key.
#[utoipa::path(
    get,
    path = "/health",
    tag = "llama-server",
    responses((status = 200, body = Health), (status = 403, body = Failure), (status = 503, body = Failure))
)]
pub async fn health(State(served): State<Served>) -> Result<Json<Health>, Refusal> {
    let glance = served.desk.glance();
    match glance.phase {
        Phase::Loading => Err(Refusal::unavailable("the pack is loading")),
        Phase::Failed => Err(Refusal::unavailable("the pack could not be loaded")),
        _ if glance.stalled => Err(Refusal::unavailable("busy, without progress")),
        Phase::Ready | Phase::Asleep => Ok(Json(Health { status: "ok" })),
    }
}

/// What is set.
#[derive(Debug, Serialize, ToSchema)]
pub struct Props {
    model_alias: String,
    build_info: &'static str,
    total_slots: usize,
    /// Each member has a template of its own.
    chat_template: &'static str,
    default_generation_settings: Defaults,
    modalities: Modalities,
    members: Vec<String>,
    is_sleeping: bool,
}

#[derive(Debug, Serialize, ToSchema)]
struct Defaults {
    n_ctx: u32,
    #[schema(value_type = Object)]
    params: Value,
}

#[derive(Debug, Serialize, ToSchema)]
struct Modalities {
    vision: bool,
    audio: bool,
}

/// What is set.
#[utoipa::path(
    get,
    path = "/props",
    tag = "llama-server",
    responses((status = 200, body = Props), (status = 401, body = Failure), (status = 403, body = Failure))
)]
pub async fn props(State(served): State<Served>) -> Json<Props> {
    let facts = served.desk.facts();
    let answers = &served.options.answers;
    let sampling = &answers.sampling;
    Json(Props {
        model_alias: served.name().to_owned(),
        build_info: fingerprint(),
        total_slots: served.options.parallel,
        chat_template: "",
        default_generation_settings: Defaults {
            n_ctx: facts.as_ref().map_or(0, |facts| facts.context),
            params: json!({
                "n_predict": answers.limit.map_or(-1, |n| i64::try_from(n).unwrap_or(-1)),
                "temperature": sampling.temperature,
                "top_k": sampling.top_k,
                "top_p": sampling.top_p,
                "min_p": sampling.min_p,
                "repeat_penalty": sampling.repeat_penalty,
                "repeat_last_n": sampling.repeat_last_n,
            }),
        },
        modalities: Modalities {
            vision: false,
            audio: false,
        },
        members: facts.map(|facts| facts.names()).unwrap_or_default(),
        is_sleeping: served.desk.glance().phase == Phase::Asleep,
    })
}

/// A place for an active conversation.
#[derive(Debug, Serialize, ToSchema)]
pub struct Slot {
    id: usize,
    n_ctx: u32,
    is_processing: bool,
    /// The number of its request.
    #[serde(skip_serializing_if = "Option::is_none")]
    id_task: Option<u64>,
}

/// The places for active conversations, and which of them are taken; nothing of what is said.
#[utoipa::path(
    get,
    path = "/slots",
    tag = "llama-server",
    responses((status = 200, body = Vec<Slot>), (status = 401, body = Failure), (status = 403, body = Failure))
)]
pub async fn slots(State(served): State<Served>) -> Json<Vec<Slot>> {
    let n_ctx = served.desk.facts().map_or(0, |facts| facts.context);
    let slots = served.desk.slots().into_iter().enumerate();
    let slots = slots.map(|(id, id_task)| Slot {
        id,
        n_ctx,
        is_processing: id_task.is_some(),
        id_task,
    });
    Json(slots.collect())
}

/// Sums and the present load, for Prometheus.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "llama-server",
    responses(
        (status = 200, body = String, content_type = "text/plain"),
        (status = 401, body = Failure), (status = 403, body = Failure)
    )
)]
pub async fn metrics(State(served): State<Served>) -> impl IntoResponse {
    let Totals {
        requests,
        prompt_tokens,
        cached_tokens,
        prompt_micros,
        tokens,
        micros,
    } = &served.desk.totals;
    let count = |sum: &AtomicU64| sum.load(Ordering::Relaxed) as f64;
    let seconds = |sum: &AtomicU64| count(sum) / 1e6;
    let glance = served.desk.glance();
    let sums = [
        (
            "requests_total",
            "counter",
            "answers that were begun",
            count(requests),
        ),
        (
            "prompt_tokens_total",
            "counter",
            "tokens of prompts",
            count(prompt_tokens),
        ),
        (
            "prompt_tokens_cached_total",
            "counter",
            "those that were read before",
            count(cached_tokens),
        ),
        (
            "prompt_seconds_total",
            "counter",
            "time spent reading",
            seconds(prompt_micros),
        ),
        (
            "tokens_predicted_total",
            "counter",
            "tokens of answers",
            count(tokens),
        ),
        (
            "tokens_predicted_seconds_total",
            "counter",
            "time spent answering",
            seconds(micros),
        ),
        (
            "requests_processing",
            "gauge",
            "answers under way",
            glance.running as f64,
        ),
        (
            "requests_deferred",
            "gauge",
            "requests that wait",
            glance.waiting as f64,
        ),
    ];
    let text: String = sums
        .iter()
        .map(|(name, kind, help, value)| {
            let name = format!("packllm:{name}");
            format!("# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n")
        })
        .collect();
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], text)
}

/// Ollama's clients look whether somebody is there.
pub async fn greeting() -> &'static str {
    "packllm is running"
}
