//! `/v1/chat/completions`.

use super::wire::{
    Failure, Logprobs, StreamOptions, Timings, Usage, fingerprint, finish_reason, id,
};
use crate::desk::{Begun, Event, Gathered, Job, Kind};
use crate::error::Refusal;
use crate::facts::unix_time;
use crate::form::AskedForm;
use crate::http::{Body, Entry, Served, Writer, event, stream};
use crate::own::{self, Asked, Told};
use crate::request::{self, Content, Draft, OneOrMany, Request};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use packllm_engine::chat::Message;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
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
        draft.whole("top_k", "top-k", self.top_k)?;
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
        let why = "grammars come later";
        request::absent("grammar", &self.grammar, why)?;
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

/// A whole answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct Completion {
    pub id: String,
    pub object: &'static str,
    pub created: u64,
    pub model: String,
    pub system_fingerprint: &'static str,
    pub choices: Vec<Choice>,
    pub usage: Usage,
    pub timings: Timings,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packllm: Option<Told>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Choice {
    pub index: u32,
    pub message: Answer,
    pub logprobs: Option<Logprobs>,
    pub finish_reason: &'static str,
    /// Of the choices after the first; the first's is beside them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packllm: Option<Told>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Answer {
    pub role: &'static str,
    pub content: String,
    /// What the pack thought before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    pub refusal: Option<String>,
}

/// A piece of an answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct Chunk {
    id: String,
    object: &'static str,
    created: u64,
    model: String,
    system_fingerprint: &'static str,
    choices: Vec<ChunkChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timings: Option<Timings>,
    #[serde(skip_serializing_if = "Option::is_none")]
    packllm: Option<Told>,
}

#[derive(Debug, Serialize, ToSchema)]
struct ChunkChoice {
    index: u32,
    delta: Delta,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<Logprobs>,
    finish_reason: Option<&'static str>,
}

#[derive(Debug, Default, Serialize, ToSchema)]
struct Delta {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    /// Null in the first piece.
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<String>,
}

/// Answers a conversation, whole or as server-sent events.
#[utoipa::path(
    post,
    path = "/v1/chat/completions",
    tag = "openai",
    request_body = ChatRequest,
    responses(
        (status = 200, description = "The answer; with `stream`, events of `Chunk`s", content(
            (Completion = "application/json"), (Chunk = "text/event-stream"))),
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

fn completion(gathered: Gathered, model: &str, logprobs: bool, own: bool) -> Completion {
    let usage = Usage::of(&gathered);
    let timings = Timings::of(&gathered);
    let begun = gathered.begun;
    let mut told = None;
    let choices = gathered.choices.into_iter().map(|choice| {
        let ended = &choice.ended;
        let logprobs = logprobs.then(|| Logprobs::of(&choice.scores));
        let own = own.then(|| Told::whole(&begun, choice.words, ended));
        let packllm = match ended.choice {
            0 => {
                told = own;
                None
            }
            _ => own,
        };
        Choice {
            index: ended.choice,
            logprobs,
            finish_reason: finish_reason(ended),
            message: Answer {
                role: "assistant",
                content: choice.text,
                reasoning_content: Some(choice.thought).filter(|t| !t.is_empty()),
                refusal: None,
            },
            packllm,
        }
    });
    let choices = choices.collect();
    Completion {
        id: id("chatcmpl-"),
        object: "chat.completion",
        created: unix_time(),
        model: model.to_owned(),
        system_fingerprint: fingerprint(),
        choices,
        usage,
        timings,
        packllm: told,
    }
}

/// Events as chunks.
struct Chunks {
    id: String,
    created: u64,
    model: String,
    logprobs: bool,
    usage: bool,
    own: bool,
    begun: Option<Begun>,
    /// Choices whose first chunk was written.
    opened: u32,
    tokens: usize,
    time: Duration,
}

impl Chunks {
    fn new(model: &str, logprobs: bool, usage: bool, own: bool) -> Self {
        Self {
            id: id("chatcmpl-"),
            created: unix_time(),
            model: model.to_owned(),
            logprobs,
            usage,
            own,
            begun: None,
            opened: 0,
            tokens: 0,
            time: Duration::ZERO,
        }
    }

    fn chunk(&self, choices: Vec<ChunkChoice>) -> Chunk {
        Chunk {
            id: self.id.clone(),
            object: "chat.completion.chunk",
            created: self.created,
            model: self.model.clone(),
            system_fingerprint: fingerprint(),
            choices,
            usage: None,
            timings: None,
            packllm: None,
        }
    }

    fn of(&self, index: u32, delta: Delta) -> Chunk {
        self.chunk(vec![ChunkChoice {
            index,
            delta,
            logprobs: None,
            finish_reason: None,
        }])
    }

    /// The first chunk of a choice, if it was not written yet.
    fn open(&mut self, index: u32, told: Option<Told>, out: &mut String) {
        if self.opened > index {
            return;
        }
        self.opened = index + 1;
        let delta = Delta {
            role: Some("assistant"),
            content: Some(None),
            ..Delta::default()
        };
        let mut chunk = self.of(index, delta);
        chunk.packllm = told;
        event(None, &chunk, out);
    }
}

impl Writer for Chunks {
    const TYPE: &'static str = "text/event-stream";
    const COMMENT: &'static str = ": \n\n";

    fn write(&mut self, happened: Event, out: &mut String) {
        match happened {
            Event::Begun(begun) => {
                let told = self.own.then(|| Told::begun(&begun));
                self.begun = Some(*begun);
                self.open(0, told, out);
            }
            Event::More(more) => {
                self.open(more.choice, None, out);
                let delta = match more.kind {
                    Kind::Answer => Delta {
                        content: Some(Some(more.text)),
                        ..Delta::default()
                    },
                    Kind::Thought => Delta {
                        reasoning_content: Some(more.text),
                        ..Delta::default()
                    },
                };
                let mut chunk = self.of(more.choice, delta);
                if self.logprobs && more.kind == Kind::Answer {
                    chunk.choices[0].logprobs = Some(Logprobs::of(&more.scores));
                }
                chunk.packllm = Told::words(more.words).filter(|_| self.own);
                event(None, &chunk, out);
            }
            Event::Ended(ended) => {
                self.open(ended.choice, None, out);
                self.tokens += ended.tokens;
                self.time += ended.time;
                let mut chunk = self.of(ended.choice, Delta::default());
                chunk.choices[0].finish_reason = Some(finish_reason(&ended));
                chunk.packllm = self.own.then(|| Told::ended(&ended));
                let begun = self.begun.as_ref();
                chunk.timings = begun.map(|b| Timings::new(b, self.tokens, self.time));
                event(None, &chunk, out);
            }
            Event::Counted(_) => {}
        }
    }

    fn fail(&mut self, refusal: &Refusal, out: &mut String) {
        event(None, &refusal.openai(), out);
    }

    fn close(&mut self, out: &mut String) {
        if let Some(begun) = self.begun.as_ref().filter(|_| self.usage) {
            let mut chunk = self.chunk(Vec::new());
            chunk.usage = Some(Usage::new(begun, self.tokens));
            chunk.timings = Some(Timings::new(begun, self.tokens, self.time));
            event(None, &chunk, out);
        }
        out.push_str("data: [DONE]\n\n");
    }
}
