//! The types that parameters have, and how they are read from values.

use super::kind::{Kind, Word};
use super::value::Value;
use packllm_engine::mix::Mix;
use std::path::PathBuf;

/// A value does not fit the type of its parameter: it is of another kind, or too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Misfit;

/// A type of parameters.
pub trait Typed: Clone {
    /// The kind of its values.
    const KIND: Kind;

    /// Reads a value.
    ///
    /// # Errors
    /// A value that does not fit.
    fn read(value: &Value) -> Result<Self, Misfit>;

    /// The value that is read as this.
    fn value(&self) -> Value;
}

impl Typed for bool {
    const KIND: Kind = Kind::Switch;

    fn read(value: &Value) -> Result<Self, Misfit> {
        match value {
            Value::Switch(on) => Ok(*on),
            _ => Err(Misfit),
        }
    }

    fn value(&self) -> Value {
        Value::Switch(*self)
    }
}

macro_rules! whole {
    ($($type:ty),*) => {$(
        impl Typed for $type {
            const KIND: Kind = Kind::Whole { least: <$type>::MIN as i128, most: <$type>::MAX as i128 };

            fn read(value: &Value) -> Result<Self, Misfit> {
                match value {
                    Value::Whole(n) => (*n).try_into().map_err(|_| Misfit),
                    _ => Err(Misfit),
                }
            }

            fn value(&self) -> Value {
                Value::Whole(*self as i128)
            }
        }
    )*};
}

whole!(i32, u32, i64, u64, usize);

impl Typed for f64 {
    const KIND: Kind = Kind::Number;

    fn read(value: &Value) -> Result<Self, Misfit> {
        match value {
            Value::Number(n) => Ok(*n),
            Value::Whole(n) => Ok(*n as f64),
            _ => Err(Misfit),
        }
    }

    fn value(&self) -> Value {
        Value::Number(*self)
    }
}

impl Typed for f32 {
    const KIND: Kind = Kind::Number;

    fn read(value: &Value) -> Result<Self, Misfit> {
        f64::read(value).map(|n| n as f32)
    }

    /// The shortest number that is read as the same one.
    fn value(&self) -> Value {
        let shortest = self.to_string().parse();
        Value::Number(shortest.unwrap_or_else(|_| f64::from(*self)))
    }
}

impl Typed for String {
    const KIND: Kind = Kind::Text;

    fn read(value: &Value) -> Result<Self, Misfit> {
        match value {
            Value::Text(text) => Ok(text.clone()),
            _ => Err(Misfit),
        }
    }

    fn value(&self) -> Value {
        Value::Text(self.clone())
    }
}

impl Typed for PathBuf {
    const KIND: Kind = Kind::Path;

    fn read(value: &Value) -> Result<Self, Misfit> {
        match value {
            Value::Path(path) => Ok(path.clone()),
            Value::Text(text) => Ok(text.into()),
            _ => Err(Misfit),
        }
    }

    fn value(&self) -> Value {
        Value::Path(self.clone())
    }
}

impl<T: Typed> Typed for Vec<T> {
    const KIND: Kind = Kind::List(&T::KIND);

    fn read(value: &Value) -> Result<Self, Misfit> {
        match value {
            Value::List(values) => values.iter().map(T::read).collect(),
            one => Ok(vec![T::read(one)?]),
        }
    }

    fn value(&self) -> Value {
        Value::List(self.iter().map(T::value).collect())
    }
}

impl Typed for Mix {
    const KIND: Kind = Kind::Words(&[Word::plain("log"), Word::plain("linear")]);

    fn read(value: &Value) -> Result<Self, Misfit> {
        String::read(value)?.parse().map_err(|_| Misfit)
    }

    fn value(&self) -> Value {
        Value::Text(self.to_string())
    }
}

/// How many layers go to a GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layers {
    /// All if there is a GPU.
    Auto,
    /// All of them.
    All,
    /// This many.
    Some(u32),
}

impl Layers {
    /// The words.
    pub const WORDS: &[Word] = &[Word::plain("all"), Word::plain("auto")];

    /// As `Offload::layers` has it.
    #[must_use]
    pub fn wanted(self) -> Option<u32> {
        match self {
            Layers::Auto => None,
            Layers::All => Some(u32::MAX),
            Layers::Some(layers) => Some(layers),
        }
    }
}

impl Typed for Layers {
    const KIND: Kind = Kind::WholeOr(Self::WORDS);

    /// A negative number means all, as for llama.cpp.
    fn read(value: &Value) -> Result<Self, Misfit> {
        match value {
            Value::Text(text) if text == "auto" => Ok(Layers::Auto),
            Value::Text(text) if text == "all" => Ok(Layers::All),
            Value::Whole(n) => Ok(u32::try_from(*n).map_or(Layers::All, Layers::Some)),
            _ => Err(Misfit),
        }
    }

    fn value(&self) -> Value {
        match self {
            Layers::Auto => Value::Text("auto".into()),
            Layers::All => Value::Text("all".into()),
            Layers::Some(layers) => Value::Whole((*layers).into()),
        }
    }
}
