//! The dialect of Anthropic: `/v1/messages` and its `count_tokens`.

use crate::desk::{Begun, Ended, Event, Gathered, Job, Kind};
use crate::error::Refusal;
use crate::http::{Body, Entry, SentEvent, Served, Writer, event, stream};
use crate::openai::wire::id;
use crate::own::{self, Asked, Told};
use crate::request::{self, Content, Draft, OneOrMany, Prompt, Request};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use packllm_engine::chat::Message;
use packllm_engine::engine::Finish;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use utoipa::ToSchema;

/// A conversation to answer.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct MessagesRequest {
    pub messages: Vec<InputMessage>,
    #[expect(
        dead_code,
        reason = "in the document: any name is answered by the pack"
    )]
    pub model: Option<String>,
    pub system: Option<Content>,
    pub max_tokens: Option<i64>,
    pub stream: Option<bool>,
    pub stop_sequences: Option<Vec<String>>,
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub top_k: Option<i64>,
    pub thinking: Option<Thinking>,
    pub packllm: Option<Asked>,
    /// Not served, unless `tool_choice` is `{"type":"none"}`.
    #[schema(value_type = Option<Vec<Object>>)]
    pub tools: Option<Value>,
    #[schema(value_type = Option<Object>)]
    pub tool_choice: Option<Value>,
    #[schema(value_type = Option<Vec<Object>>)]
    pub mcp_servers: Option<Value>,
    #[schema(value_type = Option<Object>)]
    pub output_format: Option<Value>,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct InputMessage {
    /// `user` or `assistant`.
    pub role: String,
    pub content: Content,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct Thinking {
    /// `enabled`, `adaptive` or `disabled`.
    pub r#type: String,
}

impl MessagesRequest {
    fn into_prompt(self) -> Result<Prompt, Refusal> {
        let none = self
            .tool_choice
            .as_ref()
            .is_some_and(|c| c["type"] == "none");
        if !none {
            let why = "tool calling comes later; tool_choice {\"type\":\"none\"} answers without";
            request::absent("tools", &self.tools, why)?;
        }
        request::absent("mcp_servers", &self.mcp_servers, "tool calling comes later")?;
        let why = "structured output comes later";
        request::absent("output_format", &self.output_format, why)?;
        let mut messages = Vec::new();
        if let Some(system) = self.system {
            messages.push(Message::system(system.into_text("system")?));
        }
        for (i, message) in self.messages.into_iter().enumerate() {
            let field = |name| format!("messages[{i}].{name}");
            messages.push(Message {
                role: request::role(&message.role, &field("role"))?,
                content: message.content.into_text(&field("content"))?,
            });
        }
        request::chat(messages)
    }

    fn into_request(mut self, served: &Served) -> Result<(Request, bool), Refusal> {
        let (limit, stops) = (self.max_tokens, self.stop_sequences.take());
        let (temperature, top_p, top_k) = (self.temperature, self.top_p, self.top_k);
        let (thinking, own) = (self.thinking.take(), self.packllm.take());
        let mut draft = Draft::new(&served.options.limits, self.into_prompt()?);
        draft.limit("max_tokens", limit)?;
        draft.stops("stop_sequences", stops.map(OneOrMany::Many))?;
        draft.number("temperature", "temp", temperature)?;
        draft.number("top_p", "top-p", top_p)?;
        draft.top_k("top_k", top_k)?;
        draft.think(thinking.map(|thinking| thinking.r#type != "disabled"));
        let own = own::settle(own, &mut draft)?;
        Ok((draft.finish(), own))
    }
}

/// An answer.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MessageObject {
    id: String,
    r#type: &'static str,
    role: &'static str,
    model: String,
    #[schema(value_type = Vec<Object>)]
    content: Vec<Value>,
    stop_reason: Option<&'static str>,
    stop_sequence: Option<String>,
    usage: MessageUsage,
    #[serde(skip_serializing_if = "Option::is_none")]
    packllm: Option<Told>,
}

/// Tokens, as the member with the smallest context counts them.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct MessageUsage {
    /// Without those that were read before.
    input_tokens: usize,
    cache_read_input_tokens: usize,
    cache_creation_input_tokens: usize,
    output_tokens: usize,
}

impl MessageUsage {
    fn new(begun: &Begun, output_tokens: usize) -> Self {
        Self {
            input_tokens: begun.prompt_tokens.saturating_sub(begun.cached_tokens),
            cache_read_input_tokens: begun.cached_tokens,
            cache_creation_input_tokens: 0,
            output_tokens,
        }
    }
}

/// An error.
#[derive(Serialize, ToSchema)]
pub struct MessagesFailure {
    r#type: &'static str,
    error: MessagesFailed,
}

#[derive(Serialize, ToSchema)]
struct MessagesFailed {
    r#type: &'static str,
    message: String,
}

/// How many tokens a prompt has.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenCount {
    input_tokens: usize,
}

