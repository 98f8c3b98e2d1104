//! The program's end of a member's process.

use super::wire::{self, Ask, PROTOCOL, Reply};
use packllm_engine::backend::Watch;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How often a wait looks whether anybody still waits.
const LOOK: Duration = Duration::from_millis(20);
/// How long an evaluation that nobody wants may take to stop: one on another machine cannot be
/// stopped, and after that its process is given up.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a process may take to greet.
const GREETING: Duration = Duration::from_secs(20);
/// How much of what a process says on stderr is kept: bytes.
const SAID: usize = 4096;

/// A process that was started, as streams.
pub struct Process {
    /// What it reads.
    pub input: Box<dyn Write + Send>,
    /// What it writes.
    pub output: Box<dyn Read + Send>,
    /// What it says of itself: its last line tells why it ended.
    pub errors: Box<dyn Read + Send>,
    /// Ends it, and waits for its end.
    pub end: Box<dyn FnMut() + Send>,
}

/// Why there is no reply.
#[derive(Debug)]
pub enum Broken {
    /// Nobody waits for it any more.
    Cancelled,
    /// The process has ended, or is of no use.
    Lost(String),
}

type Message = io::Result<Option<(Reply, Vec<u8>)>>;

/// A process at work. Dropped, it is ended.
pub struct Link {
    input: BufWriter<Box<dyn Write + Send>>,
    replies: Receiver<Message>,
    said: Arc<Mutex<Vec<u8>>>,
    listener: Option<thread::JoinHandle<()>>,
    end: Box<dyn FnMut() + Send>,
}

impl Link {
    /// Takes a process that was just started, and waits until it greets.
    pub fn open(process: Process, version: &str, watch: &Watch) -> Result<Self, Broken> {
        let (sender, replies) = sync_channel(1);
        let mut output = BufReader::with_capacity(1 << 16, process.output);
        thread::spawn(move || {
            loop {
                let message = wire::receive(&mut output, u32::MAX);
                let last = !matches!(message, Ok(Some(_)));
                if sender.send(message).is_err() || last {
                    return;
                }
            }
        });
        let said = Arc::new(Mutex::new(Vec::new()));
        let (to, mut errors) = (Arc::clone(&said), process.errors);
        let listener = thread::spawn(move || keep_end(&mut errors, &to));
        let mut link = Self {
            input: BufWriter::new(process.input),
            replies,
            said,
            listener: Some(listener),
            end: process.end,
        };
        let until = Instant::now() + GREETING;
        match link.wait(watch, |_| watch.is_cancelled() || Instant::now() > until)? {
            (
                Reply::Hello {
                    protocol,
                    version: theirs,
                },
                _,
            ) => {
                if (protocol, theirs.as_str()) == (PROTOCOL, version) {
                    return Ok(link);
                }
                Err(Broken::Lost(format!(
                    "its process is of packllm {theirs} (protocol {protocol}), this is {version} \
                     (protocol {PROTOCOL})"
                )))
            }
            (other, _) => Err(Broken::Lost(format!("its process greets with {other:?}"))),
        }
    }

    /// Says something that has no reply.
    pub fn tell(&mut self, ask: &Ask, body: &[u8]) -> Result<(), Broken> {
        let sent = wire::send(&mut self.input, ask, body);
        sent.map_err(|error| self.lost(&error.to_string()))
    }

    /// Whether the process has ended since it was last asked.
    pub fn is_over(&self) -> bool {
        loop {
            match self.replies.try_recv() {
                // Nobody waited for it any more.
                Ok(Ok(Some(_))) => {}
                Err(TryRecvError::Empty) => return false,
                Ok(Ok(None) | Err(_)) | Err(TryRecvError::Disconnected) => return true,
            }
        }
    }

    /// Asks, and waits for the reply.
    pub fn ask(
        &mut self,
        ask: &Ask,
        body: &[u8],
        watch: &Watch,
    ) -> Result<(Reply, Vec<u8>), Broken> {
        self.tell(ask, body)?;
        let mut unwanted: Option<Instant> = None;
        self.wait(watch, |link| {
            if !watch.is_cancelled() {
                return false;
            }
            let since = *unwanted.get_or_insert_with(|| {
                // If it cannot be told, it will not reply either.
                let _ = link.tell(&Ask::Cancel, &[]);
                Instant::now()
            });
            since.elapsed() > PATIENCE
        })
    }

    /// The next reply, until `gives_up`.
    fn wait(
        &mut self,
        watch: &Watch,
        mut gives_up: impl FnMut(&mut Self) -> bool,
    ) -> Result<(Reply, Vec<u8>), Broken> {
        loop {
            match self.replies.recv_timeout(LOOK) {
                Ok(Ok(Some((Reply::Progress(done), _)))) => {
                    watch
                        .progress
                        .store(done, std::sync::atomic::Ordering::Relaxed);
                }
                Ok(Ok(Some(reply))) => return Ok(reply),
                Ok(Ok(None)) | Err(RecvTimeoutError::Disconnected) => {
                    return Err(self.lost("its process ended"));
                }
                Ok(Err(error)) => return Err(self.lost(&error.to_string())),
                Err(RecvTimeoutError::Timeout) if gives_up(self) => {
                    return Err(match watch.is_cancelled() {
                        true => Broken::Cancelled,
                        false => Broken::Lost("its process does not answer".into()),
                    });
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// The process is of no use any more: why, in its own words if it had any.
    fn lost(&mut self, otherwise: &str) -> Broken {
        (self.end)();
        if let Some(listener) = self.listener.take() {
            // It reads to the end, which has come.
            let _ = listener.join();
        }
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let said = String::from_utf8_lossy(&said);
        let last = said.lines().rev().find(|line| !line.trim().is_empty());
        Broken::Lost(last.unwrap_or(otherwise).trim().to_owned())
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        (self.end)();
    }
}

/// Keeps the end of what is said.
fn keep_end(from: &mut impl Read, to: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 512];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        let mut said = to.lock().unwrap_or_else(PoisonError::into_inner);
        said.extend_from_slice(&buffer[..n]);
        let surplus = said.len().saturating_sub(SAID);
        said.drain(..surplus);
    }
}
