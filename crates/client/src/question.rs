//! What is asked of a server.

use crate::about::About;
use serde::Serialize;
use serde_json::Value;

/// A conversation to answer. What is None is as the server was started.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Question {
    /// Its name; packllm takes any.
    pub model: String,
    /// Where the last is the assistant's, the answer goes on from there.
    pub messages: Vec<Message>,
    /// Most tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<i64>,
    /// Where the draw begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[allow(missing_docs, reason = "the parameters of sampling have these names")]
    pub temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[allow(missing_docs, reason = "as above")]
    pub top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[allow(missing_docs, reason = "as above")]
    pub top_k: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[allow(missing_docs, reason = "as above")]
    pub min_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[allow(missing_docs, reason = "as above")]
    pub repeat_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[allow(missing_docs, reason = "as above")]
    pub repeat_last_n: Option<i64>,
    /// Texts that end the answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// `none` lets models answer without a thought.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<&'static str>,
    /// The form of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_format: Option<Value>,
    /// What only packllm understands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packllm: Option<Asked>,
}

/// How members are fused. What is None is as the server was started.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Asked {
    /// The method of weighting, or weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
    /// `log` or `linear`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mix: Option<String>,
    /// The members that may take part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub members: Option<Vec<String>>,
    /// Whether to tell which member argued for which word.
    pub attribution: bool,
    /// Numbers of the fusion, by their names.
    #[serde(flatten)]
    pub numbers: serde_json::Map<String, Value>,
}

/// A question, to be answered by a stream.
#[derive(Serialize)]
pub(crate) struct Streaming<'a> {
    #[serde(flatten)]
    question: &'a Question,
    stream: bool,
    stream_options: StreamOptions,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

impl<'a> From<&'a Question> for Streaming<'a> {
    fn from(question: &'a Question) -> Self {
        Self {
            question,
            stream: true,
            stream_options: StreamOptions {
                include_usage: true,
            },
        }
    }
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// What is said.
    pub content: String,
}

impl Message {
    /// What somebody says.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Self {
            role: role.into(),
            content: content.into(),
        }
    }
}

impl Question {
    /// A question to this server.
    #[must_use]
    pub fn to(about: &About) -> Self {
        Self {
            model: about.model.clone(),
            packllm: about.is_packllm().then(Asked::default),
            ..Self::default()
        }
    }
}
