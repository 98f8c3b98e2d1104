//! Names of methods, and weights given by hand.

use std::fmt;

use crate::nearest;
use thiserror::Error;

use super::normalise;

/// How weights are derived.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Method {
    /// All members alike.
    Uniform,
    /// The member with the lowest loss.
    Top1,
    /// Softmax of the losses.
    Sim,
    /// Greedy search for the lowest loss of the mixture.
    Opt,
    /// The lowest loss of the mixture, tempered by a prior.
    Exact,
    /// As `exact`, then following the text by exponentiated gradient.
    Adaptive,
    /// By what members are known to be good at; as `exact` where nothing is known.
    Auto,
    /// As given: every member's name and weight in member order, sum 1.
    Given(Vec<(String, f64)>),
}

/// Names of the methods that derive weights.
const NAMES: [(&str, Method); 7] = [
    ("uniform", Method::Uniform),
    ("top1", Method::Top1),
    ("sim", Method::Sim),
    ("opt", Method::Opt),
    ("exact", Method::Exact),
    ("adaptive", Method::Adaptive),
    ("auto", Method::Auto),
];

/// Why a text is no [`Method`].
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum MethodError {
    /// No method of that name.
    #[error("unknown method \"{text}\"; {}", meant(nearest.as_deref(), known))]
    UnknownMethod {
        /// What was given.
        text: String,
        /// The name of a method that is like it.
        nearest: Option<String>,
        /// The names of all.
        known: String,
    },
    /// No member of that name.
    #[error("no member is named \"{text}\"; {}", meant(nearest.as_deref(), known))]
    UnknownMember {
        /// What was given.
        text: String,
        /// The name of a member that is like it.
        nearest: Option<String>,
        /// The names of all.
        known: String,
    },
    /// A member named twice.
    #[error("member \"{0}\" is given twice")]
    Twice(String),
    /// A part that is not `name=weight`.
    #[error("\"{0}\" is not of the form name=weight")]
    Form(String),
    /// A weight that is not a finite number ≥ 0.
    #[error("the weight of \"{member}\" must be a number ≥ 0, not \"{value}\"")]
    Value {
        /// The member's name.
        member: String,
        /// What was given as its weight.
        value: String,
    },
    /// Weights that are all 0 (or add up to infinity).
    #[error("the weights must have a positive, finite sum")]
    Sum,
}

fn meant(nearest: Option<&str>, known: &str) -> String {
    match nearest {
        Some(name) => format!("did you mean \"{name}\"?"),
        None => format!("there are {known}"),
    }
}

impl Method {
    /// Every method that has a name, in the order in which they are shown.
    pub fn named() -> impl Iterator<Item = (&'static str, Method)> {
        NAMES.iter().cloned()
    }

    /// Reads `uniform`, `top1`, `sim`, `opt`, `exact`, `adaptive`, `auto`, or weights like
    /// `name=0.7,other=0.3`, which are normalised; members that are not named get 0. `names` are
    /// the members' names in member order.
    ///
    /// # Errors
    /// What is wrong with the text, with the nearest known name.
    pub fn parse<S: AsRef<str>>(text: &str, names: &[S]) -> Result<Method, MethodError> {
        let text = text.trim();
        if let Some((_, method)) = NAMES.iter().find(|(name, _)| *name == text) {
            return Ok(method.clone());
        }
        if !text.contains('=') {
            return Err(MethodError::UnknownMethod {
                text: text.to_owned(),
                nearest: nearest(text, NAMES.iter().map(|(name, _)| *name)),
                known: NAMES.map(|(name, _)| name).join(", ") + ", and NAME=WEIGHT,…",
            });
        }
        let mut given: Vec<Option<f64>> = vec![None; names.len()];
        for part in text.split(',') {
            // A name may contain "=", a number does not.
            let form = || MethodError::Form(part.trim().to_owned());
            let (name, value) = part.rsplit_once('=').ok_or_else(form)?;
            let (name, value) = (name.trim(), value.trim());
            let unknown = || MethodError::UnknownMember {
                text: name.to_owned(),
                nearest: nearest(name, names),
                known: names
                    .iter()
                    .map(AsRef::as_ref)
                    .collect::<Vec<_>>()
                    .join(", "),
            };
            let k = names
                .iter()
                .position(|n| n.as_ref() == name)
                .ok_or_else(unknown)?;
            if given[k].is_some() {
                return Err(MethodError::Twice(name.to_owned()));
            }
            let weight = value
                .parse()
                .ok()
                .filter(|w: &f64| *w >= 0.0 && w.is_finite());
            given[k] = Some(weight.ok_or_else(|| MethodError::Value {
                member: name.to_owned(),
                value: value.to_owned(),
            })?);
        }
        let mut lambda: Vec<f64> = given.iter().map(|w| w.unwrap_or(0.0)).collect();
        let total: f64 = lambda.iter().sum();
        if !(total > 0.0 && total.is_finite()) {
            return Err(MethodError::Sum);
        }
        normalise(&mut lambda);
        let names = names.iter().map(|name| name.as_ref().to_owned());
        Ok(Method::Given(names.zip(lambda).collect()))
    }
}

impl Method {
    /// As it is typed, but for weights that are given, which are rounded: a third has no end.
    #[must_use]
    pub fn brief(&self) -> String {
        let Method::Given(given) = self else {
            return self.to_string();
        };
        let round = |(name, weight): &(String, f64)| (name.clone(), (weight * 1e3).round() / 1e3);
        Method::Given(given.iter().map(round).collect()).to_string()
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((name, _)) = NAMES.iter().find(|(_, method)| method == self) {
            return f.write_str(name);
        }
        if let Method::Given(given) = self {
            let named = given.iter().filter(|(_, weight)| *weight > 0.0);
            for (i, (name, weight)) in named.enumerate() {
                let comma = if i > 0 { "," } else { "" };
                write!(f, "{comma}{name}={weight}")?;
            }
        }
        Ok(())
    }
}
