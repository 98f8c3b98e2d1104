//! What a member's process and the program say to each other: a *head*, which is JSON, and a *body*
//! of bytes, after the lengths of both (two little-endian `u32`). Numbers in bodies are little-endian
//! too. The process greets first; then every request but those without an answer has one reply.

use packllm_engine::backend::{
    BackendError, BatchToken, Description, Limits, Special, Token, TokenKind, Vocab, VocabBuilder,
};
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

/// Raised with every change of what is said here.
pub const PROTOCOL: u32 = 1;

/// Longest head: bytes. What can be long goes into the body.
const MAX_HEAD: u32 = 1 << 20;

/// What the program asks for.
#[derive(Debug, Serialize, Deserialize)]
pub enum Ask {
    /// Load a model; the body says which and how, in the words of the loader.
    Load,
    /// The tokens of the body.
    Tokenize { markup: bool },
    /// Evaluate the batch in the body; `complete`: all members of the pack have loaded.
    Decode { complete: bool },
    /// Nobody waits for the evaluation any more. No reply.
    Cancel,
    /// See `Member::seq_copy`. No reply.
    Copy { from: u32, to: u32, len: u32 },
    /// See `Member::seq_truncate`. No reply.
    Truncate { seq: u32, len: u32 },
    /// The prefix's part of the KV cache.
    Save,
    /// Fill the empty cache with the body.
    Restore { len: u32 },
}

/// What the process says.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply {
    /// The first thing said.
    Hello { protocol: u32, version: String },
    /// Thousandths of the load.
    Progress(u32),
    /// The model has loaded; the body is its vocabulary.
    Loaded(Box<Facts>),
    /// Tokens, in the body.
    Tokens,
    /// The batch was evaluated; the body holds the rows of logits that were asked for.
    Rows,
    /// The body is the state.
    State,
    /// It is done.
    Done,
    /// It is not.
    Failed(Failure),
}

/// Facts of a loaded model.
#[derive(Debug, Serialize, Deserialize)]
pub struct Facts {
    architecture: String,
    parameters: u64,
    weight_bytes: u64,
    train_context: u32,
    chat_template: Option<String>,
    placement: String,
    context: u32,
    batch: u32,
    outputs: u32,
    sequences: u32,
    bos: Option<Token>,
    eos: Option<Token>,
    add_bos: bool,
    add_space_prefix: bool,
}

impl Facts {
    pub fn of(description: &Description, limits: Limits, special: &Special) -> Self {
        let description = description.clone();
        Self {
            architecture: description.architecture,
            parameters: description.parameters,
            weight_bytes: description.weight_bytes,
            train_context: description.train_context,
            chat_template: description.chat_template,
            placement: description.placement,
            context: limits.context,
            batch: limits.batch,
            outputs: limits.outputs,
            sequences: limits.sequences,
            bos: special.bos,
            eos: special.eos,
            add_bos: special.add_bos,
            add_space_prefix: special.add_space_prefix,
        }
    }

    pub fn limits(&self) -> Limits {
        Limits {
            context: self.context,
            batch: self.batch,
            outputs: self.outputs,
            sequences: self.sequences,
        }
    }

    pub fn special(&self) -> Special {
        Special {
            bos: self.bos,
            eos: self.eos,
            add_bos: self.add_bos,
            add_space_prefix: self.add_space_prefix,
        }
    }

    pub fn description(self) -> Description {
        Description {
            architecture: self.architecture,
            parameters: self.parameters,
            weight_bytes: self.weight_bytes,
            train_context: self.train_context,
            chat_template: self.chat_template,
            placement: self.placement,
        }
    }
}

/// A [`BackendError`] as data.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Failure {
    Load { path: PathBuf, fault: String },
    Refused(String),
    ContextFull { context: u32 },
    NoSequence,
    Cancelled,
    Decode { code: i32, log: String },
    NotANumber,
}

/// Why a file could not be loaded, in the words of the process that tried.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Fault(String);

impl From<&BackendError> for Failure {
    fn from(error: &BackendError) -> Self {
        match error {
            BackendError::Load { path, fault } => Failure::Load {
                path: path.clone(),
                fault: fault.to_string(),
            },
            BackendError::ContextFull { context } => Failure::ContextFull { context: *context },
            BackendError::NoSequence => Failure::NoSequence,
            BackendError::Cancelled => Failure::Cancelled,
            BackendError::Decode { code, log } => Failure::Decode {
                code: *code,
                log: log.clone(),
            },
            BackendError::NotANumber => Failure::NotANumber,
            BackendError::Refused(why) => Failure::Refused(why.clone()),
            other => Failure::Refused(other.to_string()),
        }
    }
}

impl From<Failure> for BackendError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Load { path, fault } => BackendError::Load {
                path,
                fault: Arc::new(Fault(fault)),
            },
            Failure::Refused(why) => BackendError::Refused(why),
            Failure::ContextFull { context } => BackendError::ContextFull { context },
            Failure::NoSequence => BackendError::NoSequence,
            Failure::Cancelled => BackendError::Cancelled,
            Failure::Decode { code, log } => BackendError::Decode { code, log },
            Failure::NotANumber => BackendError::NotANumber,
        }
    }
}

fn invalid(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.into())
}

