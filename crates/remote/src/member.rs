//! A member whose model is in another process.

use super::link::{Broken, Link, Process};
use super::wire::{self, Ask, Reply};
use packllm_engine::backend::{
    BackendError, BatchToken, Description, Ledger, Limits, Member, PREFIX, SeqId, Token, Vocab,
    Watch,
};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// How a member's process is started, and what it is told.
pub struct Setup {
    /// Starts the process.
    pub start: Box<dyn Fn() -> io::Result<Process> + Send>,
    /// What its loader is told.
    pub load: Vec<u8>,
    /// The program's version: that of the process has to be the same.
    pub version: String,
    /// Where the member is, for people: the hosts.
    pub place: String,
}

/// Stands in a sequence for a token that came with a restored state.
const RESTORED: Token = Token::MAX;

/// A member in a process of its own.
///
/// If that ends, or a connection of it, what was under way fails with [`BackendError::Lost`]. The
/// next request starts another process and lets it read again what the sequences hold.
pub struct RemoteMember {
    setup: Setup,
    watch: Arc<Watch>,
    /// None: lost.
    link: Option<Link>,
    vocab: Arc<Vocab>,
    description: Description,
    ledger: Ledger,
    /// The tokens of every sequence.
    held: Vec<Vec<Token>>,
    /// The state that was restored last, and its tokens.
    restored: (Vec<u8>, u32),
    /// Rows of the last batch, one after the other, and which entry's row is where.
    rows: Vec<f32>,
    row_of: Vec<Option<usize>>,
}

impl RemoteMember {
    /// Starts the process, and waits until it has loaded.
    ///
    /// # Errors
    /// What the loader in the process says; [`BackendError::Lost`], [`BackendError::Cancelled`].
    pub fn load(setup: Setup, watch: &Arc<Watch>) -> Result<Self, BackendError> {
        let (link, facts, vocab) = start(&setup, watch)?;
        let limits = facts.limits();
        Ok(Self {
            setup,
            watch: Arc::clone(watch),
            link: Some(link),
            ledger: Ledger::new(limits, vocab.len()),
            held: vec![Vec::new(); limits.sequences as usize],
            vocab: Arc::new(vocab),
            description: facts.description(),
            restored: (Vec::new(), 0),
            rows: Vec::new(),
            row_of: Vec::new(),
        })
    }

    /// Asks the process, which is started again if it was lost, then or while nothing was asked.
    fn ask(&mut self, ask: &Ask, body: &[u8]) -> Result<(Reply, Vec<u8>), BackendError> {
        if self.link.as_ref().is_none_or(Link::is_over) {
            self.link = None;
            self.start_again()?;
        }
        self.exchange(ask, body)
    }

    fn exchange(&mut self, ask: &Ask, body: &[u8]) -> Result<(Reply, Vec<u8>), BackendError> {
        let Some(link) = &mut self.link else {
            return Err(lost(&self.setup, "its process is gone"));
        };
        match link.ask(ask, body, &self.watch) {
            Ok((Reply::Failed(failure), _)) => Err(failure.into()),
            Ok(reply) => Ok(reply),
            Err(broken) => {
                self.link = None;
                Err(of(&self.setup, broken))
            }
        }
    }

    /// Says something that has no reply. What is lost is noticed at the next question; until then
    /// what the sequences hold is known here.
    fn tell(&mut self, ask: &Ask) {
        if let Some(link) = &mut self.link
            && link.tell(ask, &[]).is_err()
        {
            self.link = None;
        }
    }

    /// Another process, that reads what the last one had read.
    fn start_again(&mut self) -> Result<(), BackendError> {
        let (link, facts, vocab) = start(&self.setup, &self.watch)?;
        if vocab != *self.vocab || facts.limits() != self.ledger.limits() {
            return Err(lost(&self.setup, "its file is another one now"));
        }
        self.link = Some(link);
        let again = self.read_again();
        if again.is_err() {
            self.link = None;
        }
        again
    }

    /// Sequences that begin alike share what they have in common, as before: there may be no room
    /// for it twice. The prefix is last, as others may begin with more of a restored state.
    fn read_again(&mut self) -> Result<(), BackendError> {
        let held = self.held.clone();
        let mut read: Vec<Vec<Token>> = vec![Vec::new(); held.len()];
        if held.iter().any(|tokens| tokens.first() == Some(&RESTORED)) {
            let (state, len) = std::mem::take(&mut self.restored);
            let restored = self.exchange(&Ask::Restore { len }, &state);
            self.restored = (state, len);
            restored?;
            read[PREFIX as usize] = vec![RESTORED; len as usize];
        }
        for to in (0..held.len()).rev().filter(|&to| !held[to].is_empty()) {
            let wanted = &held[to];
            let most = (0..read.len()).max_by_key(|&from| common(&read[from], wanted));
            let from = most.unwrap_or(to);
            let len = common(&read[from], wanted);
            let own = common(&read[to], wanted);
            if own < len {
                self.cut(to, 0);
                self.tell(&Ask::Copy {
                    from: from as u32,
                    to: to as u32,
                    len: len as u32,
                });
            } else {
                self.cut(to, own);
            }
            self.evaluate(to, &wanted[len..], len)?;
            read[to].clone_from(wanted);
        }
        if held[PREFIX as usize].is_empty() {
            self.cut(PREFIX as usize, 0);
        }
        Ok(())
    }

    fn cut(&mut self, seq: usize, len: usize) {
        let (seq, len) = (seq as u32, len as u32);
        self.tell(&Ask::Truncate { seq, len });
    }

