//! A member at work: its prefix, its cover and its evidence. Lives on the member's own thread.

use super::branches::Branches;
use super::chain::{Chain, Scores};
use super::fusion::sequences;
use super::prompt_cache::CachedPrompt;
use super::prompt_prefetch::PrefetchedPrompt;
use super::schedule::{Lease, Presence, TenantId};
use super::score_request::ScoreRequest;
use super::tokenized::{Prefix, PreparedPrompt, TokenizedPrompt, read};
use super::view::{Lens, View};
use crate::backend::{BackendError, BatchToken, PREFIX, SeqId, Token, TokenKind};
use crate::prompt::{Prompt, Start};
use crate::vocab::cover::{Budget, Cover};
use crate::vocab::sorted::SortedVocab;
use crate::vocab::{Alphabet, SYMBOLS};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

mod ahead;
mod common;
mod continuations;
mod evaluation;
mod plan;
mod prompt_prefetch;

pub(super) use common::Beginnings;
pub(super) use continuations::Continuations;
pub(super) use evaluation::Evaluation;

/// How far a member has come after a symbol.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Standing {
    /// Tokens of its own that spell what was said since the answer began.
    pub tokens: u32,
    /// Whether they spell it exactly, or the last is only begun.
    pub whole: bool,
    /// Mean share of its predictions that came from the fallback model.
    pub skipped_mass: f64,
}

/// One symbol of an answer. It is sent with a buffer, and comes back with the prediction of the
/// next symbol in it.
#[derive(Debug)]
pub(super) struct Step {
    /// What the answer grows by; None to predict alone.
    pub symbol: Option<u32>,
    /// ln p of every next symbol.
    pub row: Vec<f64>,
    /// How far the member has come.
    pub standing: Standing,
}

pub(super) struct MemberRuntime {
    pub member: Lease,
    pub sorted: Arc<SortedVocab>,
    alphabet: Alphabet,
    view: View,
    budget: Budget,
    branches: Branches,
    cover: Cover<SeqId>,
    prefix: Prefix,
    /// Scores up to the marks of a restored prefix.
    recalled: Scores,
    /// Whether to cache the next prompt, the prefix's state at its last mark, and the cached
    /// prompt.
    caches_next: bool,
    state: Option<Result<Vec<u8>, BackendError>>,
    cached: Option<Result<CachedPrompt, BackendError>>,
    reading: Option<TokenizedPrompt>,
    /// What others have read, and the prepared prompt whose beginning is shared with one of them,
    /// with what was scored of it.
    beginnings: Beginnings,
    shared: Option<(Prompt, ScoreRequest)>,
    /// The prompt that was prefetched.
    prefetched: Option<PrefetchedPrompt>,
    /// Tokens of the prompt read so far, for the thread that waits.
    read: Arc<AtomicUsize>,
    /// What predicts the next token, where that is asked for later than it is evaluated: after a
    /// prompt, and along a draft.
    row: Vec<f32>,
    /// Alphabet of tokens: tokens said.
    said: u32,
    /// Alphabet of tokens: what the prefix's sequence holds beyond the prefix, and the row after
    /// each.
    ahead: VecDeque<(Token, Vec<f32>)>,
    batch: Vec<BatchToken>,
}

impl MemberRuntime {
    pub fn new(
        mut member: Lease,
        sorted: Arc<SortedVocab>,
        beginnings: Beginnings,
        read: Arc<AtomicUsize>,
    ) -> Self {
        let budget = Budget::default();
        member.resize(sequences(Alphabet::Bytes, budget));
        Self {
            branches: Branches::new(member.limits().sequences),
            cover: Cover::new(Arc::clone(&sorted), budget),
            view: View::new(None, member.vocab(), &sorted),
            member,
            sorted,
            alphabet: Alphabet::Bytes,
            budget,
            prefix: Prefix::default(),
            recalled: Scores::default(),
            caches_next: false,
            state: None,
            cached: None,
            reading: None,
            beginnings,
            shared: None,
            prefetched: None,
            read,
            row: Vec::new(),
            said: 0,
            ahead: VecDeque::new(),
            batch: Vec::new(),
        }
    }

