//! Downloads by HTTP into a [`Part`], resumed by byte range, and short documents.

use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::{Duration, Instant};

use super::error::StoreError;
use super::job::Job;
use super::part::Part;
use super::wire::{Head, Linked, Patience, Piece, Request, start};

const TICK: Duration = Duration::from_millis(50);

/// Longest pause that a server may ask for: seconds.
const LONGEST_PAUSE: u64 = 60;

/// Longest document that is read into memory: the hub's list of a repository's files, say.
const DOCUMENT: usize = 32 << 20;

/// How one attempt ended, unless by an error that no further attempt can mend.
enum Attempt {
    Complete(Linked),
    Broken(String),
    /// The server has too much to do, and says for how long: seconds.
    Later(u64),
    /// The server was not reached, or did not answer.
    Unanswered(String),
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
        patience: Patience::of(job.others),
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
