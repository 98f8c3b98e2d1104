//! One request: sent, and what comes back handed on.
//!
//! A thread does the blocking reads and hands pieces over a bounded channel, so that the cancel flag
//! is heard in any silence. What is dropped closes its connection.

use crate::address::Address;
use crate::chunk::Failure;
use crate::error::{ClientError, Refused};
use std::fmt;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;
use ureq::http::{HeaderMap, header};
use ureq::{Agent, Error};

/// How often the cancel flag is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// How long a server may take to be found, and to take the connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// Most bytes of a document, or of what is said with an error.
const LARGEST: usize = 8 << 20;

/// What is asked.
pub struct Asking {
    pub address: Address,
    pub route: String,
    pub key: Option<String>,
    /// JSON to send; None only asks.
    pub body: Option<Vec<u8>>,
    /// Longest silence.
    pub silence: Duration,
    pub cancel: Arc<AtomicBool>,
}

/// What the reading thread says.
enum Piece {
    Head {
        status: u16,
        again: Option<Duration>,
    },
    Data(Vec<u8>),
    End,
    Failed(Error),
}

/// A request under way.
pub struct Call {
    address: Address,
    agent: Agent,
    pieces: Receiver<Piece>,
    cancel: Arc<AtomicBool>,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call to {}", self.address)
    }
}

impl Call {
    /// Sends the request and waits until the server accepts it.
    pub fn begin(asking: Asking) -> Result<Self, ClientError> {
        let agent = agent(&asking);
        let (sender, pieces) = sync_channel(8);
        let call = Self {
            address: asking.address.clone(),
            cancel: Arc::clone(&asking.cancel),
            agent: agent.clone(),
            pieces,
        };
        let read = move || {
            let last = match stream(&agent, &asking, &sender) {
                Ok(()) => Piece::End,
                Err(error) => Piece::Failed(error),
            };
            // The receiver is gone if the answer was given up.
            let _ = sender.send(last);
        };
        let began = thread::Builder::new().name("answer".into()).spawn(read);
        began.map_err(|error| call.unreachable(&error.to_string()))?;
        match call.wait()? {
            Piece::Head {
                status: 200..300, ..
            } => Ok(call),
            Piece::Head { status, again } => Err(call.refused(status, again)),
            Piece::Failed(error) => Err(call.unreachable(&words(&error))),
            Piece::Data(_) | Piece::End => Err(call.unreachable("there is no answer")),
        }
    }

    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The next bytes; None at the end.
    pub fn next(&mut self) -> Result<Option<Vec<u8>>, ClientError> {
        match self.wait()? {
            Piece::Data(bytes) => Ok(Some(bytes)),
            Piece::Failed(error) => Err(ClientError::Broken {
                address: self.address.to_string(),
                why: words(&error),
            }),
            Piece::End | Piece::Head { .. } => Ok(None),
        }
    }

    /// All that comes.
    pub fn whole(mut self) -> Result<Vec<u8>, ClientError> {
        let mut whole = Vec::new();
        while let Some(bytes) = self.next()? {
            whole.extend(bytes);
            if whole.len() > LARGEST {
                let why = format!("more than {LARGEST} bytes");
                return Err(ClientError::strange(&self.address, why));
            }
        }
        Ok(whole)
    }

    fn wait(&self) -> Result<Piece, ClientError> {
        loop {
            if self.cancel.load(Ordering::Relaxed) {
                return Err(ClientError::Cancelled);
            }
            match self.pieces.recv_timeout(LOOK) {
                Ok(piece) => return Ok(piece),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(Piece::End),
            }
        }
    }

    fn unreachable(&self, why: &str) -> ClientError {
        ClientError::Unreachable {
            address: self.address.to_string(),
            why: why.to_owned(),
        }
    }

    /// The error of a status that is none of success, with what the server says of it.
    fn refused(self, status: u16, again: Option<Duration>) -> ClientError {
        let address = self.address.clone();
        let said = match self.whole() {
            Err(ClientError::Cancelled) => return ClientError::Cancelled,
            said => said.unwrap_or_default(),
        };
        let failure = serde_json::from_slice::<Failure>(&said).ok();
        let refused = failure.map(|f| f.error.refused()).unwrap_or_default();
        ClientError::refused(
            &address,
            Refused {
                status,
                again: again.filter(|_| matches!(status, 429 | 503)),
                ..refused
            },
        )
    }
}

impl Drop for Call {
    /// Wakes the thread, whatever it waits for, and closes the connection.
    fn drop(&mut self) {
        self.agent.clone().shutdown();
    }
}

fn agent(asking: &Asking) -> Agent {
    let mut config = Agent::config_builder()
        .http_status_as_error(false)
        // Where it leads, nobody said that the key may go.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("packllm/", env!("CARGO_PKG_VERSION")))
        .timeout_resolve(Some(PATIENCE))
        .timeout_connect(Some(PATIENCE))
        .timeout_recv_response(Some(asking.silence))
        .timeout_per_read(Some(asking.silence));
    if asking.address.is_loopback() {
        config = config.proxy(None);
    }
    Agent::new_with_config(config.build())
}

fn stream(agent: &Agent, asking: &Asking, sender: &SyncSender<Piece>) -> Result<(), Error> {
    let url = asking.address.route(&asking.route);
    let bearer = asking.key.as_ref().map(|key| format!("Bearer {key}"));
    let mut response = match &asking.body {
        None => {
            let mut call = agent.get(url);
            if let Some(bearer) = bearer {
                call = call.header(header::AUTHORIZATION, bearer);
            }
            call.call()?
        }
        Some(body) => {
            let mut call = agent
                .post(url)
                .header(header::CONTENT_TYPE, "application/json");
            if let Some(bearer) = bearer {
                call = call.header(header::AUTHORIZATION, bearer);
            }
            call.send(&body[..])?
        }
    };
    let head = Piece::Head {
        status: response.status().as_u16(),
        again: again(response.headers()),
    };
    if sender.send(head).is_err() {
        return Ok(());
    }
    let mut body = response.body_mut().as_reader();
    loop {
        let mut bytes = vec![0; 1 << 14];
        let count = body.read(&mut bytes)?;
        bytes.truncate(count);
        if count == 0 || sender.send(Piece::Data(bytes)).is_err() {
            return Ok(());
        }
    }
}

/// `Retry-After` in seconds.
fn again(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    let seconds = text.trim().parse::<u64>().ok()?;
    Some(Duration::from_secs(seconds))
}

fn words(error: &Error) -> String {
    match error {
        Error::HostNotFound => "there is no host of that name".into(),
        Error::Io(error) => error.to_string(),
        Error::Timeout(what) => format!("it took too long ({what})"),
        error => error.to_string(),
    }
}
