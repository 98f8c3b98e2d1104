//! The dialect of Ollama.

pub mod about;
pub mod answer;
mod asked;

use serde::Serialize;
use utoipa::ToSchema;

/// An error.
#[derive(Serialize, ToSchema)]
pub struct OllamaFailure {
    error: String,
}
