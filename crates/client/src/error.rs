//! Why there is no answer.

use crate::address::Address;
use std::time::Duration;

/// What a server did not do.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody was reached.
    #[error("{address}: no connection: {why}")]
    Unreachable {
        /// Where.
        address: String,
        /// Why.
        why: String,
    },
    /// The server refused.
    #[error("{address}: {refused}")]
    Refused {
        /// Where.
        address: String,
        /// What it said.
        refused: Box<Refused>,
    },
    /// The answer broke off.
    #[error("{address}: the answer broke off: {why}")]
    Broken {
        /// Where.
        address: String,
        /// Why.
        why: String,
    },
    /// What came is not what such a server says.
    #[error("{address}: it does not answer as a server of chats does: {why}")]
    Strange {
        /// Where.
        address: String,
        /// What is wrong.
        why: String,
    },
    /// The cancel flag was raised.
    #[error("stopped")]
    Cancelled,
}

/// What a server said when it refused.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Refused {
    /// The status of HTTP; 0 in the middle of an answer.
    pub status: u16,
    /// Its words.
    pub message: String,
    /// When to ask again, if that makes sense.
    pub again: Option<Duration>,
    /// Tokens of a prompt that does not fit, and those of the context.
    pub sizes: Option<(usize, usize)>,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.status, &*self.message) {
            (status, "") => write!(f, "it answers with status {status}"),
            (0, message) => f.write_str(message),
            (status, message) => write!(f, "{message} (status {status})"),
        }
    }
}

impl ClientError {
    pub(crate) fn strange(address: &Address, why: impl ToString) -> Self {
        Self::Strange {
            address: address.to_string(),
            why: why.to_string(),
        }
    }

    pub(crate) fn refused(address: &Address, refused: Refused) -> Self {
        Self::Refused {
            address: address.to_string(),
            refused: Box::new(refused),
        }
    }

    /// What the server said, if it refused.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refused> {
        match self {
            Self::Refused { refused, .. } => Some(refused),
            _ => None,
        }
    }

    /// Tokens of a prompt that does not fit, and those of the context.
    #[must_use]
    pub fn sizes(&self) -> Option<(usize, usize)> {
        self.refusal()?.sizes
    }
}
