//! `/v1/responses`, stateless: every request brings its whole conversation.

use crate::desk::{Begun, Ended, Event, Gathered, Job, Kind};
use crate::error::Refusal;
use crate::facts::unix_time;
use crate::form::AskedForm;
use crate::http::{Body, Entry, Served, Writer, event, stream};
use crate::openai::wire::{Failure, id};
use crate::own::{self, Asked, Told};
use crate::request::{self, Content, Draft, Request};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use packllm_engine::chat::Message;
use packllm_engine::engine::Finish;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
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

/// An answer.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ResponseObject {
    id: String,
    object: &'static str,
    created_at: u64,
    /// `in_progress`, `completed`, `incomplete` or `failed`.
    status: &'static str,
    model: String,
    #[schema(value_type = Option<Object>)]
    error: Option<Value>,
    #[schema(value_type = Option<Object>)]
    incomplete_details: Option<Value>,
    instructions: Option<String>,
    #[schema(value_type = Vec<Object>)]
    output: Vec<Value>,
    parallel_tool_calls: bool,
    previous_response_id: Option<String>,
    tool_choice: &'static str,
    #[schema(value_type = Vec<Object>)]
    tools: Vec<Value>,
    store: bool,
    temperature: Option<f64>,
    top_p: Option<f64>,
    max_output_tokens: Option<i64>,
    #[schema(value_type = Object)]
    text: Value,
    #[schema(value_type = Object)]
    metadata: Value,
    usage: Option<ResponseUsage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    packllm: Option<Told>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
struct ResponseUsage {
    input_tokens: usize,
    input_tokens_details: InputDetails,
    output_tokens: usize,
    output_tokens_details: OutputDetails,
    total_tokens: usize,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
struct InputDetails {
    cached_tokens: usize,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
struct OutputDetails {
    reasoning_tokens: usize,
}

impl ResponseObject {
    fn new(asked: &ResponseRequest, model: &str) -> Self {
        Self {
            id: id("resp_"),
            object: "response",
            created_at: unix_time(),
            status: "in_progress",
            model: model.to_owned(),
            error: None,
            incomplete_details: None,
            instructions: asked.instructions.clone(),
            output: Vec::new(),
            parallel_tool_calls: false,
            previous_response_id: None,
            tool_choice: "none",
            tools: Vec::new(),
            store: false,
            temperature: asked.temperature,
            top_p: asked.top_p,
            max_output_tokens: asked.max_output_tokens,
            text: asked
                .text
                .clone()
                .unwrap_or_else(|| json!({ "format": { "type": "text" } })),
            metadata: json!({}),
            usage: None,
            packllm: None,
        }
    }

