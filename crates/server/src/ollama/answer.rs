//! `/api/chat` and `/api/generate`: lines of JSON, streamed unless that is refused.

use super::OllamaFailure;
use crate::desk::{Begun, Ended, Event, Gathered, Job, Kind};
use crate::error::Refusal;
use crate::form::AskedForm;
use crate::http::{Body, Entry, Served, Writer, stream};
use crate::own::{self, Asked, Told};
use crate::request::{self, Draft, OneOrMany, Prompt, Request};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use chrono::{SecondsFormat, Utc};
use packllm_engine::chat::Message;
use packllm_engine::engine::Finish;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};
use utoipa::ToSchema;

/// A conversation to answer.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct OllamaChat {
    pub messages: Option<Vec<OllamaMessage>>,
    #[serde(flatten)]
    pub common: Common,
}

/// A text to answer.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct OllamaGenerate {
    pub prompt: Option<String>,
    pub system: Option<String>,
    /// The prompt is a text to go on with.
    pub raw: Option<bool>,
    pub suffix: Option<String>,
    pub images: Option<Vec<String>>,
    /// Not served: members have templates of their own.
    pub template: Option<String>,
    /// Ignored: clients send back what they were given.
    #[schema(value_type = Option<Vec<i64>>)]
    #[expect(dead_code, reason = "in the document: the conversation comes as text")]
    pub context: Option<Value>,
    #[serde(flatten)]
    pub common: Common,
}

/// What both have.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct Common {
    #[expect(
        dead_code,
        reason = "in the document: any name is answered by the pack"
    )]
    pub model: Option<String>,
    /// True where it is missing.
    pub stream: Option<bool>,
    pub options: Option<OllamaOptions>,
    /// Whether models may think; a word like `low` means yes.
    #[schema(value_type = Option<bool>)]
    pub think: Option<Value>,
    pub packllm: Option<Asked>,
    #[schema(value_type = Option<Vec<Object>>)]
    pub tools: Option<Value>,
    /// The form of the answer: `"json"`, or a JSON schema.
    #[schema(value_type = Option<Object>)]
    pub format: Option<Value>,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct OllamaMessage {
    pub role: String,
    pub content: Option<String>,
    pub images: Option<Vec<String>>,
    #[schema(value_type = Option<Vec<Object>>)]
    pub tool_calls: Option<Value>,
}

/// How the answer is drawn. What only says how a model is loaded is ignored.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
pub struct OllamaOptions {
    pub num_predict: Option<i64>,
    pub seed: Option<i64>,
    pub temperature: Option<f64>,
    pub top_k: Option<i64>,
    pub top_p: Option<f64>,
    pub min_p: Option<f64>,
    pub repeat_penalty: Option<f64>,
    pub repeat_last_n: Option<i64>,
    pub stop: Option<OneOrMany>,
    /// Only 0 is served.
    pub mirostat: Option<f64>,
    /// Only 1 is served.
    pub typical_p: Option<f64>,
    /// Only 1 is served.
    pub tfs_z: Option<f64>,
    /// Only 0 is served.
    pub presence_penalty: Option<f64>,
    /// Only 0 is served.
    pub frequency_penalty: Option<f64>,
}

impl OllamaOptions {
    fn settle(self, draft: &mut Draft<'_>) -> Result<(), Refusal> {
        let why = "the sampler has temperature, top_k, top_p and min_p";
        request::neutral("options.mirostat", self.mirostat, 0.0, why)?;
        request::neutral("options.typical_p", self.typical_p, 1.0, why)?;
        request::neutral("options.tfs_z", self.tfs_z, 1.0, why)?;
        let why = "the sampler has repeat_penalty instead";
        request::neutral("options.presence_penalty", self.presence_penalty, 0.0, why)?;
        request::neutral(
            "options.frequency_penalty",
            self.frequency_penalty,
            0.0,
            why,
        )?;
        draft.limit("options.num_predict", self.num_predict)?;
        draft.seed("options.seed", self.seed)?;
        draft.number("options.temperature", "temp", self.temperature)?;
        draft.whole("options.top_k", "top-k", self.top_k)?;
        draft.number("options.top_p", "top-p", self.top_p)?;
        draft.number("options.min_p", "min-p", self.min_p)?;
        draft.number(
            "options.repeat_penalty",
            "repeat-penalty",
            self.repeat_penalty,
        )?;
        draft.whole("options.repeat_last_n", "repeat-last-n", self.repeat_last_n)?;
        draft.stops("options.stop", self.stop)
    }
}

impl Common {
    fn into_request(self, served: &Served, prompt: Prompt) -> Result<(Request, bool), Refusal> {
        let why = "tool calling comes later";
        request::absent("tools", &self.tools, why)?;
        let mut draft = Draft::new(&served.options.limits, prompt);
        self.options.unwrap_or_default().settle(&mut draft)?;
        draft.think(self.think.map(|think| think != Value::Bool(false)));
        draft.form(AskedForm::of_ollama(self.format.as_ref())?);
        let own = own::settle(self.packllm, &mut draft)?;
        Ok((draft.finish(), own))
    }

