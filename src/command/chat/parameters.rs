//! `/set`: how answers are drawn and shown, under the names of the flags.

use crate::cli::{Think, typed};
use crate::command::screen::Look;
use crate::hints::words;
use crate::settings::random_seed;
use clap::ValueEnum;
use packllm_engine::engine::Generation;
use std::str::FromStr;

/// What can be set.
#[derive(Debug, Clone, PartialEq)]
pub struct Dials {
    pub generation: Generation,
    pub look: Look,
}

/// One parameter: its name, what it may be, how it is read, how it is shown.
struct Parameter {
    name: &'static str,
    values: Values,
    set: fn(&mut Dials, &str) -> Option<()>,
    get: fn(&Dials) -> String,
}

/// What a parameter may be.
enum Values {
    /// One of these.
    Words(&'static [&'static str]),
    /// In words.
    Any(&'static str),
}

use Values::{Any, Words};

const ON_OFF: Values = Words(&["on", "off"]);

fn put<T: FromStr>(place: &mut T, text: &str) -> Option<()> {
    *place = text.parse().ok()?;
    Some(())
}

#[rustfmt::skip]
const PARAMETERS: [Parameter; 12] = [
    Parameter { name: "temp", values: Any("a number; 0 takes the likeliest"), set: |d, v| put(&mut d.generation.sampling.temperature, v), get: |d| d.generation.sampling.temperature.to_string() },
    Parameter { name: "top-k", values: Any("a whole number; 0 for all"), set: |d, v| put(&mut d.generation.sampling.top_k, v), get: |d| d.generation.sampling.top_k.to_string() },
    Parameter { name: "top-p", values: Any("a number up to 1"), set: |d, v| put(&mut d.generation.sampling.top_p, v), get: |d| d.generation.sampling.top_p.to_string() },
    Parameter { name: "min-p", values: Any("a number from 0 to 1"), set: |d, v| put(&mut d.generation.sampling.min_p, v), get: |d| d.generation.sampling.min_p.to_string() },
    Parameter { name: "repeat-penalty", values: Any("a number; 1 for none"), set: |d, v| put(&mut d.generation.sampling.repeat_penalty, v), get: |d| d.generation.sampling.repeat_penalty.to_string() },
    Parameter { name: "repeat-last-n", values: Any("a number of tokens, or -1 for all"), set: set_window, get: |d| d.generation.sampling.repeat_last_n.to_string() },
    Parameter { name: "seed", values: Any("a whole number, or -1 for a new one"), set: set_seed, get: |d| d.generation.sampling.seed.to_string() },
    Parameter { name: "predict", values: Any("a number of tokens, or -1 for no limit"), set: set_limit, get: |d| d.generation.limit.map_or_else(|| "-1".into(), |n| n.to_string()) },
    Parameter { name: "stop", values: Any("a text, several in quotes, or none"), set: set_stop, get: show_stops },
    Parameter { name: "plain", values: ON_OFF, set: set_plain, get: |d| on_off(d.look.plain).into() },
    Parameter { name: "think", values: Words(&["show", "fold", "off"]), set: set_think, get: |d| typed(d.look.think) },
    Parameter { name: "attribution", values: ON_OFF, set: set_attribution, get: |d| on_off(d.look.attribution).into() },
];

