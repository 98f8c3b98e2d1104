//! One request: sent, redirects followed, the answer handed on piece by piece.
//!
//! Redirects are followed here: what the hub says of a file stands in the answer that points to a
//! storage host, and that host must not see the token.
//!
//! A thread does the blocking reads and hands chunks over a bounded channel, so that a stalled
//! server does not keep the caller from stopping. Once the receiver is gone, the thread ends at its
//! next read or timeout.

use std::io::Read;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use ureq::Body;
use ureq::http::{HeaderMap, Response, header};

use super::refusal::{self, Refusal};
use super::source::{NOT_HTTPS, authority, is_loopback};

/// Most redirects that are followed.
const HOPS: usize = 10;

/// What the hub says of a file while it points to where the bytes are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Linked {
    /// The commit that holds the file.
    pub commit: Option<String>,
    /// Its sha256, or where it is small its hash in git.
    pub etag: Option<String>,
    pub size: Option<u64>,
}

/// What is asked of a server.
pub(super) struct Request {
    pub url: String,
    pub token: Option<String>,
    pub from: u64,
    pub etag: Option<String>,
    pub patience: Patience,
}

/// What the reading thread says.
pub(super) enum Piece {
    Head(Head),
    Data(Vec<u8>),
    End,
    Failed(String),
}

pub(super) struct Head {
    pub status: u16,
    /// First byte served, of a 206.
    pub start: Option<u64>,
    /// Bytes of the whole file.
    pub total: Option<u64>,
    /// Only a strong one: a weak one says nothing about bytes.
    pub etag: Option<String>,
    pub linked: Linked,
    pub refusal: Refusal,
}

/// How long a server may take to be found, to take the connection, and to answer.
pub(super) struct Patience {
    resolve: Duration,
    connect: Duration,
    respond: Duration,
}

impl Patience {
    /// A server with another source behind it is given up within five seconds if it cannot be
    /// reached.
    pub fn of(others: bool) -> Self {
        let [resolve, connect, respond] = match others {
            true => [2000, 2500, 20_000],
            false => [20_000, 20_000, 60_000],
        }
        .map(Duration::from_millis);
        Self {
            resolve,
            connect,
            respond,
        }
    }

    /// For a document: whoever asks has something else to do if it cannot be had.
    pub fn short() -> Self {
        let [resolve, connect, respond] = [2000, 2500, 20_000].map(Duration::from_millis);
        Self {
            resolve,
            connect,
            respond,
        }
    }
}

/// Sends the request; what comes back are its pieces.
pub(super) fn start(request: Request) -> std::io::Result<Receiver<Piece>> {
    let (sender, receiver) = sync_channel(8);
    thread::Builder::new()
        .name("download".to_owned())
        .spawn(move || {
            let last = match stream(&request, &sender) {
                Ok(()) => Piece::End,
                Err(ureq::Error::RequireHttpsOnly(_)) => Piece::Failed(NOT_HTTPS.to_owned()),
                Err(error) => Piece::Failed(error.to_string()),
            };
            // The receiver is gone if the pull was stopped.
            let _ = sender.send(last);
        })?;
    Ok(receiver)
}

fn stream(request: &Request, sender: &SyncSender<Piece>) -> Result<(), ureq::Error> {
    let (mut response, linked) = follow(request)?;
    let head = Head {
        linked,
        ..head(&response)
    };
    if sender.send(Piece::Head(head)).is_err() || !response.status().is_success() {
        return Ok(());
    }
    let mut body = response.body_mut().as_reader();
    loop {
        let mut chunk = vec![0; 1 << 17];
        let count = body.read(&mut chunk)?;
        chunk.truncate(count);
        if count == 0 || sender.send(Piece::Data(chunk)).is_err() {
            return Ok(());
        }
    }
}

/// Asks, and goes where redirects lead. A renamed repository redirects within the hub.
fn follow(request: &Request) -> Result<(Response<Body>, Linked), ureq::Error> {
    let mut url = request.url.clone();
    let mut linked = Linked::default();
    for _ in 0..HOPS {
        let response = ask(&url, request)?;
        linked = linked.or(of_hub(response.headers()));
        let location = response
            .status()
            .is_redirection()
            .then(|| text(response.headers(), header::LOCATION.as_str()));
        match location.flatten().and_then(|to| join(&url, &to)) {
            Some(next) => url = next,
            None => return Ok((response, linked)),
        }
    }
    Err(ureq::Error::TooManyRedirects)
}

fn ask(url: &str, request: &Request) -> Result<Response<Body>, ureq::Error> {
    let local = is_loopback(url);
    let mut config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .https_only(!(local && is_loopback(&request.url)))
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("packllm/", env!("CARGO_PKG_VERSION")))
        .timeout_resolve(Some(request.patience.resolve))
        .timeout_connect(Some(request.patience.connect))
        .timeout_recv_response(Some(request.patience.respond))
        .timeout_per_read(Some(Duration::from_secs(30)));
    if local {
        config = config.proxy(None);
    }
    let agent = ureq::Agent::new_with_config(config.build());
    let mut call = agent.get(url);
    // A storage host must not see the token.
    if let Some(token) = &request.token
        && authority(url) == authority(&request.url)
    {
        call = call.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    if request.from > 0 {
        call = call.header(header::RANGE, format!("bytes={}-", request.from));
        if let Some(etag) = &request.etag {
            call = call.header(header::IF_RANGE, etag);
        }
    }
    call.call()
}

/// Where `to`, which may be a path, leads from `url`; None where that is no address.
fn join(url: &str, to: &str) -> Option<String> {
    if to.starts_with("https://") || to.starts_with("http://") {
        return Some(to.to_owned());
    }
    let (scheme, _) = url.split_once("://")?;
    let host = authority(url)?;
    to.starts_with('/')
        .then(|| format!("{scheme}://{host}{to}"))
}

impl Linked {
    fn or(self, later: Self) -> Self {
        Self {
            commit: self.commit.or(later.commit),
            etag: self.etag.or(later.etag),
            size: self.size.or(later.size),
        }
    }
}

/// What the hub says of the file behind an address.
fn of_hub(headers: &HeaderMap) -> Linked {
    let etag = text(headers, "x-linked-etag");
    Linked {
        commit: text(headers, "x-repo-commit"),
        etag: etag.map(|etag| etag.trim_start_matches("W/").trim_matches('"').to_owned()),
        size: text(headers, "x-linked-size").and_then(|size| size.parse().ok()),
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    Some(value.to_owned())
}

fn head<B>(response: &Response<B>) -> Head {
    let headers = response.headers();
    let text = |name: header::HeaderName| text(headers, name.as_str());
    // Content-Range: bytes START-END/TOTAL
    let range = text(header::CONTENT_RANGE).unwrap_or_default();
    let (span, whole) = range
        .trim_start_matches("bytes")
        .trim()
        .split_once('/')
        .unwrap_or_default();
    let partial = response.status() == 206;
    let length = text(header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
    Head {
        status: response.status().as_u16(),
        start: span
            .split_once('-')
            .and_then(|(start, _)| start.parse().ok()),
        total: if partial { whole.parse().ok() } else { length },
        etag: text(header::ETAG).filter(|etag| etag.starts_with('"')),
        linked: Linked::default(),
        refusal: refusal::of(&|name| self::text(headers, name)),
    }
}
