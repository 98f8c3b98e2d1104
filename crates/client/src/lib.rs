//! Asks a running `packllm serve`: what it is, and conversations, whose answers are streamed. A server
//! that speaks OpenAI's chat completions alone can be asked as well; it tells of no members.
//!
//! ```no_run
//! use packllm_client::{Address, Client, Message, Question};
//! use std::sync::Arc;
//!
//! let address = "http://127.0.0.1:8114".parse::<Address>()?;
//! let client = Client::new(address, None, Arc::default());
//! let about = client.about()?;
//! let mut stream = client.ask(&Question {
//!     messages: vec![Message::new("user", "Why is the sky blue?")],
//!     ..Question::to(&about)
//! })?;
//! while let Some(chunk) = stream.next()? {
//!     print!("{}", chunk.text());
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! * [`Address`]: where the server is.
//! * [`Client`]: what it [is](Client::about), and an answer [asked for](Client::ask).
//! * [`Stream`]: the answer, [`Chunk`] by chunk. Dropped, it closes the connection, and a server
//!   that notices gives the answer up.
//!
//! Everything blocks, and ends soon after the cancel flag was raised.

mod about;
mod address;
mod call;
mod chunk;
mod error;
mod events;
mod question;

pub use about::About;
pub use address::{Address, AddressError};
pub use chunk::{Chunk, Delta, Fusion, Member, Own, Timings, Usage, Word};
pub use error::{ClientError, Refused};
pub use question::{Asked, Message, Question};

use call::{Asking, Call};
use events::Events;
use question::Streaming;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Longest silence of a server of packllm: it sends a comment every 15 seconds.
const SILENCE: Duration = Duration::from_secs(60);

/// Longest silence of another server, which may read a prompt without a word.
const LONG_SILENCE: Duration = Duration::from_secs(600);

/// A server to ask.
#[derive(Debug, Clone)]
pub struct Client {
    address: Address,
    key: Option<String>,
    cancel: Arc<AtomicBool>,
}

impl Client {
    /// The server at an address, which is sent the key, if there is one. Once `cancel` is raised,
    /// everything ends with [`ClientError::Cancelled`].
    #[must_use]
    pub fn new(address: Address, key: Option<String>, cancel: Arc<AtomicBool>) -> Self {
        Self {
            address,
            key,
            cancel,
        }
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Whether requests bring a key.
    #[must_use]
    pub fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// What the server is, and what it has.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn about(&self) -> Result<About, ClientError> {
        let models = self.call("/v1/models", None, SILENCE)?.whole()?;
        let mut about = About::of_models(&self.address, &models)?;
        if about.is_packllm() {
            let props = self.call("/props", None, SILENCE)?.whole()?;
            about.learn(&self.address, &props)?;
        }
        Ok(about)
    }

    /// Asks, and waits until the answer begins.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn ask(&self, question: &Question) -> Result<Stream, ClientError> {
        let body = serde_json::to_vec(&Streaming::from(question))
            .map_err(|error| ClientError::strange(&self.address, error))?;
        let silence = match question.packllm {
            Some(_) => SILENCE,
            None => LONG_SILENCE,
        };
        Ok(Stream {
            call: self.call("/v1/chat/completions", Some(body), silence)?,
            events: Events::default(),
            ready: VecDeque::new(),
            is_over: false,
        })
    }

    fn call(
        &self,
        route: &str,
        body: Option<Vec<u8>>,
        silence: Duration,
    ) -> Result<Call, ClientError> {
        Call::begin(Asking {
            address: self.address.clone(),
            route: route.to_owned(),
            key: self.key.clone(),
            body,
            silence,
            cancel: Arc::clone(&self.cancel),
        })
    }
}

/// An answer that is being made.
#[derive(Debug)]
pub struct Stream {
    call: Call,
    events: Events,
    ready: VecDeque<Result<Chunk, ClientError>>,
    is_over: bool,
}

impl Stream {
    /// The next part of it; None after the last.
    ///
    /// # Errors
    /// [`ClientError`]. What came before stays valid.
    #[expect(clippy::should_implement_trait, reason = "it may fail, and goes on")]
    pub fn next(&mut self) -> Result<Option<Chunk>, ClientError> {
        loop {
            if let Some(chunk) = self.ready.pop_front() {
                return chunk?.checked(self.call.address()).map(Some);
            }
            if self.is_over {
                return Ok(None);
            }
            let Some(bytes) = self.call.next()? else {
                return Err(ClientError::Broken {
                    address: self.call.address().to_string(),
                    why: "the connection was closed".into(),
                });
            };
            self.take(&bytes);
        }
    }

    /// Reads what came. What is wrong is told after what came before it.
    fn take(&mut self, bytes: &[u8]) {
        let address = self.call.address();
        let mut events = Vec::new();
        let pushed = self.events.push(bytes, &mut events);
        for data in events {
            if data == b"[DONE]" {
                self.is_over = true;
                return;
            }
            let chunk = serde_json::from_slice(&data);
            let chunk = chunk.map_err(|error| ClientError::strange(address, error));
            self.ready.push_back(chunk);
        }
        if let Err(error) = pushed {
            self.ready
                .push_back(Err(ClientError::strange(address, error)));
        }
    }
}