    /// Lets the process evaluate these tokens at the end of a sequence, without rows.
    fn evaluate(&mut self, seq: usize, tokens: &[Token], from: usize) -> Result<(), BackendError> {
        let batch = self.ledger.limits().batch.max(1) as usize;
        let entries = tokens
            .iter()
            .zip(from as u32..)
            .map(|(&token, pos)| BatchToken {
                token,
                pos,
                seq: seq as u32,
                output: false,
            });
        let entries: Vec<BatchToken> = entries.collect();
        let complete = self.complete();
        for batch in entries.chunks(batch) {
            self.exchange(&Ask::Decode { complete }, &wire::pack_batch(batch))?;
        }
        Ok(())
    }

    fn complete(&self) -> bool {
        self.watch.complete.load(Ordering::Relaxed)
    }

    fn unexpected<T>(&mut self) -> Result<T, BackendError> {
        self.link = None;
        Err(lost(&self.setup, "its process answers with something else"))
    }
}

/// A process that has loaded.
fn start(setup: &Setup, watch: &Watch) -> Result<(Link, Box<wire::Facts>, Vocab), BackendError> {
    let broken = |broken| of(setup, broken);
    let process = (setup.start)().map_err(|error| lost(setup, &error.to_string()))?;
    let mut link = Link::open(process, &setup.version, watch).map_err(broken)?;
    match link.ask(&Ask::Load, &setup.load, watch).map_err(broken)? {
        (Reply::Loaded(facts), body) => {
            let vocab = wire::unpack_vocab(&body, facts.special());
            let vocab = vocab.map_err(|error| lost(setup, &error.to_string()))?;
            Ok((link, facts, vocab))
        }
        (Reply::Failed(failure), _) => Err(failure.into()),
        _ => Err(lost(setup, "its process answers with something else")),
    }
}

fn of(setup: &Setup, broken: Broken) -> BackendError {
    match broken {
        Broken::Cancelled => BackendError::Cancelled,
        Broken::Lost(reason) => lost(setup, &reason),
    }
}

fn lost(setup: &Setup, reason: &str) -> BackendError {
    BackendError::Lost {
        place: setup.place.clone(),
        reason: reason.to_owned(),
    }
}

/// How many tokens two sequences have in common at their beginning.
fn common(a: &[Token], b: &[Token]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

impl Member for RemoteMember {
    fn vocab(&self) -> &Arc<Vocab> {
        &self.vocab
    }

    fn limits(&self) -> Limits {
        self.ledger.limits()
    }

    fn description(&self) -> &Description {
        &self.description
    }

    fn tokenize(&mut self, text: &str, markup: bool) -> Result<Vec<Token>, BackendError> {
        match self.ask(&Ask::Tokenize { markup }, text.as_bytes())? {
            (Reply::Tokens, body) => Ok(wire::unpack(&body).collect()),
            _ => self.unexpected(),
        }
    }

    fn decode(&mut self, batch: &[BatchToken]) -> Result<(), BackendError> {
        self.ledger.check(batch)?;
        self.ledger.invalidate_rows();
        let complete = self.complete();
        let (reply, body) = self.ask(&Ask::Decode { complete }, &wire::pack_batch(batch))?;
        let outputs = batch.iter().filter(|entry| entry.output).count();
        let row = self.vocab.len();
        if !matches!(reply, Reply::Rows) || body.len() != outputs * row * size_of::<f32>() {
            return self.unexpected();
        }
        wire::unpack_rows(&body, &mut self.rows);
        let mut rows = 0..;
        self.row_of.clear();
        let row_of = batch.iter().map(|entry| match entry.output {
            true => rows.next(),
            false => None,
        });
        self.row_of.extend(row_of);
        for entry in batch {
            self.held[entry.seq as usize].push(entry.token);
        }
        self.ledger.commit(batch);
        Ok(())
    }

    fn logits(&self, index: usize) -> Result<&[f32], BackendError> {
        self.ledger.check_row(index)?;
        let row = self.row_of.get(index).copied().flatten();
        let from = row.map(|row| row * self.vocab.len());
        let row = from.and_then(|from| self.rows.get(from..from + self.vocab.len()));
        row.ok_or_else(|| BackendError::Refused(format!("there is no row {index}")))
    }

    fn seq_copy(&mut self, from: SeqId, to: SeqId, len: u32) -> Result<(), BackendError> {
        self.ledger.copy(from, to, len)?;
        self.held[to as usize] = self.held[from as usize][..len as usize].to_vec();
        self.tell(&Ask::Copy { from, to, len });
        Ok(())
    }

    fn seq_truncate(&mut self, seq: SeqId, len: u32) -> Result<(), BackendError> {
        self.ledger.truncate(seq, len)?;
        self.held[seq as usize].truncate(len as usize);
        self.tell(&Ask::Truncate { seq, len });
        Ok(())
    }

    fn seq_len(&self, seq: SeqId) -> u32 {
        self.ledger.len(seq)
    }

    fn save(&mut self) -> Result<Vec<u8>, BackendError> {
        self.ledger.only_prefix()?;
        match self.ask(&Ask::Save, &[])? {
            (Reply::State, body) => Ok(body),
            _ => self.unexpected(),
        }
    }

    fn restore(&mut self, state: &[u8], len: u32) -> Result<(), BackendError> {
        self.ledger.check_restore(len)?;
        let (reply, _) = self.ask(&Ask::Restore { len }, state)?;
        if !matches!(reply, Reply::Done) {
            return self.unexpected();
        }
        self.restored = (state.to_vec(), len);
        self.held[PREFIX as usize] = vec![RESTORED; len as usize];
        self.ledger.restored(len);
        Ok(())
    }
}
