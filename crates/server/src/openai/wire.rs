//! What several answers have in common.

use crate::desk::{Begun, Ended, Gathered, Scored};
use packllm_engine::engine::Finish;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

/// An error.
#[derive(Serialize, ToSchema)]
pub struct Failure {
    pub error: Failed,
}

/// What went wrong.
#[derive(Serialize, ToSchema)]
pub struct Failed {
    pub message: String,
    pub r#type: String,
    pub param: Option<String>,
    pub code: Option<String>,
}

/// What is wanted of a stream.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct StreamOptions {
    /// A last chunk has the usage.
    pub include_usage: Option<bool>,
}

/// Tokens, as the member with the smallest context counts them.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Usage {
    pub prompt_tokens: usize,
    pub completion_tokens: usize,
    pub total_tokens: usize,
    pub prompt_tokens_details: PromptDetails,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PromptDetails {
    /// Tokens of the prompt that were read before.
    pub cached_tokens: usize,
}

impl Usage {
    pub fn new(begun: &Begun, tokens: usize) -> Self {
        Self {
            prompt_tokens: begun.prompt_tokens,
            completion_tokens: tokens,
            total_tokens: begun.prompt_tokens + tokens,
            prompt_tokens_details: PromptDetails {
                cached_tokens: begun.cached_tokens,
            },
        }
    }

    pub fn of(gathered: &Gathered) -> Self {
        let tokens = gathered.choices.iter().map(|c| c.ended.tokens).sum();
        Self::new(&gathered.begun, tokens)
    }
}

/// Times, as llama-server has them.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Timings {
    pub cache_n: usize,
    pub prompt_n: usize,
    pub prompt_ms: f64,
    pub prompt_per_token_ms: f64,
    pub prompt_per_second: f64,
    pub predicted_n: usize,
    pub predicted_ms: f64,
    pub predicted_per_token_ms: f64,
    pub predicted_per_second: f64,
}

impl Timings {
    /// Of a prompt, and an answer of so many tokens in this time.
    pub fn new(begun: &Begun, tokens: usize, time: Duration) -> Self {
        let new = begun.prompt_tokens.saturating_sub(begun.cached_tokens);
        Self {
            cache_n: begun.cached_tokens,
            prompt_n: new,
            prompt_ms: millis(begun.time),
            prompt_per_token_ms: millis(begun.time) / new.max(1) as f64,
            prompt_per_second: rate(new, begun.time),
            predicted_n: tokens,
            predicted_ms: millis(time),
            predicted_per_token_ms: millis(time) / tokens.max(1) as f64,
            predicted_per_second: rate(tokens, time),
        }
    }

    pub fn of(gathered: &Gathered) -> Self {
        let ended = gathered.choices.iter().map(|choice| &choice.ended);
        let tokens = ended.clone().map(|ended| ended.tokens).sum();
        Self::new(&gathered.begun, tokens, ended.map(|ended| ended.time).sum())
    }
}

/// What a stream has said so far: for its usage and timings.
#[derive(Debug, Default)]
pub struct Tally {
    begun: Option<Begun>,
    tokens: usize,
    time: Duration,
}

impl Tally {
    pub fn begin(&mut self, begun: Begun) {
        self.begun = Some(begun);
    }

    pub fn add(&mut self, ended: &Ended) {
        self.tokens += ended.tokens;
        self.time += ended.time;
    }

    /// None before the prompt was read.
    pub fn usage(&self) -> Option<Usage> {
        let begun = self.begun.as_ref();
        begun.map(|begun| Usage::new(begun, self.tokens))
    }

    /// None before the prompt was read.
    pub fn timings(&self) -> Option<Timings> {
        let begun = self.begun.as_ref();
        begun.map(|begun| Timings::new(begun, self.tokens, self.time))
    }
}

pub fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

fn rate(tokens: usize, time: Duration) -> f64 {
    match time.as_secs_f64() {
        seconds if seconds > 0.0 => tokens as f64 / seconds,
        _ => 0.0,
    }
}

/// How likely characters were.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct Logprobs {
    pub content: Vec<Logprob>,
}

/// A character of the answer, or a token where members share their tokens.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Logprob {
    pub token: String,
    /// The sum over its bytes.
    pub logprob: f64,
    pub bytes: Vec<u8>,
    pub top_logprobs: Vec<TopLogprob>,
}

/// What might have come for its first byte.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TopLogprob {
    pub token: String,
    pub logprob: f64,
    pub bytes: Vec<u8>,
}

impl From<&Scored> for Logprob {
    fn from(scored: &Scored) -> Self {
        let top = scored.likeliest.iter().map(|(bytes, ln_q)| TopLogprob {
            token: String::from_utf8_lossy(bytes).into_owned(),
            logprob: *ln_q,
            bytes: bytes.clone(),
        });
        Self {
            token: scored.text.clone(),
            logprob: scored.ln_q,
            bytes: scored.text.clone().into_bytes(),
            top_logprobs: top.collect(),
        }
    }
}

impl Logprobs {
    pub fn of(scores: &[Scored]) -> Self {
        Self {
            content: scores.iter().map(Logprob::from).collect(),
        }
    }
}

/// Why a choice ended. What went in circles was ended as a stop string would have.
pub fn finish_reason(ended: &Ended) -> &'static str {
    match ended.finish {
        Finish::Length => "length",
        _ => "stop",
    }
}

/// The version of what answers; llama-server's begins with `b` as well.
pub fn fingerprint() -> &'static str {
    concat!("b-packllm-", env!("CARGO_PKG_VERSION"))
}

/// An id with this prefix.
pub fn id(prefix: &str) -> String {
    use std::hash::{BuildHasher, RandomState};
    let half = || RandomState::new().hash_one(std::time::Instant::now());
    format!("{prefix}{:016x}{:016x}", half(), half())
}
