//! Routes that are not served, and say so: 501.

use super::wire::Failure;
use crate::error::Refusal;

/// Others than [`embeddings`], with what they give.
pub const ROUTES: &[(&str, &str)] = &[
    ("/embeddings", "embeddings"),
    ("/api/embed", "embeddings"),
    ("/api/embeddings", "embeddings"),
    ("/v1/rerank", "rankings"),
    ("/rerank", "rankings"),
    ("/infill", "infills"),
    ("/v1/audio/transcriptions", "transcriptions"),
    ("/v1/audio/speech", "recordings"),
    ("/v1/images/generations", "images"),
];

/// Not served: a pack of decoders answers with text.
#[utoipa::path(
    post,
    path = "/v1/embeddings",
    tag = "openai",
    responses((status = 401, body = Failure), (status = 403, body = Failure), (status = 501, body = Failure))
)]
pub async fn embeddings() -> Refusal {
    Refusal::not_implemented("embeddings")
}
