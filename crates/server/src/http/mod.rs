//! HTTP: routes, and what every request passes before a dialect sees it.

mod body;
mod gate;
mod log;
mod safety;
mod stream;

pub use body::Body;
pub use log::Entry;
pub use stream::{SentEvent, Writer, event, stream};

use crate::config::Options;
use crate::desk::{Desk, Job, Ticket};
use crate::error::Refusal;
use crate::{about, anthropic, llama, ollama, openai, page, responses, sessions};
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use axum::{Json, Router};
use std::sync::Arc;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What every handler has.
#[derive(Clone)]
pub struct Served {
    pub desk: Arc<Desk>,
    pub options: Arc<Options>,
    /// When the server started, in seconds since 1970.
    pub since: u64,
}

impl Served {
    /// Takes a place in the queue.
    ///
    /// # Errors
    /// As [`Desk::submit`].
    pub fn submit(&self, job: Job) -> Result<Ticket, Refusal> {
        self.desk.submit(job)
    }

    /// What answers call the pack.
    pub fn name(&self) -> &str {
        self.options.name()
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "packllm serve",
        description = "A pack of models behind the interfaces of OpenAI, Anthropic, Ollama and llama-server. \
                       Unknown keys are ignored, null means absent. Tokens are counted by the member with \
                       the smallest context."
    ),
    // What the data of events are.
    components(schemas(openai::chat::Chunk)),
    tags(
        (name = "openai"), (name = "anthropic"), (name = "ollama"), (name = "llama-server"), (name = "packllm")
    )
)]
struct Document;

fn routes() -> OpenApiRouter<Served> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(openai::chat::chat))
        .routes(routes!(openai::completions::completions))
        .routes(routes!(openai::models::models))
        .routes(routes!(openai::models::model))
        .routes(routes!(openai::unserved::embeddings))
        .routes(routes!(responses::responses))
        .routes(routes!(anthropic::messages))
        .routes(routes!(anthropic::count_tokens))
        .routes(routes!(ollama::about::version))
        .routes(routes!(ollama::about::tags))
        .routes(routes!(ollama::about::ps))
        .routes(routes!(ollama::about::show))
        .routes(routes!(ollama::answer::chat))
        .routes(routes!(ollama::answer::generate))
        .routes(routes!(llama::health))
        .routes(routes!(llama::props))
        .routes(routes!(llama::slots))
        .routes(routes!(llama::metrics))
        .routes(routes!(about::pack))
        .routes(routes!(about::parameters))
        .routes(routes!(sessions::list, sessions::begin))
        .routes(routes!(
            sessions::open,
            sessions::change,
            sessions::rename,
            sessions::remove
        ))
}

/// The document of all routes.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    routes().into_openapi()
}

/// Everything that is served.
pub fn router(served: &Served) -> Router {
    let (router, document) = routes().split_for_parts();
    let document = serde_json::to_value(document).unwrap_or_default();
    let show = move || std::future::ready(Json(document));
    let unserved = openai::unserved::ROUTES.iter();
    let router = unserved.fold(router, |router, (path, what)| {
        let refuse = move || std::future::ready(Refusal::not_implemented(what));
        router.route(path, axum::routing::post(refuse))
    });
    page::routes(router, served.options.page)
        // Without /v1, as llama-server has them.
        .route("/chat/completions", axum::routing::post(openai::chat::chat))
        .route("/models", axum::routing::get(openai::models::models))
        .route("/v1/health", axum::routing::get(llama::health))
        .route("/openapi.json", axum::routing::get(show))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .with_state(served.clone())
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(served.clone(), gate::gate))
}

async fn no_route() -> Refusal {
    Refusal::no_route()
}

async fn no_method(method: Method) -> Refusal {
    Refusal::no_method(method.as_str())
}

#[allow(
    clippy::needless_pass_by_value,
    reason = "the layer hands the panic over"
)]
fn panicked(_: Box<dyn std::any::Any + Send>) -> axum::response::Response {
    use axum::response::IntoResponse;
    Refusal::internal("the server has a bug here: it panicked").into_response()
}
