//! GGUF model files, read without llama.cpp.
//!
//! llama.cpp reports every bad file as one null pointer, and aborts the process on some intact ones
//! (a vocabulary without weights, two tokens of the same spelling). So a file is looked at here
//! first: [`Header::read`] parses everything before the tensor data and compares the tensors with
//! the length of the file, [`Header::member`] says whether the model can be a member of a pack, and
//! [`Footprint`] estimates the memory that it will take.
//!
//! The layout (versions 2 and 3, little endian):
//!
//! ```text
//! "GGUF"  version: u32  tensors: u64  entries: u64
//! entry:  key: string  kind: u32  value
//! tensor: name: string  n: u32  dimensions: n × u64  type: u32  offset: u64
//! padding to general.alignment (32), then the data; offsets count from here
//! string: length: u64, bytes      array: kind: u32  length: u64  elements
//! ```
//!
//! **Invariant.** Lengths are compared with what is left of the file before anything is allocated,
//! and what is stored is bounded (`reader` has the constants), so a file cannot make the reader
//! allocate much more than its own size. Long arrays (the token list) are walked over, not stored.

mod error;
mod family;
mod footprint;
mod foreign;
mod reader;
mod refusal;
mod spelt;
mod split;
mod summary;
mod tensor;
#[cfg(test)]
mod tests;
mod value;
mod vocabulary;
mod widths;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufReader, ErrorKind};
use std::path::{Path, PathBuf};

pub use error::{Fault, GgufError};
pub use family::Family;
pub use footprint::{Footprint, Plan, Usage, WeightBytes};
pub use foreign::Foreign;
use spelt::Spelt;
pub use summary::Summary;
pub use tensor::{Tensor, TensorType};
pub use value::{Array, Items, Value, ValueKind};

/// Most layers that llama.cpp runs; it aborts on more.
const MAX_LAYERS: usize = 512;

/// Everything that a GGUF file says before its tensor data.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    path: PathBuf,
    /// Length of the file: bytes.
    pub file_bytes: u64,
    /// GGUF version: 2 or 3.
    pub version: u32,
    /// Where the tensor data begins: bytes from the start of the file.
    pub data_offset: u64,
    /// The tensors, in the order of their data.
    pub tensors: Vec<Tensor>,
    entries: BTreeMap<String, Value>,
    spelt: Spelt,
    /// Files that were read: more than one of a split model.
    parts: u64,
}

impl Header {
    /// Reads the header of the file at `path` and checks that no tensor data is missing. With the
    /// first file of a split model go the others, if they lie beside it.
    ///
    /// # Errors
    /// The file cannot be opened, is no GGUF file, is malformed, or ends too early. An intact file
    /// that cannot be a member (an adapter, say) is read without complaint: see [`Header::member`].
    pub fn read(path: impl AsRef<Path>) -> Result<Header, GgufError> {
        let path = path.as_ref();
        let mut header = Self::read_alone(path)?;
        split::join(&mut header)?;
        Ok(header)
    }

    /// Reads one file.
    fn read_alone(path: &Path) -> Result<Header, GgufError> {
        let fail = |fault| GgufError::new(path, fault);
        let io = |error: std::io::Error| match error.kind() {
            ErrorKind::NotFound => fail(Fault::Missing),
            _ => fail(Fault::Io(error)),
        };
        // Checked before opening: opening a pipe that nobody writes to would block.
        let metadata = fs::metadata(path).map_err(io)?;
        if metadata.is_dir() {
            return Err(fail(Fault::Directory));
        }
        if !metadata.is_file() {
            return Err(fail(Fault::Special));
        }
        let file = File::open(path).map_err(io)?;
        let bytes = file.metadata().map_err(io)?.len();
        let source = BufReader::with_capacity(1 << 16, file);
        let mut header = reader::parse(source, bytes).map_err(fail)?;
        header.path = path.to_path_buf();
        Ok(header)
    }

    /// The file that was read.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.entries.get(key)
    }

    /// All keys with their values, sorted by key.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.entries
            .iter()
            .map(|(key, value)| (key.as_str(), value))
    }

    /// The text at `key`; `None` also if it is no text.
    pub fn str(&self, key: &str) -> Option<&str> {
        match self.get(key)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The integer at `key`, of any width; `None` also if it is negative or no integer.
    pub fn u64(&self, key: &str) -> Option<u64> {
        match self.get(key)? {
            Value::Unsigned(number) => Some(*number),
            Value::Signed(number) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    /// The truth value at `key`; `None` also if it is none.
    pub fn bool(&self, key: &str) -> Option<bool> {
        match self.get(key)? {
            Value::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    /// The array at `key`; `None` also if it is none.
    pub fn array(&self, key: &str) -> Option<&Array> {
        match self.get(key)? {
            Value::Array(array) => Some(array),
            _ => None,
        }
    }

    /// `general.architecture`: `llama`, `gemma3`, …
    pub fn architecture(&self) -> Option<&str> {
        self.str("general.architecture")
    }

    /// The key `{architecture}.{suffix}`, where the facts about the network stand.
    pub fn arch_key(&self, suffix: &str) -> String {
        format!("{}.{suffix}", self.architecture().unwrap_or_default())
    }

    /// A fact given once for all layers or as an array with one number a layer; one number a layer
    /// is returned. `None` if it is absent, the array has another length, or there are more than
    /// 512 layers.
    pub fn per_layer(&self, key: &str, layers: usize) -> Option<Vec<u64>> {
        if layers > MAX_LAYERS {
            return None;
        }
        if let Some(number) = self.u64(key) {
            return Some(vec![number; layers]);
        }
        match self.get(key)? {
            Value::Bool(truth) => Some(vec![u64::from(*truth); layers]),
            Value::Array(array) if array.len == layers as u64 => match &array.items {
                Items::Integers(numbers) => Some(
                    numbers
                        .iter()
                        .map(|&number| u64::try_from(number).unwrap_or(0))
                        .collect(),
                ),
                _ => None,
            },
            _ => None,
        }
    }

    /// What people want to know about the model. Facts that the file lacks are zero or empty.
    pub fn summary(&self) -> Summary {
        summary::summarise(self)
    }

    /// The [`Summary`] of a model that can be a member of a pack.
    ///
    /// # Errors
    /// The file is intact, but no complete, generating language model with a byte-exact tokenizer;
    /// or it holds values on which llama.cpp would abort the process.
    pub fn member(&self) -> Result<Summary, GgufError> {
        let summary = self.summary();
        match refusal::refuse(self, &summary) {
            Some(fault) => Err(GgufError::new(&self.path, fault)),
            None => Ok(summary),
        }
    }
}