fn stop_reason(ended: &Ended) -> &'static str {
    match ended.finish {
        Finish::Length => "max_tokens",
        _ if ended.stopped_by.is_some() => "stop_sequence",
        _ => "end_turn",
    }
}

fn block(kind: Kind, text: &str) -> Value {
    match kind {
        Kind::Thought => json!({ "type": "thinking", "thinking": text, "signature": "" }),
        Kind::Answer => json!({ "type": "text", "text": text }),
    }
}

/// Answers a conversation, whole or as server-sent events.
#[utoipa::path(
    post,
    path = "/v1/messages",
    tag = "anthropic",
    request_body = MessagesRequest,
    responses(
        (status = 200, description = "The answer; with `stream`, events", content(
            (MessageObject = "application/json"), (SentEvent = "text/event-stream"))),
        (status = 400, body = MessagesFailure), (status = 401, body = MessagesFailure),
        (status = 403, body = MessagesFailure), (status = 408, body = MessagesFailure),
        (status = 413, body = MessagesFailure), (status = 500, body = MessagesFailure),
        (status = 503, body = MessagesFailure),
    )
)]
pub async fn messages(
    State(served): State<Served>,
    Extension(entry): Extension<Arc<Entry>>,
    Body(asked): Body<MessagesRequest>,
) -> Result<Response, Refusal> {
    let streams = asked.stream.unwrap_or(false);
    let (request, own) = asked.into_request(&served)?;
    let ticket = served.submit(Job::Answer(Box::new(request)))?;
    if streams {
        let events = Events {
            model: served.name().to_owned(),
            own,
            begun: None,
            open: None,
            index: 0,
        };
        return stream(served.options.limits.silence, entry, ticket, events).await;
    }
    let gathered = ticket.gather().await?;
    entry.hear_all(&gathered);
    Ok(Json(whole(gathered, served.name(), own)).into_response())
}

/// Counts the tokens of a conversation, as `/v1/messages` would read it.
#[utoipa::path(
    post,
    path = "/v1/messages/count_tokens",
    tag = "anthropic",
    request_body = MessagesRequest,
    responses(
        (status = 200, body = TokenCount), (status = 400, body = MessagesFailure),
        (status = 401, body = MessagesFailure), (status = 403, body = MessagesFailure),
        (status = 408, body = MessagesFailure), (status = 413, body = MessagesFailure),
        (status = 500, body = MessagesFailure), (status = 503, body = MessagesFailure),
    )
)]
pub async fn count_tokens(
    State(served): State<Served>,
    Body(asked): Body<MessagesRequest>,
) -> Result<Json<TokenCount>, Refusal> {
    let mut ticket = served.submit(Job::Count(asked.into_prompt()?))?;
    match ticket.next().await {
        Some(Ok(Event::Counted(input_tokens))) => Ok(Json(TokenCount { input_tokens })),
        Some(Err(refusal)) => Err(refusal),
        _ => Err(Refusal::unavailable("the server is shutting down")),
    }
}

