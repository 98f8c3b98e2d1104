//! A member at work: its trunk, its cover and its evidence. Lives on the member's own thread.

use super::branches::Branches;
use super::chain::{Chain, Scores, push_scored};
use super::draft::Draft;
use super::kept::Kept;
use super::meter::Metered;
use super::prompt::{Ending, Mark, Place, Prompt, Reading, Start, Trunk, read};
use super::view::{Lens, View};
use crate::backend::{BackendError, Entry, Member, TRUNK, Token, TokenKind};
use crate::vocab::cover::{Budget, Cover};
use crate::vocab::sorted::SortedVocab;
use crate::vocab::{Alphabet, SYMBOLS};
use crate::weight::Method;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

mod ahead;
mod continuations;

pub(super) use continuations::Continuations;

/// What is wanted from the evaluation of a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    /// Score the evidence.
    pub scores: bool,
    /// Keep whole distributions along it.
    pub rows: bool,
    /// Plain text only, by bytes: read all of it with the full cover, not by the chain.
    pub full: bool,
}

impl Wish {
    /// Nothing but the evaluation.
    pub const NOTHING: Wish = Wish {
        scores: false,
        rows: false,
        full: false,
    };

    /// What a weighting method needs in a pack of so many members.
    #[must_use]
    pub fn of(method: &Method, members: usize) -> Self {
        let (scores, rows) = match method {
            Method::Uniform | Method::Given(_) => (false, false),
            _ if members == 1 => (false, false),
            Method::Top1 | Method::Sim => (true, false),
            Method::Opt | Method::Exact | Method::Adaptive => (true, true),
        };
        Wish {
            scores,
            rows,
            full: false,
        }
    }

    /// How a text ends that is only measured: the whole cover needs room for forks beside it.
    #[must_use]
    pub fn ending(self) -> Ending {
        if self.full {
            Ending::Continue
        } else {
            Ending::Closed
        }
    }
}

/// Where a member stands after a symbol.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Standing {
    /// Tokens of its own that spell what was said since the answer began.
    pub tokens: u32,
    /// Whether they spell it exactly, or the last is only begun.
    pub whole: bool,
    /// Mean share of its predictions that came from the prior.
    pub skipped_mass: f64,
}

/// Most tokens of raw text that the cover reads itself instead of the chain.
const MAX_TAIL: usize = 8;

pub(super) struct Seat {
    pub member: Metered,
    pub sorted: Arc<SortedVocab>,
    alphabet: Alphabet,
    view: View,
    budget: Budget,
    branches: Branches,
    cover: Cover,
    trunk: Trunk,
    /// Scores up to the marks of a restored trunk.
    recalled: Scores,
    /// Whether the next prompt is to be kept, the trunk's state at its last mark, and what was kept.
    keeps: bool,
    state: Option<Vec<u8>>,
    kept: Option<Kept>,
    reading: Option<Reading>,
    /// Tokens of the prompt read so far, for whoever waits.
    read: Arc<AtomicUsize>,
    /// Alphabet of tokens: which row of the last batch predicts the next token, and tokens said.
    row: usize,
    said: u32,
    /// Alphabet of tokens: what the trunk's sequence holds beyond the trunk, the first of them predicted
    /// by `row` and each next by the row after.
    ahead: VecDeque<Token>,
    batch: Vec<Entry>,
}

impl Seat {
    pub fn new(member: Metered, sorted: Arc<SortedVocab>, read: Arc<AtomicUsize>) -> Self {
        let budget = Budget::default();
        Self {
            branches: Branches::new(member.limits().sequences),
            cover: Cover::new(Arc::clone(&sorted), budget),
            view: View::new(None, member.vocab(), &sorted),
            member,
            sorted,
            alphabet: Alphabet::Bytes,
            budget,
            trunk: Trunk::default(),
            recalled: Scores::default(),
            keeps: false,
            state: None,
            kept: None,
            reading: None,
            read,
            row: 0,
            said: 0,
            ahead: VecDeque::new(),
            batch: Vec::new(),
        }
    }

