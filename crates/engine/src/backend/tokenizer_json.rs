//! A vocabulary and its tokenizer from a Hugging Face `tokenizer.json`, without a model.
//!
//! The crate `tokenizers` reads the file and splits text; here its tokens become bytes and kinds,
//! as they do for a GGUF file: `Ġ` and `▁`, byte fallbacks, special tokens as control, and those
//! with a name that is known to end a generation as its end. Models whose pieces are not the bytes
//! of the text (WordPiece, WordLevel) are refused.

use super::spelling::{END_NAMES, Spelling, byte_of};
use super::{BackendError, Special, Token, TokenKind, Tokenize, Vocab, VocabBuilder};
use crate::digest::hex;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokenizers::{ModelWrapper, Tokenizer};

/// Largest file that is read: bytes. The largest published ones have some 40 MB.
const MAX_BYTES: u64 = 256 << 20;

/// Largest id that a vocabulary may have.
const MAX_ID: Token = 1 << 22;

/// Why a file cannot be a reference.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// It cannot be read.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// A folder or a device.
    #[error("not a file")]
    NotAFile,
    /// Too large to be one.
    #[error("{0} bytes are too many for a tokenizer.json (at most {MAX_BYTES})")]
    TooLarge(u64),
    /// It is not JSON.
    #[error("not JSON: {0}")]
    NotJson(serde_json::Error),
    /// JSON that the crate `tokenizers` does not take.
    #[error("not a tokenizer.json: {0}")]
    NotATokenizer(String),
    /// A kind of model whose pieces are not bytes of the text.
    #[error("its model is {0}; only BPE and Unigram spell all of a text")]
    Model(&'static str),
    /// Ids out of range, or no token at all.
    #[error("its vocabulary is unusable: {0}")]
    Vocabulary(String),
}

/// A vocabulary and the tokenizer that splits text into it.
pub struct TokenizerJson {
    vocab: Arc<Vocab>,
    digest: String,
    /// Whether names of special tokens in a text are these tokens is a setting of the tokenizer.
    tokenizer: Mutex<Tokenizer>,
}

impl std::fmt::Debug for TokenizerJson {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tokens = self.vocab.len();
        f.debug_struct("TokenizerJson")
            .field("tokens", &tokens)
            .finish_non_exhaustive()
    }
}

impl TokenizerJson {
    /// Reads a file.
    ///
    /// # Errors
    /// [`TokenizerError`], which does not name the file.
    pub fn open(path: &Path) -> Result<Self, TokenizerError> {
        // Checked before opening: opening a pipe would wait for its writer.
        let found = std::fs::metadata(path)?;
        if !found.is_file() {
            return Err(TokenizerError::NotAFile);
        }
        if found.len() > MAX_BYTES {
            return Err(TokenizerError::TooLarge(found.len()));
        }
        let mut bytes = Vec::new();
        File::open(path)?.take(MAX_BYTES).read_to_end(&mut bytes)?;
        Self::parse(&bytes)
    }

    fn parse(bytes: &[u8]) -> Result<Self, TokenizerError> {
        let json: Value = serde_json::from_slice(bytes).map_err(TokenizerError::NotJson)?;
        let mut tokenizer =
            guarded(|| Tokenizer::from_bytes(bytes)).map_err(TokenizerError::NotATokenizer)?;
        match tokenizer.get_model() {
            ModelWrapper::BPE(_) | ModelWrapper::Unigram(_) => {}
            ModelWrapper::WordPiece(_) => return Err(TokenizerError::Model("WordPiece")),
            ModelWrapper::WordLevel(_) => return Err(TokenizerError::Model("WordLevel")),
        }
        // The padding and truncation of a file are meant for batches in training.
        tokenizer.with_padding(None);
        tokenizer
            .with_truncation(None)
            .map_err(|e| TokenizerError::NotATokenizer(e.to_string()))?;
        let vocab = vocabulary(&tokenizer, &json, false)?;
        let mut this = Self {
            vocab: Arc::new(vocab),
            digest: hex(Sha256::new_with_prefix(bytes)),
            tokenizer: Mutex::new(tokenizer),
        };
        if this.puts_a_space_in_front() {
            let tokenizer = this
                .tokenizer
                .get_mut()
                .unwrap_or_else(PoisonError::into_inner);
            this.vocab = Arc::new(vocabulary(tokenizer, &json, true)?);
        }
        Ok(this)
    }

    /// SHA-256 of the file, in hexadecimal.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The vocabulary.
    #[must_use]
    pub fn vocab(&self) -> &Arc<Vocab> {
        &self.vocab
    }

