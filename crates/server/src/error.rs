//! Why a request is not answered, and how each dialect says so.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use packllm_engine::engine::EngineError;
use packllm_engine::pack::PackError;
use serde_json::{Value, json};

/// Why a request is not answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    pub status: StatusCode,
    /// OpenAI's `type`.
    pub kind: &'static str,
    pub code: Option<&'static str>,
    /// The field it is about.
    pub param: Option<String>,
    pub message: String,
    /// Tokens of a prompt that does not fit, and the context.
    pub sizes: Option<(usize, u32)>,
}

/// Seconds after which a client may ask again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("2");

impl Refusal {
    fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            code: None,
            param: None,
            message: message.into(),
            sizes: None,
        }
    }

    /// The request cannot be answered as it is.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", message)
    }

    /// A field has a value that it may not have.
    pub fn field(param: &str, message: impl Into<String>) -> Self {
        Self {
            param: Some(param.to_owned()),
            ..Self::invalid(message)
        }
    }

    /// A field asks for something that would change the answer, and that is not served.
    pub fn not_served(param: &str, why: &str) -> Self {
        Self {
            code: Some("unsupported_parameter"),
            ..Self::field(param, format!("{param} is not served: {why}"))
        }
    }

    /// A whole route that is not served.
    pub fn not_implemented(what: &str) -> Self {
        let message = format!("{what} are not served: a pack of decoders answers with text");
        Self::new(StatusCode::NOT_IMPLEMENTED, "not_supported_error", message)
    }

    pub fn key(message: &str) -> Self {
        Self {
            code: Some("invalid_api_key"),
            ..Self::new(StatusCode::UNAUTHORIZED, "authentication_error", message)
        }
    }

    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "permission_error", message)
    }

    /// Something is not as the request takes it to be.
    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code: Some(code),
            ..Self::new(StatusCode::CONFLICT, "conflict_error", message)
        }
    }

    pub fn no_sessions() -> Self {
        let message = "no conversations are kept here";
        Self::new(StatusCode::NOT_FOUND, "not_found_error", message)
    }

    pub fn no_session() -> Self {
        let message = "there is no session of this name: /packllm/sessions lists them";
        Self::new(StatusCode::NOT_FOUND, "not_found_error", message)
    }

    pub fn no_route() -> Self {
        let message = "nothing is served here: see /openapi.json";
        Self::new(StatusCode::NOT_FOUND, "not_found_error", message)
    }

    /// A route that is asked by other methods; the router says which.
    pub fn no_method(method: &str) -> Self {
        let message = format!("nothing is served here by {method}: see /openapi.json");
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "invalid_request_error",
            message,
        )
    }

    pub fn no_model(name: &str, real: &str) -> Self {
        Self {
            code: Some("model_not_found"),
            param: Some("model".into()),
            ..Self::new(
                StatusCode::NOT_FOUND,
                "not_found_error",
                format!("no model {name:?} is here, only {real:?}"),
            )
        }
    }

    pub fn too_large(bytes: usize) -> Self {
        let message = format!("the body is larger than {bytes} bytes");
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "invalid_request_error",
            message,
        )
    }

    pub fn too_slow() -> Self {
        let message = "the body did not come in time";
        Self::new(StatusCode::REQUEST_TIMEOUT, "timeout_error", message)
    }

    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable_error",
            message,
        )
    }

    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", message)
    }

    /// Something failed that is no business of clients: the server's own output says what.
    pub fn broken() -> Self {
        Self::internal("the answer failed: the server's own output says why")
    }

    /// As an object of OpenAI, also in mid-stream.
    pub fn openai(&self) -> Value {
        let mut error = json!({
            "message": self.message,
            "type": self.kind,
            "param": self.param,
            "code": self.code,
        });
        if let Some((tokens, context)) = self.sizes {
            error["n_prompt_tokens"] = tokens.into();
            error["n_ctx"] = context.into();
        }
        json!({ "error": error })
    }

    /// As an object of Anthropic.
    pub fn anthropic(&self) -> Value {
        let kind = match self.status.as_u16() {
            401 => "authentication_error",
            403 => "permission_error",
            404 => "not_found_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            503 => "overloaded_error",
            500..600 => "api_error",
            _ => "invalid_request_error",
        };
        json!({ "type": "error", "error": { "type": kind, "message": self.message } })
    }

    /// As an object of Ollama.
    pub fn ollama(&self) -> Value {
        json!({ "error": self.message })
    }

    /// In the dialect of a path.
    pub fn dressed(&self, path: &str) -> Response {
        let body = match path {
            path if path.starts_with("/v1/messages") => self.anthropic(),
            path if path.starts_with("/api/") => self.ollama(),
            _ => self.openai(),
        };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let bearer = HeaderValue::from_static("Bearer");
            headers.insert(header::WWW_AUTHENTICATE, bearer);
        }
        // Of a body that was not read to its end the next request cannot be told apart.
        if matches!(self.status.as_u16(), 408 | 413) {
            let close = HeaderValue::from_static("close");
            headers.insert(header::CONNECTION, close);
        }
        response
    }
}

/// The words are put in by a layer that knows the path.
impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<EngineError> for Refusal {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::TooLong {
                member,
                tokens,
                context,
                ..
            } => Refusal {
                code: Some("context_length_exceeded"),
                kind: "exceed_context_size_error",
                sizes: Some((tokens, context)),
                ..Refusal::invalid(format!(
                    "the prompt does not fit: {tokens} tokens of {member}, whose context has {context}"
                ))
            },
            EngineError::Cancelled => Refusal::unavailable("the answer was stopped"),
            EngineError::Weight(_)
            | EngineError::Parameter(_)
            | EngineError::Stop(_)
            | EngineError::AllSilent
            | EngineError::Empty { .. } => Refusal::invalid(error.to_string()),
            error => Refusal::internal(error.to_string()),
        }
    }
}

impl From<PackError> for Refusal {
    fn from(error: PackError) -> Self {
        match error {
            PackError::Engine(error) => error.into(),
            // Templates refuse conversations: roles that do not alternate, say.
            PackError::Template(error) => Refusal::field("messages", error.to_string()),
            error @ PackError::Map { .. } => Refusal::internal(error.to_string()),
        }
    }
}
