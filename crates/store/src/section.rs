//! One table of a TOML document, read key by key, so that every error knows its line. Manifests are
//! read so, and so is the config file.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::StoreError;
use packllm_parameter::{Kind, Parameter, Place, Value, Values, known};

/// A TOML text and the name it goes by in messages.
#[derive(Debug)]
pub struct Document<'a> {
    /// The name, usually a path.
    pub origin: &'a str,
    /// The text.
    pub text: &'a str,
}

impl<'a> Document<'a> {
    /// The table that the text is.
    ///
    /// # Errors
    /// [`StoreError::Syntax`] with the line.
    pub fn parse(&self) -> Result<Spanned<DeTable<'a>>, StoreError> {
        DeTable::parse(self.text).map_err(|error| StoreError::Syntax {
            origin: self.origin.to_owned(),
            line: self.line(error.span().map_or(0, |span| span.start)),
            reason: error.message().lines().collect::<Vec<_>>().join(", "),
        })
    }

    /// Line of a byte offset, from 1.
    pub fn line(&self, offset: usize) -> usize {
        1 + self
            .text
            .bytes()
            .take(offset)
            .filter(|byte| *byte == b'\n')
            .count()
    }
}

/// A table of a document.
#[derive(Debug)]
pub struct Section<'a> {
    /// Where it stands.
    pub document: &'a Document<'a>,
    /// Its title, as `[fusion]`; empty at the top level.
    pub title: &'static str,
    /// The line where it starts.
    pub line: usize,
    /// Its keys and values.
    pub table: &'a DeTable<'a>,
}

impl<'a> Section<'a> {
    /// Refuses the first key, in order of lines, that is not among `known`.
    ///
    /// # Errors
    /// [`StoreError::UnknownKey`].
    pub fn only(&self, known: &[&'static str]) -> Result<(), StoreError> {
        let unknown = self
            .table
            .keys()
            .filter(|key| !known.contains(&key.get_ref().as_ref()));
        match unknown.min_by_key(|key| key.span().start) {
            None => Ok(()),
            Some(key) => Err(StoreError::UnknownKey {
                origin: self.document.origin.to_owned(),
                line: self.document.line(key.span().start),
                section: self.title,
                key: key.get_ref().to_string(),
                known: known.to_vec(),
            }),
        }
    }

    /// The value of `key` through `read`, which returns `None` for anything but what `expected`
    /// describes.
    ///
    /// # Errors
    /// [`StoreError::BadValue`].
    pub fn get<T>(
        &self,
        key: &str,
        expected: &str,
        read: impl Fn(&DeValue) -> Option<T>,
    ) -> Result<Option<T>, StoreError> {
        let Some(value) = self.table.get(key) else {
            return Ok(None);
        };
        match read(value.get_ref()) {
            Some(read) => Ok(Some(read)),
            None => Err(self.bad(key, value.span().start, expected, describe(value.get_ref()))),
        }
    }

    /// What it says of the parameters of these places.
    ///
    /// # Errors
    /// [`StoreError::BadValue`].
    pub(super) fn values(&self, places: &[Place]) -> Result<Values, StoreError> {
        let mut values = Values::default();
        for parameter in places.iter().flat_map(|place| known(*place)) {
            let read = |value: &DeValue| {
                let mut said = Values::default();
                parameter.set(&mut said, &read(parameter, value)?).ok()?;
                Some(said)
            };
            if let Some(said) = self.get(parameter.key, &parameter.expected(), read)? {
                values = values.or(&said);
            }
        }
        Ok(values)
    }

    /// As [`Section::get`], for a key that has to be there.
    pub(super) fn need<T>(
        &self,
        key: &'static str,
        expected: &str,
        read: impl Fn(&DeValue) -> Option<T>,
    ) -> Result<T, StoreError> {
        self.get(key, expected, read)?
            .ok_or_else(|| self.missing(key))
    }

    /// The elements of an array; empty if the key is absent.
    pub(super) fn array(
        &self,
        key: &str,
        expected: &str,
    ) -> Result<&'a [Spanned<DeValue<'a>>], StoreError> {
        let Some(value) = self.table.get(key) else {
            return Ok(&[]);
        };
        let array = value.get_ref().as_array();
        array
            .map(AsRef::as_ref)
            .ok_or_else(|| self.bad(key, value.span().start, expected, describe(value.get_ref())))
    }

