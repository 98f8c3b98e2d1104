//! The vocabulary of a file, without llama.cpp: also of files that have no weights.
//!
//! Pieces, kinds and end-of-generation flags follow llama.cpp's rules (`llama-vocab.cpp`), less its
//! exceptions for single models, so that the result equals what the loaded model says of itself.
//! Where the file does not say whether BOS comes first, llama.cpp looks the pre-tokenizer up in a
//! list; here SentencePiece adds it and byte-level BPE does not.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Seek, SeekFrom};

use super::error::Fault;
use super::value::{Array, Items, ValueKind};
use super::{GgufError, Header};
use crate::backend::spelling::{END_NAMES, Spelling, byte_of};
use crate::backend::{Special, Token, TokenKind, Vocab, VocabBuilder};

const TOKENS: &str = "tokenizer.ggml.tokens";
const TYPES: &str = "tokenizer.ggml.token_type";

/// Types of tokens, by their numbers in the file. Others: unknown (2), control (3), unused (5).
const NORMAL: u32 = 1;
const USER_DEFINED: u32 = 4;
const BYTE: u32 = 6;

impl Header {
    /// The vocabulary, read from the file once more.
    ///
    /// # Errors
    /// [`Fault::Tokenizer`] for a tokenizer whose pieces are not bytes, [`Fault::Value`] for a
    /// token list that is none, or the file cannot be read.
    pub fn vocabulary(&self) -> Result<Vocab, GgufError> {
        read(self).map_err(|fault| GgufError::new(&self.path, fault))
    }
}

fn read(header: &Header) -> Result<Vocab, Fault> {
    let spelling = spelling_of(header)?;
    let (texts, types) = arrays(header)?;
    let special = special(header, texts.len(), spelling);
    let end_ids = ["eos", "eot", "eom"].map(|role| id(header, role, texts.len()));
    let suppressed: &[i64] = match header.array("tokenizer.ggml.suppress_tokens") {
        Some(Array {
            items: Items::Integers(ids),
            ..
        }) => ids,
        _ => &[],
    };
    let mut builder = VocabBuilder::default();
    for (token, text) in texts.iter().enumerate() {
        let token_type = types.get(token).copied().unwrap_or(NORMAL);
        let named = END_NAMES.iter().any(|name| name.as_bytes() == text);
        let ends = named || end_ids.contains(&Some(token as Token));
        let plain = matches!(token_type, NORMAL | BYTE);
        let kind = match token_type {
            _ if ends && !plain => TokenKind::End,
            _ if named || suppressed.contains(&(token as i64)) => TokenKind::Control,
            NORMAL | USER_DEFINED | BYTE => TokenKind::Text,
            _ => TokenKind::Control,
        };
        match (kind, token_type) {
            (TokenKind::Text, BYTE) => match byte_of(text) {
                Some(byte) => builder.push_byte_fallback(byte),
                None => builder.push(&[], TokenKind::Control),
            },
            (TokenKind::Text, NORMAL) => builder.push(&spelling.decode(text), kind),
            _ => builder.push(text, kind),
        }
    }
    Ok(builder.build(special))
}

/// The spelling of every token, and their types (none if the file gives none).
fn arrays(header: &Header) -> Result<(Vec<Vec<u8>>, Vec<u32>), Fault> {
    let wrong = |key: &str, expected: &str| Fault::Value {
        key: key.to_owned(),
        expected: expected.to_owned(),
        found: header
            .get(key)
            .map_or("absent".to_owned(), ToString::to_string),
    };
    let tokens = header
        .array(TOKENS)
        .filter(|array| array.kind == ValueKind::Text && array.len > 0)
        .ok_or_else(|| wrong(TOKENS, "a list of tokens"))?;
    let file = File::open(header.path()).map_err(Fault::Io)?;
    let mut source = BufReader::with_capacity(1 << 16, file);
    let texts = texts(&mut source, tokens, header.file_bytes).map_err(Fault::Io)?;
    let types = match header.array(TYPES) {
        None => Vec::new(),
        Some(array)
            if matches!(array.kind, ValueKind::I32 | ValueKind::U32) && array.len == tokens.len =>
        {
            numbers(&mut source, array).map_err(Fault::Io)?
        }
        Some(_) => return Err(wrong(TYPES, "one 32-bit number a token")),
    };
    Ok((texts, types))
}

/// The strings of an array that the parser has walked over. The file may have changed since, so
/// lengths are checked again.
fn texts(
    source: &mut (impl Read + Seek),
    array: &Array,
    limit: u64,
) -> std::io::Result<Vec<Vec<u8>>> {
    source.seek(SeekFrom::Start(array.offset))?;
    let mut left = limit;
    let mut texts = Vec::new();
    for _ in 0..array.len {
        let mut length = [0; 8];
        source.read_exact(&mut length)?;
        let length = u64::from_le_bytes(length);
        left = left
            .checked_sub(length)
            .ok_or(std::io::Error::from(ErrorKind::UnexpectedEof))?;
        let mut text = vec![0; length as usize];
        source.read_exact(&mut text)?;
        texts.push(text);
    }
    Ok(texts)
}

fn numbers(source: &mut (impl Read + Seek), array: &Array) -> std::io::Result<Vec<u32>> {
    source.seek(SeekFrom::Start(array.offset))?;
    let mut numbers = Vec::new();
    for _ in 0..array.len {
        let mut number = [0; 4];
        source.read_exact(&mut number)?;
        numbers.push(u32::from_le_bytes(number));
    }
    Ok(numbers)
}

/// The id at `tokenizer.ggml.<role>_token_id`, if it is one.
fn id(header: &Header, role: &str, size: usize) -> Option<Token> {
    let number = header.u64(&format!("tokenizer.ggml.{role}_token_id"))?;
    Token::try_from(number)
        .ok()
        .filter(|&token| (token as usize) < size)
}

fn special(header: &Header, size: usize, spelling: Spelling) -> Special {
    // SentencePiece files may leave their ids to the format's defaults.
    let sentence_piece = header.str("tokenizer.ggml.model") == Some("llama");
    let default = |token: Token| Some(token).filter(|_| sentence_piece && size > 2);
    let flag = |name: &str| header.bool(&format!("tokenizer.ggml.{name}"));
    Special {
        bos: id(header, "bos", size).or(default(1)),
        eos: id(header, "eos", size).or(default(2)),
        add_bos: flag("add_bos_token").unwrap_or(sentence_piece),
        add_space_prefix: spelling == Spelling::Underline
            && sentence_piece
            && flag("add_space_prefix").unwrap_or(true),
    }
}

/// How the pieces of a file are written.
fn spelling_of(header: &Header) -> Result<Spelling, Fault> {
    let pre = header.str("tokenizer.ggml.pre");
    match header.str("tokenizer.ggml.model") {
        Some("llama" | "gemma4") => Ok(Spelling::Underline),
        Some("gpt2") => Ok(match pre {
            Some("gemma4" | "granite-embed-multi-311m" | "mmbert" | "sarvam-moe") => {
                Spelling::Underline
            }
            _ => Spelling::Letters,
        }),
        other => Err(Fault::Tokenizer(other.unwrap_or("none").to_owned())),
    }
}
