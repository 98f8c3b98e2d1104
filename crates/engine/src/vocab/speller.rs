//! Exact tokenisation: tokens that spell given bytes and nothing else. For everybody who asks a
//! [`Member`](crate::backend::Member) to tokenise.
//!
//! A model's own tokenizer is asked first, because its segmentation is what the model was trained
//! on. It may lose bytes (invalid UTF-8, bytes without a token) or put a space in front. What it
//! returns is therefore checked, and the part that does not spell its text is segmented greedily,
//! the longest token first.

use super::sorted::{Cursor, SortedVocab};
use crate::backend::{BackendError, Token, TokenKind, Tokenize, Vocab};

/// Tokens for a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spelled {
    /// Together they spell the text without the lost bytes.
    pub tokens: Vec<Token>,
    /// Bytes that no token spells, in order.
    pub lost: Vec<u8>,
}

/// Segments bytes greedily, the longest token first; bytes without a token are reported as lost.
pub(crate) fn greedy(vocab: &SortedVocab, text: &[u8]) -> Spelled {
    let mut spelled = Spelled::default();
    let mut i = 0;
    while i < text.len() {
        let mut at = Cursor::ROOT;
        let mut best = None;
        for (n, &byte) in text[i..].iter().enumerate() {
            let Some(next) = vocab.child(at, byte) else {
                break;
            };
            at = next;
            if let Some(&token) = vocab.exact(at).first() {
                best = Some((token, n + 1));
            }
        }
        match best {
            Some((token, n)) => {
                spelled.tokens.push(token);
                i += n;
            }
            None => {
                spelled.lost.push(text[i]);
                i += 1;
            }
        }
    }
    spelled
}

/// Tokens of plain text. Markup written out in `text` stays text.
///
/// # Errors
/// Whatever the member's tokenizer refuses.
pub fn plain(
    member: &mut (impl Tokenize + ?Sized),
    sorted: &SortedVocab,
    text: &str,
) -> Result<Spelled, BackendError> {
    if text.is_empty() {
        return Ok(Spelled::default());
    }
    let tokens = member.split(text, false)?;
    let vocab = member.pieces();
    if spells(vocab, &tokens, text.as_bytes()) {
        return Ok(Spelled {
            tokens,
            lost: Vec::new(),
        });
    }
    if vocab.special().add_space_prefix
        && let Some(spelled) = without_prefix(member, text)?
    {
        return Ok(spelled);
    }
    Ok(greedy(sorted, text.as_bytes()))
}

/// Tokens of plain text by a tokenizer that puts a space in front. A line feed is written before
/// the text, so that the space comes before the line feed, and both are cut off again. In the
/// vocabularies that do this a line feed merges with nothing; where it does, the check fails and
/// there is no result.
fn without_prefix(
    member: &mut (impl Tokenize + ?Sized),
    text: &str,
) -> Result<Option<Spelled>, BackendError> {
    let tokens = member.split(&format!("\n{text}"), false)?;
    let vocab = member.pieces();
    let mut cut = 0;
    let mut prefix = Vec::new();
    while cut < tokens.len() && prefix.len() < 2 {
        prefix.extend_from_slice(vocab.piece(tokens[cut]));
        cut += 1;
    }
    let rest = tokens[cut..].to_vec();
    let exact = prefix == b" \n" && spells(vocab, &rest, text.as_bytes());
    Ok(exact.then_some(Spelled {
        tokens: rest,
        lost: Vec::new(),
    }))
}

/// Tokens of a template's markup: control tokens written out become those tokens.
///
/// # Errors
/// Whatever the member's tokenizer refuses.
pub fn markup(
    member: &mut (impl Tokenize + ?Sized),
    sorted: &SortedVocab,
    text: &str,
) -> Result<Spelled, BackendError> {
    if text.is_empty() {
        return Ok(Spelled::default());
    }
    let tokens = member.split(text, true)?;
    if spells(member.pieces(), &tokens, text.as_bytes()) {
        return Ok(Spelled {
            tokens,
            lost: Vec::new(),
        });
    }
    // The tokenizer added spaces or lost bytes: keep its control tokens, spell what is between.
    let mut spelled = Spelled::default();
    let mut rest = text;
    for token in tokens {
        let vocab = member.pieces();
        if vocab.kind(token) == TokenKind::Text {
            continue;
        }
        let name = String::from_utf8_lossy(vocab.piece(token)).into_owned();
        if let Some(at) = rest.find(&name).filter(|_| !name.is_empty()) {
            append(&mut spelled, plain(member, sorted, &rest[..at])?);
            spelled.tokens.push(token);
            rest = &rest[at + name.len()..];
        }
    }
    append(&mut spelled, plain(member, sorted, rest)?);
    Ok(spelled)
}

fn append(to: &mut Spelled, more: Spelled) {
    to.tokens.extend(more.tokens);
    to.lost.extend(more.lost);
}

/// Whether the pieces of `tokens`, one after the other, are exactly `text`.
fn spells(vocab: &Vocab, tokens: &[Token], text: &[u8]) -> bool {
    let mut rest = text;
    for &token in tokens {
        match rest.strip_prefix(vocab.piece(token)) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    rest.is_empty()
}
