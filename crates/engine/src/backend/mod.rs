//! The interface between packllm and a language model: the [`Member`] trait.
//!
//! A member owns one model, one context and one KV cache in which several *sequences* live side by
//! side. It predicts tokens; everything about bytes, mixing and weights is built above it. Two
//! implementations exist: the crate `packllm-llama` (llama.cpp, the only place with `unsafe`) and
//! [`fake`] (a seeded rule over a small vocabulary, stricter than reality). Both check every
//! request with the same [`Ledger`] before acting on it, because llama.cpp would abort the process.

mod context;
pub mod fake;
mod ledger;
mod pace;
pub(crate) mod spelling;
mod token;
pub mod tokenizer_json;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use context::{ContextTooLong, DEFAULT_CONTEXT, context_size};
pub use ledger::Ledger;
pub use pace::{Pace, WIDTHS, pace_key};
pub use token::{Special, Token, TokenKind, Vocab, VocabBuilder};
pub use watch::Watch;

/// Index of a sequence in a member's KV cache, in `0..limits().sequences`.
pub type SeqId = u32;

/// The sequence that holds what is committed: the prompt and finished answers.
pub const PREFIX: SeqId = 0;

/// One token of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchToken {
    /// The token, below the vocabulary's size.
    pub token: Token,
    /// Its position in the sequence: exactly the sequence's length so far.
    pub pos: u32,
    /// The sequence it extends.
    pub seq: SeqId,
    /// Whether the logits after this token are wanted.
    pub output: bool,
}

/// What one context can hold and do at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Cells of the KV cache, shared by all sequences: tokens.
    pub context: u32,
    /// Largest batch of one [`Member::decode`]: tokens.
    pub batch: u32,
    /// Most rows of logits one batch may ask for.
    pub outputs: u32,
    /// Number of sequences.
    pub sequences: u32,
}

/// Facts about a loaded model to show to people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Architecture name from the file (`llama`, `gemma3`, …).
    pub architecture: String,
    /// Parameters.
    pub parameters: u64,
    /// Bytes of the weights.
    pub weight_bytes: u64,
    /// Context length the model was trained with: tokens.
    pub train_context: u32,
    /// `tokenizer.chat_template` of the file.
    pub chat_template: Option<String>,
    /// Where the weights live, for people ("CPU", "CUDA0 (24 of 24 layers)").
    pub placement: String,
}

/// A loaded member.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct MemberInfo {
    /// Its name.
    pub name: String,
    /// Facts for people.
    pub description: Description,
    /// What its context holds.
    pub limits: Limits,
    /// Its vocabulary.
    pub vocab: Arc<Vocab>,
    /// Time from start to ready.
    pub load_time: Duration,
    /// How its batches are shaped.
    pub pace: Pace,
}

impl MemberInfo {
    /// Whether it has an end-of-generation token. To end a plain text a member needs nothing else.
    #[must_use]
    pub fn has_end(&self) -> bool {
        self.vocab.ends().next().is_some()
    }
}

/// One model with its context: predicts the next token after any of several sequences.
///
/// Not `Sync`: one thread owns it. Every method refuses what the model could not do, without
/// touching its state.
pub trait Member {
    /// The model's vocabulary.
    fn vocab(&self) -> &Arc<Vocab>;

    /// What the context holds.
    fn limits(&self) -> Limits;

    /// Facts for people.
    fn description(&self) -> &Description;

    /// Tokens of `text`. With `markup`, control tokens spelled out in it become those tokens (for
    /// templates); without, everything is plain text. No BOS is added.
    ///
    /// The tokens may spell other bytes than `text` where the tokenizer is lossy or adds a space:
    /// the caller checks. See [`crate::vocab::speller`].
    ///
    /// # Errors
    /// [`BackendError::Refused`] if the tokenizer cannot take this text.
    fn tokenize(&mut self, text: &str, markup: bool) -> Result<Vec<Token>, BackendError>;

