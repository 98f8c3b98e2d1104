//! `/v1/completions`: a text that goes on.

use super::wire::{Failure, StreamOptions, Tally, Timings, Usage, fingerprint, finish_reason, id};
use crate::desk::{Event, Gathered, Job, Scored};
use crate::error::Refusal;
use crate::facts::unix_time;
use crate::http::{Body, Entry, SentEvent, Served, Writer, event, stream};
use crate::own::{self, Asked, Told};
use crate::request::{self, Draft, OneOrMany, Prompt, Request};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;
use utoipa::ToSchema;

/// A text to go on with.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct CompletionRequest {
    /// A string, or a list of one; tokens are not served.
    #[schema(value_type = String)]
    pub prompt: Value,
    #[expect(
        dead_code,
        reason = "in the document: any name is answered by the pack"
    )]
    pub model: Option<String>,
    pub stream: Option<bool>,
    pub stream_options: Option<StreamOptions>,
    pub max_tokens: Option<i64>,
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
    /// How many alternatives of each character.
    pub logprobs: Option<i64>,
    /// Whether the prompt comes before the answer.
    pub echo: Option<bool>,
    pub packllm: Option<Asked>,
    #[schema(value_type = Option<String>)]
    pub suffix: Option<Value>,
    /// Only 1 is served.
    pub best_of: Option<f64>,
    #[schema(value_type = Option<Object>)]
    pub logit_bias: Option<Value>,
    #[schema(value_type = Option<String>)]
    pub grammar: Option<Value>,
    #[schema(value_type = Option<Object>)]
    pub json_schema: Option<Value>,
}

impl CompletionRequest {
    fn into_request(self, served: &Served) -> Result<(Request, bool), Refusal> {
        self.refuse()?;
        let prompt = Prompt::Text(prompt(self.prompt)?);
        let mut draft = Draft::new(&served.options.limits, prompt);
        draft.limit("max_tokens", self.max_tokens)?;
        draft.choices("n", self.n)?;
        draft.stops("stop", self.stop)?;
        draft.seed("seed", self.seed)?;
        draft.number("temperature", "temp", self.temperature)?;
        draft.number("top_p", "top-p", self.top_p)?;
        draft.top_k("top_k", self.top_k)?;
        draft.number("min_p", "min-p", self.min_p)?;
        draft.number("repeat_penalty", "repeat-penalty", self.repeat_penalty)?;
        draft.whole("repeat_last_n", "repeat-last-n", self.repeat_last_n)?;
        if let Some(alternatives) = self.logprobs {
            draft.logprobs("logprobs", alternatives)?;
        }
        let own = own::settle(self.packllm, &mut draft)?;
        Ok((draft.finish(), own))
    }

    fn refuse(&self) -> Result<(), Refusal> {
        let why = "members are asked for what follows alone";
        request::absent("suffix", &self.suffix, why)?;
        let why = "members have tokens of their own";
        request::absent("logit_bias", &self.logit_bias, why)?;
        let why = "packllm.grammar takes a grammar, in the notation of Lark";
        request::absent("grammar", &self.grammar, why)?;
        request::absent("json_schema", &self.json_schema, why)?;
        request::neutral("best_of", self.best_of, 1.0, "every choice is returned")?;
        let why = "the sampler has repeat_penalty instead";
        request::neutral("frequency_penalty", self.frequency_penalty, 0.0, why)?;
        request::neutral("presence_penalty", self.presence_penalty, 0.0, why)
    }
}

/// The text of a prompt.
fn prompt(value: Value) -> Result<String, Refusal> {
    match value {
        Value::String(text) => Ok(text),
        Value::Array(list) => match <[Value; 1]>::try_from(list) {
            Ok([Value::String(text)]) => Ok(text),
            _ => Err(Refusal::not_served(
                "prompt",
                "tokens, and several prompts at once; a string is",
            )),
        },
        _ => Err(Refusal::field("prompt", "prompt must be a string")),
    }
}

