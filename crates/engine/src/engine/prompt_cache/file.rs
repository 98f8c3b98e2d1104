//! A cached prompt as a file. Reading it checks that it is such a file, that it belongs to these
//! models and settings, and that it is whole.
//!
//! ```text
//! "packllm kept"  version: u32
//! length: u64, the identity as JSON
//! by member: tokens, marks, scores, state, each as a count: u64 and so many entries
//! SHA-256 of everything before it
//! ```
//!
//! Numbers are little endian. Nothing of a file is used before all of it was read and hashed.

use super::{CachedPrompt, Identity};
use crate::engine::chain::{ScoredRows, Scores};
use crate::engine::tokenized::Mark;
use crate::prompt::Place;
use crate::weight::SparseRows;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{BufReader, BufWriter, ErrorKind, Read, Write};
use std::path::Path;

const MAGIC: &[u8; 12] = b"packllm kept";
/// To be raised when the layout changes.
const VERSION: u32 = 1;
const DIGEST: u64 = 32;

/// Why a file does not give the prompt that was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadPromptCache {
    /// It could not be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// Another kind of file: it must not be overwritten.
    #[error("it is no prompt cache of packllm")]
    Foreign,
    /// Of another layout.
    #[error("it is of format {0}, not {VERSION}")]
    Version(u32),
    /// Bytes are missing, added or changed.
    #[error("it is damaged")]
    Damaged,
    /// Of other models, settings or another version.
    #[error("it is {0}")]
    Other(String),
}

/// Writes a file in place of an older one: whole, or not at all. Readable by the user alone, since
/// it holds what people wrote.
///
/// # Errors
/// From the disk; an older file is then as it was.
pub fn write(path: &Path, identity: &Identity, members: &[CachedPrompt]) -> std::io::Result<u64> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    // Under a name of its own, which two processes do not share, and with the rights 0600.
    let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
    let mut out = BufWriter::with_capacity(1 << 20, temporary.as_file_mut());
    encode(&mut out, identity, members)?;
    out.flush()?;
    drop(out);
    // Not synced: what a crash leaves behind is found damaged, and made again.
    let file = temporary.persist(path).map_err(|e| e.error)?;
    Ok(file.metadata()?.len())
}

/// Reads what [`write()`] wrote for this identity; None if there is no file.
///
/// # Errors
/// [`BadPromptCache`].
pub fn read(path: &Path, identity: &Identity) -> Result<Option<Vec<CachedPrompt>>, BadPromptCache> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let length = file.metadata()?.len();
    decode(BufReader::with_capacity(1 << 20, file), length, identity).map(Some)
}

fn encode(
    to: &mut impl Write,
    identity: &Identity,
    members: &[CachedPrompt],
) -> std::io::Result<()> {
    let mut out = Out {
        to,
        hasher: Sha256::new(),
    };
    out.raw(MAGIC)?;
    out.raw(&VERSION.to_le_bytes())?;
    out.bytes(&serde_json::to_vec(identity)?)?;
    for cached in members {
        out.all(cached.tokens.iter().map(|t| t.to_le_bytes()))?;
        out.all(
            cached
                .marks
                .iter()
                .map(|m| words([m.len, m.symbols, m.tokens])),
        )?;
        out.all(cached.marks.iter().map(|m| of_place(&m.place)))?;
        let scores = &cached.scores;
        out.all(scores.places.iter().map(of_place))?;
        out.all(scores.tokens.iter().map(of_place))?;
        out.all(scores.symbols.iter().map(|s| s.to_le_bytes()))?;
        out.all(scores.nats.iter().map(|n| n.to_le_bytes()))?;
        out.all(scores.skipped.iter().map(|n| n.to_le_bytes()))?;
        let (dense, sparse) = match &scores.rows {
            ScoredRows::None => (&[][..], SparseRows::new()),
            ScoredRows::Dense(rows) => (&rows[..], SparseRows::new()),
            ScoredRows::Sparse(rows) => (&[][..], rows.clone()),
        };
        let kind = match &scores.rows {
            ScoredRows::None => NONE,
            ScoredRows::Dense(_) => DENSE,
            ScoredRows::Sparse(_) => SPARSE,
        };
        out.bytes(&[kind])?;
        out.all(dense.iter().map(|n| n.to_le_bytes()))?;
        let (lengths, listed, remainder) = sparse.parts();
        out.all(lengths.iter().map(|n| n.to_le_bytes()))?;
        out.all(listed.iter().map(|(s, _)| s.to_le_bytes()))?;
        out.all(listed.iter().map(|(_, n)| n.to_le_bytes()))?;
        out.all(remainder.iter().map(|n| n.to_le_bytes()))?;
        out.bytes(&cached.state)?;
    }
    let digest = out.hasher.finalize();
    to.write_all(&digest)
}

const NONE: u8 = 0;
const DENSE: u8 = 1;
const SPARSE: u8 = 2;

fn decode(
    from: impl Read,
    length: u64,
    identity: &Identity,
) -> Result<Vec<CachedPrompt>, BadPromptCache> {
    let mut input = In {
        from,
        left: length,
        hasher: Sha256::new(),
    };
    let magic = input.raw(MAGIC.len().min(length as usize))?;
    if !MAGIC.starts_with(&magic) {
        return Err(BadPromptCache::Foreign);
    }
    let version = u32::from_le_bytes(input.array()?);
    if version != VERSION {
        return Err(BadPromptCache::Version(version));
    }
    input.left = input
        .left
        .checked_sub(DIGEST)
        .ok_or(BadPromptCache::Damaged)?;
    // What does not parse may be damaged or not: only the digest would tell. The file is made anew
    // in both cases.
    let theirs: Identity =
        serde_json::from_slice(&input.bytes()?).map_err(|_| BadPromptCache::Damaged)?;
    if let Some(difference) = identity.difference(&theirs) {
        return Err(BadPromptCache::Other(difference));
    }
    let members = theirs.members.iter().map(|_| input.member());
    let members = members.collect::<Result<Vec<CachedPrompt>, BadPromptCache>>()?;
    let digest = input.hasher.clone().finalize();
    let whole = input.left == 0;
    input.left += DIGEST;
    if !whole || input.raw(DIGEST as usize)? != digest.as_slice() {
        return Err(BadPromptCache::Damaged);
    }
    Ok(members)
}