    fn end(&mut self, begun: &Begun, ended: &Ended) {
        self.status = status(ended);
        if ended.finish == Finish::Length {
            self.incomplete_details = Some(json!({ "reason": "max_output_tokens" }));
        }
        self.usage = Some(ResponseUsage {
            input_tokens: begun.prompt_tokens,
            input_tokens_details: InputDetails {
                cached_tokens: begun.cached_tokens,
            },
            output_tokens: ended.tokens,
            output_tokens_details: OutputDetails {
                reasoning_tokens: 0,
            },
            total_tokens: begun.prompt_tokens + ended.tokens,
        });
    }
}

fn status(ended: &Ended) -> &'static str {
    match ended.finish {
        Finish::Length => "incomplete",
        _ => "completed",
    }
}

fn thought_item(id: &str, thought: &str) -> Value {
    json!({
        "id": id, "type": "reasoning", "summary": [],
        "content": [{ "type": "reasoning_text", "text": thought }],
    })
}

fn message_item(id: &str, status: &str, content: &[Value]) -> Value {
    json!({ "id": id, "type": "message", "status": status, "role": "assistant", "content": content })
}

fn text_part(text: &str) -> Value {
    json!({ "type": "output_text", "annotations": [], "logprobs": [], "text": text })
}

/// Answers a conversation, whole or as server-sent events.
#[utoipa::path(
    post,
    path = "/v1/responses",
    tag = "openai",
    request_body = ResponseRequest,
    responses(
        (status = 200, description = "The answer; with `stream`, events", content(
            (ResponseObject = "application/json"), (String = "text/event-stream"))),
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

fn whole(mut response: ResponseObject, gathered: Gathered, own: bool) -> ResponseObject {
    let begun = gathered.begun;
    for choice in gathered.choices {
        let ended = &choice.ended;
        response.end(&begun, ended);
        if !choice.thought.is_empty() {
            response
                .output
                .push(thought_item(&id("rs_"), &choice.thought));
        }
        let content = [text_part(&choice.text)];
        let item = message_item(&id("msg_"), status(ended), &content);
        response.output.push(item);
        response.packllm = own.then(|| Told::whole(&begun, choice.words, ended));
    }
    response
}

/// Events in the order that clients expect.
struct Events {
    response: ResponseObject,
    own: bool,
    sequence: u64,
    begun: Option<Begun>,
    /// The item that grows.
    open: Option<Open>,
    ended: bool,
}

struct Open {
    kind: Kind,
    id: String,
    text: String,
}

impl Events {
    fn new(response: ResponseObject, own: bool) -> Self {
        Self {
            response,
            own,
            sequence: 0,
            begun: None,
            open: None,
            ended: false,
        }
    }

    fn say(&mut self, name: &str, mut data: Value, out: &mut String) {
        data["type"] = name.into();
        data["sequence_number"] = self.sequence.into();
        self.sequence += 1;
        event(Some(name), &data, out);
    }

    fn say_response(&mut self, name: &str, out: &mut String) {
        let response = json!({ "response": self.response });
        self.say(name, response, out);
    }

    fn index(&self) -> usize {
        self.response.output.len()
    }

    /// Opens an item of this kind, unless it is open.
    fn open(&mut self, kind: Kind, out: &mut String) {
        if self.open.as_ref().is_some_and(|open| open.kind == kind) {
            return;
        }
        self.shut("completed", out);
        let (id, item) = match kind {
            Kind::Thought => {
                let id = id("rs_");
                let item = json!({ "id": id, "type": "reasoning", "summary": [], "content": [] });
                (id, item)
            }
            Kind::Answer => {
                let id = id("msg_");
                let item = message_item(&id, "in_progress", &[]);
                (id, item)
            }
        };
        let index = self.index();
        let added = json!({ "output_index": index, "item": item });
        self.say("response.output_item.added", added, out);
        if kind == Kind::Answer {
            let part = json!({
                "item_id": id, "output_index": index, "content_index": 0, "part": text_part(""),
            });
            self.say("response.content_part.added", part, out);
        }
        let text = String::new();
        self.open = Some(Open { kind, id, text });
    }

    fn grow(&mut self, text: &str, told: Option<Told>, out: &mut String) {
        let index = self.index();
        let Some(open) = &mut self.open else {
            return;
        };
        open.text.push_str(text);
        let name = match open.kind {
            Kind::Thought => "response.reasoning_text.delta",
            Kind::Answer => "response.output_text.delta",
        };
        let mut delta = json!({
            "item_id": open.id, "output_index": index, "content_index": 0, "delta": text,
        });
        if open.kind == Kind::Answer {
            delta["logprobs"] = json!([]);
        }
        if let Some(told) = told {
            delta["packllm"] = json!(told);
        }
        self.say(name, delta, out);
    }

    /// Shuts the item that is open.
    fn shut(&mut self, status: &str, out: &mut String) {
        let Some(Open { kind, id, text }) = self.open.take() else {
            return;
        };
        let index = self.index();
        let place = |mut data: Value| {
            data["item_id"] = id.as_str().into();
            data["output_index"] = index.into();
            data["content_index"] = 0.into();
            data
        };
        let item = match kind {
            Kind::Thought => {
                let done = place(json!({ "text": text }));
                self.say("response.reasoning_text.done", done, out);
                thought_item(&id, &text)
            }
            Kind::Answer => {
                let done = place(json!({ "text": text, "logprobs": [] }));
                self.say("response.output_text.done", done, out);
                let done = place(json!({ "part": text_part(&text) }));
                self.say("response.content_part.done", done, out);
                message_item(&id, status, &[text_part(&text)])
            }
        };
        let done = json!({ "output_index": index, "item": item });
        self.say("response.output_item.done", done, out);
        self.response.output.push(item);
    }
}

impl Writer for Events {
    const TYPE: &'static str = "text/event-stream";
    const COMMENT: &'static str = ": \n\n";

    fn write(&mut self, happened: Event, out: &mut String) {
        match happened {
            Event::Begun(begun) => {
                self.response.packllm = self.own.then(|| Told::begun(&begun));
                self.begun = Some(*begun);
                self.say_response("response.created", out);
                self.say_response("response.in_progress", out);
            }
            Event::More(more) => {
                self.open(more.kind, out);
                let told = Told::words(more.words).filter(|_| self.own);
                self.grow(&more.text, told, out);
            }
            Event::Ended(ended) => {
                // An answer without a text is a message all the same.
                self.open(Kind::Answer, out);
                self.shut(status(&ended), out);
                if let Some(begun) = &self.begun {
                    self.response.end(begun, &ended);
                    let told = || Told::whole(begun, Vec::new(), &ended);
                    self.response.packllm = self.own.then(told);
                }
                self.ended = true;
                let name = match ended.finish {
                    Finish::Length => "response.incomplete",
                    _ => "response.completed",
                };
                self.say_response(name, out);
            }
            Event::Counted(_) => {}
        }
    }

    fn fail(&mut self, refusal: &Refusal, out: &mut String) {
        self.response.status = "failed";
        let error = json!({ "code": "server_error", "message": refusal.message });
        self.response.error = Some(error);
        self.say_response("response.failed", out);
    }

    fn close(&mut self, _: &mut String) {}
}