/// Writes a message.
pub fn send(to: &mut impl Write, head: &impl Serialize, body: &[u8]) -> io::Result<()> {
    let head = serde_json::to_vec(head)?;
    let (Ok(heads), Ok(bodies)) = (u32::try_from(head.len()), u32::try_from(body.len())) else {
        return Err(invalid(format!("a message of {} bytes", body.len())));
    };
    to.write_all(&heads.to_le_bytes())?;
    to.write_all(&bodies.to_le_bytes())?;
    to.write_all(&head)?;
    to.write_all(body)?;
    to.flush()
}

/// Reads a message with a body of at most `most` bytes. None: the other end has closed.
pub fn receive<T: for<'a> Deserialize<'a>>(
    from: &mut impl Read,
    most: u32,
) -> io::Result<Option<(T, Vec<u8>)>> {
    let mut lengths = [0; 8];
    match from.read(&mut lengths[..1])? {
        0 => return Ok(None),
        _ => from.read_exact(&mut lengths[1..])?,
    }
    let [a, b, c, d, e, f, g, h] = lengths;
    let (head, body) = (
        u32::from_le_bytes([a, b, c, d]),
        u32::from_le_bytes([e, f, g, h]),
    );
    if head > MAX_HEAD || body > most {
        return Err(invalid(format!("a message of {head} and {body} bytes")));
    }
    let mut bytes = vec![0; head as usize];
    from.read_exact(&mut bytes)?;
    let head = serde_json::from_slice(&bytes)?;
    // Not allocated before it has come.
    let mut bytes = Vec::new();
    from.take(body.into()).read_to_end(&mut bytes)?;
    match bytes.len() == body as usize {
        true => Ok(Some((head, bytes))),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Numbers as bytes.
pub fn pack(numbers: impl IntoIterator<Item = u32>) -> Vec<u8> {
    numbers.into_iter().flat_map(u32::to_le_bytes).collect()
}

/// And back; what does not fill a number is left out.
pub fn unpack(bytes: &[u8]) -> impl Iterator<Item = u32> + '_ {
    let words = bytes.as_chunks().0.iter();
    words.map(|word| u32::from_le_bytes(*word))
}

/// Marks an entry of a batch whose logits are wanted, beside its sequence.
const OUTPUT: u32 = 1 << 31;

pub fn pack_batch(batch: &[BatchToken]) -> Vec<u8> {
    let of = |e: &BatchToken| [e.token, e.pos, e.seq | if e.output { OUTPUT } else { 0 }];
    pack(batch.iter().flat_map(of))
}

pub fn unpack_batch(bytes: &[u8]) -> Vec<BatchToken> {
    let words: Vec<u32> = unpack(bytes).collect();
    let entries = words.as_chunks().0.iter();
    let of = |&[token, pos, seq]: &[u32; 3]| BatchToken {
        token,
        pos,
        seq: seq & !OUTPUT,
        output: seq & OUTPUT != 0,
    };
    entries.map(of).collect()
}

const CONTROL: u32 = 1;
const END: u32 = 2;
const BYTE_FALLBACK: u32 = 3;

/// For every id its kind and the length of its bytes in a word; then all bytes.
pub fn pack_vocab(vocab: &Vocab) -> Vec<u8> {
    let ids = || 0..vocab.len() as Token;
    let words = ids().map(|id| {
        let kind = match vocab.kind(id) {
            TokenKind::Text if vocab.is_byte_fallback(id) => BYTE_FALLBACK,
            TokenKind::Text => 0,
            TokenKind::Control => CONTROL,
            TokenKind::End => END,
        };
        (vocab.piece(id).len() as u32) << 2 | kind
    });
    let mut bytes = pack([vocab.len() as u32].into_iter().chain(words));
    ids().for_each(|id| bytes.extend_from_slice(vocab.piece(id)));
    bytes
}

pub fn unpack_vocab(bytes: &[u8], special: Special) -> io::Result<Vocab> {
    let short = || invalid("a vocabulary that ends early");
    let (count, rest) = bytes.split_at_checked(4).ok_or_else(short)?;
    let count = unpack(count).next().unwrap_or(0) as usize;
    let split = count.checked_mul(4).and_then(|n| rest.split_at_checked(n));
    let (words, mut pieces) = split.ok_or_else(short)?;
    let mut builder = VocabBuilder::default();
    for word in unpack(words) {
        let (piece, rest) = pieces
            .split_at_checked((word >> 2) as usize)
            .ok_or_else(short)?;
        pieces = rest;
        match (word & 3, piece) {
            (BYTE_FALLBACK, &[byte]) => builder.push_byte_fallback(byte),
            (CONTROL, _) => builder.push(piece, TokenKind::Control),
            (END, _) => builder.push(piece, TokenKind::End),
            _ => builder.push(piece, TokenKind::Text),
        }
    }
    Ok(builder.build(special))
}

/// Rows of logits as bytes.
pub fn pack_row(row: &[f32], to: &mut Vec<u8>) {
    to.extend(row.iter().flat_map(|logit| logit.to_le_bytes()));
}

pub fn unpack_rows(bytes: &[u8], to: &mut Vec<f32>) {
    to.clear();
    let words = bytes.as_chunks().0.iter();
    to.extend(words.map(|word| f32::from_le_bytes(*word)));
}

#[cfg(test)]
mod tests;
