//! The table of parameters: all that can be set, declared once.
//!
//! [`table`](self::all) has an entry for each: its names, kind, range, default and help, where it
//! may be set, and the field of [`Values`] that it becomes. Flags, the environment, the config
//! file, manifests, `/set` and whatever lists parameters read the entry; nobody else knows a name,
//! a bound or a default.
//!
//! [`Values`] is what one place says. What holds is the strongest place that says something:
//! `flags.or(&manifest).or(&config)`, and then the default, which the method of a field's name
//! gives.

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
pub use words::{Cache, Draft, FlashAttention, Overflow, Think, Vocab};

use thiserror::Error;

/// What parameters are shown under.
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
    /// The heading in a help; a command's own parameters have none.
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
    /// `[[member]]` of a manifest; a flag is for all members, and stronger.
    Member,
    /// `[[member]]` of a manifest, where it is another thing than the flag: that is for all members
    /// together.
    MemberAlone,
    /// `/set` in a conversation.
    Chat,
}

/// A check beyond kind and range: whether the value is allowed, and what it must be, in words that
/// go on from the bounds.
pub type Check = (fn(&Value) -> bool, &'static str);

/// An entry of the table.
#[derive(Debug)]
pub struct Parameter {
    /// Its name in manifests: `top_k`.
    pub key: &'static str,
    /// Its name everywhere else: `top-k`.
    pub name: String,
    /// What its values are.
    pub kind: Kind,
    /// Which numbers are allowed.
    pub range: Range,
    /// What else has to hold.
    pub check: Option<Check>,
    /// What holds where nothing is set.
    pub default: Option<Value>,
    /// What holds where nothing is set, if it is no value that one could set.
    pub otherwise: Option<&'static str>,
    /// What it does, in a line.
    pub help: &'static str,
    /// What it is shown under.
    pub group: Group,
    /// Where it may be set.
    pub places: &'static [Place],
    /// The flag of one letter.
    pub short: Option<char>,
    /// llama.cpp's flags for it, with their dashes.
    pub spellings: &'static [&'static str],
    /// What other programs call it in a conversation.
    pub aliases: &'static [&'static str],
    /// What a help calls its value; None: as the parameter.
    pub value_name: Option<&'static str>,
    /// The flag that cannot be given beside it.
    pub instead_of: Option<&'static str>,
    /// Whether its value may look like a flag.
    pub verbatim: bool,
    /// Whether a comma separates several values.
    pub commas: bool,
    variable: String,
    example: Option<&'static str>,
    set: fn(&mut Values, &Value) -> Result<(), Misfit>,
    get: fn(&Values) -> Option<Value>,
}

/// A value that a parameter may not have.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("--{name} must be {bounds}, not {value}")]
pub struct Wrong {
    /// The parameter.
    pub name: String,
    /// What it must be.
    pub bounds: String,
    /// What it was to be.
    pub value: Value,
}

impl Parameter {
    /// Whether it may be set there.
    #[must_use]
    pub fn is_set_in(&self, place: Place) -> bool {
        self.places.contains(&place)
    }

    /// Whether a manifest can say it as its flag does.
    #[must_use]
    pub fn in_manifest(&self) -> bool {
        self.is_set_in(Place::Fusion) || self.is_set_in(Place::Member)
    }

    /// The variable that sets it.
    #[must_use]
    pub fn variable(&self) -> Option<&str> {
        let listens = self.is_set_in(Place::Environment);
        listens.then_some(&*self.variable)
    }

    /// What holds where nothing is set, in words.
    #[must_use]
    pub fn default_text(&self) -> Option<String> {
        let otherwise = self.otherwise.map(str::to_owned);
        otherwise.or_else(|| self.default.as_ref().map(Value::to_string))
    }

    /// The help, with what holds otherwise if no value of the flag says it: what a manifest may say
    /// is open until the manifest is read.
    #[must_use]
    pub fn told(&self) -> String {
        match self.default_text() {
            Some(default) if self.otherwise.is_some() || self.in_manifest() => {
                format!("{} [default: {default}]", self.help)
            }
            _ => self.help.to_owned(),
        }
    }

    /// A value as a config file has it.
    #[must_use]
    pub fn example(&self) -> String {
        match (self.example, &self.default) {
            (Some(example), _) => example.to_owned(),
            (None, Some(Value::Text(word))) => format!("{word:?}"),
            (None, default) => default.as_ref().map(Value::to_string).unwrap_or_default(),
        }
    }

    /// What its value has to be: `a number from 0 to 1 (1 is off)`.
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
    /// A value that it may not have; nothing is set then.
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

    /// What `values` say of it.
    #[must_use]
    pub fn get(&self, values: &Values) -> Option<Value> {
        (self.get)(values)
    }

    /// What holds under `values`.
    #[must_use]
    pub fn held(&self, values: &Values) -> Option<Value> {
        self.get(values).or_else(|| self.default.clone())
    }
}

#[cfg(test)]
mod tests;
