//! How the table is declared.

use super::{Check, Group, Kind, Parameter, Place, Range, Typed, Value, Values};

/// Declares [`Values`] and the table.
///
/// ```text
/// temp: f64 = 0.8 => Group::Sampling.says("Temperature").within(Range::ALL);
/// ```
///
/// makes the field `temp: Option<f64>`, the method `temp()`, which gives 0.8 if the field is not
/// set, and the entry `temp`. Without `= 0.8` there is no method.
macro_rules! parameters {
    ($($field:ident : $type:ty $(= $default:expr)? => $entry:expr;)+) => {
        /// The parameters that one place sets, or several places together; `None`: not set.
        #[derive(Debug, Clone, Default, PartialEq)]
        #[allow(missing_docs, reason = "the entries say what the fields are")]
        pub struct Values {
            $(pub $field: Option<$type>,)+
        }

        impl Values {
            /// Fills in from `weaker` what is not set.
            #[must_use]
            pub fn or(mut self, weaker: &Values) -> Self {
                $(if self.$field.is_none() {
                    self.$field.clone_from(&weaker.$field);
                })+
                self
            }
        }

        /// The values that hold: those that are set, or the defaults.
        #[allow(missing_docs, reason = "the entries say what they are")]
        impl Values {
            $($(
                #[must_use]
                pub fn $field(&self) -> $type {
                    self.$field.clone().unwrap_or_else(|| $default)
                }
            )?)+
        }

        static TABLE: LazyLock<Vec<Parameter>> = LazyLock::new(|| vec![
            $($entry
                $(.default::<$type>(&$default))?
                .named::<$type>(
                    stringify!($field),
                    |values, value| {
                        values.$field = Some(Typed::read(value)?);
                        Ok(())
                    },
                    |values| values.$field.as_ref().map(Typed::value),
                ),)+
        ]);
    };
}

pub(super) use parameters;

impl Group {
    /// An entry of this group with its help. It is set by flag, environment and config file.
    pub(super) fn says(self, help: &'static str) -> Parameter {
        Parameter {
            help,
            group: self,
            places: &[Place::Environment, Place::Config],
            range: Range::ALL,
            check: None,
            default: None,
            otherwise: None,
            short: None,
            spellings: &[],
            aliases: &[],
            value_name: None,
            instead_of: &[],
            verbatim: false,
            commas: false,
            example: None,
            // These follow from the name.
            key: "",
            name: String::new(),
            variable: String::new(),
            kind: Kind::Text,
            set: |_, _| Ok(()),
            get: |_| None,
        }
    }
}

impl Parameter {
    pub(super) fn named<T: Typed>(
        self,
        key: &'static str,
        set: fn(&mut Values, &Value) -> Result<(), super::Misfit>,
        get: fn(&Values) -> Option<Value>,
    ) -> Self {
        let name = key.replace('_', "-");
        let variable = format!("PACKLLM_{}", key.to_uppercase());
        let kind = T::KIND;
        Self {
            key,
            name,
            variable,
            kind,
            set,
            get,
            ..self
        }
    }

    pub(super) fn default<T: Typed>(self, default: &T) -> Self {
        Self {
            default: Some(default.value()),
            ..self
        }
    }

    pub(super) fn at(self, places: &'static [Place]) -> Self {
        Self { places, ..self }
    }

    pub(super) fn within(self, range: Range) -> Self {
        Self { range, ..self }
    }

    /// A further check, and words for it that continue the bounds.
    pub(super) fn checked(self, holds: fn(&Value) -> bool, words: &'static str) -> Self {
        let check: Option<Check> = Some((holds, words));
        Self { check, ..self }
    }

    /// What holds if nothing is set, in words.
    pub(super) fn otherwise(self, words: &'static str) -> Self {
        Self {
            otherwise: Some(words),
            ..self
        }
    }

    pub(super) fn short(self, letter: char) -> Self {
        Self {
            short: Some(letter),
            ..self
        }
    }

    /// llama.cpp's spellings of the flag.
    pub(super) fn spelled(self, spellings: &'static [&'static str]) -> Self {
        Self { spellings, ..self }
    }

    /// What other programs call it in a conversation.
    pub(super) fn also(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    /// What the help calls the value.
    pub(super) fn of(self, value_name: &'static str) -> Self {
        Self {
            value_name: Some(value_name),
            ..self
        }
    }

    pub(super) fn instead_of(self, instead_of: &'static [&'static str]) -> Self {
        Self { instead_of, ..self }
    }

    pub(super) fn verbatim(self) -> Self {
        Self {
            verbatim: true,
            ..self
        }
    }

    pub(super) fn commas(self) -> Self {
        Self {
            commas: true,
            ..self
        }
    }

    /// An example of a value, as in a config file.
    pub(super) fn like(self, example: &'static str) -> Self {
        Self {
            example: Some(example),
            ..self
        }
    }
}
