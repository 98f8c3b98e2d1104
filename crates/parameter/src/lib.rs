//! The table of parameters: everything that can be set, declared once.
//!
//! [The table](self::all) has an entry for each: its names, kind, range, default and help, where it
//! may be set, and its field of [`Values`]. Flags, the environment, the config file, manifests,
//! `/set` and every list of parameters are made from the entries; names, bounds and defaults are
//! nowhere else.
//!
//! [`Values`] are the parameters that one place sets. The strongest place that sets a parameter
//! wins: `flags.or(&manifest).or(&config)`. If none does, the method with the field's name gives
//! the default.

mod declare;
mod kind;
mod table;
mod typed;
mod value;
mod words;

pub use kind::{Kind, Range, Word};
pub use table::{Values, all, find, known};
pub use typed::{Layers, Misfit, Typed};
pub use value::Value;
pub use words::{Cache, Draft, FlashAttention, OnLoss, Overflow, RepeatStop, Think, Vocab};

use thiserror::Error;

/// The groups in which parameters are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Which models, and how they are loaded.
    Pack,
    /// How members are fused.
    Fusion,
    /// How an answer is drawn.
    Sampling,
    /// How a conversation goes.
    Conversation,
    /// How an answer is shown.
    Look,
    /// What is read.
    Prompt,
}

impl Group {
    /// The heading in the help; a command's own parameters have none.
    #[must_use]
    pub fn heading(self) -> Option<&'static str> {
        match self {
            Group::Pack => Some("Pack"),
            Group::Fusion => Some("Fusion"),
            Group::Sampling => Some("Sampling"),
            Group::Conversation => None,
            Group::Look => Some("Look"),
            Group::Prompt => Some("Prompt"),
        }
    }
}

/// Where a parameter may be set, besides its flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// `PACKLLM_NAME`.
    Environment,
    /// The config file.
    Config,
    /// `[fusion]` of a manifest.
    Fusion,
    /// `[[member]]` of a manifest. The flag is for all members, and wins.
    Member,
    /// `[[member]]` of a manifest, with another meaning than the flag's, which is for all members
    /// together.
    MemberAlone,
    /// `/set` in a conversation.
    Chat,
}

/// A check beyond kind and range: whether the value is allowed, and what it must be, in words that
/// continue the bounds.
pub type Check = (fn(&Value) -> bool, &'static str);

/// An entry of the table.
#[derive(Debug)]
pub struct Parameter {
    /// Its name in manifests: `top_k`.
    pub key: &'static str,
    /// Its name everywhere else: `top-k`.
    pub name: String,
    /// The kind of its values.
    pub kind: Kind,
    /// The numbers that are allowed.
    pub range: Range,
    /// A further check.
    pub check: Option<Check>,
    /// The default value.
    pub default: Option<Value>,
    /// What holds if nothing is set, in words, for a parameter without a default value.
    pub otherwise: Option<&'static str>,
    /// Its help, in a line.
    pub help: &'static str,
    /// The group it is shown in.
    pub group: Group,
    /// Where it may be set, besides its flag.
    pub places: &'static [Place],
    /// The flag with one letter.
    pub short: Option<char>,
    /// llama.cpp's spellings of the flag, with their dashes.
    pub spellings: &'static [&'static str],
    /// What other programs call it in a conversation.
    pub aliases: &'static [&'static str],
    /// What the help calls its value; None: the parameter's own name.
    pub value_name: Option<&'static str>,
    /// The flag that it conflicts with.
    pub instead_of: &'static [&'static str],
    /// Whether its value may look like a flag.
    pub verbatim: bool,
    /// Whether commas separate several values.
    pub commas: bool,
    variable: String,
    example: Option<&'static str>,
    set: fn(&mut Values, &Value) -> Result<(), Misfit>,
    get: fn(&Values) -> Option<Value>,
}

/// A value that a parameter may not have.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("{name} must be {bounds}, not {value}")]
pub struct Wrong {
    /// The parameter.
    pub name: String,
    /// What it must be.
    pub bounds: String,
    /// The wrong value.
    pub value: Value,
}

