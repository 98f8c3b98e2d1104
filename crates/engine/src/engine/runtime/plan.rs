//! Which tokens of a prompt are evaluated, which rows of logits are read, and where the cover takes
//! over.

use crate::backend::Token;
use crate::engine::score_request::ScoreRequest;
use crate::engine::tokenized::TokenizedPrompt;
use crate::engine::view::View;
use crate::prompt::{Ending, Place};
use crate::vocab::Alphabet;
use crate::vocab::sorted::SortedVocab;
use std::ops::Range;

/// Most tokens of raw text that the cover reads itself instead of the chain.
const MAX_TAIL: usize = 8;

/// One token to evaluate.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    pub token: Token,
    /// What it stands for in an alphabet of tokens.
    pub shared: Token,
    /// Bytes of it that are evidence.
    pub scored: Range<usize>,
    /// Where its first byte stands.
    pub place: Place,
    /// Belongs to a scored stretch.
    pub in_stretch: bool,
    /// The next token belongs to the same stretch.
    pub goes_on: bool,
    /// Where it ends, if a segment of evidence ends with it and another follows.
    pub ends: Option<Place>,
}

/// The tokens of a reading, and where the cover takes over.
pub(super) struct EvaluationPlan {
    pub tokens: Vec<Planned>,
    /// Tokens that the chain evaluates; the rest is read by the cover.
    pub upto: usize,
    alphabet: Alphabet,
}

impl EvaluationPlan {
    pub fn new(
        reading: &TokenizedPrompt,
        view: &View,
        sorted: &SortedVocab,
        alphabet: Alphabet,
        request: ScoreRequest,
    ) -> Self {
        let mut tokens = Vec::new();
        for stretch in &reading.stretches {
            let scored = if request.scores {
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
        // If nothing scored follows, nothing has to come out the same as after a restored prompt,
        // so no batch need end here.
        if let Some(last) = tokens.iter_mut().rev().find(|t| t.ends.is_some()) {
            last.ends = None;
        }
        let mut plan = Self {
            upto: tokens.len(),
            tokens,
            alphabet,
        };
        let by_cover = request.full || reading.ending == Ending::Continue;
        if by_cover && alphabet == Alphabet::Bytes {
            plan.upto = if request.full {
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
    pub fn marks(&self) -> usize {
        self.tokens.iter().filter(|t| t.ends.is_some()).count()
    }

    /// Where the last word begins: the cover reads it, so that a text that stops inside a word goes
    /// on well. At least the last token, at most [`MAX_TAIL`], never the first of the prompt.
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
    pub fn wants_row(&self, i: usize) -> bool {
        let last = i + 1 == self.upto;
        let feeds_chain = match self.alphabet {
            Alphabet::Bytes => {
                let begins = self.tokens.get(i + 1).is_some_and(|t| t.in_stretch)
                    && !self.tokens[i].goes_on
                    && i + 1 < self.upto;
                self.tokens[i].goes_on || begins
            }
            Alphabet::Tokens | Alphabet::Mapped => {
                self.tokens.get(i + 1).is_some_and(|t| !t.scored.is_empty())
            }
        };
        last || feeds_chain
    }
}
