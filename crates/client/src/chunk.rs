//! What a server says of an answer. What is missing is not known: servers differ, and versions do.

use crate::address::Address;
use crate::error::{ClientError, Refused};
use serde::Deserialize;

/// A part of an answer.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Chunk {
    /// Empty in the chunk of the usage.
    pub choices: Vec<Choice>,
    /// At the end.
    pub usage: Option<Usage>,
    /// At the end.
    pub timings: Option<Timings>,
    /// What packllm tells of its members.
    pub packllm: Option<Own>,
    /// The answer breaks off.
    error: Option<Failed>,
}

/// A part of a choice.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Choice {
    /// What was said.
    pub delta: Delta,
    /// Why it ended.
    pub finish_reason: Option<String>,
}

/// More of a text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Delta {
    /// Of the answer.
    pub content: Option<String>,
    /// Of the thought before it.
    #[serde(alias = "reasoning")]
    pub reasoning_content: Option<String>,
}

/// Tokens, as the server counts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Of the prompt.
    pub prompt_tokens: usize,
    /// Of the answer.
    pub completion_tokens: usize,
}

/// Times, as llama-server has them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Timings {
    /// Tokens of the prompt that were read before.
    pub cache_n: usize,
    /// Those that were read now.
    pub prompt_n: usize,
    /// In milliseconds.
    pub prompt_ms: f64,
    /// Tokens of the answer.
    pub predicted_n: usize,
    /// In milliseconds.
    pub predicted_ms: f64,
}

/// What packllm tells of its members.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Own {
    /// At the beginning.
    pub members: Option<Vec<Member>>,
    /// At the beginning.
    pub fusion: Option<Fusion>,
    /// Words that are whole now.
    pub attribution: Option<Vec<Word>>,
    /// Why the answer ended; it knows `repetition`.
    pub finish_reason: Option<String>,
    /// The members' weights while the answer was made.
    pub mean_weights: Option<Vec<f64>>,
}

/// A member.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its weight as the answer begins.
    pub weight: f64,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Those of them that it had read before.
    pub cached_tokens: usize,
    /// What the last message cost it.
    pub bits_per_byte: Option<f64>,
    /// Whether it takes part.
    pub takes_part: bool,
}

/// How members were fused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Fusion {
    /// The method of weighting.
    pub weights: String,
    /// `log` or `linear`.
    pub mix: String,
    /// The shared alphabet.
    pub alphabet: String,
}

/// A word, and what every member contributed to it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Word {
    /// With the white space before it.
    pub text: String,
    /// In nats, by member; None where nobody else could have said it.
    pub contributions: Vec<Option<f64>>,
}

/// What a server says when it refuses.
#[derive(Debug, Deserialize)]
pub(crate) struct Failure {
    pub error: Failed,
}

/// OpenAI's servers have an object, Ollama's a text.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Failed {
    Told {
        #[serde(default)]
        message: String,
        n_prompt_tokens: Option<usize>,
        n_ctx: Option<usize>,
    },
    Text(String),
}

impl Failed {
    pub fn refused(self) -> Refused {
        match self {
            Failed::Text(message) => Refused {
                message,
                ..Refused::default()
            },
            Failed::Told {
                message,
                n_prompt_tokens,
                n_ctx,
            } => Refused {
                message,
                sizes: n_prompt_tokens.zip(n_ctx),
                ..Refused::default()
            },
        }
    }
}

impl Chunk {
    /// The chunk, unless it says that the answer breaks off.
    pub(crate) fn checked(mut self, address: &Address) -> Result<Self, ClientError> {
        match self.error.take() {
            Some(failed) => Err(ClientError::refused(address, failed.refused())),
            None => Ok(self),
        }
    }

    /// The first choice.
    #[must_use]
    pub fn choice(&self) -> Option<&Choice> {
        self.choices.first()
    }

    /// What it adds to the answer.
    #[must_use]
    pub fn text(&self) -> &str {
        let delta = self.choice().map(|choice| &choice.delta);
        delta.and_then(|d| d.content.as_deref()).unwrap_or_default()
    }

    /// What it adds to the thought before the answer.
    #[must_use]
    pub fn thought(&self) -> &str {
        let delta = self.choice().map(|choice| &choice.delta);
        let thought = delta.and_then(|d| d.reasoning_content.as_deref());
        thought.unwrap_or_default()
    }
}
