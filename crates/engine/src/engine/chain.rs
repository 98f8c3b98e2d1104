//! Evidence from a text whose tokens are known: the chain.
//!
//! One batched pass over the text's own tokenisation gives the distribution after every token. The
//! probability of every byte follows from a cover in which only the chain's tokens are evaluated;
//! every fork off the chain stays in the denominator as an unevaluated hypothesis under the
//! fallback model (leaving it out would use knowledge of the future). In the alphabet of tokens the
//! chain is the text itself.

use super::view::View;
use crate::backend::{BackendError, Token, Vocab};
use crate::prompt::Place;
use crate::sample::{Candidate, likeliest};
use crate::vocab::Alphabet;
use crate::vocab::cover::{Budget, Cover, PathId};
use crate::vocab::sorted::SortedVocab;
use crate::weight::{Rows, SparseRows};
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

/// What one member predicted for scored text.
#[derive(Debug, Clone, Default)]
pub struct Scores {
    /// Where each scored symbol begins in the messages.
    pub places: Vec<Place>,
    /// Where each scored token, the member's own, has its first scored byte.
    pub tokens: Vec<Place>,
    /// Of every scored symbol, the share of the prediction that came from the fallback model; empty
    /// in an alphabet of tokens.
    pub skipped: Vec<f32>,
    /// −ln p of every scored symbol: nats.
    pub nats: Vec<f32>,
    /// The scored symbols: bytes, or tokens of a shared vocabulary.
    pub symbols: Vec<u32>,
    /// Whole distributions, if they were asked for.
    pub rows: ScoredRows,
}

impl Scores {
    /// Adds the entries of `more` after its own. Distributions are kept only where all entries have
    /// them.
    pub fn extend(&mut self, more: Scores) {
        if more.nats.is_empty() {
            self.tokens.extend(more.tokens);
            return;
        }
        let first = self.nats.is_empty();
        self.places.extend(more.places);
        self.tokens.extend(more.tokens);
        self.skipped.extend(more.skipped);
        self.nats.extend(more.nats);
        self.symbols.extend(more.symbols);
        match (&mut self.rows, more.rows) {
            (ScoredRows::Dense(a), ScoredRows::Dense(b)) => a.extend(b),
            (ScoredRows::Sparse(a), ScoredRows::Sparse(b)) => a.extend(&b),
            (rows, new) if first => *rows = new,
            (rows, _) => *rows = ScoredRows::None,
        }
    }

    /// Its own entries and those of `more`.
    pub fn joined(mut self, more: Scores) -> Scores {
        self.extend(more);
        self
    }

    /// The first entries: so many symbols and so many tokens.
    pub fn begun(&self, symbols: usize, tokens: usize) -> Scores {
        let first: Vec<usize> = (0..symbols.min(self.nats.len())).collect();
        let mut begun = self.select(&first);
        begun.tokens.truncate(tokens);
        begun
    }

    /// The entries at the given places.
    pub fn only(&self, shared: &HashSet<(Place, u32)>) -> Scores {
        if shared.len() == self.places.len() {
            return self.clone();
        }
        let keep: Vec<usize> = (0..self.places.len())
            .filter(|&i| shared.contains(&(self.places[i], self.symbols[i])))
            .collect();
        self.select(&keep)
    }

    /// Forgets what was scored of the messages `gone`; the later ones move up into their numbers.
    pub fn forget_messages(&mut self, gone: &Range<u32>) {
        let stays = |place: &Place| !gone.contains(&place.message);
        let keep: Vec<usize> = (0..self.places.len())
            .filter(|&i| stays(&self.places[i]))
            .collect();
        *self = self.select(&keep);
        self.tokens.retain(stays);
        for place in self.places.iter_mut().chain(&mut self.tokens) {
            if place.message >= gone.end {
                place.message -= gone.end - gone.start;
            }
        }
    }

    /// The entries of the symbols `keep`, by index; all tokens.
    fn select(&self, keep: &[usize]) -> Scores {
        let rows = match &self.rows {
            ScoredRows::None => ScoredRows::None,
            ScoredRows::Dense(d) => {
                let n = crate::vocab::SYMBOLS;
                ScoredRows::Dense(
                    keep.iter()
                        .flat_map(|&i| d[i * n..(i + 1) * n].iter().copied())
                        .collect(),
                )
            }
            ScoredRows::Sparse(s) => ScoredRows::Sparse(s.select(keep)),
        };
        Scores {
            places: keep.iter().map(|&i| self.places[i]).collect(),
            tokens: self.tokens.clone(),
            skipped: keep
                .iter()
                .filter_map(|&i| self.skipped.get(i))
                .copied()
                .collect(),
            nats: keep.iter().map(|&i| self.nats[i]).collect(),
            symbols: keep.iter().map(|&i| self.symbols[i]).collect(),
            rows,
        }
    }
}

/// Distributions along scored text.
#[derive(Debug, Clone, Default)]
pub enum ScoredRows {
    /// Not asked for.
    #[default]
    None,
    /// ln p over the 257 symbols, row after row.
    Dense(Vec<f32>),
    /// The likeliest tokens and a remainder.
    Sparse(SparseRows),
}

