//! `/set`: how answers are drawn and shown, with the names of the flags.

use crate::command::screen::Look;
use crate::settings::{generation, random_seed};
use anyhow::Result;
use packllm_engine::engine::AnswerOptions;
use packllm_parameter::{Kind, Parameter, Place, Value, Values, find, known};

/// How answers are drawn and shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    values: Values,
    pub generation: AnswerOptions,
    pub look: Look,
}

/// What is set when a pack is loaded here.
pub const WHEN_LOADED: &Elsewhere = &[
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
];

impl Settings {
    /// A seed that was not given is drawn once, here.
    ///
    /// # Errors
    /// A wrong value.
    pub fn new(given: &Values) -> Result<Self> {
        let mut values = given.clone();
        values.seed.get_or_insert_with(random_seed);
        Ok(Self {
            generation: generation(&values)?,
            look: Look::of(&values),
            values,
        })
    }

    /// What is set of them; None where it is not.
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// Takes the next seed: the same one would give the same answer again.
    pub fn draw_anew(&mut self) {
        let seed = self.generation.sampling.seed.wrapping_add(1);
        self.generation.sampling.seed = seed;
        self.values.seed = Some(seed);
    }

    /// Whether attribution is shown.
    pub fn attribute(&mut self, state: bool) {
        self.look.attribution = state;
        self.values.attribution = Some(state);
    }
}

/// What cannot be set here, and where it is set instead.
pub type Elsewhere = [(&'static str, &'static str)];

/// What other programs set by `/set`, and where it is set here.
const ELSEWHERE: [(&str, &str); 5] = [
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
    ("format", "answers are text, or JSON with /set schema FILE"),
];

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

pub fn names() -> Vec<&'static str> {
    known(Place::Chat)
        .map(|parameter| &*parameter.name)
        .collect()
}

/// The words that a parameter may be set to; empty if its values are not a few words.
pub fn values(name: &str) -> Vec<&'static str> {
    match find(name).map(|parameter| parameter.kind) {
        Some(Kind::Switch) => vec!["on", "off"],
        Some(kind) => kind.words().iter().map(|word| word.name).collect(),
        None => Vec::new(),
    }
}

/// Reads a value as it is typed here; None if the parameter cannot have it.
fn read(parameter: &Parameter, text: &str) -> Option<Value> {
    match parameter.kind {
        Kind::Switch => truth(text).map(Value::Switch),
        Kind::List(item) => {
            // One value, or several in quotes; `none` for none.
            let texts = match text {
                "none" => Vec::new(),
                text if text.starts_with('"') => shell_words::split(text).ok()?,
                text => vec![text.to_owned()],
            };
            let items = texts.iter().map(|text| match text.as_str() {
                "" => None,
                text => item.read(text).ok(),
            });
            items.collect::<Option<_>>().map(Value::List)
        }
        _ if parameter.key == "seed" && matches!(text, "-1" | "random") => {
            Some(Value::Whole(random_seed().into()))
        }
        kind => kind.read(text).ok(),
    }
}

/// A value as [`read`] takes it.
fn shown(value: &Value) -> String {
    match value {
        Value::Switch(state) => on_off(*state).into(),
        Value::List(items) if items.is_empty() => "none".into(),
        Value::List(items) => {
            let items = items.iter().map(|item| format!("{:?}", item.to_string()));
            items.collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

/// The values that a parameter may have, in words.
fn may_be(parameter: &Parameter) -> String {
    match parameter.kind {
        Kind::Switch => "on or off".into(),
        Kind::List(_) => "a text, several in quotes, or none".into(),
        _ if parameter.key == "seed" => "a whole number, or -1 for a new one".into(),
        _ => parameter.expected(),
    }
}

/// The current value of a parameter.
fn now(parameter: &Parameter, settings: &Settings) -> String {
    let held = parameter.held(&settings.values);
    held.map_or_else(|| "none".into(), |value| shown(&value))
}

/// All parameters, one a line.
pub fn show(settings: &Settings) -> String {
    let line = |p: &Parameter| format!("  {:16} {}\n", p.name, now(p, settings));
    known(Place::Chat).map(line).collect()
}

/// Sets `PARAMETER VALUE`. A wrong one, or one that is set `elsewhere`, changes nothing.
pub fn set(settings: &mut Settings, typed: &str, elsewhere: &Elsewhere) -> Result<String, String> {
    let (name, text) = typed.split_once(char::is_whitespace).unwrap_or((typed, ""));
    let (name, text) = (name.trim_start_matches('-').replace('_', "-"), text.trim());
    let mut others = elsewhere.iter().chain(&ELSEWHERE);
    if let Some((_, why)) = others.find(|(other, _)| *other == name) {
        return Err(format!("/set {name}: {why}"));
    }
    let called = |p: &&Parameter| p.name == name || p.aliases.contains(&name.as_str());
    let Some(parameter) = known(Place::Chat).find(called) else {
        let nearest = packllm_engine::nearest(&name, names());
        let hint = match nearest {
            None => format!(" (there are {})", names().join(", ")),
            near => packllm_engine::did_you_mean(near),
        };
        return Err(format!("/set: there is no parameter {name}{hint}"));
    };
    let name = &parameter.name;
    if !text.is_empty() {
        let wrong = || {
            let may_be = may_be(parameter);
            format!("/set {name}: `{text}` is no value for it: it is {may_be}")
        };
        let value = read(parameter, text).ok_or_else(wrong)?;
        let mut values = settings.values.clone();
        parameter.set(&mut values, &value).map_err(|_| wrong())?;
        *settings = Settings::new(&values).map_err(|error| format!("/set {name}: {error}"))?;
    }
    Ok(format!("{name} is {}", now(parameter, settings)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use packllm_parameter::Think;

    #[test]
    fn values_are_checked_and_a_wrong_one_changes_nothing() {
        let mut g = Settings::new(&Values::default()).unwrap();
        let set = |g: &mut Settings, typed: &str| set(g, typed, WHEN_LOADED);
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
            ("mirostat 1", "there are predict, seed, temp, top-k"),
            ("tmep 1", "did you mean temp?"),
        ] {
            let done = set(&mut g, typed);
            assert!(done.is_ok() == said.is_empty());
            assert!(done.err().unwrap_or_default().contains(said), "{typed}");
            assert_eq!(g, before);
        }
        assert_eq!(show(&g).lines().count(), names().len());
    }
}
