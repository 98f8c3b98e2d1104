//! One OS thread a member: commands in, replies out, joined on drop.

use super::chain::Scores;
use super::draft::Draft;
use super::load::MemberSpec;
use super::meter::{Metered, Operation, Spent};
use super::prompt_cache::CachedPrompt;
use super::prompt_prefetch::PrefetchedPrompt;
use super::runtime::{Continuations, MemberRuntime, ScoreRequest, Standing};
use super::tokenized::TokenizedPrompt;
use super::view::Lens;
use crate::backend::MemberInfo;
use crate::backend::Watch;
use crate::backend::{BackendError, Member, Token};
use crate::prompt::{Prompt, Start};
use crate::vocab::Alphabet;
use crate::vocab::cover::Budget;
use crate::vocab::sorted::SortedVocab;
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Loads a member on the thread that will own it.
pub type Loader = Box<dyn FnOnce(&Arc<Watch>) -> Result<Box<dyn Member>, BackendError> + Send>;

/// What a worker is told to do. Each is answered by one [`Reply`] or an error.
pub(super) enum Command {
    /// Answer as soon as nothing else is under way.
    Ready,
    Configure(Alphabet, Budget),
    /// Tokenise a prompt: → `Prepared`.
    Prepare(Prompt),
    /// See the alphabet of tokens through a map, or as the own vocabulary.
    Look(Option<Lens>),
    /// Show what was prepared: → `Shown`.
    Show,
    /// Prepare what the reference will read, after a start token of one's own: → `Prepared`.
    PrepareMapped(Arc<TokenizedPrompt>, Start),
    /// Evaluate the prepared prompt: → `Scored`.
    Evaluate(ScoreRequest),
    /// Score texts that may come after the evaluated prompt: → `Continued`.
    Continue(Arc<[String]>, ScoreRequest),
    /// Tokens of texts, for the others to map: → `Spelt`.
    Spell(Arc<[String]>),
    /// As `Continue`, of texts in shared tokens: → `Continued`.
    ContinueMapped(Arc<Vec<Vec<Token>>>, ScoreRequest),
    /// Predict the next symbol into this buffer: → `Predicted`.
    Predict(Vec<f64>),
    /// Evaluate ahead what will probably be said.
    Draft(Draft),
    /// Grow by a symbol, then predict into this buffer: → `Predicted`.
    Advance(u32, Vec<f64>),
    /// The answer is over: → `Committed`.
    Commit,
    Clear,
    /// Record operations from now on, or stop and hand them over: → `Recorded`.
    Record(bool),
    /// Replay recorded operations step by step; at a step in the second list, meet the other members.
    Replay(Arc<Vec<Operation>>, Arc<Vec<bool>>, Arc<Barrier>),
    /// Empty the cache after a replay.
    Empty,
    /// Keep the next prompt that is evaluated.
    CacheNextPrompt,
    /// Hand over what was kept: → `CachedPrompt`.
    TakeCachedPrompt,
    /// Take a kept prompt for the prefix.
    Restore(Box<CachedPrompt>),
    /// What was spent so far: → `Spent`.
    Spent,
}

pub(super) enum Reply {
    Done,
    Prepared {
        tokens: usize,
        new_tokens: usize,
        lost: Vec<u8>,
    },
    Shown(TokenizedPrompt),
    Scored(Scores),
    /// As `Scored`, of a prompt that was read ahead.
    PrefetchedPrompt(Scores),
    Continued(Continuations),
    /// Or the first byte without a token.
    Spelt(Result<Vec<Vec<Token>>, u8>),
    Predicted(Vec<f64>, Standing),
    Committed(usize),
    Recorded(Vec<Operation>),
    CachedPrompt(Option<Box<CachedPrompt>>),
    Spent(Spent),
}

/// The coordinator's end of a member's thread.
pub(super) struct Worker {
    commands: Option<Sender<Command>>,
    replies: Receiver<Result<Reply, BackendError>>,
    loaded: Receiver<Result<MemberInfo, BackendError>>,
    pub watch: Arc<Watch>,
    /// Tokens read of the prompt that is being evaluated.
    read: Arc<AtomicUsize>,
    /// Whether an answer is still to come that nobody waits for any more.
    owes: Cell<bool>,
    thread: Option<JoinHandle<()>>,
}

/// How long an answer is waited for before looking at what was done so far, and whether it is still wanted.
const TICK: Duration = Duration::from_millis(20);

