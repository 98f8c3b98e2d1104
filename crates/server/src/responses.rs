//! `/v1/responses`, stateless: every request brings its whole conversation.

mod events;
mod object;

use crate::desk::Job;
use crate::error::Refusal;
use crate::form::AskedForm;
use crate::http::{Body, Entry, SentEvent, Served, stream};
use crate::openai::wire::Failure;
use crate::own::{self, Asked};
use crate::request::{self, Content, Draft, Request};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use events::Events;
use object::{ResponseObject, whole};
use packllm_engine::chat::Message;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;
use utoipa::ToSchema;

/// What is to be answered.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct ResponseRequest {
    pub input: Input,
    pub instructions: Option<String>,
    #[expect(
        dead_code,
        reason = "in the document: any name is answered by the pack"
    )]
    pub model: Option<String>,
    pub stream: Option<bool>,
    pub max_output_tokens: Option<i64>,
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    /// From 0 to 20; asked for by `include: ["message.output_text.logprobs"]` elsewhere, and not served here.
    pub top_logprobs: Option<f64>,
    pub reasoning: Option<Reasoning>,
    pub packllm: Option<Asked>,
    /// Nothing is kept.
    #[schema(value_type = Option<String>)]
    pub previous_response_id: Option<Value>,
    #[schema(value_type = Option<Object>)]
    pub conversation: Option<Value>,
    pub background: Option<bool>,
    #[schema(value_type = Option<Vec<Object>>)]
    pub tools: Option<Value>,
    #[schema(value_type = Option<Object>)]
    pub tool_choice: Option<Value>,
    /// Its `format` is the form of the answer: `text`, `json_object`, or `json_schema` with a schema.
    #[schema(value_type = Option<Object>)]
    pub text: Option<Value>,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct Reasoning {
    /// `none` lets templates answer without a thought.
    pub effort: Option<String>,
}

/// A text, or a conversation.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Input {
    Text(String),
    Items(Vec<Item>),
}

/// A message; other items are not served.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct Item {
    pub r#type: Option<String>,
    pub role: Option<String>,
    pub content: Option<Content>,
}

impl ResponseRequest {
    fn into_request(self, served: &Served) -> Result<(Request, bool), Refusal> {
        self.refuse()?;
        let mut messages: Vec<Message> = Vec::new();
        messages.extend(self.instructions.map(Message::system));
        match self.input {
            Input::Text(text) => messages.push(Message::user(text)),
            Input::Items(items) => {
                for (i, item) in items.into_iter().enumerate() {
                    messages.extend(read(item, i)?);
                }
            }
        }
        let mut draft = Draft::new(&served.options.limits, request::chat(messages)?);
        draft.limit("max_output_tokens", self.max_output_tokens)?;
        draft.number("temperature", "temp", self.temperature)?;
        draft.number("top_p", "top-p", self.top_p)?;
        let effort = self.reasoning.and_then(|r| r.effort);
        draft.think(effort.map(|effort| effort != "none"));
        draft.form(AskedForm::of_response(self.text.as_ref())?);
        let own = own::settle(self.packllm, &mut draft)?;
        Ok((draft.finish(), own))
    }

    fn refuse(&self) -> Result<(), Refusal> {
        let why = "nothing is kept between requests: send the whole conversation as input";
        request::absent("previous_response_id", &self.previous_response_id, why)?;
        request::absent("conversation", &self.conversation, why)?;
        if self.background == Some(true) {
            return Err(Refusal::not_served("background", why));
        }
        if self.tool_choice != Some(Value::from("none")) {
            let why = "tool calling comes later; tool_choice \"none\" answers without";
            request::absent("tools", &self.tools, why)?;
        }
        request::neutral(
            "top_logprobs",
            self.top_logprobs,
            0.0,
            "/v1/chat/completions has them",
        )
    }
}

/// The message of an item; None for what was thought.
fn read(item: Item, i: usize) -> Result<Option<Message>, Refusal> {
    let field = |name| format!("input[{i}].{name}");
    match item.r#type.as_deref() {
        None | Some("message") => {}
        Some("reasoning") => return Ok(None),
        Some(other) => {
            let why = format!("an item of type {other:?}; messages are");
            return Err(Refusal::not_served(&field("type"), &why));
        }
    }
    let role = request::role(item.role.as_deref().unwrap_or("user"), &field("role"))?;
    let content = item
        .content
        .map(|content| content.into_text(&field("content")));
    Ok(Some(Message {
        role,
        content: content.transpose()?.unwrap_or_default(),
    }))
}

/// Answers a conversation, whole or as server-sent events.
#[utoipa::path(
    post,
    path = "/v1/responses",
    tag = "openai",
    request_body = ResponseRequest,
    responses(
        (status = 200, description = "The answer; with `stream`, events", content(
            (ResponseObject = "application/json"), (SentEvent = "text/event-stream"))),
        (status = 400, body = Failure), (status = 401, body = Failure), (status = 403, body = Failure),
        (status = 408, body = Failure), (status = 413, body = Failure), (status = 500, body = Failure),
        (status = 503, body = Failure),
    )
)]
pub async fn responses(
    State(served): State<Served>,
    Extension(entry): Extension<Arc<Entry>>,
    Body(asked): Body<ResponseRequest>,
) -> Result<Response, Refusal> {
    let streams = asked.stream.unwrap_or(false);
    let response = ResponseObject::new(&asked, served.name());
    let (request, own) = asked.into_request(&served)?;
    let ticket = served.submit(Job::Answer(Box::new(request)))?;
    if streams {
        let events = Events::new(response, own);
        return stream(served.options.limits.silence, entry, ticket, events).await;
    }
    let gathered = ticket.gather().await?;
    entry.hear_all(&gathered);
    Ok(Json(whole(response, gathered, own)).into_response())
}