    /// The first conversation takes over what was read before there was any.
    pub fn move_in(
        &mut self,
        id: TenantId,
        presence: Arc<Presence>,
        cancel: Arc<AtomicBool>,
        read: Arc<AtomicUsize>,
    ) {
        self.member.move_in(id, presence, cancel);
        self.read = read;
    }

    /// Sets the alphabet, how much of a cover is evaluated, and in how many sequences.
    pub fn configure(
        &mut self,
        alphabet: Alphabet,
        budget: Budget,
        sequences: u32,
    ) -> Result<(), BackendError> {
        let prefetched = self.prefetched.as_mut();
        if prefetched.is_some_and(|p| p.configure(alphabet, budget)) {
            return Ok(());
        }
        self.forget_prefetched()?;
        self.branches
            .drop_cover(&mut self.cover, &mut self.member)?;
        self.cover = Cover::new(Arc::clone(&self.sorted), budget);
        self.member.resize(sequences);
        self.branches = Branches::new(self.member.limits().sequences);
        (self.alphabet, self.budget) = (alphabet, budget);
        self.forget_marks();
        Ok(())
    }

    /// Sees the alphabet of tokens through a map, or as its own vocabulary, and forgets everything.
    pub fn look(&mut self, through: Option<Lens>) -> Result<(), BackendError> {
        self.view = View::new(through, self.member.vocab(), &self.sorted);
        self.clear()
    }

    /// Prepares what the reference will read, in this member's tokens.
    pub fn prepare_mapped(
        &mut self,
        reading: &TokenizedPrompt,
        start: Start,
    ) -> Result<PreparedPrompt, BackendError> {
        self.forget_prefetched()?;
        let start = start.token(self.member.vocab());
        let reading = self.view.translate(reading, start);
        Ok(self.reading.insert(reading).summary())
    }

    /// What was prepared.
    pub fn prepared(&self) -> Option<&TokenizedPrompt> {
        self.reading.as_ref()
    }

    /// Tokenises a prompt without evaluating anything.
    pub fn prepare(&mut self, prompt: &Prompt) -> Result<PreparedPrompt, BackendError> {
        let prefetched = self.prefetched.as_mut();
        if let Some(prepared) = prefetched.and_then(|p| p.prepare(prompt)) {
            return Ok(prepared);
        }
        self.forget_prefetched()?;
        self.shared = None;
        let mut reading = read(&mut self.member, &self.sorted, prompt, &self.prefix)?;
        if let Some(shared) = self.share_beginning(prompt, reading.keep)? {
            reading = shared;
        }
        Ok(self.reading.insert(reading).summary())
    }

    /// Forgets everything read, said and learnt.
    pub fn clear(&mut self) -> Result<(), BackendError> {
        self.forget_prefetched()?;
        self.unlearn();
        self.branches
            .drop_cover(&mut self.cover, &mut self.member)?;
        self.cut_prefix(0)
    }

    /// Forgets what the fallback model has learnt.
    pub fn unlearn(&mut self) {
        self.cover.unlearn();
    }

    fn cut_prefix(&mut self, len: usize) -> Result<(), BackendError> {
        self.ahead.clear();
        self.retract(len);
        self.member.seq_truncate(PREFIX, len as u32)?;
        self.prefix.tokens.truncate(len);
        self.forget_marks();
        Ok(())
    }

    /// What was scored of a restored prefix counts for the first prompt alone.
    fn forget_marks(&mut self) {
        self.prefix.marks.clear();
        self.recalled = Scores::default();
    }

    /// Caches the next prompt that is read.
    pub fn cache_next_prompt(&mut self) -> Result<(), BackendError> {
        self.forget_prefetched()?;
        (self.caches_next, self.cached) = (true, None);
        Ok(())
    }

    /// The cached prompt, or why it could not be saved.
    pub fn take_cached_prompt(&mut self) -> Result<Option<CachedPrompt>, BackendError> {
        self.cached.take().transpose()
    }

    /// Puts a cached prompt in place of the prefix.
    pub fn restore(&mut self, cached: CachedPrompt) -> Result<(), BackendError> {
        self.clear()?;
        cached.check(self.member.vocab().len())?;
        self.member.restore(&cached.state, &cached.tokens)?;
        self.prefix.tokens = cached.tokens;
        self.prefix.marks = cached.marks;
        self.recalled = cached.scores;
        Ok(())
    }

