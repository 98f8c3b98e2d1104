//! What can go wrong with a pack at work.

use super::worker::Gone;
use crate::backend::BackendError;
use crate::constraint::ConstraintError;
use crate::mix::MixError;
use crate::sample::{ParamError, StopError};
use crate::weight::WeightError;

/// Errors of the engine; each names the member it is about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// A member failed.
    #[error("{member}: {source}")]
    Member {
        /// Its name.
        member: String,
        /// What happened.
        source: BackendError,
    },
    /// A member's thread ended without an answer.
    #[error("{0}: its thread ended unexpectedly (this is a bug)")]
    Died(String),
    /// A member's thread panicked, and ended with it: now, or in an earlier call.
    #[error("{member}: its thread panicked: {message} (this is a bug)")]
    Panicked {
        /// Its name.
        member: String,
        /// What the panic said.
        message: String,
    },
    /// A thread could not be started.
    #[error("{0}: its thread could not be started: {1}")]
    Thread(String, std::io::Error),
    /// The prompt does not fit.
    #[error(
        "the prompt is {} tokens too long for {member}: {tokens} tokens, and its context of {context} \
         has room for {room}", tokens - room
    )]
    TooLong {
        /// The member.
        member: String,
        /// Tokens of the prompt.
        tokens: usize,
        /// Tokens that fit.
        room: usize,
        /// Its context.
        context: u32,
    },
    /// The prompt is empty, and the member has no token to start from.
    #[error("the prompt is empty, and {member} has no token that begins a text")]
    Empty {
        /// The member.
        member: String,
    },
    /// A text holds a byte that a member has no token for.
    #[error("{member} has no token for the byte 0x{byte:02x} of the text")]
    Unreadable {
        /// The member.
        member: String,
        /// The first such byte.
        byte: u8,
    },
    /// The alphabet of tokens was asked for, and the vocabularies of these two members differ.
    #[error("tokens can be mixed only in one vocabulary, and those of {0} and {1} differ")]
    NotIdentical(String, String),
    /// A mapped alphabet without a reference.
    #[error("no vocabulary has been made the reference yet (this is a bug)")]
    NoReference,
    /// The tokenizer of a reference without a model fails.
    #[error("the tokenizer of the reference: {0}")]
    Reference(BackendError),
    /// A text holds a byte that a reference without a model has no token for.
    #[error("the reference has no token for the byte 0x{byte:02x} of the text")]
    UnreadableByReference {
        /// The first such byte.
        byte: u8,
    },
    /// All members would be silent.
    #[error("at least one member has to take part")]
    AllSilent,
    /// A prompt cache is for one conversation, and so many others are open.
    #[error(
        "the KV cache of a prompt can be saved and restored only while no other conversation is \
         open, and {0} are"
    )]
    NotAlone(usize),
    /// No members.
    #[error("a pack needs at least one member")]
    NoMembers,
    /// The cancel flag was raised.
    #[error("cancelled")]
    Cancelled,
    /// Weights could not be derived.
    #[error(transparent)]
    Weight(#[from] WeightError),
    /// Distributions could not be mixed.
    #[error(transparent)]
    Mix(#[from] MixError),
    /// A sampling parameter is out of range.
    #[error(transparent)]
    Parameter(#[from] ParamError),
    /// What the answer may say could not be found out, or nothing may be said.
    #[error("the constraint on the answer: {0}")]
    Constraint(#[from] ConstraintError),
    /// A stop string is unusable.
    #[error(transparent)]
    Stop(#[from] StopError),
}

impl EngineError {
    pub(super) fn of(member: &str, gone: Gone) -> Self {
        match gone {
            Gone::Failed(BackendError::Cancelled) | Gone::Left => EngineError::Cancelled,
            Gone::Failed(source) => EngineError::Member {
                member: member.to_owned(),
                source,
            },
            Gone::Ended(Some(message)) => EngineError::Panicked {
                member: member.to_owned(),
                message,
            },
            Gone::Ended(None) => EngineError::Died(member.to_owned()),
        }
    }
}
