//! `/v1/chat/completions`.

mod answer;

pub use answer::Chunk;

use super::wire::{Failure, StreamOptions};
use crate::desk::Job;
use crate::error::Refusal;
use crate::form::AskedForm;
use crate::http::{Body, Entry, SentEvent, Served, stream};
use crate::own::{self, Asked};
use crate::request::{self, Content, Draft, OneOrMany, Request};
use answer::{Chunks, Completion, completion};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use packllm_engine::chat::Message;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;
use utoipa::ToSchema;

/// A conversation to answer.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct ChatRequest {
    pub messages: Vec<ChatMessage>,
    /// Any name: the pack answers.
    #[expect(
        dead_code,
        reason = "in the document: any name is answered by the pack"
    )]
    pub model: Option<String>,
    pub stream: Option<bool>,
    pub stream_options: Option<StreamOptions>,
    /// Most tokens of the answer; `max_completion_tokens` is the same.
    pub max_tokens: Option<i64>,
    pub max_completion_tokens: Option<i64>,
    pub n: Option<i64>,
    pub stop: Option<OneOrMany>,
    pub seed: Option<i64>,
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub top_k: Option<i64>,
    pub min_p: Option<f64>,
    pub repeat_penalty: Option<f64>,
    pub repeat_last_n: Option<i64>,
    /// Only 0 is served.
    pub frequency_penalty: Option<f64>,
    /// Only 0 is served.
    pub presence_penalty: Option<f64>,
    pub logprobs: Option<bool>,
    /// From 0 to 20.
    pub top_logprobs: Option<i64>,
    /// `none` lets templates answer without a thought.
    pub reasoning_effort: Option<String>,
    /// `enable_thinking` alone.
    pub chat_template_kwargs: Option<TemplateArguments>,
    pub packllm: Option<Asked>,
    /// Not served, unless `tool_choice` is `none`.
    #[schema(value_type = Option<Vec<Object>>)]
    pub tools: Option<Value>,
    #[schema(value_type = Option<Object>)]
    pub tool_choice: Option<Value>,
    #[schema(value_type = Option<Vec<Object>>)]
    pub functions: Option<Value>,
    /// The form of the answer: `text`, `json_object`, or `json_schema` with a schema.
    #[schema(value_type = Option<Object>)]
    pub response_format: Option<Value>,
    #[schema(value_type = Option<Object>)]
    pub logit_bias: Option<Value>,
    #[schema(value_type = Option<Object>)]
    pub audio: Option<Value>,
    pub modalities: Option<Vec<String>>,
    #[schema(value_type = Option<String>)]
    pub grammar: Option<Value>,
    #[schema(value_type = Option<Object>)]
    pub json_schema: Option<Value>,
}

/// What llama-server hands to templates.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct TemplateArguments {
    pub enable_thinking: Option<bool>,
}

/// A message.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct ChatMessage {
    /// `system`, `developer`, `user` or `assistant`.
    pub role: String,
    pub content: Option<Content>,
    /// Calls of tools, which are not served.
    #[schema(value_type = Option<Vec<Object>>)]
    pub tool_calls: Option<Value>,
}