    /// Sets the alphabet and how much of a cover is evaluated.
    pub fn configure(&mut self, alphabet: Alphabet, budget: Budget) -> Result<(), BackendError> {
        self.branches
            .drop_cover(&mut self.cover, &mut self.member)?;
        self.cover = Cover::new(Arc::clone(&self.sorted), budget);
        (self.alphabet, self.budget) = (alphabet, budget);
        self.forget_marks();
        Ok(())
    }

    /// Is as it was at first: nothing read, by bytes, with the default budget.
    pub fn begin_again(&mut self) -> Result<(), BackendError> {
        self.clear()?;
        self.configure(Alphabet::Bytes, Budget::default())
    }

    /// Sees the alphabet of tokens through a map, or as its own vocabulary, and forgets everything.
    pub fn look(&mut self, through: Option<Lens>) -> Result<(), BackendError> {
        self.view = View::new(through, self.member.vocab(), &self.sorted);
        self.clear()
    }

    /// Prepares what the reference will read, in this member's tokens.
    pub fn prepare_mapped(&mut self, reading: &Reading, start: Start) -> &Reading {
        let start = start.token(self.member.vocab());
        let reading = self.view.translate(reading, start);
        self.reading.insert(reading)
    }

    /// What was prepared.
    pub fn prepared(&self) -> Option<&Reading> {
        self.reading.as_ref()
    }

    /// Tokenises a prompt without evaluating anything.
    pub fn prepare(&mut self, prompt: &Prompt) -> Result<&Reading, BackendError> {
        let reading = read(&mut self.member, &self.sorted, prompt, &self.trunk)?;
        Ok(self.reading.insert(reading))
    }

    /// Forgets everything read and said.
    pub fn clear(&mut self) -> Result<(), BackendError> {
        self.branches
            .drop_cover(&mut self.cover, &mut self.member)?;
        self.cut_trunk(0)
    }

    fn cut_trunk(&mut self, len: usize) -> Result<(), BackendError> {
        self.ahead.clear();
        self.member.seq_truncate(TRUNK, len as u32)?;
        self.trunk.tokens.truncate(len);
        self.forget_marks();
        Ok(())
    }

    /// What was scored of a restored trunk counts for the first prompt alone.
    fn forget_marks(&mut self) {
        self.trunk.marks.clear();
        self.recalled = Scores::default();
    }

    /// Keeps the next prompt that is read.
    pub fn keep_next(&mut self) {
        (self.keeps, self.kept) = (true, None);
    }

    /// The prompt that was kept.
    pub fn take_kept(&mut self) -> Option<Kept> {
        self.kept.take()
    }

    /// Takes a kept prompt for the trunk, in place of what was read and said.
    pub fn restore(&mut self, kept: Kept) -> Result<(), BackendError> {
        self.clear()?;
        let len = kept.tokens.len();
        kept.check(self.member.vocab().len())?;
        self.member.restore(&kept.state, len as u32)?;
        self.trunk.tokens = kept.tokens;
        self.trunk.marks = kept.marks;
        self.recalled = kept.scores;
        Ok(())
    }

    /// Evaluates the prepared prompt. Afterwards the next symbol is predicted, unless the prompt is
    /// closed.
    pub fn evaluate(&mut self, wish: Wish) -> Result<Scores, BackendError> {
        let reading = self
            .reading
            .take()
            .ok_or_else(|| BackendError::Refused("no prompt was prepared".into()))?;
        self.branches
            .drop_cover(&mut self.cover, &mut self.member)?;
        let mut marks = self.trunk.marks.split_off(0);
        marks.truncate(reading.marks);
        let known = marks
            .last()
            .map_or((0, 0), |mark| (mark.symbols, mark.tokens));
        let recalled = self.recalled.begun(known.0, known.1);
        self.cut_trunk(reading.keep)?;
        self.read.store(0, Ordering::Relaxed);
        let plan = Plan::new(&reading, &self.view, &self.sorted, self.alphabet, wish);
        let mut chain = self.chain(wish);
        if self.keeps && plan.marks() == 0 {
            self.state = Some(self.member.save()?);
        }
        for mark in self.run(&plan, &mut chain)? {
            marks.push(Mark {
                symbols: known.0 + mark.symbols,
                tokens: known.1 + mark.tokens,
                ..mark
            });
        }
        let mut scores = if known.0 > 0 {
            recalled.joined(chain.scores)
        } else {
            chain.scores
        };
        if std::mem::take(&mut self.keeps) {
            self.keep(marks, &scores, plan.marks() > 0);
        }
        if reading.ending != Ending::Closed || wish.full {
            self.open(&plan, &mut scores, wish)?;
        }
        self.said = 0;
        Ok(scores)
    }

