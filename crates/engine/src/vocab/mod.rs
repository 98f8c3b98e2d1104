//! From tokens to a shared alphabet, so that members with different tokenizers can be mixed.
//!
//! * [`sorted`]: a vocabulary in byte order with a trie over it; every question "which tokens start
//!   with these bytes" is a contiguous range.
//! * `dist`: one next-token distribution and its masses over such ranges.
//! * [`cover`]: the 257-symbol alphabet (256 bytes and END): all token paths that spell a text.
//! * `fallback`: what may follow a token path that was not evaluated.
//! * [`mapped`]: the published alternative to all this: a map from one vocabulary to another.
//!   People know it as `mined`, the name of the mode in the command line, in files and in JSON.
//! * [`speller`]: exact tokenisation of given bytes.
//!
//! All of it is arithmetic: nothing here evaluates a model or knows its KV cache.

pub mod cover;
mod dist;
mod fallback;
pub mod mapped;
pub mod sorted;
pub mod speller;

use crate::backend::{TokenKind, Vocab};
pub use crate::mix::{END, SYMBOLS};

/// Probabilities (or their logarithms) over the byte alphabet.
pub type Row = [f64; SYMBOLS];

/// Which alphabet a pack is mixed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Alphabet {
    /// The members' own vocabulary, which is the same for all.
    Tokens,
    /// 256 bytes and END.
    Bytes,
    /// One member's vocabulary, to which those of the others are [mapped].
    Mapped,
}

impl Alphabet {
    /// Its name in the command line and in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Alphabet::Tokens => "tokens",
            Alphabet::Bytes => "bytes",
            Alphabet::Mapped => "mined",
        }
    }

    /// Whether its symbols are tokens of one vocabulary that all members share, as it is or mapped.
    #[must_use]
    pub fn is_tokens(self) -> bool {
        self != Alphabet::Bytes
    }
}

/// Whether two vocabularies are one: the same bytes, kind and end-of-generation flag for every id.
#[must_use]
pub fn identical(a: &Vocab, b: &Vocab) -> bool {
    a.len() == b.len()
        && a.kinds() == b.kinds()
        && (0..a.len() as u32).all(|t| a.kind(t) == TokenKind::Control || a.piece(t) == b.piece(t))
}
