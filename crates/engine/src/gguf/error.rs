//! Why a model file cannot be used.

use std::io;
use std::path::{Path, PathBuf};

use super::family::Family;
use super::foreign::Foreign;

/// A model file that cannot be used. The message is one line that starts with the path.
#[derive(Debug, thiserror::Error)]
#[error("{}: {fault}", path.display())]
pub struct GgufError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub fault: Fault,
}

impl GgufError {
    pub(super) fn new(path: &Path, fault: Fault) -> GgufError {
        GgufError {
            path: path.to_path_buf(),
            fault,
        }
    }
}

/// What is wrong with a model file. Offsets and lengths are in bytes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing is there.
    #[error("no such file")]
    Missing,
    /// A folder.
    #[error("this is a folder, not a GGUF file")]
    Directory,
    /// A pipe, socket or device.
    #[error("this is not a regular file")]
    Special,
    /// The operating system refused.
    #[error("cannot be read: {0}")]
    Io(#[source] io::Error),
    /// Zero bytes.
    #[error("the file is empty")]
    Empty,
    /// Another format.
    #[error("not a GGUF file but {0}")]
    Foreign(Foreign),
    /// Written for a machine of the other byte order.
    #[error("a big-endian GGUF file; only little-endian ones can be run")]
    BigEndian,
    /// A version that is not read.
    #[error("GGUF version {0} is not supported (2 and 3 are)")]
    Version(u32),
    /// The file ends inside the header.
    #[error(
        "truncated header: {what} at byte {offset} needs {needed} bytes, but only {left} are left"
    )]
    Cut {
        /// What was being read.
        what: String,
        /// Where it starts.
        offset: u64,
        /// How long it says it is.
        needed: u64,
        /// How much of the file there is from there.
        left: u64,
    },
    /// Something in the header cannot be.
    #[error("malformed header at byte {offset}: expected {expected}, found {found}")]
    Malformed {
        /// Where.
        offset: u64,
        /// What would have been right.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// The header is whole, the tensor data is not.
    #[error(
        "truncated: {} bytes missing (expected {expected}, found {found})",
        expected - found
    )]
    Truncated {
        /// End of the last tensor.
        expected: u64,
        /// Length of the file.
        found: u64,
    },
    /// One part of a model that was cut into several files.
    #[error("part {number} of a model split into {count} files")]
    Split {
        /// This part, from 1.
        number: u64,
        /// Number of parts.
        count: u64,
    },
    /// Metadata and tokens, but no weights.
    #[error("a vocabulary without weights: it can be read, not run")]
    VocabularyOnly,
    /// A LoRA adapter or control vector.
    #[error("not a model but {0} for one; it cannot be a member on its own")]
    AddOn(&'static str),
    /// An architecture that does not predict the next token.
    #[error(
        "architecture `{architecture}` is {family}; a member must predict the next token of a text"
    )]
    NotGenerative {
        /// `general.architecture`.
        architecture: String,
        /// Its family.
        family: Family,
    },
    /// A tokenizer that cannot be inverted byte for byte.
    #[error(
        "tokenizer type {0:?} is not supported (SentencePiece `llama` and byte-level BPE `gpt2` are)"
    )]
    Tokenizer(String),
    /// A value that llama.cpp would not survive.
    #[error("`{key}` is {found}, expected {expected}")]
    Value {
        /// The key.
        key: String,
        /// What would have been right.
        expected: String,
        /// What it says.
        found: String,
    },
}
