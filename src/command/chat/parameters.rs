//! `/set`: how answers are drawn, under the names of the flags.

use packllm::engine::Generation;
use std::str::FromStr;

/// One parameter: its name, how it is read, how it is shown.
struct Parameter {
    name: &'static str,
    set: fn(&mut Generation, &str) -> Option<()>,
    get: fn(&Generation) -> String,
}

fn put<T: FromStr>(place: &mut T, text: &str) -> Option<()> {
    *place = text.parse().ok()?;
    Some(())
}

#[rustfmt::skip]
const PARAMETERS: [Parameter; 9] = [
    Parameter { name: "temp", set: |g, v| put(&mut g.sampling.temperature, v), get: |g| g.sampling.temperature.to_string() },
    Parameter { name: "top-k", set: |g, v| put(&mut g.sampling.top_k, v), get: |g| g.sampling.top_k.to_string() },
    Parameter { name: "top-p", set: |g, v| put(&mut g.sampling.top_p, v), get: |g| g.sampling.top_p.to_string() },
    Parameter { name: "min-p", set: |g, v| put(&mut g.sampling.min_p, v), get: |g| g.sampling.min_p.to_string() },
    Parameter { name: "repeat-penalty", set: |g, v| put(&mut g.sampling.repeat_penalty, v), get: |g| g.sampling.repeat_penalty.to_string() },
    Parameter { name: "repeat-last-n", set: |g, v| put(&mut g.sampling.repeat_last_n, v), get: |g| g.sampling.repeat_last_n.to_string() },
    Parameter { name: "seed", set: |g, v| put(&mut g.sampling.seed, v), get: |g| g.sampling.seed.to_string() },
    Parameter { name: "predict", set: set_limit, get: |g| g.limit.map_or_else(|| "-1".into(), |n| n.to_string()) },
    Parameter { name: "stop", set: set_stop, get: |g| g.stops.join(" ") },
];

fn set_limit(generation: &mut Generation, text: &str) -> Option<()> {
    let limit: i64 = text.parse().ok().filter(|n| *n >= -1)?;
    generation.limit = usize::try_from(limit).ok();
    Some(())
}

/// Another stop string; `none` for none at all.
fn set_stop(generation: &mut Generation, text: &str) -> Option<()> {
    if text == "none" {
        generation.stops.clear();
    } else {
        generation.stops.push(text.to_owned());
    }
    Some(())
}

pub fn names() -> impl Iterator<Item = &'static str> {
    PARAMETERS.iter().map(|p| p.name)
}

/// One line a parameter.
pub fn show(generation: &Generation) -> String {
    let line = |p: &Parameter| format!("  {:16} {}\n", p.name, (p.get)(generation));
    PARAMETERS.iter().map(line).collect()
}

/// Sets `PARAMETER VALUE`. Nothing changes if it is wrong.
pub fn set(generation: &mut Generation, typed: &str) -> Result<String, String> {
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
        return Ok(format!("{name} is {}", (parameter.get)(generation)));
    }
    let mut changed = generation.clone();
    let wrong = || format!("/set {name}: `{value}` is no value for it");
    (parameter.set)(&mut changed, value).ok_or_else(wrong)?;
    let valid = changed.sampling.validate();
    valid.map_err(|e| format!("/set {name}: {e}"))?;
    *generation = changed;
    Ok(format!("{name} is {}", (parameter.get)(generation)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use packllm::sample::Params;

    #[test]
    fn values_are_checked_and_a_wrong_one_changes_nothing() {
        let mut g = Generation {
            limit: None,
            sampling: Params::default(),
            stops: Vec::new(),
        };
        assert_eq!(set(&mut g, "temperature 0.5"), Ok("temp is 0.5".into()));
        assert_eq!(set(&mut g, "num_predict 7"), Ok("predict is 7".into()));
        assert_eq!(set(&mut g, "predict -1"), Ok("predict is -1".into()));
        assert_eq!(
            set(&mut g, "seed"),
            Ok(format!("seed is {}", g.sampling.seed))
        );
        let before = g.clone();
        for (typed, said) in [
            ("temp", ""),
            ("temp hot", "no value"),
            ("top-p 2", "/set top-p: "),
            ("predict -2", "no value"),
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