impl ChatRequest {
    fn into_request(self, served: &Served) -> Result<(Request, bool), Refusal> {
        self.refuse()?;
        let messages = self.messages.into_iter().enumerate();
        let messages = messages.map(|(i, message)| read(message, i));
        let prompt = request::chat(messages.collect::<Result<_, _>>()?)?;
        let mut draft = Draft::new(&served.options.limits, prompt);
        draft.limit("max_tokens", self.max_tokens)?;
        draft.limit("max_completion_tokens", self.max_completion_tokens)?;
        draft.choices("n", self.n)?;
        draft.stops("stop", self.stop)?;
        draft.seed("seed", self.seed)?;
        draft.number("temperature", "temp", self.temperature)?;
        draft.number("top_p", "top-p", self.top_p)?;
        draft.top_k("top_k", self.top_k)?;
        draft.number("min_p", "min-p", self.min_p)?;
        draft.number("repeat_penalty", "repeat-penalty", self.repeat_penalty)?;
        draft.whole("repeat_last_n", "repeat-last-n", self.repeat_last_n)?;
        match (self.logprobs, self.top_logprobs) {
            (Some(true), top) => draft.logprobs("top_logprobs", top.unwrap_or(0))?,
            (_, None | Some(0)) => {}
            (_, Some(_)) => {
                let message = "top_logprobs needs logprobs: true";
                return Err(Refusal::field("top_logprobs", message));
            }
        }
        let effort = self.reasoning_effort.map(|effort| effort != "none");
        let template = self.chat_template_kwargs.and_then(|t| t.enable_thinking);
        draft.think(template.or(effort));
        draft.form(AskedForm::of_chat(self.response_format.as_ref())?);
        let own = own::settle(self.packllm, &mut draft)?;
        Ok((draft.finish(), own))
    }

    /// Refuses what would change the answer and is not served.
    fn refuse(&self) -> Result<(), Refusal> {
        let none = self.tool_choice == Some(Value::from("none"));
        if !none {
            let why = "tool calling comes later; tool_choice \"none\" answers without";
            request::absent("tools", &self.tools, why)?;
            request::absent("functions", &self.functions, why)?;
        }
        let why = "packllm.grammar takes a grammar, in the notation of Lark";
        request::absent("grammar", &self.grammar, why)?;
        let why = "response_format takes a schema";
        request::absent("json_schema", &self.json_schema, why)?;
        let why = "members have tokens of their own";
        request::absent("logit_bias", &self.logit_bias, why)?;
        request::absent("audio", &self.audio, "members say text alone")?;
        let other = |modality: &String| modality != "text";
        if self.modalities.iter().flatten().any(other) {
            return Err(Refusal::not_served("modalities", "members say text alone"));
        }
        let why = "the sampler has repeat_penalty instead";
        request::neutral("frequency_penalty", self.frequency_penalty, 0.0, why)?;
        request::neutral("presence_penalty", self.presence_penalty, 0.0, why)
    }
}

fn read(message: ChatMessage, i: usize) -> Result<Message, Refusal> {
    let field = |name| format!("messages[{i}].{name}");
    let why = "tool calling comes later";
    request::absent(&field("tool_calls"), &message.tool_calls, why)?;
    let role = request::role(&message.role, &field("role"))?;
    let content = message
        .content
        .map(|content| content.into_text(&field("content")));
    Ok(Message {
        role,
        content: content.transpose()?.unwrap_or_default(),
    })
}

/// Answers a conversation, whole or as server-sent events.
#[utoipa::path(
    post,
    path = "/v1/chat/completions",
    tag = "openai",
    request_body = ChatRequest,
    responses(
        (status = 200, description = "The answer; with `stream`, events of `Chunk`s", content(
            (Completion = "application/json"), (SentEvent = "text/event-stream"))),
        (status = 400, body = Failure), (status = 401, body = Failure), (status = 403, body = Failure),
        (status = 408, body = Failure), (status = 413, body = Failure), (status = 500, body = Failure),
        (status = 503, body = Failure),
    )
)]
pub async fn chat(
    State(served): State<Served>,
    Extension(entry): Extension<Arc<Entry>>,
    Body(asked): Body<ChatRequest>,
) -> Result<Response, Refusal> {
    let streams = asked.stream.unwrap_or(false);
    let options = asked.stream_options.clone();
    let usage = options.and_then(|o| o.include_usage).unwrap_or(false);
    let (request, own) = asked.into_request(&served)?;
    let logprobs = request.logprobs.is_some();
    let ticket = served.submit(Job::Answer(Box::new(request)))?;
    if streams {
        let chunks = Chunks::new(served.name(), logprobs, usage, own);
        return stream(served.options.limits.silence, entry, ticket, chunks).await;
    }
    let gathered = ticket.gather().await?;
    entry.hear_all(&gathered);
    Ok(Json(completion(gathered, served.name(), logprobs, own)).into_response())
}