/// How long a thread looks for a message, giving way to others, before it sleeps.
const PATIENCE: Duration = Duration::from_micros(200);

impl Worker {
    /// Starts a thread that loads a member and then serves commands.
    pub fn start(spec: MemberSpec, watch: Arc<Watch>) -> std::io::Result<Self> {
        let MemberSpec {
            name,
            loader,
            prefetch,
        } = spec;
        let (commands, inbox) = bounded(1);
        let (outbox, replies) = bounded(1);
        let (announce, loaded) = bounded(1);
        let watch_of_thread = Arc::clone(&watch);
        let read = Arc::new(AtomicUsize::new(0));
        let read_by_thread = Arc::clone(&read);
        let thread = std::thread::Builder::new()
            .name(format!("member {name}"))
            .spawn(move || {
                let start = std::time::Instant::now();
                match loader(&watch_of_thread) {
                    Ok(member) => {
                        let vocab = Arc::clone(member.vocab());
                        let sorted = Arc::new(SortedVocab::new(&vocab));
                        let info = MemberInfo {
                            name,
                            description: member.description().clone(),
                            limits: member.limits(),
                            vocab,
                            load_time: start.elapsed(),
                        };
                        if announce.send(Ok(info.clone())).is_ok() {
                            let mut runtime =
                                MemberRuntime::new(Metered::new(member), sorted, read_by_thread);
                            let ahead = prefetch.and_then(|foresee| foresee(&info));
                            let foreseen =
                                ahead.and_then(|a| PrefetchedPrompt::read(&mut runtime, a));
                            serve(runtime, foreseen, &inbox, &outbox);
                        }
                    }
                    // Nobody listens if another member failed first.
                    Err(error) => drop(announce.send(Err(error))),
                }
            })?;
        Ok(Self {
            commands: Some(commands),
            replies,
            loaded,
            watch,
            read,
            owes: Cell::new(false),
            thread: Some(thread),
        })
    }

    /// Waits a while for the load. None: not yet.
    pub fn wait_loaded(&self, timeout: Duration) -> Option<Result<MemberInfo, Gone>> {
        match self.loaded.recv_timeout(timeout) {
            Ok(result) => Some(result.map_err(Gone::Failed)),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Err(Gone::Died)),
        }
    }

    pub fn send(&self, command: Command) -> Result<(), Gone> {
        self.settle();
        let commands = self.commands.as_ref().ok_or(Gone::Died)?;
        commands.send(command).map_err(|_| Gone::Died)
    }

    /// Waits for the answer as long as it is `wanted`, which is asked now and then; one that comes later is thrown
    /// away.
    ///
    /// # Errors
    /// [`Gone::Left`] if it is not wanted any more.
    pub fn receive_while(&self, wanted: &mut dyn FnMut() -> bool) -> Result<Reply, Gone> {
        if let Some(reply) = soon(&self.replies) {
            return reply.map_err(Gone::Failed);
        }
        loop {
            match self.replies.recv_timeout(TICK) {
                Ok(reply) => return reply.map_err(Gone::Failed),
                Err(RecvTimeoutError::Timeout) if wanted() => {}
                Err(RecvTimeoutError::Timeout) => {
                    self.owes.set(true);
                    return Err(Gone::Left);
                }
                Err(RecvTimeoutError::Disconnected) => return Err(Gone::Died),
            }
        }
    }

    /// Waits for an answer that nobody else does.
    pub fn settle(&self) {
        if self.owes.take() {
            drop(self.replies.recv());
        }
    }

    /// Tokens read so far of the prompt that is being evaluated, or was last.
    pub fn tokens_read(&self) -> usize {
        self.read.load(Ordering::Relaxed)
    }
}

/// Why a worker did not answer.
#[derive(Debug)]
pub(super) enum Gone {
    /// It answered with an error.
    Failed(BackendError),
    /// Its answer was not waited for.
    Left,
    /// Its thread ended: a bug.
    Died,
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Without a sender the thread's loop ends.
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// What comes within [`PATIENCE`]. Most bytes need no evaluation and are answered in some ten
/// microseconds, and to be put to sleep and woken up for each takes longer than that.
fn soon<T>(channel: &Receiver<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        match channel.try_recv() {
            Ok(message) => return Some(message),
            Err(TryRecvError::Empty) if start.elapsed() < PATIENCE => std::thread::yield_now(),
            Err(_) => return None,
        }
    }
}