    /// Keeps the prompt up to its last mark; `grown`: that is more than was restored.
    fn keep(&mut self, marks: Vec<Mark>, scores: &Scores, grown: bool) {
        let state = self.state.take();
        self.kept = marks.last().copied().zip(state).map(|(last, state)| Kept {
            tokens: self.trunk.tokens[..last.len].to_vec(),
            scores: scores.begun(last.symbols, last.tokens),
            marks,
            state,
            grown,
        });
    }

    /// A chain that has not begun.
    fn chain(&self, wish: Wish) -> Chain {
        Chain::new(
            self.alphabet,
            self.view.clone(),
            Arc::clone(self.member.vocab()),
            Arc::clone(&self.sorted),
            self.budget,
            wish.rows,
        )
    }

    /// Evaluates the plan's tokens in batches of a fixed division, feeding the chain row by row. Returns
    /// where scored segments end that others follow; with each of them ends a batch.
    fn run(&mut self, plan: &Plan, chain: &mut Chain) -> Result<Vec<Mark>, BackendError> {
        let limits = self.member.limits();
        let mut marks = Vec::new();
        let mut next = 0;
        while next < plan.upto {
            let first = next;
            let mut outputs = 0;
            self.batch.clear();
            while next < plan.upto
                && self.batch.len() < limits.batch as usize
                && outputs < limits.outputs as usize
                && !(next > first && plan.tokens[next - 1].ends.is_some())
            {
                let output = plan.wants_row(next);
                outputs += usize::from(output);
                let pos = (self.trunk.tokens.len() + self.batch.len()) as u32;
                let token = plan.tokens[next].token;
                self.batch.push(Entry {
                    token,
                    pos,
                    seq: TRUNK,
                    output,
                });
                next += 1;
            }
            self.member.decode(&self.batch)?;
            self.trunk.tokens.extend(self.batch.iter().map(|e| e.token));
            for i in first..next {
                // A row of a large vocabulary takes a millisecond, a batch of them half a second.
                if self.member.cancelled() {
                    return Err(BackendError::Cancelled);
                }
                self.feed(plan, i, i - first, chain)?;
            }
            if let Some(place) = plan.tokens[next - 1].ends {
                marks.push(Mark {
                    len: self.trunk.tokens.len(),
                    place,
                    symbols: chain.scores.nats.len(),
                    tokens: chain.scores.tokens.len(),
                });
                if self.keeps && marks.len() == plan.marks() {
                    self.state = Some(self.member.save()?);
                }
            }
            self.row = next - first - 1;
            self.read.fetch_add(self.batch.len(), Ordering::Relaxed);
        }
        Ok(marks)
    }

    /// Hands the chain what token `i`, in row `row` of the batch, has to say.
    fn feed(
        &self,
        plan: &Plan,
        i: usize,
        row: usize,
        chain: &mut Chain,
    ) -> Result<(), BackendError> {
        let planned = &plan.tokens[i];
        if chain.alphabet() == Alphabet::Bytes && planned.in_stretch {
            let after = if planned.goes_on {
                Some(self.member.logits(row)?)
            } else {
                None
            };
            chain.step(planned.token, planned.scored.clone(), planned.place, after)?;
        }
        let Some(following) = plan.tokens.get(i + 1).filter(|_| plan.wants_row(i)) else {
            return Ok(());
        };
        if chain.alphabet().is_tokens() {
            if !following.scored.is_empty() {
                chain.token(following.shared, following.place, self.member.logits(row)?)?;
            }
        } else if following.in_stretch && !planned.goes_on {
            let before = self.sorted_last_byte(planned.token);
            chain.begin(self.member.logits(row)?, before)?;
        }
        Ok(())
    }