    /// Evaluates a batch; rows of logits are then readable by their index in `batch`.
    ///
    /// # Errors
    /// [`BackendError::Refused`] for a batch that breaks the rules of [`Ledger::check`],
    /// [`BackendError::ContextFull`] if the cache has no room, [`BackendError::Cancelled`] if nobody
    /// [waits](Watch) for it any more (the sequences are then as before the call),
    /// [`BackendError::Decode`].
    fn decode(&mut self, batch: &[BatchToken]) -> Result<(), BackendError>;

    /// Logits after entry `index` of the last batch: one per token, natural-log scale,
    /// unnormalised.
    ///
    /// # Errors
    /// [`BackendError::Refused`] if that row was not asked for.
    fn logits(&self, index: usize) -> Result<&[f32], BackendError>;

    /// Makes the empty sequence `to` share the first `len` tokens of `from`.
    ///
    /// # Errors
    /// [`BackendError::Refused`] if `to` is not empty or `from` is shorter than `len`.
    fn seq_copy(&mut self, from: SeqId, to: SeqId, len: u32) -> Result<(), BackendError>;

    /// Cuts a sequence down to its first `len` tokens (0 frees it).
    ///
    /// # Errors
    /// [`BackendError::Refused`] for an unknown sequence or a `len` beyond its length.
    fn seq_truncate(&mut self, seq: SeqId, len: u32) -> Result<(), BackendError>;

    /// Length of a sequence: tokens.
    fn seq_len(&self, seq: SeqId) -> u32;

    /// The prefix's part of the KV cache as bytes, for [`Member::restore`] of a member of the same
    /// model, settings and program. No other sequence may hold anything.
    ///
    /// # Errors
    /// [`BackendError::Refused`].
    fn save(&mut self) -> Result<Vec<u8>, BackendError>;

    /// Fills the empty cache with a prefix of `len` tokens that was [saved](Member::save). The
    /// bytes have to be those that were saved: the caller has checked them.
    ///
    /// # Errors
    /// [`BackendError::Refused`] if they do not fit; the cache is then empty.
    fn restore(&mut self, state: &[u8], len: u32) -> Result<(), BackendError>;
}

/// Something that splits text into the tokens of a vocabulary: every [`Member`], and a tokenizer
/// file.
pub trait Tokenize {
    /// The vocabulary.
    fn pieces(&self) -> &Arc<Vocab>;

    /// As [`Member::tokenize`].
    ///
    /// # Errors
    /// As [`Member::tokenize`].
    fn split(&mut self, text: &str, markup: bool) -> Result<Vec<Token>, BackendError>;
}

impl<M: Member + ?Sized> Tokenize for M {
    fn pieces(&self) -> &Arc<Vocab> {
        self.vocab()
    }

    fn split(&mut self, text: &str, markup: bool) -> Result<Vec<Token>, BackendError> {
        self.tokenize(text, markup)
    }
}

/// What can go wrong inside a member.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// The file cannot be used.
    #[error("{}: {fault}", path.display())]
    Load {
        /// The model file.
        path: PathBuf,
        /// What is wrong with it: an error of the backend's own, which this message ends with.
        fault: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// A request that the model could not carry out safely. A bug of the caller, never of the user.
    #[error("refused before it reached the model: {0}")]
    Refused(String),
    /// No room in the KV cache.
    #[error("the context of {context} tokens is full")]
    ContextFull {
        /// Size of the context: tokens.
        context: u32,
    },
    /// All KV sequences are in use.
    #[error("no free sequence for another hypothesis")]
    NoSequence,
    /// The cancel flag was raised.
    #[error("cancelled")]
    Cancelled,
    /// llama.cpp reported a failure.
    #[error("evaluation failed with code {code}{}", log_suffix(log))]
    Decode {
        /// Its return code.
        code: i32,
        /// The last lines of its log.
        log: String,
    },
    /// The member is elsewhere, and the way to it was lost. The next request finds another way, if
    /// there is one.
    #[error("lost {place}: {reason}")]
    Lost {
        /// Where it is.
        place: String,
        /// What happened.
        reason: String,
    },
    /// The model's output is not a number: its file is damaged.
    #[error("the model answers with values that are not numbers; its file is probably damaged")]
    NotANumber,
}

fn log_suffix(log: &str) -> String {
    if log.is_empty() {
        String::new()
    } else {
        format!(": {log}")
    }
}
