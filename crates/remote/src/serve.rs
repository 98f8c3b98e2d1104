//! The process's end: a member that does what it is asked.

use super::wire::{self, Ask, Facts, PROTOCOL, Reply};
use packllm_engine::backend::{BackendError, BatchToken, Member, Watch};
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How often progress of the load is told.
const TICK: Duration = Duration::from_millis(100);

type Loader<'a> = dyn FnMut(&[u8], Arc<Watch>) -> Result<Box<dyn Member>, BackendError> + 'a;

/// Does what is asked on `input` until that ends, and then calls `leave`, also in the middle of an
/// evaluation. `load` makes the member of what the program sent, with the watch that it is to look
/// at; `version` is the program's.
///
/// # Errors
/// If the replies cannot be written.
pub fn serve(
    mut input: impl Read + Send + 'static,
    output: impl Write + Send,
    version: &str,
    load: &mut Loader<'_>,
    leave: impl Fn() + Send + 'static,
) -> io::Result<()> {
    let (sender, asks) = channel();
    let cancelled = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&cancelled);
    thread::spawn(move || {
        while let Ok(Some((ask, body))) = wire::receive::<Ask>(&mut input, u32::MAX) {
            if let Ask::Cancel = ask {
                flag.store(true, Ordering::Relaxed);
            } else if sender.send((ask, body)).is_err() {
                break;
            }
        }
        leave();
    });
    let mut service = Service {
        output: Mutex::new(output),
        watch: Arc::new(Watch::new(Arc::clone(&cancelled))),
        cancelled,
        failed: None,
    };
    let (protocol, version) = (PROTOCOL, version.to_owned());
    service.say(&Reply::Hello { protocol, version }, &[])?;
    let Some(mut member) = service.load(&asks, load)? else {
        return Ok(());
    };
    while let Ok((ask, body)) = asks.recv() {
        service.answer(&mut *member, ask, &body)?;
        // Whatever was cancelled has been answered.
        service.cancelled.store(false, Ordering::Relaxed);
    }
    Ok(())
}

struct Service<W> {
    output: Mutex<W>,
    watch: Arc<Watch>,
    cancelled: Arc<AtomicBool>,
    /// What failed of those requests that have no reply.
    failed: Option<BackendError>,
}

impl<W: Write + Send> Service<W> {
    fn say(&self, reply: &Reply, body: &[u8]) -> io::Result<()> {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        wire::send(&mut *output, reply, body)
    }

    fn fail(&self, error: &BackendError) -> io::Result<()> {
        self.say(&Reply::Failed(error.into()), &[])
    }

    /// The member, once it is asked for; None if there is none.
    fn load(
        &self,
        asks: &Receiver<(Ask, Vec<u8>)>,
        load: &mut Loader<'_>,
    ) -> io::Result<Option<Box<dyn Member>>> {
        let Ok((Ask::Load, body)) = asks.recv() else {
            return Ok(None);
        };
        let over = AtomicBool::new(false);
        let loaded = thread::scope(|threads| {
            let telling = threads.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let done = self.watch.progress.load(Ordering::Relaxed);
                    if self.say(&Reply::Progress(done), &[]).is_err() {
                        return;
                    }
                    thread::park_timeout(TICK);
                }
            });
            let loaded = load(&body, Arc::clone(&self.watch));
            over.store(true, Ordering::Relaxed);
            telling.thread().unpark();
            loaded
        });
        let member = match loaded {
            Ok(member) => member,
            Err(error) => return self.fail(&error).map(|()| None),
        };
        let vocab = member.vocab();
        let facts = Facts::of(member.description(), member.limits(), vocab.special());
        self.say(&Reply::Loaded(Box::new(facts)), &wire::pack_vocab(vocab))?;
        Ok(Some(member))
    }

    fn answer(&mut self, member: &mut dyn Member, ask: Ask, body: &[u8]) -> io::Result<()> {
        let done = match ask {
            Ask::Copy { from, to, len } => return self.keep(member.seq_copy(from, to, len)),
            Ask::Truncate { seq, len } => return self.keep(member.seq_truncate(seq, len)),
            _ => match self.failed.take() {
                Some(error) => Err(error),
                None => self.done(member, ask, body),
            },
        };
        match done {
            Ok((reply, body)) => self.say(&reply, &body),
            Err(error) => self.fail(&error),
        }
    }

    fn keep(&mut self, done: Result<(), BackendError>) -> io::Result<()> {
        if let Err(error) = done {
            self.failed.get_or_insert(error);
        }
        Ok(())
    }

    fn done(
        &self,
        member: &mut dyn Member,
        ask: Ask,
        body: &[u8],
    ) -> Result<(Reply, Vec<u8>), BackendError> {
        let refuse = |why: &str| Err(BackendError::Refused(why.into()));
        match ask {
            Ask::Tokenize { markup } => {
                let Ok(text) = std::str::from_utf8(body) else {
                    return refuse("a text that is not UTF-8");
                };
                let tokens = member.tokenize(text, markup)?;
                Ok((Reply::Tokens, wire::pack(tokens)))
            }
            Ask::Decode { complete } => {
                self.watch.complete.store(complete, Ordering::Relaxed);
                decode(member, &wire::unpack_batch(body))
            }
            Ask::Save => Ok((Reply::State, member.save()?)),
            Ask::Restore { len } => {
                member.restore(body, len)?;
                Ok((Reply::Done, Vec::new()))
            }
            Ask::Load | Ask::Cancel | Ask::Copy { .. } | Ask::Truncate { .. } => {
                refuse("a request out of turn")
            }
        }
    }
}

/// Evaluates, and gathers the rows.
fn decode(member: &mut dyn Member, batch: &[BatchToken]) -> Result<(Reply, Vec<u8>), BackendError> {
    member.decode(batch)?;
    let mut rows = Vec::new();
    for index in (0..batch.len()).filter(|&index| batch[index].output) {
        wire::pack_row(member.logits(index)?, &mut rows);
    }
    Ok((Reply::Rows, rows))
}