    pub(super) fn missing(&self, key: &'static str) -> StoreError {
        let Document { origin, .. } = self.document;
        StoreError::MissingKey {
            origin: (*origin).to_owned(),
            line: self.line,
            section: self.title,
            key,
        }
    }

    /// The error for `key`, whose value starts at byte `offset`.
    pub(super) fn bad(
        &self,
        key: &str,
        offset: usize,
        expected: &str,
        actual: String,
    ) -> StoreError {
        StoreError::BadValue {
            origin: self.document.origin.to_owned(),
            line: self.document.line(offset),
            key: key.to_owned(),
            expected: expected.to_owned(),
            actual,
        }
    }

    /// The error for a key that is there and should not be, or clashes with another.
    pub(super) fn clash(&self, key: &str, expected: &str, actual: &str) -> StoreError {
        let offset = self.table.get(key).map_or(0, |value| value.span().start);
        self.bad(key, offset, expected, actual.to_owned())
    }
}

/// A short word for a value in a message.
pub(super) fn describe(value: &DeValue) -> String {
    match value {
        DeValue::String(text) if text.chars().count() > 60 => {
            format!("{:?}…", text.chars().take(60).collect::<String>())
        }
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(number) => number.as_str().to_owned(),
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "an array".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// A value for a parameter; None if it is of another kind.
#[must_use]
pub fn read(parameter: &Parameter, value: &DeValue) -> Option<Value> {
    match parameter.kind {
        Kind::Switch => value.as_bool().map(Value::Switch),
        Kind::Whole { .. } => whole(value),
        Kind::Number => number(value).map(Value::Number),
        Kind::Text | Kind::Words(_) | Kind::Path => string(value).map(Value::Text),
        Kind::WholeOr(_) => whole(value).or_else(|| string(value).map(Value::Text)),
        Kind::List(Kind::Number) => {
            let items = value.as_array()?.iter();
            let numbers = items.map(|item| number(item.get_ref()).map(Value::Number));
            numbers.collect::<Option<_>>().map(Value::List)
        }
        Kind::List(_) => {
            let texts = match value.as_array() {
                Some(items) => items.iter().map(|item| item.get_ref().as_str()).collect(),
                None => value.as_str().map(|text| vec![text]),
            };
            let texts: Vec<&str> = texts?;
            match parameter.commas {
                false => Some(Value::List(texts.into_iter().map(text).collect())),
                true => {
                    let parts = texts.iter().flat_map(|text| text.split(',')).map(str::trim);
                    let parts = parts.map(|part| (!part.is_empty()).then(|| text(part)));
                    parts.collect::<Option<_>>().map(Value::List)
                }
            }
        }
    }
}

fn whole(value: &DeValue) -> Option<Value> {
    integer(value).map(|n| Value::Whole(n.into()))
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// A string that is not empty.
pub fn string(value: &DeValue) -> Option<String> {
    value
        .as_str()
        .filter(|text| !text.trim().is_empty() && !text.contains('\0'))
        .map(str::to_owned)
}

/// An integer.
pub fn integer(value: &DeValue) -> Option<i64> {
    value
        .as_integer()
        .and_then(|number| i64::from_str_radix(number.as_str(), number.radix()).ok())
}

/// A finite number, written as an integer or not.
pub fn number(value: &DeValue) -> Option<f64> {
    let number = match value {
        DeValue::Float(number) => number.as_str().parse().ok(),
        _ => integer(value).map(|number| number as f64),
    };
    number.filter(|number: &f64| number.is_finite())
}