impl From<ScoredRows> for Rows {
    fn from(rows: ScoredRows) -> Self {
        match rows {
            ScoredRows::None => Rows::None,
            ScoredRows::Dense(d) => Rows::Dense(d),
            ScoredRows::Sparse(s) => Rows::Sparse(s),
        }
    }
}

/// Tokens listed in a sparse row.
const LISTED: usize = 512;

/// Scores stretches of text as the rows of logits come in.
pub(super) struct Chain {
    alphabet: Alphabet,
    view: View,
    vocab: Arc<Vocab>,
    cover: Cover<()>,
    /// Where the chain is.
    path: PathId,
    keep_rows: bool,
    pub scores: Scores,
    // Scratch of the alphabet of tokens: ln p of all, and the likeliest.
    ln_p: Vec<f64>,
    listed: Vec<Candidate>,
}

impl Chain {
    pub fn new(
        alphabet: Alphabet,
        view: View,
        vocab: Arc<Vocab>,
        sorted: Arc<SortedVocab>,
        budget: Budget,
        keep_rows: bool,
    ) -> Self {
        let rows = match (keep_rows, alphabet) {
            (false, _) => ScoredRows::None,
            (true, Alphabet::Bytes) => ScoredRows::Dense(Vec::new()),
            (true, Alphabet::Tokens | Alphabet::Mapped) => ScoredRows::Sparse(SparseRows::new()),
        };
        let scores = Scores {
            rows,
            ..Scores::default()
        };
        let cover = Cover::new(sorted, budget);
        Self {
            alphabet,
            view,
            vocab,
            cover,
            path: PathId::START,
            keep_rows,
            scores,
            ln_p: Vec::new(),
            listed: Vec::new(),
        }
    }

    /// A stretch of text begins after the token whose logits these are. Its cover has learnt
    /// nothing from stretches before, so that a message scores the same whether it is read alone or
    /// along with those.
    pub fn begin(&mut self, logits: &[f32], before: Option<u8>) -> Result<(), BackendError> {
        self.path = PathId::START;
        self.cover.begin_chain(logits, before)
    }

    /// The chain's next token, by bytes. `after` are the logits that follow it, None for the last
    /// of a stretch; `scored` are the bytes of the token that count.
    pub fn step(
        &mut self,
        token: Token,
        scored: std::ops::Range<usize>,
        place: Place,
        after: Option<&[f32]>,
    ) -> Result<(), BackendError> {
        let vocab = Arc::clone(&self.vocab);
        let piece = vocab.piece(token);
        if !scored.is_empty() {
            self.scores.tokens.push(place.plus(scored.start));
        }
        for (i, &byte) in piece.iter().enumerate() {
            if scored.contains(&i) {
                self.record(byte, place.plus(i));
            }
            self.cover.advance(byte);
            if let Some(logits) = after.filter(|_| i + 1 == piece.len()) {
                self.path = self.cover.follow(self.path, token, logits)?;
            }
            self.cover.finish(Some(self.path));
        }
        Ok(())
    }

    /// A token of a shared vocabulary, drawn from `logits`.
    pub fn token(
        &mut self,
        token: Token,
        place: Place,
        logits: &[f32],
    ) -> Result<(), BackendError> {
        self.view.ln_p(logits, &mut self.ln_p)?;
        let own = self.ln_p[token as usize];
        self.scores.tokens.push(place);
        self.scores.nats.push(-own as f32);
        self.scores.symbols.push(token);
        self.scores.places.push(place);
        if let ScoredRows::Sparse(rows) = &mut self.scores.rows {
            likeliest(&self.ln_p, LISTED, |_| true, &mut self.listed);
            let top = self.listed.iter();
            let top: Vec<(u32, f32)> = top.map(|c| (c.symbol as u32, c.ln_q as f32)).collect();
            let remainder = 1.0 - top.iter().map(|&(_, l)| f64::from(l).exp()).sum::<f64>();
            rows.push(&top, (token, own as f32), remainder.max(0.0));
        }
        Ok(())
    }

    fn record(&mut self, byte: u8, place: Place) {
        push_scored(&mut self.scores, &self.cover, byte, place, self.keep_rows);
    }

    pub fn alphabet(&self) -> Alphabet {
        self.alphabet
    }

    /// How many symbols and tokens are scored.
    pub fn scored(&self) -> (usize, usize) {
        (self.scores.nats.len(), self.scores.tokens.len())
    }

    /// Bytes of a token.
    pub fn piece_len(&self, token: Token) -> usize {
        self.view.piece_len(token)
    }
}

/// Records one scored byte under what the cover predicts.
pub(super) fn push_scored<S: Copy>(
    scores: &mut Scores,
    cover: &Cover<S>,
    byte: u8,
    place: Place,
    keep_rows: bool,
) {
    let predicted = cover.predicted();
    // A probability that underflows still has a finite cost.
    let nats = |p: f64| -p.max(1e-300).ln() as f32;
    scores.nats.push(nats(predicted[byte as usize]));
    scores.symbols.push(u32::from(byte));
    scores.places.push(place);
    scores.skipped.push(cover.skipped() as f32);
    if let (true, ScoredRows::Dense(rows)) = (keep_rows, &mut scores.rows) {
        rows.extend(predicted.iter().map(|&p| -nats(p)));
    }
}
