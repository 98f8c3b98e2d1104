//! The parser: bytes to a [`Header`], trusting none of them.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hasher};
use std::io::{BufRead, ErrorKind, Seek};
use std::path::PathBuf;

use super::Header;
use super::error::Fault;
use super::foreign;
use super::spelt::{Spelt, seen};
use super::tensor::{Tensor, TensorType};
use super::value::{Array, Items, Value, ValueKind};

/// Longest array whose elements are stored. llama.cpp runs at most 512 layers.
const ARRAY_LIMIT: u64 = 1024;
/// Most metadata entries and tensors; real files have some hundred and some thousand.
const COUNT_LIMIT: u64 = 1 << 16;
/// Longest metadata key: bytes. Real ones have less than 100.
const KEY_LIMIT: u64 = 1 << 10;
/// Longest tensor name that llama.cpp takes: bytes.
const NAME_LIMIT: u64 = 63;
/// What is stored of all strings and arrays together, and the longest token, at most: bytes. Some
/// files bring a whole `tokenizer.json` as one string.
const KEPT_LIMIT: u64 = 1 << 26;

const TOKENS: &str = "tokenizer.ggml.tokens";

/// Parses the header of a file of `len` bytes. The path of the result is empty.
pub(super) fn parse(source: impl BufRead + Seek, len: u64) -> Result<Header, Fault> {
    let mut cursor = Cursor {
        source,
        at: 0,
        len,
        kept: 0,
        spelt: Spelt::default(),
    };
    let version = cursor.magic()?;
    let tensor_count = cursor.count("the number of tensors", 24)?;
    let entry_count = cursor.count("the number of metadata entries", 13)?;

    let mut entries = BTreeMap::new();
    for _ in 0..entry_count {
        let offset = cursor.at;
        let key = cursor.name("a metadata key", KEY_LIMIT)?;
        let value = cursor.value(&key)?;
        if entries.insert(key.clone(), value).is_some() {
            return Err(malformed(
                offset,
                "a new key",
                format!("`{key}` a second time"),
            ));
        }
    }

    let alignment = match entries.get("general.alignment") {
        None => 32,
        Some(Value::Unsigned(bytes)) if bytes.is_power_of_two() && *bytes <= 1 << 31 => *bytes,
        Some(other) => {
            return Err(malformed(
                cursor.at,
                "general.alignment to be a power of two",
                other.to_string(),
            ));
        }
    };
    let mut tensors: Vec<Tensor> = Vec::new();
    let mut names = HashSet::new();
    let mut end = 0u64;
    for _ in 0..tensor_count {
        let offset = cursor.at;
        let tensor = cursor.tensor()?;
        if !names.insert(tensor.name.clone()) {
            return Err(malformed(
                offset,
                "a new tensor",
                format!("`{}` a second time", tensor.name),
            ));
        }
        // llama.cpp insists on this too: each starts where the one before ends, padded.
        let start = end.checked_next_multiple_of(alignment);
        if start != Some(tensor.offset) {
            let expected = format!(
                "the data of `{}` to start at {}",
                tensor.name,
                start.unwrap_or(u64::MAX)
            );
            return Err(malformed(offset, &expected, tensor.offset.to_string()));
        }
        end = tensor.offset.saturating_add(tensor.bytes);
        tensors.push(tensor);
    }

    let data_offset = cursor.at.next_multiple_of(alignment);
    let expected = data_offset.saturating_add(end);
    if !tensors.is_empty() && expected > len {
        return Err(Fault::Truncated {
            expected,
            found: len,
        });
    }
    Ok(Header {
        path: PathBuf::new(),
        file_bytes: len,
        version,
        data_offset,
        tensors,
        entries,
        spelt: cursor.spelt,
        parts: 1,
    })
}

fn malformed(offset: u64, expected: &str, found: impl Into<String>) -> Fault {
    Fault::Malformed {
        offset,
        expected: expected.to_owned(),
        found: found.into(),
    }
}

/// The text in `bytes`, with `?` for what is not UTF-8: unlike U+FFFD that cannot make it longer.
fn lossy(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.push_str(if chunk.invalid().is_empty() { "" } else { "?" });
    }
    text
}

/// A place in the file: `at` of `len` bytes. `kept` is what strings and arrays have taken of
/// [`KEPT_LIMIT`], and `spelt` which bytes are tokens.
struct Cursor<R> {
    source: R,
    at: u64,
    len: u64,
    kept: u64,
    spelt: Spelt,
}

