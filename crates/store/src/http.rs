//! Downloads by HTTP into a [`Part`], resumed by byte range, and short documents.
//!
//! Redirects are followed here: what the hub says of a file stands in the answer that points to a
//! storage host, and that host must not see the token.
//!
//! A thread does the blocking reads and hands chunks over a bounded channel, so that a stalled
//! server does not keep the caller from stopping. Once the receiver is gone, the thread ends at its
//! next read or timeout.

use std::io::Read;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use ureq::Body;
use ureq::http::{HeaderMap, Response, header};

use super::error::StoreError;
use super::job::Job;
use super::part::Part;
use super::refusal::{self, Refusal};
use super::source::{authority, is_loopback};

const TICK: Duration = Duration::from_millis(50);

/// Most redirects that are followed.
const HOPS: usize = 10;

/// Longest pause that a server may ask for: seconds.
const LONGEST_PAUSE: u64 = 60;

/// Longest document that is read into memory: the hub's list of a repository's files, say.
const DOCUMENT: usize = 32 << 20;

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
    linked: Linked,
    refusal: Refusal,
}

/// How one attempt ended, unless by an error that no further attempt can mend.
enum Attempt {
    Complete(Linked),
    Broken(String),
    /// The server has too much to do, and says for how long: seconds.
    Later(u64),
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

    /// For a document: whoever asks has something else to do if it cannot be had.
    fn short() -> Self {
        let [resolve, connect, respond] = [2000, 2500, 20_000].map(Duration::from_millis);
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
) -> Result<Linked, StoreError> {
    let (mut failures, mut answered) = (0, false);
    loop {
        let before = part.len();
        let (reason, asked, silent) = match attempt(url, token, part, job)? {
            Attempt::Complete(linked) => return Ok(linked),
            Attempt::Broken(reason) => (reason, None, false),
            Attempt::Unanswered(reason) => (reason, None, true),
            Attempt::Later(seconds) => (
                format!("HTTP status 429, wait {seconds} s"),
                Some(seconds),
                false,
            ),
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
        let usual = job.options.backoff * 2u32.saturating_pow(failures - 1);
        pause(asked.map_or(usual, Duration::from_secs), job)?;
    }
}

/// Fetches a document. A server that cannot be reached is asked once.
pub(super) fn document(
    url: &str,
    token: Option<&str>,
    job: &mut Job,
) -> Result<Vec<u8>, StoreError> {
    let mut failures = 0;
    loop {
        let reason = match read_document(url, token, job)? {
            Ok(bytes) => return Ok(bytes),
            Err(Attempt::Later(seconds)) if failures < job.options.retries => {
                let reason = format!("HTTP status 429, wait {seconds} s");
                job.progress.note(&format!("{reason}; trying again"));
                pause(Duration::from_secs(seconds), job)?;
                failures += 1;
                continue;
            }
            Err(Attempt::Broken(_)) if failures < job.options.retries => {
                pause(job.options.backoff, job)?;
                failures += 1;
                continue;
            }
            Err(Attempt::Broken(reason) | Attempt::Unanswered(reason)) => reason,
            Err(Attempt::Later(_) | Attempt::Complete(_)) => "too many requests".to_owned(),
        };
        return Err(StoreError::Connection {
            url: url.to_owned(),
            reason,
        });
    }
}

fn read_document(
    url: &str,
    token: Option<&str>,
    job: &mut Job,
) -> Result<Result<Vec<u8>, Attempt>, StoreError> {
    let request = Request {
        url: url.to_owned(),
        token: token.map(str::to_owned),
        from: 0,
        etag: None,
        patience: Patience::short(),
    };
    let pieces = match start(request) {
        Ok(pieces) => pieces,
        Err(error) => return Ok(Err(Attempt::Unanswered(error.to_string()))),
    };
    let (mut bytes, mut answered) = (Vec::new(), false);
    loop {
        job.check()?;
        let broken = match pieces.recv_timeout(TICK) {
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => "the connection was lost".to_owned(),
            Ok(Piece::Failed(reason)) if answered => reason,
            Ok(Piece::Failed(reason)) => return Ok(Err(Attempt::Unanswered(reason))),
            Ok(Piece::Head(head)) if head.status == 200 => {
                answered = true;
                continue;
            }
            Ok(Piece::Head(head)) => return refused(&head, url, job).map(Err),
            Ok(Piece::Data(more)) if bytes.len() + more.len() > DOCUMENT => {
                format!("more than {DOCUMENT} bytes")
            }
            Ok(Piece::Data(more)) => {
                bytes.extend(more);
                continue;
            }
            Ok(Piece::End) => return Ok(Ok(bytes)),
        };
        return Ok(Err(Attempt::Broken(broken)));
    }
}

fn pause(long: Duration, job: &Job) -> Result<(), StoreError> {
    let until = Instant::now() + long;
    while Instant::now() < until {
        job.check()?;
        thread::sleep(TICK.min(until.saturating_duration_since(Instant::now())));
    }
    Ok(())
}

/// What an answer without a body to keep means: a reason to try again, or an error.
fn refused(head: &Head, url: &str, job: &Job) -> Result<Attempt, StoreError> {
    match (head.status, head.refusal.wait) {
        (429, Some(wait)) if wait <= LONGEST_PAUSE && !job.others => Ok(Attempt::Later(wait)),
        (429, Some(seconds)) => Err(StoreError::TooMany {
            url: url.to_owned(),
            seconds,
        }),
        (status @ (408 | 429 | 500..=599), _) => {
            Ok(Attempt::Broken(format!("HTTP status {status}")))
        }
        (status, _) => Err(head.refusal.error(url, status)),
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
    let (mut total, mut answered, mut linked) = (None, false, Linked::default());
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
                if let Some(attempt) = begin(&head, url, part, job)? {
                    return Ok(attempt);
                }
                fits(&head, job)?;
                part.set_tag(url, head.etag.as_deref())?;
                job.progress.start(head.total.or(job.size), part.len());
                total = head.total;
                linked = head.linked;
            }
            Ok(Piece::Data(bytes)) => job.take(part, &bytes)?,
            Ok(Piece::End) => {
                return Ok(match total {
                    Some(total) if part.len() != total => {
                        Attempt::Broken(format!("got {} of {total} bytes", part.len()))
                    }
                    _ => Attempt::Complete(linked),
                });
            }
        }
    }
}