    fn streams(&self) -> bool {
        self.stream.unwrap_or(true)
    }
}

fn no_images(field: &str, images: Option<&Vec<String>>) -> Result<(), Refusal> {
    match images.is_some_and(|images| !images.is_empty()) {
        true => Err(Refusal::not_served(field, "members read text alone")),
        false => Ok(()),
    }
}

fn read(message: OllamaMessage, i: usize) -> Result<Message, Refusal> {
    let field = |name| format!("messages[{i}].{name}");
    no_images(&field("images"), message.images.as_ref())?;
    let why = "tool calling comes later";
    request::absent(&field("tool_calls"), &message.tool_calls, why)?;
    Ok(Message {
        role: request::role(&message.role, &field("role"))?,
        content: message.content.unwrap_or_default(),
    })
}

impl OllamaGenerate {
    /// None: there is nothing to answer, only a model to load.
    fn into_prompt(self) -> Result<Option<(Prompt, Common)>, Refusal> {
        no_images("images", self.images.as_ref())?;
        if self.template.is_some_and(|template| !template.is_empty()) {
            let why = "members have templates of their own";
            return Err(Refusal::not_served("template", why));
        }
        if self.suffix.is_some_and(|suffix| !suffix.is_empty()) {
            let why = "members are asked for what follows alone";
            return Err(Refusal::not_served("suffix", why));
        }
        let Some(text) = self.prompt.filter(|prompt| !prompt.is_empty()) else {
            return Ok(None);
        };
        let prompt = match self.raw {
            Some(true) => Prompt::Text(text),
            _ => {
                let system = self.system.filter(|system| !system.is_empty());
                let system = system.map(Message::system);
                request::chat(system.into_iter().chain([Message::user(text)]).collect())?
            }
        };
        Ok(Some((prompt, self.common)))
    }
}

/// A whole answer of a conversation, or, in a stream, a piece of one.
#[derive(Debug, Serialize, ToSchema)]
pub struct OllamaChatAnswer {
    model: String,
    created_at: String,
    message: Said,
    #[serde(flatten)]
    end: End,
}

/// A whole answer of a text, or, in a stream, a piece of one.
#[derive(Debug, Serialize, ToSchema)]
pub struct OllamaGenerateAnswer {
    model: String,
    created_at: String,
    response: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<String>,
    #[serde(flatten)]
    end: End,
}

#[derive(Debug, Serialize, ToSchema)]
struct Said {
    role: &'static str,
    content: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<String>,
}

/// How it ended; times in nanoseconds.
#[derive(Debug, Default, Serialize, ToSchema)]
struct End {
    done: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    done_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_duration: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    load_duration: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_eval_count: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_eval_duration: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    eval_count: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    eval_duration: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    packllm: Option<Told>,
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl End {
    fn of(begun: &Begun, ended: &Ended, start: Instant) -> Self {
        Self {
            done: true,
            done_reason: Some(match ended.finish {
                Finish::Length => "length",
                _ => "stop",
            }),
            total_duration: Some(nanos(start.elapsed())),
            load_duration: Some(0),
            prompt_eval_count: Some(begun.prompt_tokens),
            prompt_eval_duration: Some(nanos(begun.time)),
            eval_count: Some(ended.tokens),
            eval_duration: Some(nanos(ended.time)),
            packllm: None,
        }
    }
}

/// Answers a conversation, in lines of JSON unless `stream` is false.
#[utoipa::path(
    post,
    path = "/api/chat",
    tag = "ollama",
    request_body = OllamaChat,
    responses(
        (status = 200, content(
            (OllamaChatAnswer = "application/json"), (OllamaChatAnswer = "application/x-ndjson"))),
        (status = 400, body = OllamaFailure), (status = 401, body = OllamaFailure), (status = 403, body = OllamaFailure),
        (status = 408, body = OllamaFailure), (status = 413, body = OllamaFailure), (status = 500, body = OllamaFailure),
        (status = 503, body = OllamaFailure),
    )
)]
pub async fn chat(
    State(served): State<Served>,
    Extension(entry): Extension<Arc<Entry>>,
    Body(asked): Body<OllamaChat>,
) -> Result<Response, Refusal> {
    let messages = asked.messages.unwrap_or_default();
    let lines = Lines::new(served.name(), true);
    if messages.is_empty() {
        return Ok(lines.loaded());
    }
    let messages = messages.into_iter().enumerate();
    let messages = messages.map(|(i, message)| read(message, i));
    let prompt = request::chat(messages.collect::<Result<_, _>>()?)?;
    answer(&served, entry, prompt, asked.common, lines).await
}

