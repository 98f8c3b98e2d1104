//! A map as the bytes of a file, which say what they are, of which two vocabularies, and whether
//! they are whole.
//!
//! ```text
//! "packllm map\0"  version: u32  reference: 32 bytes  member: 32 bytes  tokens: u32
//! by reference id: the member's token (all ones: unreachable): u32
//! by reference id: the edit distance: u32
//! SHA-256 of everything before it
//! ```
//!
//! Numbers are little endian.

use crate::digest::hex;
use sha2::{Digest, Sha256};

use super::{Map, NOTHING};
use crate::backend::{Token, TokenKind, Vocab};

const MAGIC: &[u8; 12] = b"packllm map\0";
/// To be raised when the layout changes, or the rules by which tokens are aligned.
const VERSION: u32 = 1;
const HEADER: usize = MAGIC.len() + 4 + 32 + 32 + 4;
const DIGEST: usize = 32;

/// SHA-256 of everything about a vocabulary that the alignment depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of the pieces, kinds and end flags by id, the byte fallbacks, and the ids of BOS and EOS.
    #[must_use]
    pub fn of(vocab: &Vocab) -> Self {
        let mut hasher = Sha256::new();
        for token in 0..vocab.len() as Token {
            let piece = vocab.piece(token);
            let kind = match vocab.kind(token) {
                TokenKind::Text if vocab.is_byte_fallback(token) => 3,
                TokenKind::Text => 0,
                TokenKind::Control => 1,
                TokenKind::End => 2u8,
            };
            hasher.update((piece.len() as u64).to_le_bytes());
            hasher.update(piece);
            hasher.update([kind]);
        }
        for role in [vocab.special().bos, vocab.special().eos] {
            hasher.update(role.unwrap_or(NOTHING).to_le_bytes());
        }
        Self(hasher.finalize().into())
    }
}

/// Why bytes are not the map that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadMap {
    /// Something else altogether.
    #[error("it is no map of packllm")]
    Foreign,
    /// Of another layout, or made by other rules.
    #[error("it is of version {0}, not {VERSION}")]
    Version(u32),
    /// Bytes are missing, added or changed.
    #[error("it is damaged")]
    Damaged,
    /// Of other vocabularies.
    #[error("it belongs to other vocabularies")]
    Other,
}

impl Map {
    /// A name for the map of two vocabularies: hexadecimal digits.
    #[must_use]
    pub fn name(reference: Fingerprint, member: Fingerprint) -> String {
        let both = Sha256::new()
            .chain_update(VERSION.to_le_bytes())
            .chain_update(reference.0)
            .chain_update(member.0);
        hex(both)
    }

    /// The map between two vocabularies as bytes.
    #[must_use]
    pub fn encode(&self, reference: Fingerprint, member: Fingerprint) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + 8 * self.len() + DIGEST);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&reference.0);
        bytes.extend_from_slice(&member.0);
        bytes.extend_from_slice(&(self.len() as u32).to_le_bytes());
        for number in self.tokens.iter().chain(&self.distances) {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        let digest = Sha256::digest(&bytes);
        bytes.extend_from_slice(&digest);
        bytes
    }

    /// The map between two vocabularies from its bytes; `sizes` are their numbers of tokens.
    ///
    /// # Errors
    /// They are not what [`Map::encode`] writes for these vocabularies.
    pub fn decode(
        bytes: &[u8],
        reference: Fingerprint,
        member: Fingerprint,
        sizes: (usize, usize),
    ) -> Result<Self, BadMap> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(BadMap::Foreign)?;
        let (version, _) = rest.split_first_chunk().ok_or(BadMap::Damaged)?;
        let version = u32::from_le_bytes(*version);
        if version != VERSION {
            return Err(BadMap::Version(version));
        }
        let (body, digest) = bytes.split_last_chunk::<DIGEST>().ok_or(BadMap::Damaged)?;
        if Sha256::digest(body).as_slice() != digest || body.len() < HEADER {
            return Err(BadMap::Damaged);
        }
        let (header, numbers) = body.split_at(HEADER);
        let count = (sizes.0 as u32).to_le_bytes();
        let of_these = [&reference.0[..], &member.0, &count].concat();
        if !header.ends_with(&of_these) {
            return Err(BadMap::Other);
        }
        let mut numbers = numbers
            .chunks_exact(4)
            .map(|n| u32::from_le_bytes([n[0], n[1], n[2], n[3]]));
        let tokens: Vec<u32> = numbers.by_ref().take(sizes.0).collect();
        let distances: Vec<u32> = numbers.collect();
        let known = |&token: &u32| token == NOTHING || (token as usize) < sizes.1;
        if distances.len() != sizes.0 || !tokens.iter().all(known) {
            return Err(BadMap::Damaged);
        }
        Ok(Self { tokens, distances })
    }
}
