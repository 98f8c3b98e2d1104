//! Metadata values.

use std::fmt;

/// A metadata value. Numbers are widened: the width is the writer's affair.
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
    /// Kind of the elements.
    pub kind: Kind,
    /// Number of elements.
    pub len: u64,
    /// Where the first element starts: bytes from the start of the file.
    pub offset: u64,
    /// The elements, if they were kept.
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

/// Kind of a value or of an array's elements, as the file encodes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind {
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

impl Kind {
    const ALL: [Kind; 13] = [
        Kind::U8,
        Kind::I8,
        Kind::U16,
        Kind::I16,
        Kind::U32,
        Kind::I32,
        Kind::F32,
        Kind::Bool,
        Kind::Text,
        Kind::Array,
        Kind::U64,
        Kind::I64,
        Kind::F64,
    ];

    /// The kind with this number in the file.
    pub(super) fn from_number(number: u32) -> Option<Kind> {
        Kind::ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// Bytes of one element; for strings the least (their length).
    pub(super) fn bytes(self) -> u64 {
        match self {
            Kind::U8 | Kind::I8 | Kind::Bool => 1,
            Kind::U16 | Kind::I16 => 2,
            Kind::U32 | Kind::I32 | Kind::F32 => 4,
            Kind::U64 | Kind::I64 | Kind::F64 | Kind::Text => 8,
            Kind::Array => 12,
        }
    }

    /// A scalar from its little-endian bytes, zero-extended to eight. `None` for text and arrays.
    pub(super) fn scalar(self, bytes: [u8; 8]) -> Option<Value> {
        let word = u64::from_le_bytes(bytes);
        let [b0, b1, b2, b3, ..] = bytes;
        Some(match self {
            Kind::U8 | Kind::U16 | Kind::U32 | Kind::U64 => Value::Unsigned(word),
            Kind::I8 => Value::Signed(i8::from_le_bytes([b0]).into()),
            Kind::I16 => Value::Signed(i16::from_le_bytes([b0, b1]).into()),
            Kind::I32 => Value::Signed(i32::from_le_bytes([b0, b1, b2, b3]).into()),
            Kind::I64 => Value::Signed(i64::from_le_bytes(bytes)),
            Kind::F32 => Value::Float(f32::from_le_bytes([b0, b1, b2, b3]).into()),
            Kind::F64 => Value::Float(f64::from_le_bytes(bytes)),
            Kind::Bool => Value::Bool(b0 != 0),
            Kind::Text | Kind::Array => return None,
        })
    }
}
