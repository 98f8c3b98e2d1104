//! Downloads by HTTP into a [`Part`], resumed by byte range.
//!
//! A thread does the blocking reads and hands chunks over a bounded channel, so that a stalled
//! server does not keep the caller from stopping. Once the receiver is gone, the thread ends at its
//! next read or timeout.

use std::io::Read;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use ureq::config::RedirectAuthHeaders;
use ureq::http::{HeaderMap, Response, header};

use super::error::StoreError;
use super::job::Job;
use super::part::Part;
use super::source::is_loopback;

const TICK: Duration = Duration::from_millis(50);

/// What is asked of a server.
struct Request {
    url: String,
    token: Option<String>,
    from: u64,
    etag: Option<String>,
    patience: Patience,
}

/// What the reading thread says.
enum Piece {
    Head(Head),
    Data(Vec<u8>),
    End,
    Failed(String),
}

struct Head {
    status: u16,
    /// First byte served, of a 206.
    start: Option<u64>,
    /// Bytes of the whole file.
    total: Option<u64>,
    /// Only a strong one: a weak one says nothing about bytes.
    etag: Option<String>,
}

/// How one attempt ended, unless by an error that no further attempt can mend.
enum Attempt {
    Complete,
    Broken(String),
    /// The server was not reached, or did not answer.
    Unanswered(String),
}

/// How long a server may take to be found, to take the connection, and to answer.
struct Patience {
    resolve: Duration,
    connect: Duration,
    respond: Duration,
}

