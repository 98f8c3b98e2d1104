//! What is here: `/api/version`, `tags`, `ps`, `show`.

use super::OllamaFailure;
use crate::error::Refusal;
use crate::http::{Body, Served};
use axum::Json;
use axum::extract::State;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

/// A version of Ollama that has what is served here: clients ask for at least some.
const VERSION: &str = "0.12.6";

#[derive(Debug, Serialize, ToSchema)]
pub struct Version {
    version: &'static str,
}

/// The models that are here.
#[derive(Debug, Serialize, ToSchema)]
pub struct Tags {
    models: Vec<OllamaModel>,
}

/// The pack.
#[derive(Debug, Serialize, ToSchema)]
struct OllamaModel {
    name: String,
    model: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    modified_at: Option<String>,
    size: u64,
    digest: String,
    details: Details,
    /// Of a model that is loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size_vram: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context_length: Option<u32>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Details {
    parent_model: &'static str,
    format: &'static str,
    family: String,
    families: Vec<String>,
    parameter_size: String,
    quantization_level: &'static str,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct ShowRequest {
    #[expect(
        dead_code,
        reason = "in the document: any name is answered by the pack"
    )]
    pub model: Option<String>,
    #[expect(
        dead_code,
        reason = "in the document: any name is answered by the pack"
    )]
    pub name: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Shown {
    modelfile: String,
    parameters: String,
    template: &'static str,
    details: Details,
    #[schema(value_type = Object)]
    model_info: Map<String, Value>,
    /// `completion` alone: tools and images are not served.
    capabilities: Vec<&'static str>,
    modified_at: String,
}

/// Seconds since 1970 as a time.
pub fn time_of(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok();
    let time = time.and_then(|seconds| DateTime::<Utc>::from_timestamp(seconds, 0));
    time.unwrap_or_default()
        .to_rfc3339_opts(SecondsFormat::Nanos, true)
}

fn details(served: &Served) -> Details {
    let facts = served.desk.facts();
    let families = facts.iter().flat_map(|facts| &facts.members);
    let families: Vec<String> = families.map(|m| m.architecture.clone()).collect();
    let parameters = facts.map_or(0, |facts| facts.parameters());
    Details {
        parent_model: "",
        format: "gguf",
        family: families.first().cloned().unwrap_or_default(),
        families,
        parameter_size: match parameters {
            0..1_000_000_000 => format!("{:.0}M", parameters as f64 / 1e6),
            _ => format!("{:.1}B", parameters as f64 / 1e9),
        },
        quantization_level: "unknown",
    }
}

fn model(served: &Served) -> OllamaModel {
    let name = served.name();
    let digest = Sha256::digest(name);
    OllamaModel {
        name: name.to_owned(),
        model: name.to_owned(),
        modified_at: Some(time_of(served.since)),
        size: served.desk.facts().map_or(0, |facts| facts.bytes()),
        digest: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
        details: details(served),
        expires_at: None,
        size_vram: None,
        context_length: None,
    }
}

/// The version of Ollama whose interface this is.
#[utoipa::path(
    get,
    path = "/api/version",
    tag = "ollama",
    responses((status = 200, body = Version), (status = 401, body = OllamaFailure), (status = 403, body = OllamaFailure))
)]
pub async fn version() -> Json<Version> {
    Json(Version { version: VERSION })
}

/// The pack, as a list of one model.
#[utoipa::path(
    get,
    path = "/api/tags",
    tag = "ollama",
    responses((status = 200, body = Tags), (status = 401, body = OllamaFailure), (status = 403, body = OllamaFailure))
)]
pub async fn tags(State(served): State<Served>) -> Json<Tags> {
    Json(Tags {
        models: vec![model(&served)],
    })
}

/// The pack, if it is loaded.
#[utoipa::path(
    get,
    path = "/api/ps",
    tag = "ollama",
    responses((status = 200, body = Tags), (status = 401, body = OllamaFailure), (status = 403, body = OllamaFailure))
)]
pub async fn ps(State(served): State<Served>) -> Json<Tags> {
    use crate::desk::Phase;
    let loaded = served.desk.glance().phase == Phase::Ready;
    let models = loaded.then(|| {
        // Without --keep-alive it stays: Ollama's clients read a far time as for ever.
        let stays = served
            .options
            .keep_alive
            .map_or(100 * 365 * 86_400, |t| t.as_secs());
        OllamaModel {
            modified_at: None,
            expires_at: Some(time_of(crate::facts::unix_time() + stays)),
            size_vram: Some(0),
            context_length: served.desk.facts().map(|facts| facts.context),
            ..model(&served)
        }
    });
    Json(Tags {
        models: models.into_iter().collect(),
    })
}

/// What is known of the pack, whatever name is asked for.
#[utoipa::path(
    post,
    path = "/api/show",
    tag = "ollama",
    request_body = ShowRequest,
    responses(
        (status = 200, body = Shown), (status = 400, body = OllamaFailure), (status = 401, body = OllamaFailure),
        (status = 403, body = OllamaFailure), (status = 408, body = OllamaFailure), (status = 413, body = OllamaFailure)
    )
)]
pub async fn show(
    State(served): State<Served>,
    Body(_): Body<ShowRequest>,
) -> Result<Json<Shown>, Refusal> {
    let mut info = Map::new();
    let details = details(&served);
    if let Some(facts) = served.desk.facts() {
        info.insert("general.architecture".into(), json!("packllm"));
        info.insert("general.basename".into(), json!(served.name()));
        info.insert("general.parameter_count".into(), json!(facts.parameters()));
        info.insert("packllm.context_length".into(), json!(facts.context));
        info.insert("packllm.members".into(), json!(facts.names()));
    }
    Ok(Json(Shown {
        modelfile: format!("# packllm serves the pack {}", served.options.model),
        parameters: String::new(),
        template: "{{ .Prompt }}",
        details,
        model_info: info,
        capabilities: vec!["completion"],
        modified_at: time_of(served.since),
    }))
}
