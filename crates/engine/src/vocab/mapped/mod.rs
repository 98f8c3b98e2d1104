//! The published alignment of vocabularies: a map from a reference vocabulary to a member's, token
//! by token.
//!
//! Text is tokenised once, by the reference. A member reads the ids mapped one to one, and its
//! logits are gathered through the map into the reference vocabulary (PackLLM, Mavromatis et al.
//! 2024, arXiv 2404.11531, after the token alignment of FuseLLM, Wan et al. 2024, arXiv
//! 2401.10491). So every reference token gets one token of the member:
//!
//! - **Text** gets the text token of the same bytes, else the text token at minimum edit distance.
//!   `▁`, `Ġ` and byte fallbacks have become bytes before they are compared. The distance
//!   (Levenshtein: a symbol inserted, deleted or replaced costs 1) is over characters, as
//!   published; a byte that belongs to no UTF-8 character is a symbol of its own. Of several at the
//!   same distance a normal token goes before a byte fallback, then the lowest id, which in a
//!   learnt vocabulary is among the most frequent. Pieces over 1,024 characters can only be equal.
//! - **Control tokens** get the control token of the same written form, else BOS gets BOS. Where
//!   there is none the token is unreachable: a distance between two names means nothing.
//! - **End tokens** get the end token of the same written form, else the member's EOS, else its
//!   first end token.
//!
//! The map is exact: the search (`lanes`) finds what a comparison of all pairs would find.

mod file;
mod lanes;
mod nearest;
mod symbols;
#[cfg(test)]
mod tests;
mod trie;

use std::collections::HashMap;

pub use file::{BadMap, Fingerprint};
use nearest::Targets;

use crate::backend::{Token, TokenKind, Vocab};

/// What a reference token is to a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// A token of the same bytes, or of the same role.
    Equal(Token),
    /// The nearest text token and its edit distance in characters, at least 1.
    Near(Token, u32),
    /// Nothing.
    Unreachable,
}

/// For every token of a reference vocabulary the member's token that stands for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Map {
    /// By reference id: the member's token, or [`NOTHING`].
    tokens: Vec<Token>,
    /// By reference id: the edit distance, 0 if equal or unreachable.
    distances: Vec<u32>,
}

/// Stands for an unreachable token.
const NOTHING: Token = Token::MAX;

impl Map {
    /// Aligns `member` to `reference` on `threads` threads. `progress` is told from time to time,
    /// on any thread, how many of how many pieces have been looked for, and says whether to go on.
    /// None if it said no.
    #[must_use]
    pub fn align(
        reference: &Vocab,
        member: &Vocab,
        threads: usize,
        progress: &(dyn Fn(usize, usize) -> bool + Sync),
    ) -> Option<Self> {
        let mut map = Self {
            tokens: vec![NOTHING; reference.len()],
            distances: vec![0; reference.len()],
        };
        let names = Names::new(member);
        let ranked = ranked(member);
        let mut equal: HashMap<&[u8], Token> = HashMap::with_capacity(ranked.len());
        for &token in &ranked {
            equal.entry(member.piece(token)).or_insert(token);
        }
        let mut unequal = Vec::new();
        for token in 0..reference.len() as Token {
            let found = match reference.kind(token) {
                TokenKind::Text => equal.get(reference.piece(token)).copied(),
                TokenKind::Control => names.control(reference, token),
                TokenKind::End => names.end(reference, token),
            };
            match found {
                Some(own) => map.tokens[token as usize] = own,
                None if reference.kind(token) == TokenKind::Text => unequal.push(token),
                None => {}
            }
        }
        map.add_nearest(reference, member, (&ranked, &unequal), threads, progress)?;
        Some(map)
    }

    /// Links the reference tokens `unequal` to the nearest of the member's tokens `ranked`.
    fn add_nearest(
        &mut self,
        reference: &Vocab,
        member: &Vocab,
        (ranked, unequal): (&[Token], &[Token]),
        threads: usize,
        progress: &(dyn Fn(usize, usize) -> bool + Sync),
    ) -> Option<()> {
        if unequal.is_empty() {
            return Some(());
        }
        let targets = Targets::new(ranked.iter().map(|&token| member.piece(token)));
        // Many pieces of scripts that the member does not know are one pattern: all foreign.
        let mut patterns: Vec<Vec<u32>> = unequal
            .iter()
            .map(|&token| targets.pattern(reference.piece(token)))
            .collect();
        let of_tokens = patterns.clone();
        patterns.sort_unstable();
        patterns.dedup();
        let found = targets.nearest(&patterns, threads, &|done| progress(done, patterns.len()))?;
        for (&token, pattern) in unequal.iter().zip(of_tokens) {
            let best = patterns.binary_search(&pattern).ok().and_then(|i| found[i]);
            if let Some(best) = best {
                self.tokens[token as usize] = ranked[best.rank as usize];
                self.distances[token as usize] = best.distance;
            }
        }
        Some(())
    }

    /// Number of reference tokens.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether the reference has no token at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// What stands for a reference token.
    ///
    /// # Panics
    /// If `token` is not below [`Map::len`].
    #[must_use]
    pub fn link(&self, token: Token) -> Link {
        let i = token as usize;
        match (self.tokens[i], self.distances[i]) {
            (NOTHING, _) => Link::Unreachable,
            (own, 0) => Link::Equal(own),
            (own, distance) => Link::Near(own, distance),
        }
    }

    /// The member's token for a reference token.
    ///
    /// # Panics
    /// If `token` is not below [`Map::len`].
    #[must_use]
    pub fn token(&self, token: Token) -> Option<Token> {
        Some(self.tokens[token as usize]).filter(|&own| own != NOTHING)
    }
}

/// The text tokens in the order in which they are preferred: normal ones first, by id.
fn ranked(vocab: &Vocab) -> Vec<Token> {
    let text = (0..vocab.len() as Token).filter(|&t| vocab.kind(t) == TokenKind::Text);
    let (fallbacks, mut ranked): (Vec<Token>, Vec<Token>) =
        text.partition(|&t| vocab.is_byte_fallback(t));
    ranked.extend(fallbacks);
    ranked
}

/// A member's tokens that are no text, by their written form.
struct Names<'a> {
    vocab: &'a Vocab,
    by_name: HashMap<(TokenKind, &'a [u8]), Token>,
}

impl<'a> Names<'a> {
    fn new(vocab: &'a Vocab) -> Self {
        let mut by_name = HashMap::new();
        for token in 0..vocab.len() as Token {
            let (kind, name) = (vocab.kind(token), vocab.piece(token));
            if kind != TokenKind::Text && !name.is_empty() {
                by_name.entry((kind, name)).or_insert(token);
            }
        }
        Self { vocab, by_name }
    }

    fn same_name(&self, reference: &Vocab, token: Token) -> Option<Token> {
        let key = (reference.kind(token), reference.piece(token));
        self.by_name.get(&key).copied()
    }

    fn control(&self, reference: &Vocab, token: Token) -> Option<Token> {
        let bos = self.vocab.special().bos;
        let marks = |&bos: &Token| self.vocab.kind(bos) != TokenKind::Text;
        let begins = reference.special().bos == Some(token);
        self.same_name(reference, token)
            .or(bos.filter(marks).filter(|_| begins))
    }

    fn end(&self, reference: &Vocab, token: Token) -> Option<Token> {
        let ends = |&eos: &Token| self.vocab.kind(eos) == TokenKind::End;
        self.same_name(reference, token)
            .or(self.vocab.special().eos.filter(ends))
            .or(self.vocab.ends().next())
    }
}
