//! `/set`: how answers are drawn and shown, under the names of the flags.

use crate::cli::{Think, typed};
use crate::command::screen::Look;
use clap::ValueEnum;
use packllm::engine::Generation;
use std::str::FromStr;

/// What can be set.
#[derive(Debug, Clone, PartialEq)]
pub struct Dials {
    pub generation: Generation,
    pub look: Look,
}

/// One parameter: its name, how it is read, how it is shown.
struct Parameter {
    name: &'static str,
    set: fn(&mut Dials, &str) -> Option<()>,
    get: fn(&Dials) -> String,
}

fn put<T: FromStr>(place: &mut T, text: &str) -> Option<()> {
    *place = text.parse().ok()?;
    Some(())
}

#[rustfmt::skip]
const PARAMETERS: [Parameter; 12] = [
    Parameter { name: "temp", set: |d, v| put(&mut d.generation.sampling.temperature, v), get: |d| d.generation.sampling.temperature.to_string() },
    Parameter { name: "top-k", set: |d, v| put(&mut d.generation.sampling.top_k, v), get: |d| d.generation.sampling.top_k.to_string() },
    Parameter { name: "top-p", set: |d, v| put(&mut d.generation.sampling.top_p, v), get: |d| d.generation.sampling.top_p.to_string() },
    Parameter { name: "min-p", set: |d, v| put(&mut d.generation.sampling.min_p, v), get: |d| d.generation.sampling.min_p.to_string() },
    Parameter { name: "repeat-penalty", set: |d, v| put(&mut d.generation.sampling.repeat_penalty, v), get: |d| d.generation.sampling.repeat_penalty.to_string() },
    Parameter { name: "repeat-last-n", set: |d, v| put(&mut d.generation.sampling.repeat_last_n, v), get: |d| d.generation.sampling.repeat_last_n.to_string() },
    Parameter { name: "seed", set: |d, v| put(&mut d.generation.sampling.seed, v), get: |d| d.generation.sampling.seed.to_string() },
    Parameter { name: "predict", set: set_limit, get: |d| d.generation.limit.map_or_else(|| "-1".into(), |n| n.to_string()) },
    Parameter { name: "stop", set: set_stop, get: |d| d.generation.stops.join(" ") },
    Parameter { name: "plain", set: set_plain, get: |d| on_off(d.look.plain).into() },
    Parameter { name: "think", set: set_think, get: |d| typed(d.look.think) },
    Parameter { name: "attribution", set: set_attribution, get: |d| on_off(d.look.attribution).into() },
];

fn set_plain(dials: &mut Dials, text: &str) -> Option<()> {
    dials.look.plain = truth(text)?;
    Some(())
}

fn set_attribution(dials: &mut Dials, text: &str) -> Option<()> {
    dials.look.attribution = truth(text)?;
    Some(())
}

/// `on` or `off`.
pub fn truth(text: &str) -> Option<bool> {
    match text {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

pub fn on_off(truth: bool) -> &'static str {
    if truth { "on" } else { "off" }
}

fn set_think(dials: &mut Dials, text: &str) -> Option<()> {
    dials.look.think = Think::from_str(text, false).ok()?;
    Some(())
}

fn set_limit(dials: &mut Dials, text: &str) -> Option<()> {
    let limit: i64 = text.parse().ok().filter(|n| *n >= -1)?;
    dials.generation.limit = usize::try_from(limit).ok();
    Some(())
}

/// Another stop string; `none` for none at all.
fn set_stop(dials: &mut Dials, text: &str) -> Option<()> {
    let stops = &mut dials.generation.stops;
    if text == "none" {
        stops.clear();
    } else {
        stops.push(text.to_owned());
    }
    Some(())
}

pub fn names() -> impl Iterator<Item = &'static str> {
    PARAMETERS.iter().map(|p| p.name)
}

/// One line a parameter.
pub fn show(dials: &Dials) -> String {
    let line = |p: &Parameter| format!("  {:16} {}\n", p.name, (p.get)(dials));
    PARAMETERS.iter().map(line).collect()
}

/// Sets `PARAMETER VALUE`. Nothing changes if it is wrong.
pub fn set(dials: &mut Dials, typed: &str) -> Result<String, String> {
    let (name, value) = typed.split_once(char::is_whitespace).unwrap_or((typed, ""));
    let (name, value) = (name.trim_start_matches('-').replace('_', "-"), value.trim());
    let name = match name.as_str() {
        "temperature" => "temp",
        "n" | "num-predict" => "predict",
        name => name,
    };
    let Some(parameter) = PARAMETERS.iter().find(|p| p.name == name) else {
        let nearest = packllm::pack::nearest(name, names());
        let hint = nearest.map_or_else(String::new, |n| format!(", did you mean {n}?"));
        return Err(format!("/set: there is no parameter {name}{hint}"));
    };
    if value.is_empty() {
        return Ok(format!("{name} is {}", (parameter.get)(dials)));
    }
    let mut changed = dials.clone();
    let wrong = || format!("/set {name}: `{value}` is no value for it");
    (parameter.set)(&mut changed, value).ok_or_else(wrong)?;
    let valid = changed.generation.sampling.validate();
    valid.map_err(|e| format!("/set {name}: {e}"))?;
    *dials = changed;
    Ok(format!("{name} is {}", (parameter.get)(dials)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use packllm::sample::Params;

    #[test]
    fn values_are_checked_and_a_wrong_one_changes_nothing() {
        let mut g = Dials {
            generation: Generation {
                limit: None,
                sampling: Params::default(),
                stops: Vec::new(),
                attribution: false,
            },
            look: Look {
                plain: false,
                think: Think::Show,
                attribution: false,
            },
        };
        assert_eq!(set(&mut g, "temperature 0.5"), Ok("temp is 0.5".into()));
        assert_eq!(set(&mut g, "num_predict 7"), Ok("predict is 7".into()));
        assert_eq!(set(&mut g, "predict -1"), Ok("predict is -1".into()));
        assert_eq!(
            set(&mut g, "seed"),
            Ok(format!("seed is {}", g.generation.sampling.seed))
        );
        assert_eq!(set(&mut g, "think fold"), Ok("think is fold".into()));
        assert_eq!(set(&mut g, "plain on"), Ok("plain is on".into()));
        assert!(g.look.plain && g.look.think == Think::Fold);
        assert_eq!(
            set(&mut g, "attribution on"),
            Ok("attribution is on".into())
        );
        let before = g.clone();
        for (typed, said) in [
            ("temp", ""),
            ("temp hot", "no value"),
            ("top-p 2", "/set top-p: "),
            ("predict -2", "no value"),
            ("plain yes", "no value"),
            ("think hard", "no value"),
            ("tmep 1", "did you mean temp?"),
        ] {
            let done = set(&mut g, typed);
            assert!(done.is_ok() == said.is_empty());
            assert!(done.err().unwrap_or_default().contains(said), "{typed}");
            assert_eq!(g, before);
        }
        assert_eq!(show(&g).lines().count(), PARAMETERS.len());
    }
}
