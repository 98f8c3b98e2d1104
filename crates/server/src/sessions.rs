//! `/packllm/sessions`: the conversations of `packllm chat`, for the page.
//!
//! A session is looked up by its name in the listing of the folder, so no path of a request is ever
//! opened. It is locked while it is read or written, never longer: one that a chat has open is
//! refused with 409, and so is a change to what somebody else has changed since it was read
//! (`revision`). Every version of a turn is in the file (`chat::history`); what stands is what the
//! terminal shows.

mod keep;
mod wire;

use crate::error::Refusal;
use crate::http::{Body, Served};
use crate::openai::wire::Failure;
use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use keep::Keep;
use wire::{Begin, Change, Listed, Opened, Rename, Revised, Search};

/// Sessions that are listed at most, the newest.
const MOST_LISTED: usize = 500;
/// Bytes of a session's file.
const MOST_BYTES: u64 = 32 << 20;
/// Bytes that one search reads.
const MOST_SEARCHED: u64 = 256 << 20;

/// Does what touches files on a thread where that may take its time.
async fn aside<T: Send + 'static>(
    served: &Served,
    work: impl FnOnce(Keep) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let folder = served.options.sessions.clone();
    let folder = folder.ok_or_else(Refusal::no_sessions)?;
    let facts = served.desk.facts();
    let facts = facts.ok_or_else(|| Refusal::unavailable("the pack is loading"))?;
    let keep = Keep {
        folder,
        pack: served.options.model.clone(),
        members: facts.names(),
    };
    let done = tokio::task::spawn_blocking(move || work(keep)).await;
    done.map_err(|_| Refusal::internal("the server has a bug here: it panicked"))?
}

type Name = Result<Path<String>, PathRejection>;

/// The name in a path. One that is no text is none of a session.
fn name(path: Name) -> Result<String, Refusal> {
    let Path(name) = path.map_err(|_| Refusal::no_session())?;
    Ok(name)
}

/// The sessions, the newest first: all, or those that have a text in a message or in their name.
#[utoipa::path(
    get,
    path = "/packllm/sessions",
    tag = "packllm",
    params(Search),
    responses(
        (status = 200, body = Vec<Listed>), (status = 400, body = Failure), (status = 401, body = Failure),
        (status = 403, body = Failure), (status = 404, body = Failure), (status = 503, body = Failure)
    )
)]
pub async fn list(
    State(served): State<Served>,
    search: Result<Query<Search>, QueryRejection>,
) -> Result<Json<Vec<Listed>>, Refusal> {
    let Query(search) = search.map_err(|error| Refusal::invalid(error.body_text()))?;
    let text = search.search.unwrap_or_default();
    aside(&served, move |keep| Ok(Json(keep.list(&text)))).await
}

/// Begins a session.
#[utoipa::path(
    post,
    path = "/packllm/sessions",
    tag = "packllm",
    request_body = Begin,
    responses(
        (status = 200, body = Revised), (status = 400, body = Failure), (status = 401, body = Failure),
        (status = 403, body = Failure), (status = 404, body = Failure), (status = 408, body = Failure),
        (status = 413, body = Failure), (status = 500, body = Failure), (status = 503, body = Failure)
    )
)]
pub async fn begin(
    State(served): State<Served>,
    Body(begin): Body<Begin>,
) -> Result<Json<Revised>, Refusal> {
    aside(&served, move |keep| keep.begin(begin).map(Json)).await
}

/// A session: every version of its messages, and which of them stand.
#[utoipa::path(
    get,
    path = "/packllm/sessions/{name}",
    tag = "packllm",
    params(("name" = String, Path)),
    responses(
        (status = 200, body = Opened), (status = 400, body = Failure), (status = 401, body = Failure),
        (status = 403, body = Failure), (status = 404, body = Failure), (status = 413, body = Failure),
        (status = 500, body = Failure), (status = 503, body = Failure)
    )
)]
pub async fn open(State(served): State<Served>, path: Name) -> Result<Json<Opened>, Refusal> {
    let name = name(path)?;
    aside(&served, move |keep| keep.open(&name).map(Json)).await
}

/// Goes on with a session, or branches: keeps so many of the messages that stand, and adds others.
#[utoipa::path(
    post,
    path = "/packllm/sessions/{name}",
    tag = "packllm",
    params(("name" = String, Path)),
    request_body = Change,
    responses(
        (status = 200, body = Revised), (status = 400, body = Failure), (status = 401, body = Failure),
        (status = 403, body = Failure), (status = 404, body = Failure), (status = 408, body = Failure),
        (status = 409, body = Failure, description = "A chat has it open, or it has changed"),
        (status = 413, body = Failure), (status = 500, body = Failure), (status = 503, body = Failure)
    )
)]
pub async fn change(
    State(served): State<Served>,
    path: Name,
    Body(change): Body<Change>,
) -> Result<Json<Revised>, Refusal> {
    let name = name(path)?;
    aside(&served, move |keep| keep.change(&name, change).map(Json)).await
}

/// Gives a session another name.
#[utoipa::path(
    patch,
    path = "/packllm/sessions/{name}",
    tag = "packllm",
    params(("name" = String, Path)),
    request_body = Rename,
    responses(
        (status = 200, body = Revised), (status = 400, body = Failure), (status = 401, body = Failure),
        (status = 403, body = Failure), (status = 404, body = Failure), (status = 408, body = Failure),
        (status = 409, body = Failure, description = "A chat has it open, or the name is taken"),
        (status = 413, body = Failure), (status = 500, body = Failure), (status = 503, body = Failure)
    )
)]
pub async fn rename(
    State(served): State<Served>,
    path: Name,
    Body(to): Body<Rename>,
) -> Result<Json<Revised>, Refusal> {
    let name = name(path)?;
    aside(&served, move |keep| keep.rename(&name, &to.name).map(Json)).await
}

/// Removes a session for good.
#[utoipa::path(
    delete,
    path = "/packllm/sessions/{name}",
    tag = "packllm",
    params(("name" = String, Path)),
    responses(
        (status = 200, body = Revised), (status = 400, body = Failure), (status = 401, body = Failure),
        (status = 403, body = Failure), (status = 404, body = Failure),
        (status = 409, body = Failure, description = "A chat has it open"),
        (status = 413, body = Failure), (status = 500, body = Failure), (status = 503, body = Failure)
    )
)]
pub async fn remove(State(served): State<Served>, path: Name) -> Result<Json<Revised>, Refusal> {
    let name = name(path)?;
    aside(&served, move |keep| keep.remove(&name).map(Json)).await
}
