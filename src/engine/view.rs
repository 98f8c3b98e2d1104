//! A member's side of an alphabet of tokens: which of its tokens stands for a shared one, and what its
//! logits say about the shared vocabulary.

use super::chain::log_softmax;
use super::prompt::{Reading, Stretch};
use crate::backend::{BackendError, Token, TokenKind, Vocab};
use crate::vocab::mined::Map;
use crate::vocab::sorted::SortedVocab;
use std::sync::Arc;

/// A reference vocabulary seen through a member's map.
#[derive(Debug, Clone)]
pub(super) struct Lens {
    pub reference: Arc<Vocab>,
    pub map: Arc<Map>,
}

/// See the module.
#[derive(Debug, Clone)]
pub(super) enum View {
    /// The shared vocabulary is the member's own.
    Own(Arc<SortedVocab>),
    /// It is another's, and the member's logits are gathered through a map.
    Mapped {
        lens: Lens,
        /// Text and end tokens of the reference, each with the member's token that stands for it.
        gathered: Vec<(Token, Token)>,
    },
}

impl View {
    /// Through a lens, or of the member's own vocabulary.
    pub fn new(lens: Option<Lens>, own: &Arc<SortedVocab>) -> Self {
        let Some(lens) = lens else {
            return View::Own(Arc::clone(own));
        };
        let gathered = (0..lens.reference.len() as Token)
            .filter(|&shared| lens.reference.kind(shared) != TokenKind::Control)
            .filter_map(|shared| Some((shared, lens.map.token(shared)?)))
            .collect();
        View::Mapped { lens, gathered }
    }

    /// The member's token for a shared one.
    pub fn token(&self, shared: Token) -> Option<Token> {
        match self {
            View::Own(_) => Some(shared),
            View::Mapped { lens, .. } => lens.map.token(shared),
        }
    }

    /// Bytes that a shared text token spells.
    pub fn piece_len(&self, shared: Token) -> usize {
        match self {
            View::Own(sorted) => sorted.piece_len(shared),
            View::Mapped { lens, .. } => lens.reference.piece(shared).len(),
        }
    }

    /// ln p of every shared token: soft-max over text and end tokens, −∞ for control tokens and what
    /// the map does not reach.
    ///
    /// Through a map logits are gathered first, as published, so that a token of the member that
    /// stands for several shared ones counts for each, and one that stands for none does not count.
    pub fn ln_p(&self, logits: &[f32]) -> Result<Vec<f64>, BackendError> {
        match self {
            View::Own(sorted) => {
                let spoken = sorted.tokens().iter().chain(sorted.ends());
                log_softmax(logits.len(), spoken.map(|&t| (t, logits[t as usize])))
            }
            View::Mapped { lens, gathered } => {
                let spoken = gathered
                    .iter()
                    .map(|&(shared, own)| (shared, logits[own as usize]));
                log_softmax(lens.reference.len(), spoken)
            }
        }
    }

    /// What this member reads where the reference reads `reading`: the mapped tokens one to one, less
    /// those that it has nothing for, after a start token of its own.
    pub fn translate(&self, reading: &Reading, start: Option<Token>) -> Reading {
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
        Reading {
            keep: 0,
            marks: 0,
            total: stretches.iter().map(|s| s.tokens.len()).sum(),
            stretches,
            lost: reading.lost.clone(),
            ending: reading.ending,
        }
    }
}
