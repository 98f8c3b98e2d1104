//! Names of methods, and weights given by hand.

use std::fmt;

use thiserror::Error;

use super::normalise;

/// How weights are derived.
#[derive(Debug, Clone, PartialEq)]
pub enum Method {
    /// All members alike.
    Uniform,
    /// The member with the lowest loss.
    Top1,
    /// Softmax of the losses.
    Sim,
    /// Greedy search for the lowest loss of the mixture.
    Opt,
    /// As given: every member's name and weight in member order, sum 1.
    Given(Vec<(String, f64)>),
}

/// Names of the methods that derive weights.
const NAMES: [(&str, Method); 4] = [
    ("uniform", Method::Uniform),
    ("top1", Method::Top1),
    ("sim", Method::Sim),
    ("opt", Method::Opt),
];

/// Why a `--weights` value was refused.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum MethodError {
    /// No method of that name.
    #[error("--weights: unknown method \"{text}\"; did you mean \"{nearest}\"?")]
    UnknownMethod {
        /// What was given.
        text: String,
        /// The most similar name of a method.
        nearest: String,
    },
    /// No member of that name.
    #[error("--weights: no member is named \"{text}\"; did you mean \"{nearest}\"?")]
    UnknownMember {
        /// What was given.
        text: String,
        /// The most similar name of a member.
        nearest: String,
    },
    /// A member named twice.
    #[error("--weights: member \"{0}\" is given twice")]
    Twice(String),
    /// A part that is not `name=weight`.
    #[error("--weights: \"{0}\" is not of the form name=weight")]
    Form(String),
    /// A weight that is not a finite number ≥ 0.
    #[error("--weights: the weight of \"{member}\" must be a number ≥ 0, not \"{value}\"")]
    Value {
        /// The member's name.
        member: String,
        /// What was given as its weight.
        value: String,
    },
    /// Weights that are all 0 (or add up to infinity).
    #[error("--weights: the weights must have a positive, finite sum")]
    Sum,
}

impl Method {
    /// Every method that has a name: all but weights given by hand.
    pub fn named() -> impl Iterator<Item = Method> {
        NAMES.iter().map(|(_, method)| method.clone())
    }

    /// Reads `uniform`, `top1`, `sim`, `opt`, or weights like `name=0.7,other=0.3`, which are normalised;
    /// members that are not named get 0. `names` are the members' names in member order.
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
                nearest: nearest(name, names.iter().map(AsRef::as_ref)),
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

/// The name with the fewest edits from `text`, the first of equals; empty if there are none.
fn nearest<'a>(text: &str, names: impl Iterator<Item = &'a str>) -> String {
    let name = names.min_by_key(|name| edits(text, name));
    name.unwrap_or_default().to_owned()
}

/// Levenshtein distance in characters, ignoring case.
fn edits(a: &str, b: &str) -> usize {
    let (a, b) = (a.to_lowercase(), b.to_lowercase());
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.chars().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}