/// Readies `part` for the body that follows `head`; how the attempt ended if there is none to take,
/// or an error if another attempt cannot help.
fn begin(
    head: &Head,
    url: &str,
    part: &mut Part,
    job: &Job,
) -> Result<Option<Attempt>, StoreError> {
    match head.status {
        200 => {
            // The server cannot resume, or the file has changed.
            part.restart()?;
            Ok(None)
        }
        206 if head.start == Some(part.len()) => Ok(None),
        206 | 416 if part.len() > 0 => {
            part.restart()?;
            let reason = "the server would not resume".to_owned();
            Ok(Some(Attempt::Broken(reason)))
        }
        _ => refused(head, url, job).map(Some),
    }
}

/// Compares what is announced with what is expected, before any of it is taken.
fn fits(head: &Head, job: &Job) -> Result<(), StoreError> {
    for actual in [head.linked.size, head.total].into_iter().flatten() {
        if let Some(expected) = job.size.filter(|expected| *expected != actual) {
            return Err(StoreError::WrongSize { expected, actual });
        }
    }
    let is_sha256 = |etag: &&String| etag.len() == 64;
    match (&job.sha256, head.linked.etag.as_ref().filter(is_sha256)) {
        (Some(expected), Some(actual)) if expected != actual => Err(StoreError::WrongHash {
            expected: expected.clone(),
            actual: actual.clone(),
        }),
        _ => Ok(()),
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
