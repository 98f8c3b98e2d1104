//! A member's side of an alphabet of tokens: which of its tokens stands for a shared one, and what
//! its logits say about the shared vocabulary.

use super::tokenized::{Stretch, TokenizedPrompt};
use crate::backend::{BackendError, Token, TokenKind, Vocab};
use crate::vector::{maximum, sum_of_exponentials};
use crate::vocab::mapped::Map;
use crate::vocab::sorted::SortedVocab;
use std::sync::Arc;

/// A reference vocabulary seen through a member's map.
#[derive(Debug, Clone)]
pub(super) struct Lens {
    pub reference: Arc<Vocab>,
    pub map: Arc<Map>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct View {
    kind: Arc<ViewKind>,
    /// Scratch: the logits of the shared vocabulary, −∞ where there are none.
    logits: Vec<f32>,
}

/// Without the scratch.
impl Clone for View {
    fn clone(&self) -> Self {
        Self {
            kind: Arc::clone(&self.kind),
            logits: Vec::new(),
        }
    }
}

#[derive(Debug)]
enum ViewKind {
    /// The shared vocabulary is the member's own.
    Own {
        sorted: Arc<SortedVocab>,
        /// Tokens that are neither text nor an end.
        control: Vec<Token>,
    },
    /// It is another's, and the member's logits are gathered through a map.
    Mapped {
        lens: Lens,
        /// Text and end tokens of the reference, each with the member's token that stands for it.
        gathered: Vec<(Token, Token)>,
    },
}

impl View {
    /// Through a lens, or of the member's own vocabulary.
    pub fn new(lens: Option<Lens>, vocab: &Vocab, sorted: &Arc<SortedVocab>) -> Self {
        let is_control = |vocab: &Vocab, t: Token| vocab.kind(t) == TokenKind::Control;
        let kind = match lens {
            None => ViewKind::Own {
                sorted: Arc::clone(sorted),
                control: (0..vocab.len() as Token)
                    .filter(|&t| is_control(vocab, t))
                    .collect(),
            },
            Some(lens) => ViewKind::Mapped {
                gathered: (0..lens.reference.len() as Token)
                    .filter(|&shared| !is_control(&lens.reference, shared))
                    .filter_map(|shared| Some((shared, lens.map.token(shared)?)))
                    .collect(),
                lens,
            },
        };
        Self {
            kind: Arc::new(kind),
            logits: Vec::new(),
        }
    }

    /// The member's token for a shared one.
    pub fn token(&self, shared: Token) -> Option<Token> {
        match &*self.kind {
            ViewKind::Own { .. } => Some(shared),
            ViewKind::Mapped { lens, .. } => lens.map.token(shared),
        }
    }

    /// Bytes that a shared text token spells.
    pub fn piece_len(&self, shared: Token) -> usize {
        match &*self.kind {
            ViewKind::Own { sorted, .. } => sorted.piece_len(shared),
            ViewKind::Mapped { lens, .. } => lens.reference.piece(shared).len(),
        }
    }

    /// Writes ln p of every shared token into `ln_p`: soft-max over text and end tokens, −∞ for
    /// control tokens and what the map does not reach.
    ///
    /// Through a map logits are gathered first, as published, so that a token of the member that
    /// stands for several shared ones counts for each, and one that stands for none does not count.
    pub fn ln_p(&mut self, logits: &[f32], ln_p: &mut Vec<f64>) -> Result<(), BackendError> {
        let Self { kind, logits: seen } = self;
        seen.clear();
        match &**kind {
            ViewKind::Own { control, .. } => {
                seen.extend_from_slice(logits);
                for &token in control {
                    seen[token as usize] = f32::NEG_INFINITY;
                }
            }
            ViewKind::Mapped { lens, gathered } => {
                seen.resize(lens.reference.len(), f32::NEG_INFINITY);
                for &(shared, own) in gathered {
                    seen[shared as usize] = logits[own as usize];
                }
            }
        }
        let max = maximum(seen);
        let sum = sum_of_exponentials(seen, max);
        if !(sum.is_finite() && max.is_finite()) {
            return Err(BackendError::NotANumber);
        }
        let ln_sum = f64::from(max) + sum.ln();
        ln_p.clear();
        ln_p.extend(seen.iter().map(|&logit| f64::from(logit) - ln_sum));
        Ok(())
    }

    /// What this member reads where the reference reads `reading`: the mapped tokens one to one,
    /// without those that it has no token for, after a start token of its own.
    pub fn translate(&self, reading: &TokenizedPrompt, start: Option<Token>) -> TokenizedPrompt {
        let start = start.map(|token| Stretch {
            tokens: vec![token],
            is_start: true,
            ..Stretch::default()
        });
        let rest = reading.stretches.iter().filter(|s| !s.is_start);
        let rest = rest.map(|stretch| {
            let pairs = stretch.tokens.iter();
            let (tokens, shared) = pairs
                .filter_map(|&shared| Some((self.token(shared)?, shared)))
                .unzip();
            Stretch {
                tokens,
                shared,
                ..stretch.clone()
            }
        });
        let stretches: Vec<Stretch> = start.into_iter().chain(rest).collect();
        TokenizedPrompt {
            keep: 0,
            marks: 0,
            total: stretches.iter().map(|s| s.tokens.len()).sum(),
            stretches,
            lost: reading.lost.clone(),
            ending: reading.ending,
        }
    }
}
