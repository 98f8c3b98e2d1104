//! Kinds of values, their names, and ranges of numbers.

use super::value::Value;
use std::fmt::Write;

/// The kind of a parameter's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// True or false; as a flag it has no value.
    Switch,
    /// A whole number that fits its type.
    Whole {
        /// Least number of the type.
        least: i128,
        /// Greatest number of the type.
        most: i128,
    },
    /// A number.
    Number,
    /// Any text.
    Text,
    /// The path of a file.
    Path,
    /// One of these words.
    Words(&'static [Word]),
    /// A whole number or one of these words.
    WholeOr(&'static [Word]),
    /// Several values of a kind.
    List(&'static Kind),
}

/// A word that a value may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word {
    /// As it is typed.
    pub name: &'static str,
    /// What it means, if the name does not say it.
    pub help: Option<&'static str>,
}

impl Word {
    /// A word that needs no explanation.
    #[must_use]
    pub const fn plain(name: &'static str) -> Self {
        Self { name, help: None }
    }
}

impl Kind {
    /// Reads one value as it is typed; for a list, one item.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(self, text: &str) -> Result<Value, String> {
        match self {
            Kind::Switch => match text {
                "true" | "on" => Ok(Value::Switch(true)),
                "false" | "off" => Ok(Value::Switch(false)),
                _ => Err(format!("it is {}", self.noun())),
            },
            Kind::Whole { least, most } => {
                let n: i128 = text.parse().map_err(said)?;
                match (least..=most).contains(&n) {
                    true => Ok(Value::Whole(n)),
                    false => Err(format!("{n} is not in {least}..={most}")),
                }
            }
            Kind::Number => text.parse().map(Value::Number).map_err(said),
            Kind::Path => Ok(Value::Path(text.into())),
            Kind::WholeOr(_) => match text.parse() {
                Ok(n) => Ok(Value::Whole(n)),
                Err(_) => Ok(Value::Text(text.to_owned())),
            },
            Kind::Text | Kind::Words(_) => Ok(Value::Text(text.to_owned())),
            Kind::List(kind) => kind.read(text),
        }
    }

    /// What a value is called in messages, without bounds.
    #[must_use]
    pub fn noun(self) -> String {
        match self {
            Kind::Switch => "true or false".into(),
            Kind::Whole { .. } => "a whole number".into(),
            Kind::Number => "a number".into(),
            Kind::Text => "a string".into(),
            Kind::Path => "a path".into(),
            Kind::Words(words) => listed(words.iter().map(|word| word.name.to_owned())),
            Kind::WholeOr(words) => {
                let words = words.iter().map(|word| format!("{:?}", word.name));
                format!("a whole number, {}", listed(words))
            }
            Kind::List(Kind::Number) => "a list of numbers".into(),
            Kind::List(_) => "a string or a list of strings".into(),
        }
    }

    /// The words that a value may be; none if the kind has no words.
    #[must_use]
    pub fn words(self) -> &'static [Word] {
        match self {
            Kind::Words(words) | Kind::WholeOr(words) => words,
            _ => &[],
        }
    }
}

fn said(error: impl ToString) -> String {
    error.to_string()
}

/// `a, b or c`.
fn listed(words: impl Iterator<Item = String>) -> String {
    let words: Vec<String> = words.collect();
    match words.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

/// Which numbers are allowed: finite ones between two bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// The least number.
    pub least: f64,
    /// The greatest number.
    pub most: f64,
    /// Whether `least` itself is excluded.
    pub above: bool,
    /// What a special number means.
    pub note: &'static str,
}

impl Range {
    /// Any finite number.
    pub const ALL: Range = Range {
        least: f64::NEG_INFINITY,
        most: f64::INFINITY,
        above: false,
        note: "",
    };

    /// `least`, `most` and what is between them.
    #[must_use]
    pub fn between(least: f64, most: f64) -> Self {
        let all = Self::ALL;
        Self { least, most, ..all }
    }

    /// `least` and more.
    #[must_use]
    pub fn at_least(least: f64) -> Self {
        Self::between(least, f64::INFINITY)
    }

    /// More than `least`.
    #[must_use]
    pub fn above(least: f64) -> Self {
        let above = true;
        Self {
            above,
            ..Self::at_least(least)
        }
    }

    /// With a note on what a special number means.
    #[must_use]
    pub fn noted(self, note: &'static str) -> Self {
        Self { note, ..self }
    }

    /// Whether it allows this number.
    #[must_use]
    pub fn contains(&self, n: f64) -> bool {
        let enough = n > self.least || (n == self.least && !self.above);
        n.is_finite() && enough && n <= self.most
    }

    /// Whether every number of the value is allowed.
    #[must_use]
    pub fn allows(&self, value: &Value) -> bool {
        match value {
            Value::Number(n) => self.contains(*n),
            Value::Whole(n) => self.contains(*n as f64),
            Value::List(values) => values.iter().all(|value| self.allows(value)),
            _ => true,
        }
    }

    /// The bounds in words: `from 0 to 1 (1 is off)`. Empty if there are none.
    #[must_use]
    pub fn bounds(&self, kind: Kind) -> String {
        let Range { least, most, .. } = self;
        let mut text = String::new();
        if kind == Kind::Number && most.is_infinite() {
            text.push_str("a finite number ");
        }
        // Writing to a string cannot fail.
        let _ = match (least.is_finite(), most.is_finite()) {
            (true, true) => write!(text, "from {least} to {most} "),
            (true, false) if self.above => write!(text, "above {least} "),
            (true, false) => write!(text, "at least {least} "),
            (false, true) => write!(text, "at most {most} "),
            (false, false) => Ok(()),
        };
        if !self.note.is_empty() {
            let _ = write!(text, "({})", self.note);
        }
        text.trim_end().to_owned()
    }
}
