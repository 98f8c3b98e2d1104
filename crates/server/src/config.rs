//! What can be set.

use packllm_engine::engine::{AnswerOptions, Fusion};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How a pack is served.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub address: SocketAddr,
    /// The pack's name.
    pub model: String,
    /// What the pack is called instead, if anything.
    pub alias: Option<String>,
    /// How answers are drawn where a request does not say.
    pub answers: AnswerOptions,
    /// How members are fused where a request does not say.
    pub fusion: Fusion,
    /// Whether templates let models think where a request does not say.
    pub think: bool,
    /// Whether the seed of [`answers`](Self::answers) is for every answer; else each draws its own.
    pub seeded: bool,
    /// Whether loops end an answer to plain text too.
    pub text_repeat_stop: bool,
    /// Whether drafts are evaluated ahead.
    pub draft: bool,
    /// Answers at once.
    pub parallel: usize,
    /// Unload after so much time without a request; None: never.
    pub keep_alive: Option<Duration>,
    /// Whether there is a page at `/`.
    pub page: bool,
    /// The folder of the conversations that the page shows and keeps; None: it keeps none.
    pub sessions: Option<PathBuf>,
    /// Who may ask.
    pub safety: Safety,
    /// How much may be asked.
    pub limits: Limits,
    /// Where the access log goes.
    pub log: Log,
}

impl Options {
    /// What answers call the pack.
    #[must_use]
    pub fn name(&self) -> &str {
        self.alias.as_deref().unwrap_or(&self.model)
    }
}

/// Who may ask.
#[derive(Debug, Clone, Default)]
pub struct Safety {
    /// Keys, one of which a request must bring; empty: none is needed.
    pub keys: Vec<String>,
    /// Names that `Host` may have, besides addresses and `localhost`.
    pub hosts: Vec<String>,
    /// Origins of pages that may ask, besides the server's own.
    pub origins: Vec<String>,
}

/// How much may be asked, and how long a client may take.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of a request's body.
    pub body: usize,
    /// Time to read its headers, and then its body.
    pub read_time: Duration,
    /// Time that a client may leave an answer unread.
    pub write_time: Duration,
    /// Connections at once.
    pub connections: usize,
    /// Requests that wait.
    pub queue: usize,
    /// Choices of one request (`n`).
    pub choices: u32,
    /// Stop strings of one request.
    pub stops: usize,
    /// Bytes of a stop string.
    pub stop_bytes: usize,
    /// Tokens of an answer; None: until the context is full.
    pub answer: Option<usize>,
    /// Silence after which a comment is sent.
    pub silence: Duration,
    /// Time without a step of anybody, while somebody waits for one, after which `/health` says so.
    pub stall: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 8 << 20,
            read_time: Duration::from_secs(30),
            write_time: Duration::from_secs(60),
            connections: 256,
            queue: 64,
            choices: 8,
            stops: 16,
            stop_bytes: 256,
            answer: None,
            silence: Duration::from_secs(15),
            stall: Duration::from_secs(120),
        }
    }
}

/// Most alternatives of a character that can be asked for (`top_logprobs`).
pub const MAX_LOGPROBS: usize = 20;

/// Where the access log goes.
#[derive(Clone)]
pub struct Log {
    /// How a line is written.
    pub format: LogFormat,
    /// Takes a line.
    pub sink: Arc<dyn Fn(&str) + Send + Sync>,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.format.fmt(f)
    }
}

impl Log {
    /// No log.
    #[must_use]
    pub fn nowhere() -> Self {
        Self {
            format: LogFormat::Text,
            sink: Arc::new(|_| {}),
        }
    }
}

/// How a line of the access log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}
