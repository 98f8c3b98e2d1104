//! Why a file cannot be loaded.

use super::offload::OffloadError;
use packllm_engine::backend::{BackendError, ContextTooLong};
use packllm_engine::gguf::Fault;
use std::path::Path;
use std::sync::Arc;

/// Why a file cannot be loaded as a member. It comes in a [`BackendError::Load`], which names the
/// file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A portable build has lost the libraries that hold its code for processors.
    #[error("llama.cpp has no code for this processor")]
    NoCpuCode,
    /// The path cannot be given to llama.cpp.
    #[error("the path is not valid UTF-8")]
    Path,
    /// A fault in its header.
    #[error(transparent)]
    Header(Fault),
    /// The devices that were asked for cannot be used.
    #[error(transparent)]
    Offload(#[from] OffloadError),
    /// llama.cpp refused the file.
    #[error("{}", if log.is_empty() { "llama.cpp could not load it" } else { log })]
    Refused {
        /// What it logged, in one line.
        log: String,
    },
    /// It has an encoder: it does more than go on with a text.
    #[error("it has an encoder; only decoder-only language models can be members")]
    Encoder,
    /// Its state cannot be cut back.
    #[error(
        "it is a recurrent or hybrid model, whose state cannot be forked at any position; only \
         attention models can be members"
    )]
    Recurrent,
    /// Its tokens do not spell all of a text.
    #[error(
        "its vocabulary is of a type ({kind}) that is not supported; SentencePiece and byte-pair \
         vocabularies are"
    )]
    Vocabulary {
        /// llama.cpp's number of the type.
        kind: i64,
    },
    /// A longer context than it knows.
    #[error(transparent)]
    ContextTooLong(#[from] ContextTooLong),
    /// llama.cpp made no context.
    #[error("no context of {tokens} tokens could be made: {log}")]
    NoContext {
        /// Its length: tokens.
        tokens: u32,
        /// What llama.cpp logged, in one line.
        log: String,
    },
}

impl LoadError {
    /// As what went wrong with a file.
    pub(super) fn of(self, path: &Path) -> BackendError {
        BackendError::Load {
            path: path.to_owned(),
            fault: Arc::new(self),
        }
    }
}