/// Answers a text, in lines of JSON unless `stream` is false.
#[utoipa::path(
    post,
    path = "/api/generate",
    tag = "ollama",
    request_body = OllamaGenerate,
    responses(
        (status = 200, content(
            (OllamaGenerateAnswer = "application/json"), (OllamaGenerateAnswer = "application/x-ndjson"))),
        (status = 400, body = OllamaFailure), (status = 401, body = OllamaFailure), (status = 403, body = OllamaFailure),
        (status = 408, body = OllamaFailure), (status = 413, body = OllamaFailure), (status = 500, body = OllamaFailure),
        (status = 503, body = OllamaFailure),
    )
)]
pub async fn generate(
    State(served): State<Served>,
    Extension(entry): Extension<Arc<Entry>>,
    Body(asked): Body<OllamaGenerate>,
) -> Result<Response, Refusal> {
    let lines = Lines::new(served.name(), false);
    match asked.into_prompt()? {
        None => Ok(lines.loaded()),
        Some((prompt, common)) => answer(&served, entry, prompt, common, lines).await,
    }
}

async fn answer(
    served: &Served,
    entry: Arc<Entry>,
    prompt: Prompt,
    common: Common,
    mut lines: Lines,
) -> Result<Response, Refusal> {
    let streams = common.streams();
    let (request, own) = common.into_request(served, prompt)?;
    lines.own = own;
    let ticket = served.submit(Job::Answer(Box::new(request)))?;
    if streams {
        return stream(served.options.limits.silence, entry, ticket, lines).await;
    }
    let gathered = ticket.gather().await?;
    entry.hear_all(&gathered);
    Ok(lines.whole(gathered))
}

/// Events as lines.
struct Lines {
    model: String,
    /// Whether a conversation is answered, or a text.
    chats: bool,
    own: bool,
    start: Instant,
    begun: Option<Begun>,
}

impl Lines {
    fn new(model: &str, chats: bool) -> Self {
        Self {
            model: model.to_owned(),
            chats,
            own: false,
            start: Instant::now(),
            begun: None,
        }
    }

    fn line(&self, text: String, thinking: Option<String>, end: End) -> Value {
        let now = Utc::now().to_rfc3339_opts(SecondsFormat::Nanos, true);
        let (model, created_at) = (self.model.clone(), now);
        let line = match self.chats {
            true => serde_json::to_value(OllamaChatAnswer {
                model,
                created_at,
                message: Said {
                    role: "assistant",
                    content: text,
                    thinking,
                },
                end,
            }),
            false => serde_json::to_value(OllamaGenerateAnswer {
                model,
                created_at,
                response: text,
                thinking,
                end,
            }),
        };
        line.unwrap_or_default()
    }

    /// Nothing was asked; the pack is there.
    fn loaded(&self) -> Response {
        let end = End {
            done: true,
            done_reason: Some("load"),
            ..End::default()
        };
        Json(self.line(String::new(), None, end)).into_response()
    }

    fn whole(&self, gathered: Gathered) -> Response {
        let mut line = Value::Null;
        for choice in gathered.choices {
            let mut end = End::of(&gathered.begun, &choice.ended, self.start);
            let told = || Told::whole(&gathered.begun, choice.words, &choice.ended);
            end.packllm = self.own.then(told);
            let thinking = Some(choice.thought).filter(|thought| !thought.is_empty());
            line = self.line(choice.text, thinking, end);
        }
        Json(line).into_response()
    }
}

fn push(line: &Value, out: &mut String) {
    out.push_str(&line.to_string());
    out.push('\n');
}

impl Writer for Lines {
    const TYPE: &'static str = "application/x-ndjson";
    // Clients read every line as JSON: there is no line that says nothing.
    const COMMENT: &'static str = "";

    fn write(&mut self, happened: Event, out: &mut String) {
        match happened {
            Event::Begun(begun) => {
                if self.own {
                    let end = End {
                        packllm: Some(Told::begun(&begun)),
                        ..End::default()
                    };
                    push(&self.line(String::new(), None, end), out);
                }
                self.begun = Some(*begun);
            }
            Event::More(more) => {
                let end = End {
                    packllm: Told::words(more.words).filter(|_| self.own),
                    ..End::default()
                };
                let (text, thinking) = match more.kind {
                    Kind::Answer => (more.text, None),
                    Kind::Thought => (String::new(), Some(more.text)),
                };
                push(&self.line(text, thinking, end), out);
            }
            Event::Ended(ended) => {
                if let Some(begun) = &self.begun {
                    let mut end = End::of(begun, &ended, self.start);
                    end.packllm = self.own.then(|| Told::ended(&ended));
                    push(&self.line(String::new(), None, end), out);
                }
            }
            Event::Counted(_) => {}
        }
    }

    fn fail(&mut self, refusal: &Refusal, out: &mut String) {
        push(&refusal.ollama(), out);
    }

    fn close(&mut self, _: &mut String) {}
}