    fn sorted_last_byte(&self, token: Token) -> Option<u8> {
        let vocab = self.member.vocab();
        let text = vocab.kind(token) == TokenKind::Text;
        vocab.piece(token).last().copied().filter(|_| text)
    }

    /// Begins the answer: in bytes a cover after the trunk, which then reads the tail of raw text.
    fn open(&mut self, plan: &Plan, scores: &mut Scores, wish: Wish) -> Result<(), BackendError> {
        if self.alphabet.is_tokens() {
            return Ok(());
        }
        let last = *self
            .trunk
            .tokens
            .last()
            .ok_or_else(|| BackendError::Refused("an empty prompt".into()))?;
        let before = self.sorted_last_byte(last);
        self.branches
            .begin(&mut self.cover, &mut self.member, last, self.row, before)?;
        for planned in &plan.tokens[plan.upto..] {
            let vocab = Arc::clone(self.member.vocab());
            for (i, &byte) in vocab.piece(planned.token).iter().enumerate() {
                if planned.scored.contains(&i) {
                    push_scored(scores, &self.cover, byte, planned.place.plus(i), wish.rows);
                }
                self.branches
                    .advance(&mut self.cover, &mut self.member, byte)?;
            }
            if !planned.scored.is_empty() {
                scores.tokens.push(planned.place.plus(planned.scored.start));
            }
            self.read.fetch_add(1, Ordering::Relaxed);
        }
        self.cover.mark_given();
        Ok(())
    }

    /// ln p of every next symbol, into `row`.
    pub fn predict(&mut self, row: &mut Vec<f64>) -> Result<(), BackendError> {
        match self.alphabet {
            Alphabet::Bytes => {
                row.clear();
                row.reserve(SYMBOLS);
                row.extend(self.cover.predicted().iter().map(|p| p.ln()));
                Ok(())
            }
            Alphabet::Tokens | Alphabet::Mined => {
                self.view.ln_p(self.member.logits(self.row)?, row)
            }
        }
    }

    /// The answer grows by `symbol`.
    pub fn advance(&mut self, symbol: u32) -> Result<(), BackendError> {
        match self.alphabet {
            Alphabet::Bytes => {
                let byte = u8::try_from(symbol)
                    .map_err(|_| BackendError::Refused(format!("symbol {symbol} is no byte")))?;
                self.branches
                    .advance(&mut self.cover, &mut self.member, byte)
            }
            Alphabet::Tokens | Alphabet::Mined => {
                let token = self.view.token(symbol).ok_or_else(|| {
                    BackendError::Refused(format!("nothing stands for the shared token {symbol}"))
                })?;
                self.advance_token(token)
            }
        }
    }