    /// The names by which tokens are known to end a generation.
    #[must_use]
    pub fn end_names() -> &'static [&'static str] {
        &END_NAMES
    }

    /// Asked of the tokenizer itself: there are several ways to write it in the file.
    fn puts_a_space_in_front(&self) -> bool {
        let tokens = self.encode("a", false).unwrap_or_default();
        let spelt: Vec<u8> = tokens
            .iter()
            .flat_map(|&token| self.vocab.piece(token).to_vec())
            .collect();
        spelt == b" a"
    }

    fn encode(&self, text: &str, markup: bool) -> Result<Vec<Token>, BackendError> {
        let mut tokenizer = self
            .tokenizer
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        tokenizer.set_encode_special_tokens(!markup);
        let encoding = guarded(|| tokenizer.encode_fast(text, false))
            .map_err(|e| BackendError::Refused(format!("the tokenizer.json fails: {e}")))?;
        let tokens = encoding.get_ids().to_vec();
        match tokens.iter().find(|&&t| t as usize >= self.vocab.len()) {
            Some(token) => Err(BackendError::Refused(format!(
                "the tokenizer.json gives the id {token}, which its vocabulary lacks"
            ))),
            None => Ok(tokens),
        }
    }
}

impl Tokenize for &TokenizerJson {
    fn pieces(&self) -> &Arc<Vocab> {
        &self.vocab
    }

    fn split(&mut self, text: &str, markup: bool) -> Result<Vec<Token>, BackendError> {
        self.encode(text, markup)
    }
}

/// Runs the crate on a file that may hold anything: on some it panics.
fn guarded<T>(work: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, String> {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|e| e.to_string()),
        Err(_) => Err("the crate `tokenizers` gives up on what is in it".into()),
    }
}

fn vocabulary(
    tokenizer: &Tokenizer,
    json: &Value,
    add_space_prefix: bool,
) -> Result<Vocab, TokenizerError> {
    let ids = tokenizer.get_vocab(true);
    let added = tokenizer.get_added_tokens_decoder();
    let Some(&last) = ids.values().max() else {
        return Err(TokenizerError::Vocabulary("it is empty".into()));
    };
    if last > MAX_ID {
        return Err(TokenizerError::Vocabulary(format!(
            "id {last} is too large"
        )));
    }
    let mut names: Vec<Option<&str>> = vec![None; last as usize + 1];
    for (name, &id) in &ids {
        names[id as usize] = Some(name);
    }
    let spelling = spelling(json);
    let fallback = spelling == Spelling::Underline && falls_back(json);
    let unknown = json["model"]["unk_token"].as_str();
    let unknown_id = json["model"]["unk_id"].as_u64();
    let mut builder = VocabBuilder::default();
    for (id, name) in names.iter().enumerate() {
        let Some(name) = name else {
            builder.push(&[], TokenKind::Control);
            continue;
        };
        let added = added.get(&(id as Token));
        let ends = END_NAMES.contains(name);
        let is_unknown = unknown == Some(*name) || unknown_id == Some(id as u64);
        let byte = byte_of(name.as_bytes()).filter(|_| fallback && name.len() == "<0x00>".len());
        match (added, byte) {
            (Some(_), _) if ends => builder.push(name.as_bytes(), TokenKind::End),
            (Some(token), _) if token.special => builder.push(name.as_bytes(), TokenKind::Control),
            _ if ends || is_unknown => builder.push(name.as_bytes(), TokenKind::Control),
            (Some(_), _) if spelling == Spelling::Letters => {
                builder.push(name.as_bytes(), TokenKind::Text);
            }
            (_, Some(byte)) => builder.push_byte_fallback(byte),
            _ => builder.push(&spelling.decode(name.as_bytes()), TokenKind::Text),
        }
    }
    Ok(builder.build(Special {
        add_space_prefix,
        ..Special::default()
    }))
}

/// Letters if anything in the pipeline is byte-level.
fn spelling(json: &Value) -> Spelling {
    let parts = ["pre_tokenizer", "decoder", "normalizer"];
    if parts.iter().any(|part| mentions(&json[part], "ByteLevel")) {
        Spelling::Letters
    } else {
        Spelling::Underline
    }
}

fn falls_back(json: &Value) -> bool {
    json["model"]["byte_fallback"] == true || mentions(&json["decoder"], "ByteFallback")
}

/// Whether a part, or one of a sequence of parts, is of this type.
fn mentions(part: &Value, kind: &str) -> bool {
    match part {
        Value::Object(fields) => {
            part["type"] == kind || fields.values().any(|value| mentions(value, kind))
        }
        Value::Array(parts) => parts.iter().any(|part| mentions(part, kind)),
        _ => false,
    }
}

#[cfg(test)]
#[path = "tokenizer_json/tests.rs"]
mod tests;
