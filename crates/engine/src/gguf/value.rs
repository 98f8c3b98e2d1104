//! Metadata values.

use std::fmt;

/// A metadata value. Numbers are widened, whatever their width in the file.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `u8`, `u16`, `u32`, `u64`.
    Unsigned(u64),
    /// `i8`, `i16`, `i32`, `i64`.
    Signed(i64),
    /// `f32`, `f64`.
    Float(f64),
    /// `bool`.
    Bool(bool),
    /// A string; bytes that are not UTF-8 are replaced by `?`.
    Text(String),
    /// An array.
    Array(Array),
}

/// In short, on one line.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Unsigned(number) => write!(f, "{number}"),
            Value::Signed(number) => write!(f, "{number}"),
            Value::Float(number) => write!(f, "{number}"),
            Value::Bool(truth) => write!(f, "{truth}"),
            Value::Text(text) => {
                let start: String = text.chars().take(40).collect();
                let rest = if start.len() < text.len() { "…" } else { "" };
                write!(f, "{start:?}{rest}")
            }
            Value::Array(array) => write!(f, "an array of {}", array.len),
        }
    }
}

/// An array of the metadata.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// ValueKind of the elements.
    pub kind: ValueKind,
    /// Number of elements.
    pub len: u64,
    /// Where the first element starts: bytes from the start of the file.
    pub offset: u64,
    /// The elements, if they were stored.
    pub items: Items,
}

/// The elements of a short array.
#[derive(Debug, Clone, PartialEq)]
pub enum Items {
    /// Floats, or too many elements to keep.
    Unread,
    /// Integers and truth values (0 and 1). Above `i64::MAX` they are cut to it.
    Integers(Vec<i64>),
    /// Strings.
    Texts(Vec<String>),
}

/// ValueKind of a value or of an array's elements, as the file encodes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the format")]
pub enum ValueKind {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    Text,
    Array,
    U64,
    I64,
    F64,
}

impl ValueKind {
    const ALL: [ValueKind; 13] = [
        ValueKind::U8,
        ValueKind::I8,
        ValueKind::U16,
        ValueKind::I16,
        ValueKind::U32,
        ValueKind::I32,
        ValueKind::F32,
        ValueKind::Bool,
        ValueKind::Text,
        ValueKind::Array,
        ValueKind::U64,
        ValueKind::I64,
        ValueKind::F64,
    ];

    /// The kind with this number in the file.
    pub(super) fn from_number(number: u32) -> Option<ValueKind> {
        ValueKind::ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// Bytes of one element; for strings the least (their length).
    pub(super) fn bytes(self) -> u64 {
        match self {
            ValueKind::U8 | ValueKind::I8 | ValueKind::Bool => 1,
            ValueKind::U16 | ValueKind::I16 => 2,
            ValueKind::U32 | ValueKind::I32 | ValueKind::F32 => 4,
            ValueKind::U64 | ValueKind::I64 | ValueKind::F64 | ValueKind::Text => 8,
            ValueKind::Array => 12,
        }
    }

    /// A scalar from its little-endian bytes, zero-extended to eight. `None` for text and arrays.
    pub(super) fn scalar(self, bytes: [u8; 8]) -> Option<Value> {
        let word = u64::from_le_bytes(bytes);
        let [b0, b1, b2, b3, ..] = bytes;
        Some(match self {
            ValueKind::U8 | ValueKind::U16 | ValueKind::U32 | ValueKind::U64 => {
                Value::Unsigned(word)
            }
            ValueKind::I8 => Value::Signed(i8::from_le_bytes([b0]).into()),
            ValueKind::I16 => Value::Signed(i16::from_le_bytes([b0, b1]).into()),
            ValueKind::I32 => Value::Signed(i32::from_le_bytes([b0, b1, b2, b3]).into()),
            ValueKind::I64 => Value::Signed(i64::from_le_bytes(bytes)),
            ValueKind::F32 => Value::Float(f32::from_le_bytes([b0, b1, b2, b3]).into()),
            ValueKind::F64 => Value::Float(f64::from_le_bytes(bytes)),
            ValueKind::Bool => Value::Bool(b0 != 0),
            ValueKind::Text | ValueKind::Array => return None,
        })
    }
}