fn serve(
    mut runtime: MemberRuntime,
    mut foreseen: Option<PrefetchedPrompt>,
    inbox: &Receiver<Command>,
    outbox: &Sender<Result<Reply, BackendError>>,
) {
    while let Some(command) = soon(inbox).or_else(|| inbox.recv().ok()) {
        runtime.member.mark_step();
        let known = foreseen.as_mut().and_then(|f| f.answer(&command));
        let reply = match (known, foreseen.take()) {
            (Some(reply), known) => {
                foreseen = known.filter(|_| !matches!(reply, Reply::PrefetchedPrompt(_)));
                Ok(reply)
            }
            (None, Some(wrong)) => wrong
                .forget(&mut runtime)
                .and_then(|()| obey(&mut runtime, command)),
            (None, None) => obey(&mut runtime, command),
        };
        if outbox.send(reply).is_err() {
            return;
        }
    }
}

pub(super) fn prepared(reading: &TokenizedPrompt) -> Reply {
    Reply::Prepared {
        tokens: reading.total,
        new_tokens: reading.tokens().count(),
        lost: reading.lost.clone(),
    }
}

fn obey(runtime: &mut MemberRuntime, command: Command) -> Result<Reply, BackendError> {
    Ok(match command {
        Command::Ready => Reply::Done,
        Command::Configure(alphabet, budget) => {
            runtime.configure(alphabet, budget)?;
            Reply::Done
        }
        Command::Prepare(prompt) => prepared(runtime.prepare(&prompt)?),
        Command::Look(through) => {
            runtime.look(through)?;
            Reply::Done
        }
        Command::Show => Reply::Shown(runtime.prepared().cloned().unwrap_or_default()),
        Command::PrepareMapped(reading, start) => prepared(runtime.prepare_mapped(&reading, start)),
        Command::Evaluate(request) => Reply::Scored(runtime.evaluate(request)?),
        Command::Continue(texts, request) => {
            Reply::Continued(runtime.continuations(&texts, request)?)
        }
        Command::Spell(texts) => Reply::Spelt(runtime.spell(&texts)?),
        Command::ContinueMapped(texts, request) => {
            Reply::Continued(runtime.continue_mapped(&texts, request)?)
        }
        Command::Predict(mut row) => {
            runtime.predict(&mut row)?;
            Reply::Predicted(row, runtime.standing())
        }
        Command::Draft(draft) => {
            runtime.prefetch(&draft)?;
            Reply::Done
        }
        Command::Advance(symbol, mut row) => {
            runtime.advance(symbol)?;
            runtime.predict(&mut row)?;
            Reply::Predicted(row, runtime.standing())
        }
        Command::Commit => Reply::Committed(runtime.commit()?),
        Command::Clear => {
            runtime.clear()?;
            Reply::Done
        }
        Command::Record(on) => {
            let recorded = runtime.member.record.take().unwrap_or_default();
            runtime.member.record = on.then(Vec::new);
            Reply::Recorded(recorded)
        }
        Command::Replay(operations, meetings, barrier) => {
            replay(runtime, &operations, &meetings, &barrier)?;
            Reply::Done
        }
        Command::Empty => {
            for seq in 0..runtime.member.limits().sequences {
                runtime.member.seq_truncate(seq, 0)?;
            }
            Reply::Done
        }
        Command::CacheNextPrompt => {
            runtime.cache_next_prompt();
            Reply::Done
        }
        Command::TakeCachedPrompt => {
            Reply::CachedPrompt(runtime.take_cached_prompt()?.map(Box::new))
        }
        Command::Restore(kept) => {
            runtime.restore(*kept)?;
            Reply::Done
        }
        Command::Spent => Reply::Spent(runtime.member.spent),
    })
}

/// Replays step by step. A failure still meets the others, or they would wait for ever.
fn replay(
    runtime: &mut MemberRuntime,
    operations: &[Operation],
    meetings: &[bool],
    barrier: &Barrier,
) -> Result<(), BackendError> {
    let mut result = Ok(());
    let mut rest = operations;
    for &meet in meetings {
        if result.is_ok() {
            match runtime.member.replay(rest) {
                Ok(done) => rest = rest.get(done + 1..).unwrap_or_default(),
                Err(error) => result = Err(error),
            }
        }
        if meet {
            barrier.wait();
        }
    }
    result
}