impl Patience {
    /// A server with another source behind it is given up within five seconds if it cannot be
    /// reached.
    fn of(job: &Job) -> Self {
        let [resolve, connect, respond] = match job.others {
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
}

/// Downloads `url` into `part`, from where it stands. Lost connections are resumed, with growing
/// pauses. A server that never answered is asked once if there are other sources.
pub(super) fn download(
    url: &str,
    token: Option<&str>,
    part: &mut Part,
    job: &mut Job,
) -> Result<(), StoreError> {
    let (mut failures, mut answered) = (0, false);
    loop {
        let before = part.len();
        let (reason, silent) = match attempt(url, token, part, job)? {
            Attempt::Complete => return Ok(()),
            Attempt::Broken(reason) => (reason, false),
            Attempt::Unanswered(reason) => (reason, true),
        };
        answered |= !silent;
        failures = if part.len() > before { 1 } else { failures + 1 };
        if failures > job.options.retries || (job.others && !answered) {
            return Err(StoreError::Connection {
                url: url.to_owned(),
                reason,
            });
        }
        job.progress.note(&format!("{reason}; trying again"));
        let until = Instant::now() + job.options.backoff * 2u32.saturating_pow(failures - 1);
        while Instant::now() < until {
            job.check()?;
            thread::sleep(TICK.min(until.saturating_duration_since(Instant::now())));
        }
    }
}

fn attempt(
    url: &str,
    token: Option<&str>,
    part: &mut Part,
    job: &mut Job,
) -> Result<Attempt, StoreError> {
    let from = part.len();
    let etag = if from > 0 { part.tag(url) } else { None };
    let request = Request {
        url: url.to_owned(),
        token: token.map(str::to_owned),
        from,
        etag,
        patience: Patience::of(job),
    };
    let pieces = match start(request) {
        Ok(pieces) => pieces,
        Err(error) => return Ok(Attempt::Broken(error.to_string())),
    };
    let (mut total, mut answered) = (None, false);
    loop {
        job.check()?;
        match pieces.recv_timeout(TICK) {
            Err(RecvTimeoutError::Timeout) => (),
            Err(RecvTimeoutError::Disconnected) => {
                return Ok(Attempt::Broken("the connection was lost".to_owned()));
            }
            Ok(Piece::Failed(reason)) if answered => return Ok(Attempt::Broken(reason)),
            Ok(Piece::Failed(reason)) => return Ok(Attempt::Unanswered(reason)),
            Ok(Piece::Head(head)) => {
                answered = true;
                if let Some(reason) = begin(&head, url, part)? {
                    return Ok(Attempt::Broken(reason));
                }
                if let (Some(expected), Some(actual)) = (job.size, head.total)
                    && expected != actual
                {
                    return Err(StoreError::WrongSize { expected, actual });
                }
                part.set_tag(url, head.etag.as_deref())?;
                job.progress.start(head.total.or(job.size), part.len());
                total = head.total;
            }
            Ok(Piece::Data(bytes)) => job.take(part, &bytes)?,
            Ok(Piece::End) => {
                return Ok(match total {
                    Some(total) if part.len() != total => {
                        Attempt::Broken(format!("got {} of {total} bytes", part.len()))
                    }
                    _ => Attempt::Complete,
                });
            }
        }
    }
}

/// Readies `part` for the body that follows `head`; a reason to try again, or an error if another
/// attempt cannot help.
fn begin(head: &Head, url: &str, part: &mut Part) -> Result<Option<String>, StoreError> {
    match head.status {
        200 => {
            // The server cannot resume, or the file has changed.
            part.restart()?;
            Ok(None)
        }
        206 if head.start == Some(part.len()) => Ok(None),
        206 | 416 if part.len() > 0 => {
            part.restart()?;
            Ok(Some("the server would not resume".to_owned()))
        }
        status @ (408 | 429 | 500..=599) => Ok(Some(format!("HTTP status {status}"))),
        status => Err(StoreError::Status {
            url: url.to_owned(),
            status,
        }),
    }
}

fn start(request: Request) -> std::io::Result<Receiver<Piece>> {
    let (sender, receiver) = sync_channel(8);
    thread::Builder::new()
        .name("download".to_owned())
        .spawn(move || {
            let last = match stream(&request, &sender) {
                Ok(()) => Piece::End,
                Err(error) => Piece::Failed(error.to_string()),
            };
            // The receiver is gone if the pull was stopped.
            let _ = sender.send(last);
        })?;
    Ok(receiver)
}

fn stream(request: &Request, sender: &SyncSender<Piece>) -> Result<(), ureq::Error> {
    let local = is_loopback(&request.url);
    let mut config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .https_only(!local)
        // A renamed repository redirects within the hub; a storage host must not see the token.
        .redirect_auth_headers(RedirectAuthHeaders::SameHost)
        .user_agent(concat!("packllm/", env!("CARGO_PKG_VERSION")))
        .timeout_resolve(Some(request.patience.resolve))
        .timeout_connect(Some(request.patience.connect))
        .timeout_recv_response(Some(request.patience.respond))
        .timeout_per_read(Some(Duration::from_secs(30)));
    if local {
        config = config.proxy(None);
    }
    let agent = ureq::Agent::new_with_config(config.build());
    let mut call = agent.get(&request.url);
    if let Some(token) = &request.token {
        call = call.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    if request.from > 0 {
        call = call.header(header::RANGE, format!("bytes={}-", request.from));
        if let Some(etag) = &request.etag {
            call = call.header(header::IF_RANGE, etag);
        }
    }
    let mut response = call.call()?;
    if sender.send(Piece::Head(head(&response))).is_err() || !response.status().is_success() {
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

fn head<B>(response: &Response<B>) -> Head {
    let text = |headers: &HeaderMap, name| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    let headers = response.headers();
    // Content-Range: bytes START-END/TOTAL
    let range = text(headers, header::CONTENT_RANGE).unwrap_or_default();
    let (span, whole) = range
        .trim_start_matches("bytes")
        .trim()
        .split_once('/')
        .unwrap_or_default();
    let partial = response.status() == 206;
    let length = text(headers, header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
    Head {
        status: response.status().as_u16(),
        start: span
            .split_once('-')
            .and_then(|(start, _)| start.parse().ok()),
        total: if partial { whole.parse().ok() } else { length },
        etag: text(headers, header::ETAG).filter(|etag| etag.starts_with('"')),
    }
}