impl<R: BufRead + Seek> Cursor<R> {
    /// Checks the magic number and returns the version.
    fn magic(&mut self) -> Result<u32, Fault> {
        let start = self.source.fill_buf().map_err(Fault::Io)?;
        let start = &start[..start.len().min(256)];
        if start.is_empty() {
            return Err(Fault::Empty);
        }
        if start.starts_with(b"FUGG") {
            return Err(Fault::BigEndian);
        }
        if !start.starts_with(&b"GGUF"[..start.len().min(4)]) {
            return Err(Fault::Foreign(foreign::recognise(start)));
        }
        self.take::<4>("the magic number")?;
        match self.u32("the version")? {
            version @ (2 | 3) => Ok(version),
            // Versions are small, so the other byte order shows in empty low bytes.
            version if version != 0 && version & 0xffff == 0 => Err(Fault::BigEndian),
            version => Err(Fault::Version(version)),
        }
    }

    /// A count of things that take at least `least` bytes each.
    fn count(&mut self, what: &str, least: u64) -> Result<u64, Fault> {
        let offset = self.at;
        let count = self.u64(what)?;
        if count > COUNT_LIMIT {
            return Err(malformed(
                offset,
                &format!("{what} to be at most {COUNT_LIMIT}"),
                count.to_string(),
            ));
        }
        self.need(what, count.saturating_mul(least))?;
        Ok(count)
    }

    /// The value of `key`, with its kind before it.
    fn value(&mut self, key: &str) -> Result<Value, Fault> {
        match self.kind(key)? {
            ValueKind::Text => Ok(Value::Text(self.text(key, KEPT_LIMIT)?)),
            ValueKind::Array => Ok(Value::Array(self.array(key)?)),
            kind => self.scalar(key, kind),
        }
    }

    fn kind(&mut self, key: &str) -> Result<ValueKind, Fault> {
        let offset = self.at;
        let number = self.u32(key)?;
        ValueKind::from_number(number).ok_or_else(|| {
            malformed(
                offset,
                &format!("the kind (0 to 12) of `{key}`"),
                number.to_string(),
            )
        })
    }

    fn scalar(&mut self, key: &str, kind: ValueKind) -> Result<Value, Fault> {
        let offset = self.at;
        let mut bytes = [0; 8];
        match kind.bytes() {
            1 => bytes[..1].copy_from_slice(&self.take::<1>(key)?),
            2 => bytes[..2].copy_from_slice(&self.take::<2>(key)?),
            4 => bytes[..4].copy_from_slice(&self.take::<4>(key)?),
            _ => bytes = self.take::<8>(key)?,
        }
        kind.scalar(bytes)
            .ok_or_else(|| malformed(offset, "a single value", format!("{kind:?}")))
    }

    /// An array. Its elements are stored if they are few, and walked over if not.
    fn array(&mut self, key: &str) -> Result<Array, Fault> {
        let offset = self.at;
        let kind = self.kind(key)?;
        if kind == ValueKind::Array {
            // The format allows it, but no program writes it, and llama.cpp refuses it.
            return Err(malformed(
                offset,
                &format!("single values in the array `{key}`"),
                "arrays",
            ));
        }
        let len = self.u64(key)?;
        let offset = self.at;
        let bytes = len.saturating_mul(kind.bytes());
        self.need(key, bytes)?;
        let short = len <= ARRAY_LIMIT && self.kept.saturating_add(8 * len) <= KEPT_LIMIT;
        let items = match kind {
            ValueKind::Text if key == TOKENS => self.tokens(len)?,
            ValueKind::Text if short => {
                let mut texts = Vec::new();
                for _ in 0..len {
                    texts.push(self.text(key, KEPT_LIMIT)?);
                }
                Items::Texts(texts)
            }
            ValueKind::Text => {
                for _ in 0..len {
                    let length = self.u64(key)?;
                    self.skip(key, length)?;
                }
                Items::Unread
            }
            ValueKind::F32 | ValueKind::F64 => {
                self.skip(key, bytes)?;
                Items::Unread
            }
            _ if short => {
                self.kept += 8 * len;
                let mut numbers = Vec::new();
                for _ in 0..len {
                    numbers.push(match self.scalar(key, kind)? {
                        Value::Unsigned(number) => i64::try_from(number).unwrap_or(i64::MAX),
                        Value::Signed(number) => number,
                        other => i64::from(other == Value::Bool(true)),
                    });
                }
                Items::Integers(numbers)
            }
            _ => {
                self.skip(key, bytes)?;
                Items::Unread
            }
        };
        Ok(Array {
            kind,
            len,
            offset,
            items,
        })
    }