fn words(numbers: [usize; 3]) -> [u8; 24] {
    let mut bytes = [0; 24];
    let (words, _) = bytes.as_chunks_mut::<8>();
    for (word, number) in words.iter_mut().zip(numbers) {
        *word = (number as u64).to_le_bytes();
    }
    bytes
}

fn of_place(place: &Place) -> [u8; 8] {
    (u64::from(place.message) << 32 | u64::from(place.offset)).to_le_bytes()
}

fn to_place(bytes: [u8; 8]) -> Place {
    let both = u64::from_le_bytes(bytes);
    Place {
        message: (both >> 32) as u32,
        offset: both as u32,
    }
}

/// Writes and hashes.
struct Out<'a, W> {
    to: &'a mut W,
    hasher: Sha256,
}

impl<W: Write> Out<'_, W> {
    fn raw(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.hasher.update(bytes);
        self.to.write_all(bytes)
    }

    fn bytes(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.raw(&(bytes.len() as u64).to_le_bytes())?;
        self.raw(bytes)
    }

    fn all<const N: usize>(
        &mut self,
        entries: impl ExactSizeIterator<Item = [u8; N]>,
    ) -> std::io::Result<()> {
        self.raw(&(entries.len() as u64).to_le_bytes())?;
        let bytes: Vec<u8> = entries.flatten().collect();
        self.raw(&bytes)
    }
}

/// Reads and hashes, no further than the file reaches.
struct In<R> {
    from: R,
    /// Bytes to come, without the digest.
    left: u64,
    hasher: Sha256,
}

impl<R: Read> In<R> {
    fn raw(&mut self, count: usize) -> Result<Vec<u8>, BadPromptCache> {
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or(BadPromptCache::Damaged)?;
        let mut bytes = vec![0; count];
        self.from
            .read_exact(&mut bytes)
            .map_err(|e| match e.kind() {
                ErrorKind::UnexpectedEof => BadPromptCache::Damaged,
                _ => BadPromptCache::Io(e),
            })?;
        self.hasher.update(&bytes);
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], BadPromptCache> {
        self.raw(N)?.try_into().map_err(|_| BadPromptCache::Damaged)
    }

    fn bytes(&mut self) -> Result<Vec<u8>, BadPromptCache> {
        let count = u64::from_le_bytes(self.array()?);
        self.raw(usize::try_from(count).map_err(|_| BadPromptCache::Damaged)?)
    }

    fn all<const N: usize, T>(
        &mut self,
        of: impl Fn([u8; N]) -> T,
    ) -> Result<Vec<T>, BadPromptCache> {
        let count = u64::from_le_bytes(self.array()?);
        let bytes = count
            .checked_mul(N as u64)
            .and_then(|n| usize::try_from(n).ok());
        let bytes = self.raw(bytes.ok_or(BadPromptCache::Damaged)?)?;
        Ok(bytes.as_chunks().0.iter().map(|entry| of(*entry)).collect())
    }

    fn member(&mut self) -> Result<CachedPrompt, BadPromptCache> {
        let tokens = self.all(u32::from_le_bytes)?;
        let marks = self.marks()?;
        let mut scores = Scores {
            places: self.all(to_place)?,
            tokens: self.all(to_place)?,
            symbols: self.all(u32::from_le_bytes)?,
            nats: self.all(f32::from_le_bytes)?,
            skipped: self.all(f32::from_le_bytes)?,
            rows: ScoredRows::None,
        };
        let kind = self.bytes()?;
        let dense = self.all(f32::from_le_bytes)?;
        let lengths = self.all(u32::from_le_bytes)?;
        let symbols = self.all(u32::from_le_bytes)?;
        let nats = self.all(f32::from_le_bytes)?;
        let listed = symbols.into_iter().zip(nats).collect();
        let sparse = SparseRows::from_parts(&lengths, listed, self.all(f64::from_le_bytes)?);
        scores.rows = match kind[..] {
            [NONE] => ScoredRows::None,
            [DENSE] => ScoredRows::Dense(dense),
            [SPARSE] => ScoredRows::Sparse(sparse.ok_or(BadPromptCache::Damaged)?),
            _ => return Err(BadPromptCache::Damaged),
        };
        Ok(CachedPrompt {
            tokens,
            marks,
            scores,
            state: self.bytes()?,
            grown: false,
        })
    }

    fn marks(&mut self) -> Result<Vec<Mark>, BadPromptCache> {
        let numbers = self.all(|bytes: [u8; 24]| {
            let (words, _) = bytes.as_chunks::<8>();
            [0, 1, 2].map(|i| u64::from_le_bytes(words[i]) as usize)
        })?;
        let places = self.all(to_place)?;
        let marks = numbers
            .into_iter()
            .zip(places)
            .map(|([len, symbols, tokens], place)| Mark {
                len,
                place,
                symbols,
                tokens,
            });
        Ok(marks.collect())
    }
}

#[cfg(test)]
mod tests;
