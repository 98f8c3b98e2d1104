//! What a parameter is set to before it has a type.

use serde::{Serialize, Serializer};
use std::fmt;
use std::path::PathBuf;

/// A value of any kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// On or off.
    Switch(bool),
    /// A whole number.
    Whole(i128),
    /// Any number.
    Number(f64),
    /// A text, or a word.
    Text(String),
    /// A path, which may be no valid text.
    Path(PathBuf),
    /// Several.
    List(Vec<Value>),
}

/// As it is typed after a flag; lists with commas.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Switch(on) => on.fmt(f),
            Value::Whole(n) => n.fmt(f),
            Value::Number(n) if *n != 0.0 && n.abs() < 1e-6 => write!(f, "{n:e}"),
            Value::Number(n) => n.fmt(f),
            Value::Text(text) => text.fmt(f),
            Value::Path(path) => path.display().fmt(f),
            Value::List(values) => {
                for (i, value) in values.iter().enumerate() {
                    let comma = if i > 0 { "," } else { "" };
                    write!(f, "{comma}{value}")?;
                }
                Ok(())
            }
        }
    }
}

/// As in TOML and JSON.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Switch(on) => to.serialize_bool(*on),
            Value::Whole(n) => match i64::try_from(*n) {
                Ok(n) => to.serialize_i64(n),
                Err(_) => to.serialize_i128(*n),
            },
            Value::Number(n) => to.serialize_f64(*n),
            Value::Text(text) => to.serialize_str(text),
            Value::Path(path) => path.serialize(to),
            Value::List(values) => to.collect_seq(values),
        }
    }
}