    /// A chain that has no text yet.
    fn chain(&self, request: ScoreRequest) -> Chain {
        Chain::new(
            self.alphabet,
            self.view.clone(),
            Arc::clone(self.member.vocab()),
            Arc::clone(&self.sorted),
            self.budget,
            request.rows,
        )
    }

    /// What a token of text ends with.
    fn last_byte(&self, token: Token) -> Option<u8> {
        let vocab = self.member.vocab();
        let text = vocab.kind(token) == TokenKind::Text;
        vocab.piece(token).last().copied().filter(|_| text)
    }

    /// Grows by the step's symbol, if it has one, then predicts into its buffer.
    pub async fn step(&mut self, mut step: Step) -> Result<Step, BackendError> {
        if let Some(symbol) = step.symbol {
            self.advance(symbol).await?;
        }
        self.predict(&mut step.row)?;
        step.standing = self.standing();
        Ok(step)
    }

    /// ln p of every next symbol, into `row`.
    fn predict(&mut self, row: &mut Vec<f64>) -> Result<(), BackendError> {
        match self.alphabet {
            Alphabet::Bytes => {
                row.clear();
                row.reserve(SYMBOLS);
                row.extend(self.cover.predicted().iter().map(|p| p.ln()));
                Ok(())
            }
            Alphabet::Tokens | Alphabet::Mapped => self.view.ln_p(&self.row, row),
        }
    }

    /// The answer grows by `symbol`.
    async fn advance(&mut self, symbol: u32) -> Result<(), BackendError> {
        match self.alphabet {
            Alphabet::Bytes => {
                let byte = u8::try_from(symbol)
                    .map_err(|_| BackendError::Refused(format!("symbol {symbol} is no byte")))?;
                let Self {
                    branches,
                    cover,
                    member,
                    ..
                } = self;
                branches.advance(cover, member, byte).await
            }
            Alphabet::Tokens | Alphabet::Mapped => {
                let token = self.view.token(symbol).ok_or_else(|| {
                    BackendError::Refused(format!("nothing stands for the shared token {symbol}"))
                })?;
                self.advance_token(token).await
            }
        }
    }

    fn standing(&self) -> Standing {
        match self.alphabet {
            Alphabet::Tokens | Alphabet::Mapped => Standing {
                tokens: self.said,
                whole: true,
                skipped_mass: 0.0,
            },
            Alphabet::Bytes => {
                let (tokens, whole) = self.cover.spelling();
                Standing {
                    tokens,
                    whole,
                    skipped_mass: self.cover.skipped_mass(),
                }
            }
        }
    }

    /// The answer is over and is not kept.
    pub fn give_up(&mut self) -> Result<(), BackendError> {
        self.forget_ahead()?;
        self.branches.drop_cover(&mut self.cover, &mut self.member)
    }

    /// The answer is over: what was said joins the prefix. Returns how many tokens spell the
    /// answer.
    ///
    /// If this needs an evaluation for which there is no room or no time, the prefix stays at the
    /// prompt, and the next one evaluates the answer again.
    pub async fn commit(&mut self) -> Result<usize, BackendError> {
        if self.alphabet.is_tokens() {
            self.forget_ahead()?;
            return Ok(self.said as usize);
        }
        let said = self.standing().tokens as usize;
        let (given, mut end) = (self.cover.given(), self.cover.text().len());
        let committed = self.branches.commit(&mut self.cover, &mut self.member);
        match committed.await {
            Ok(tokens) => {
                self.prefix.tokens.extend(&tokens);
                // Raw text: its tail is in the cover, but no part of the answer.
                let beyond = tokens.iter().rev().take_while(|&&t| {
                    let counts = end > given;
                    end = end.saturating_sub(self.sorted.piece_len(t));
                    counts
                });
                Ok(beyond.count())
            }
            Err(BackendError::ContextFull { .. } | BackendError::Cancelled) => {
                self.branches
                    .drop_cover(&mut self.cover, &mut self.member)?;
                Ok(said)
            }
            Err(error) => Err(error),
        }
    }
}