impl Parameter {
    /// Whether it may be set in this place.
    #[must_use]
    pub fn is_set_in(&self, place: Place) -> bool {
        self.places.contains(&place)
    }

    /// Whether a manifest can set it with the same meaning as its flag.
    #[must_use]
    pub fn in_manifest(&self) -> bool {
        self.is_set_in(Place::Fusion) || self.is_set_in(Place::Member)
    }

    /// The environment variable that sets it.
    #[must_use]
    pub fn variable(&self) -> Option<&str> {
        let listens = self.is_set_in(Place::Environment);
        listens.then_some(&*self.variable)
    }

    /// What holds if nothing is set, in words.
    #[must_use]
    pub fn default_text(&self) -> Option<String> {
        let otherwise = self.otherwise.map(str::to_owned);
        otherwise.or_else(|| self.default.as_ref().map(Value::to_string))
    }

    /// The help, with the default where clap cannot show it: a parameter that a manifest may set
    /// has no default before the manifest is read.
    #[must_use]
    pub fn told(&self) -> String {
        match self.default_text() {
            Some(default) if self.otherwise.is_some() || self.in_manifest() => {
                format!("{} [default: {default}]", self.help)
            }
            _ => self.help.to_owned(),
        }
    }

    /// An example of a value, as in a config file.
    #[must_use]
    pub fn example(&self) -> String {
        match (self.example, &self.default) {
            (Some(example), _) => example.to_owned(),
            (None, Some(Value::Text(word))) => format!("{word:?}"),
            (None, default) => default.as_ref().map(Value::to_string).unwrap_or_default(),
        }
    }

    /// What its value must be: `a number from 0 to 1 (1 is off)`.
    #[must_use]
    pub fn expected(&self) -> String {
        let (noun, bounds) = (self.kind.noun(), self.bounds());
        if bounds.starts_with(&noun) || bounds.starts_with("a finite number") {
            return bounds;
        }
        let of = if bounds.starts_with("at ") { "of " } else { "" };
        format!("{noun} {of}{bounds}").trim_end().to_owned()
    }

    /// Sets it.
    ///
    /// # Errors
    /// A value that it may not have; then nothing is set.
    pub fn set(&self, values: &mut Values, value: &Value) -> Result<(), Wrong> {
        let holds = self.check.is_none_or(|(holds, _)| holds(value));
        if !holds || !self.range.allows(value) {
            return Err(self.wrong(value));
        }
        (self.set)(values, value).map_err(|Misfit| self.wrong(value))
    }

    /// The numbers that are allowed, in words: `from 0 to 1 (1 is off)`.
    fn bounds(&self) -> String {
        let bounds = self.range.bounds(self.kind);
        match self.check {
            Some((_, words)) => format!("{bounds} {words}"),
            None => bounds,
        }
    }

    fn wrong(&self, value: &Value) -> Wrong {
        let bounds = Some(self.bounds()).filter(|bounds| !bounds.is_empty());
        Wrong {
            name: self.name.clone(),
            bounds: bounds.unwrap_or_else(|| self.kind.noun()),
            value: value.clone(),
        }
    }

    /// Whether a question to a server may set it, or it is about the program that asks. What is
    /// left is set where the pack is loaded.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        let is_number = matches!(self.kind, Kind::Number | Kind::Whole { .. });
        match self.group {
            Group::Pack | Group::Prompt => false,
            Group::Fusion => is_number || matches!(self.key, "weights" | "mix"),
            Group::Sampling => !matches!(self.key, "draft" | "repeat_stop"),
            Group::Conversation | Group::Look => true,
        }
    }

    /// Its value in `values`, if it is set there.
    #[must_use]
    pub fn get(&self, values: &Values) -> Option<Value> {
        (self.get)(values)
    }

    /// The value that holds with `values`: its own, or the default.
    #[must_use]
    pub fn held(&self, values: &Values) -> Option<Value> {
        self.get(values).or_else(|| self.default.clone())
    }
}

#[cfg(test)]
mod tests;