fn empty(begun: &Begun, model: &str) -> MessageObject {
    MessageObject {
        id: id("msg_"),
        r#type: "message",
        role: "assistant",
        model: model.to_owned(),
        content: Vec::new(),
        stop_reason: None,
        stop_sequence: None,
        usage: MessageUsage::new(begun, 0),
        packllm: None,
    }
}

fn whole(gathered: Gathered, model: &str, own: bool) -> MessageObject {
    let mut message = empty(&gathered.begun, model);
    for choice in gathered.choices {
        let ended = &choice.ended;
        if !choice.thought.is_empty() {
            message.content.push(block(Kind::Thought, &choice.thought));
        }
        message.content.push(block(Kind::Answer, &choice.text));
        message.stop_reason = Some(stop_reason(ended));
        message.stop_sequence.clone_from(&ended.stopped_by);
        message.usage.output_tokens = ended.tokens;
        message.packllm = own.then(|| Told::whole(&gathered.begun, choice.words, ended));
    }
    message
}

/// Events, each with its name.
struct Events {
    model: String,
    own: bool,
    begun: Option<Begun>,
    /// The block that grows.
    open: Option<Kind>,
    /// Its number.
    index: usize,
}

impl Events {
    fn say(name: &str, mut data: Value, out: &mut String) {
        data["type"] = name.into();
        event(Some(name), &data, out);
    }

    /// Opens a block of this kind, unless it is open.
    fn open(&mut self, kind: Kind, out: &mut String) {
        if self.open == Some(kind) {
            return;
        }
        self.shut(out);
        let start = json!({ "index": self.index, "content_block": block(kind, "") });
        Self::say("content_block_start", start, out);
        self.open = Some(kind);
    }

    fn shut(&mut self, out: &mut String) {
        if self.open.take().is_some() {
            let stop = json!({ "index": self.index });
            Self::say("content_block_stop", stop, out);
            self.index += 1;
        }
    }
}

impl Writer for Events {
    const TYPE: &'static str = "text/event-stream";
    const COMMENT: &'static str = "event: ping\ndata: {\"type\":\"ping\"}\n\n";

    fn write(&mut self, happened: Event, out: &mut String) {
        match happened {
            Event::Begun(begun) => {
                let mut message = empty(&begun, &self.model);
                message.packllm = self.own.then(|| Told::begun(&begun));
                Self::say("message_start", json!({ "message": message }), out);
                self.begun = Some(*begun);
            }
            Event::More(more) => {
                self.open(more.kind, out);
                let delta = match more.kind {
                    Kind::Answer => json!({ "type": "text_delta", "text": more.text }),
                    Kind::Thought => json!({ "type": "thinking_delta", "thinking": more.text }),
                };
                let mut data = json!({ "index": self.index, "delta": delta });
                if let Some(told) = Told::words(more.words).filter(|_| self.own) {
                    data["packllm"] = json!(told);
                }
                Self::say("content_block_delta", data, out);
            }
            Event::Ended(ended) => {
                // An answer without a text is a block all the same.
                self.open(Kind::Answer, out);
                self.shut(out);
                let mut data = json!({
                    "delta": { "stop_reason": stop_reason(&ended), "stop_sequence": ended.stopped_by },
                    "usage": self.begun.as_ref().map(|b| MessageUsage::new(b, ended.tokens)),
                });
                if self.own {
                    data["packllm"] = json!(Told::ended(&ended));
                }
                Self::say("message_delta", data, out);
                Self::say("message_stop", json!({}), out);
            }
            Event::Counted(_) => {}
        }
    }

    fn fail(&mut self, refusal: &Refusal, out: &mut String) {
        event(Some("error"), &refusal.anthropic(), out);
    }

    fn close(&mut self, _: &mut String) {}
}
