//! `/v1/models`: the one that is here.

use super::wire::Failure;
use crate::error::Refusal;
use crate::http::Served;
use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use utoipa::ToSchema;

/// What can be asked.
#[derive(Debug, Serialize, ToSchema)]
pub struct Models {
    object: &'static str,
    data: Vec<Model>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Model {
    id: String,
    object: &'static str,
    created: u64,
    owned_by: &'static str,
    /// As llama-server has it.
    meta: Option<Meta>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Meta {
    n_ctx: u32,
    n_ctx_train: u32,
    n_params: u64,
    size: u64,
    members: Vec<String>,
}

fn here(served: &Served) -> Model {
    let meta = served.desk.facts().map(|facts| Meta {
        n_ctx: facts.context,
        n_ctx_train: facts
            .members
            .iter()
            .map(|m| m.train_context)
            .min()
            .unwrap_or(0),
        n_params: facts.parameters(),
        size: facts.bytes(),
        members: facts.names(),
    });
    Model {
        id: served.name().to_owned(),
        object: "model",
        created: served.since,
        owned_by: "packllm",
        meta,
    }
}

/// The pack, as a list of one model.
#[utoipa::path(
    get,
    path = "/v1/models",
    tag = "openai",
    responses((status = 200, body = Models), (status = 401, body = Failure), (status = 403, body = Failure))
)]
pub async fn models(State(served): State<Served>) -> Json<Models> {
    Json(Models {
        object: "list",
        data: vec![here(&served)],
    })
}

/// The pack, by its name.
#[utoipa::path(
    get,
    path = "/v1/models/{model}",
    tag = "openai",
    params(("model" = String, Path)),
    responses(
        (status = 200, body = Model), (status = 400, body = Failure), (status = 401, body = Failure),
        (status = 403, body = Failure), (status = 404, body = Failure)
    )
)]
pub async fn model(
    State(served): State<Served>,
    Path(name): Path<String>,
) -> Result<Json<Model>, Refusal> {
    if name == served.name() || name == served.options.model {
        return Ok(Json(here(&served)));
    }
    Err(Refusal::no_model(&name, served.name()))
}