    /// Walks over the token list. llama.cpp aborts when two tokens are spelled alike, so their
    /// hashes are compared: 8 bytes a token, no more than their lengths take in the file.
    fn tokens(&mut self, len: u64) -> Result<Items, Fault> {
        let offset = self.at;
        let mut hashes: Vec<u64> = Vec::with_capacity(len as usize);
        for number in 0..len {
            let bytes = self.bytes("a token", KEPT_LIMIT)?;
            let text = seen(&bytes, number);
            self.spelt.add(&text);
            let mut hasher = DefaultHasher::new();
            hasher.write(&text);
            hashes.push(hasher.finish());
        }
        hashes.sort_unstable();
        if hashes.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(malformed(
                offset,
                "every token to be spelled differently",
                "two that are alike",
            ));
        }
        Ok(Items::Unread)
    }

    fn tensor(&mut self) -> Result<Tensor, Fault> {
        let offset = self.at;
        let name = self.name("a tensor name", NAME_LIMIT)?;
        let wrong = |expected: &str, found: String| {
            malformed(offset, &format!("{expected} of tensor `{name}`"), found)
        };
        let rank = self.u32(&name)?;
        let mut dims = [1u64; 4];
        let used = dims
            .get_mut(..rank as usize)
            .ok_or_else(|| wrong("at most 4 dimensions", rank.to_string()))?;
        for dim in used {
            *dim = self.u64(&name)?;
        }
        let id = self.u32(&name)?;
        let kind = TensorType::from_id(id)
            .ok_or_else(|| wrong("a known number format", format!("type {id}")))?;
        let bytes = dims
            .iter()
            .try_fold(1u64, |product, &dim| product.checked_mul(dim))
            .filter(|&elements| {
                elements > 0 && elements <= i64::MAX as u64 && dims[0].is_multiple_of(kind.block)
            })
            .map(|elements| elements / kind.block)
            .and_then(|blocks| blocks.checked_mul(kind.bytes))
            .ok_or_else(|| {
                wrong(
                    &format!("a shape in blocks of {}", kind.block),
                    format!("{dims:?}"),
                )
            })?;
        let start = self.u64(&name)?;
        Ok(Tensor {
            name,
            dims,
            kind,
            offset: start,
            bytes,
        })
    }

    /// A string that error messages may quote: not empty, on one line.
    fn name(&mut self, what: &str, limit: u64) -> Result<String, Fault> {
        let offset = self.at;
        let name = self.text(what, limit)?;
        if name.is_empty() || name.chars().any(char::is_control) {
            return Err(malformed(offset, what, format!("{name:?}")));
        }
        Ok(name)
    }

    /// A string that is stored.
    fn text(&mut self, what: &str, limit: u64) -> Result<String, Fault> {
        let offset = self.at;
        let bytes = self.bytes(what, limit)?;
        self.kept += bytes.len() as u64;
        if self.kept > KEPT_LIMIT {
            return Err(malformed(
                offset,
                &format!("at most {KEPT_LIMIT} bytes of metadata"),
                "more",
            ));
        }
        String::from_utf8(bytes).or_else(|error| Ok(lossy(error.as_bytes())))
    }

    /// A string's length, then as many bytes.
    fn bytes(&mut self, what: &str, limit: u64) -> Result<Vec<u8>, Fault> {
        let offset = self.at;
        let length = self.u64(what)?;
        self.need(what, length)?;
        if length > limit {
            return Err(malformed(
                offset,
                &format!("{what} of at most {limit} bytes"),
                length.to_string(),
            ));
        }
        let mut bytes = vec![0; length as usize];
        self.source.read_exact(&mut bytes).map_err(Fault::Io)?;
        self.at += length;
        Ok(bytes)
    }

    fn u32(&mut self, what: &str) -> Result<u32, Fault> {
        self.take(what).map(u32::from_le_bytes)
    }

    fn u64(&mut self, what: &str) -> Result<u64, Fault> {
        self.take(what).map(u64::from_le_bytes)
    }

    fn take<const N: usize>(&mut self, what: &str) -> Result<[u8; N], Fault> {
        self.need(what, N as u64)?;
        let mut bytes = [0; N];
        self.source.read_exact(&mut bytes).map_err(Fault::Io)?;
        self.at += N as u64;
        Ok(bytes)
    }

    fn skip(&mut self, what: &str, bytes: u64) -> Result<(), Fault> {
        self.need(what, bytes)?;
        let distance =
            i64::try_from(bytes).map_err(|_| Fault::Io(ErrorKind::InvalidData.into()))?;
        self.source.seek_relative(distance).map_err(Fault::Io)?;
        self.at += bytes;
        Ok(())
    }

    /// Fails unless `bytes` more are left.
    fn need(&self, what: &str, bytes: u64) -> Result<(), Fault> {
        let left = self.len - self.at;
        if bytes <= left {
            return Ok(());
        }
        Err(Fault::Cut {
            what: what.to_owned(),
            offset: self.at,
            needed: bytes,
            left,
        })
    }
}