/// What other programs set here, and where it is set in this one.
const ELSEWHERE: [(&str, &str); 8] = [
    (
        "num-ctx",
        "contexts are made when the pack is loaded: start with -c N",
    ),
    (
        "num-gpu",
        "devices are chosen when the pack is loaded: start with -ngl N",
    ),
    (
        "num-thread",
        "threads are started when the pack is loaded: start with -t N",
    ),
    (
        "history",
        "lines and sessions are kept unless it is started with --no-history",
    ),
    ("nohistory", "start with --no-history"),
    (
        "wordwrap",
        "lines are broken by the terminal, so that they are copied whole",
    ),
    ("overflow", "start with --overflow drop or --overflow stop"),
    ("format", "answers are text"),
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

/// As the flag: -1 is the whole answer.
fn set_window(dials: &mut Dials, text: &str) -> Option<()> {
    let tokens: i64 = text.parse().ok().filter(|n| *n >= -1)?;
    dials.generation.sampling.repeat_last_n = crate::settings::window(tokens);
    Some(())
}

fn set_seed(dials: &mut Dials, text: &str) -> Option<()> {
    match text {
        "-1" | "random" => {
            dials.generation.sampling.seed = random_seed();
            Some(())
        }
        number => put(&mut dials.generation.sampling.seed, number),
    }
}

/// The stop string, or several in quotes; `none` for none at all.
fn set_stop(dials: &mut Dials, text: &str) -> Option<()> {
    let stops = match text {
        "none" => Vec::new(),
        text if text.starts_with('"') => shell_words::split(text).ok()?,
        text => vec![text.to_owned()],
    };
    if stops.iter().any(String::is_empty) {
        return None;
    }
    dials.generation.stops = stops;
    Some(())
}

fn show_stops(dials: &Dials) -> String {
    let stops = dials.generation.stops.iter().map(|s| format!("{s:?}"));
    let stops: Vec<String> = stops.collect();
    if stops.is_empty() {
        return "none".into();
    }
    stops.join(" ")
}

pub fn names() -> Vec<&'static str> {
    PARAMETERS.iter().map(|p| p.name).collect()
}

/// The words that a parameter may be; none where it is no word.
pub fn values(name: &str) -> Vec<&'static str> {
    let parameter = PARAMETERS.iter().find(|p| p.name == name);
    match parameter.map(|p| &p.values) {
        Some(Words(words)) => words.to_vec(),
        _ => Vec::new(),
    }
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
    if let Some((_, why)) = ELSEWHERE.iter().find(|(other, _)| *other == name) {
        return Err(format!("/set {name}: {why}"));
    }
    let Some(parameter) = PARAMETERS.iter().find(|p| p.name == name) else {
        let nearest = packllm_engine::nearest(name, names());
        let hint = match nearest {
            None => format!(" (there are {})", names().join(", ")),
            near => packllm_engine::did_you_mean(near),
        };
        return Err(format!("/set: there is no parameter {name}{hint}"));
    };
    if value.is_empty() {
        return Ok(format!("{name} is {}", (parameter.get)(dials)));
    }
    let mut changed = dials.clone();
    let wrong = || {
        let may_be = match parameter.values {
            Words(words) => words.join(" or "),
            Any(words) => words.to_owned(),
        };
        format!("/set {name}: `{value}` is no value for it: it is {may_be}")
    };
    (parameter.set)(&mut changed, value).ok_or_else(wrong)?;
    let valid = changed.generation.sampling.validate();
    valid.map_err(|e| format!("/set {name}: {}", words(&e)))?;
    *dials = changed;
    Ok(format!("{name} is {}", (parameter.get)(dials)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use packllm_engine::sample::Params;

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
        let stops = [
            ("stop the end", "\"the end\""),
            ("stop \"a b\" c", "\"a b\" \"c\""),
            ("stop none", "none"),
        ];
        for (typed, shown) in stops {
            assert_eq!(set(&mut g, typed), Ok(format!("stop is {shown}")));
        }
        let seed = g.generation.sampling.seed;
        assert!(set(&mut g, "seed -1").is_ok());
        assert_ne!(g.generation.sampling.seed, seed);
        let before = g.clone();
        for (typed, said) in [
            ("temp", ""),
            ("temp hot", "no value"),
            ("top-p 2", "/set top-p: "),
            ("predict -2", "no value"),
            ("plain yes", "no value"),
            ("think hard", "no value"),
            ("plain maybe", "it is on or off"),
            ("stop \"\"", "no value"),
            ("num_ctx 4096", "start with -c N"),
            ("mirostat 1", "there are temp, top-k"),
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