/// A whole answer, or, in a stream, a piece of one.
#[derive(Debug, Serialize, ToSchema)]
pub struct TextCompletion {
    pub id: String,
    pub object: &'static str,
    pub created: u64,
    pub model: String,
    pub system_fingerprint: &'static str,
    pub choices: Vec<TextChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timings: Option<Timings>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packllm: Option<Told>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct TextChoice {
    pub index: u32,
    pub text: String,
    pub logprobs: Option<TextLogprobs>,
    pub finish_reason: Option<&'static str>,
}

/// How likely characters were, in lists of equal length.
#[derive(Debug, Serialize, ToSchema)]
pub struct TextLogprobs {
    tokens: Vec<String>,
    token_logprobs: Vec<f64>,
    #[schema(value_type = Vec<Object>)]
    top_logprobs: Vec<Map<String, Value>>,
    /// In characters of the answer.
    text_offset: Vec<usize>,
}

impl TextLogprobs {
    /// Of the characters after `offset`, which moves.
    fn of(scores: &[Scored], offset: &mut usize) -> Self {
        let place = scores.iter().map(|scored| {
            let here = *offset;
            *offset += scored.text.chars().count();
            here
        });
        let text_offset = place.collect();
        let top = scores.iter().map(|scored| {
            let likeliest = scored.likeliest.iter();
            let named = likeliest
                .map(|(bytes, ln_q)| (String::from_utf8_lossy(bytes).into_owned(), (*ln_q).into()));
            named.collect()
        });
        Self {
            tokens: scores.iter().map(|s| s.text.clone()).collect(),
            token_logprobs: scores.iter().map(|s| s.ln_q).collect(),
            top_logprobs: top.collect(),
            text_offset,
        }
    }
}

/// Goes on with a text, whole or as server-sent events.
#[utoipa::path(
    post,
    path = "/v1/completions",
    tag = "openai",
    request_body = CompletionRequest,
    responses(
        (status = 200, description = "The answer; with `stream`, events of `TextCompletion`s", content(
            (TextCompletion = "application/json"), (SentEvent = "text/event-stream"))),
        (status = 400, body = Failure), (status = 401, body = Failure), (status = 403, body = Failure),
        (status = 408, body = Failure), (status = 413, body = Failure), (status = 500, body = Failure),
        (status = 503, body = Failure),
    )
)]
pub async fn completions(
    State(served): State<Served>,
    Extension(entry): Extension<Arc<Entry>>,
    Body(asked): Body<CompletionRequest>,
) -> Result<Response, Refusal> {
    let streams = asked.stream.unwrap_or(false);
    let options = asked.stream_options.clone();
    let usage = options.and_then(|o| o.include_usage).unwrap_or(false);
    let echoes = asked.echo.unwrap_or(false);
    let (request, own) = asked.into_request(&served)?;
    let echo = match &request.prompt {
        Prompt::Text(text) if echoes => text.clone(),
        _ => String::new(),
    };
    let logprobs = request.logprobs.is_some();
    let ticket = served.submit(Job::Answer(Box::new(request)))?;
    let pieces = Pieces {
        id: id("cmpl-"),
        created: unix_time(),
        model: served.name().to_owned(),
        logprobs,
        usage,
        own,
        echo,
        tally: Tally::default(),
        opened: 0,
        offset: 0,
    };
    if streams {
        return stream(served.options.limits.silence, entry, ticket, pieces).await;
    }
    let gathered = ticket.gather().await?;
    entry.hear_all(&gathered);
    Ok(Json(pieces.whole(gathered)).into_response())
}

/// Events as pieces.
struct Pieces {
    id: String,
    created: u64,
    model: String,
    logprobs: bool,
    usage: bool,
    own: bool,
    /// The prompt, where it is wanted back.
    echo: String,
    tally: Tally,
    /// Choices that have begun.
    opened: u32,
    /// Characters of the choice so far.
    offset: usize,
}

impl Pieces {
    fn piece(&self, choices: Vec<TextChoice>) -> TextCompletion {
        TextCompletion {
            id: self.id.clone(),
            object: "text_completion",
            created: self.created,
            model: self.model.clone(),
            system_fingerprint: fingerprint(),
            choices,
            usage: None,
            timings: None,
            packllm: None,
        }
    }

    fn of(&self, index: u32, text: String) -> TextCompletion {
        self.piece(vec![TextChoice {
            index,
            text,
            logprobs: None,
            finish_reason: None,
        }])
    }

    /// What stands before a choice that begins.
    fn opening(&mut self, choice: u32) -> String {
        if self.opened > choice {
            return String::new();
        }
        self.opened = choice + 1;
        self.offset = self.echo.chars().count();
        self.echo.clone()
    }

    fn whole(mut self, gathered: Gathered) -> TextCompletion {
        let mut whole = self.piece(Vec::new());
        whole.usage = Some(Usage::of(&gathered));
        whole.timings = Some(Timings::of(&gathered));
        for choice in gathered.choices {
            let ended = &choice.ended;
            let text = self.opening(ended.choice) + &choice.text;
            let scores = self.logprobs.then_some(&choice.scores);
            let logprobs = scores.map(|scores| TextLogprobs::of(scores, &mut self.offset));
            if self.own && ended.choice == 0 {
                whole.packllm = Some(Told::whole(&gathered.begun, choice.words, ended));
            }
            whole.choices.push(TextChoice {
                index: ended.choice,
                text,
                logprobs,
                finish_reason: Some(finish_reason(ended)),
            });
        }
        whole
    }
}

impl Writer for Pieces {
    const TYPE: &'static str = "text/event-stream";
    const COMMENT: &'static str = ": \n\n";

    fn write(&mut self, happened: Event, out: &mut String) {
        match happened {
            Event::Begun(begun) => {
                if self.own {
                    let mut piece = self.piece(Vec::new());
                    piece.packllm = Some(Told::begun(&begun));
                    event(None, &piece, out);
                }
                self.tally.begin(*begun);
            }
            Event::More(more) => {
                let text = self.opening(more.choice) + &more.text;
                let mut piece = self.of(more.choice, text);
                if self.logprobs {
                    let logprobs = TextLogprobs::of(&more.scores, &mut self.offset);
                    piece.choices[0].logprobs = Some(logprobs);
                }
                piece.packllm = Told::words(more.words).filter(|_| self.own);
                event(None, &piece, out);
            }
            Event::Ended(ended) => {
                self.tally.add(&ended);
                let text = self.opening(ended.choice);
                let mut piece = self.of(ended.choice, text);
                piece.choices[0].finish_reason = Some(finish_reason(&ended));
                piece.packllm = self.own.then(|| Told::ended(&ended));
                piece.timings = self.tally.timings();
                event(None, &piece, out);
            }
            Event::Counted(_) => {}
        }
    }

    fn fail(&mut self, refusal: &Refusal, out: &mut String) {
        event(None, &refusal.openai(), out);
    }

    fn close(&mut self, out: &mut String) {
        if let Some(usage) = self.tally.usage().filter(|_| self.usage) {
            let mut piece = self.piece(Vec::new());
            piece.usage = Some(usage);
            event(None, &piece, out);
        }
        out.push_str("data: [DONE]\n\n");
    }
}
