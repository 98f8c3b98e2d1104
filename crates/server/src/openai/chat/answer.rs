//! Answers of chat completions: whole, and as chunks.

use crate::desk::{Event, Gathered, Kind};
use crate::error::Refusal;
use crate::facts::unix_time;
use crate::http::{Writer, event};
use crate::openai::wire::{Logprobs, Tally, Timings, Usage, fingerprint, finish_reason, id};
use crate::own::Told;
use serde::Serialize;
use utoipa::ToSchema;

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

/// A whole answer of what was gathered.
pub fn completion(gathered: Gathered, model: &str, logprobs: bool, own: bool) -> Completion {
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
pub struct Chunks {
    id: String,
    created: u64,
    model: String,
    logprobs: bool,
    usage: bool,
    own: bool,
    tally: Tally,
    /// Choices whose first chunk was written.
    opened: u32,
}

impl Chunks {
    pub fn new(model: &str, logprobs: bool, usage: bool, own: bool) -> Self {
        Self {
            id: id("chatcmpl-"),
            created: unix_time(),
            model: model.to_owned(),
            logprobs,
            usage,
            own,
            tally: Tally::default(),
            opened: 0,
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
                self.tally.begin(*begun);
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
                self.tally.add(&ended);
                let mut chunk = self.of(ended.choice, Delta::default());
                chunk.choices[0].finish_reason = Some(finish_reason(&ended));
                chunk.packllm = self.own.then(|| Told::ended(&ended));
                chunk.timings = self.tally.timings();
                event(None, &chunk, out);
            }
            Event::Counted(_) => {}
        }
    }

    fn fail(&mut self, refusal: &Refusal, out: &mut String) {
        event(None, &refusal.openai(), out);
    }

    fn close(&mut self, out: &mut String) {
        if let Some(usage) = self.tally.usage().filter(|_| self.usage) {
            let mut chunk = self.chunk(Vec::new());
            chunk.usage = Some(usage);
            chunk.timings = self.tally.timings();
            event(None, &chunk, out);
        }
        out.push_str("data: [DONE]\n\n");
    }
}