    pub fn standing(&self) -> Standing {
        match self.alphabet {
            Alphabet::Tokens | Alphabet::Mined => Standing {
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

    /// The answer is over: what was said joins the trunk. Returns how many tokens spell the answer.
    ///
    /// Where coming to rest needs an evaluation for which there is no room or no time, the trunk
    /// stays at the prompt, and the next one evaluates the answer again.
    pub fn commit(&mut self) -> Result<usize, BackendError> {
        if self.alphabet.is_tokens() {
            self.forget_ahead()?;
            return Ok(self.said as usize);
        }
        let said = self.standing().tokens as usize;
        let (given, mut end) = (self.cover.given(), self.cover.text().len());
        match self.branches.commit(&mut self.cover, &mut self.member) {
            Ok(tokens) => {
                self.trunk.tokens.extend(&tokens);
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

/// One token to evaluate.
#[derive(Debug, Clone)]
struct Planned {
    token: Token,
    /// What it stands for in an alphabet of tokens.
    shared: Token,
    /// Bytes of it that are evidence.
    scored: std::ops::Range<usize>,
    /// Where its first byte stands.
    place: Place,
    /// Belongs to a scored stretch.
    in_stretch: bool,
    /// The next token belongs to the same stretch.
    goes_on: bool,
    /// Where it ends, if a segment of evidence ends with it and another follows.
    ends: Option<Place>,
}

/// The tokens of a reading, and where the cover takes over.
struct Plan {
    tokens: Vec<Planned>,
    /// Tokens that the chain evaluates; the rest is read by the cover.
    upto: usize,
    alphabet: Alphabet,
}

impl Plan {
    fn new(
        reading: &Reading,
        view: &View,
        sorted: &SortedVocab,
        alphabet: Alphabet,
        wish: Wish,
    ) -> Self {
        let mut tokens = Vec::new();
        for stretch in &reading.stretches {
            let scored = if wish.scores {
                stretch.scored.clone()
            } else {
                0..0
            };
            let mut at = 0;
            for (i, &token) in stretch.tokens.iter().enumerate() {
                let shared = stretch.shared.get(i).copied().unwrap_or(token);
                let len = if stretch.is_start {
                    0
                } else {
                    view.piece_len(shared)
                };
                let clip = |n: usize| n.clamp(at, at + len) - at;
                let within = clip(scored.start)..clip(scored.end);
                let is_last = i + 1 == stretch.tokens.len() && !stretch.scored.is_empty();
                tokens.push(Planned {
                    token,
                    shared,
                    scored: within,
                    place: stretch.place.plus(at),
                    in_stretch: !scored.is_empty(),
                    goes_on: !scored.is_empty() && i + 1 < stretch.tokens.len(),
                    ends: is_last.then(|| stretch.place.plus(at + len)),
                });
                at += len;
            }
        }
        if let Some(first) = tokens.first_mut().filter(|_| reading.keep == 0) {
            // Nothing comes before it, so nothing predicts it.
            (first.scored, first.in_stretch, first.goes_on) = (0..0, false, false);
        }
        // Where nothing scored follows, there is nothing that would have to be the same without it, and no
        // reason for another batch.
        if let Some(last) = tokens.iter_mut().rev().find(|t| t.ends.is_some()) {
            last.ends = None;
        }
        let mut plan = Self {
            upto: tokens.len(),
            tokens,
            alphabet,
        };
        let by_cover = wish.full || reading.ending == Ending::Continue;
        if by_cover && alphabet == Alphabet::Bytes {
            plan.upto = if wish.full {
                plan.upto.min(1)
            } else {
                plan.tail_start(sorted)
            };
            if let Some(last) = plan.upto.checked_sub(1) {
                plan.tokens[last].goes_on = false;
            }
        }
        plan
    }

    /// Marks that it sets.
    fn marks(&self) -> usize {
        self.tokens.iter().filter(|t| t.ends.is_some()).count()
    }

    /// Where the last word begins: the cover reads it, so that a text that stops inside a word goes on
    /// well. At least the last token, at most [`MAX_TAIL`], never the first of the prompt.
    fn tail_start(&self, sorted: &SortedVocab) -> usize {
        let n = self.tokens.len();
        let least = 1;
        let mut start = n.saturating_sub(1);
        let mut letters = false;
        while start > least && n - start < MAX_TAIL {
            let piece = sorted.piece_of(self.tokens[start].token);
            letters |= piece.iter().any(|b| !b.is_ascii_whitespace());
            if letters && piece.first().is_none_or(u8::is_ascii_whitespace) {
                break;
            }
            start -= 1;
        }
        start.max(least).min(n)
    }

    /// Whether the logits after token `i` are needed.
    fn wants_row(&self, i: usize) -> bool {
        let last = i + 1 == self.upto;
        let feeds_chain = match self.alphabet {
            Alphabet::Bytes => {
                let begins = self.tokens.get(i + 1).is_some_and(|t| t.in_stretch)
                    && !self.tokens[i].goes_on
                    && i + 1 < self.upto;
                self.tokens[i].goes_on || begins
            }
            Alphabet::Tokens | Alphabet::Mined => {
                self.tokens.get(i + 1).is_some_and(|t| !t.scored.is_empty())
            }
        };
        last || feeds_chain
    }
}
