//! What is true of every entry, and how values are read, checked and layered.

use super::*;
use proptest::prelude::*;
use std::collections::HashSet;

/// Every key of `[fusion]` and `[[member]]` in the table of models/README.md.
fn documented() -> HashSet<String> {
    let text = include_str!("../../../models/README.md");
    let (_, table) = text.split_once("| **`[fusion]`** |").unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    let firsts = table.lines().filter_map(|line| line.strip_prefix("| `"));
    let cells = firsts.filter_map(|line| line.split_once(" | "));
    let keys = cells.flat_map(|(cell, _)| cell.split(['`', ' ']).map(str::to_owned));
    keys.filter(|key| !key.is_empty() && key != "or").collect()
}

#[test]
fn entries_are_whole() {
    for parameter in all() {
        let name = &parameter.name;
        assert!(
            !parameter.help.is_empty() && !parameter.help.ends_with('.'),
            "{name}"
        );
        assert_eq!(*name, parameter.key.replace('_', "-"));
        assert!(!(parameter.is_set_in(Place::Member) && parameter.is_set_in(Place::Fusion)));
        for spelling in parameter.spellings.iter().filter(|s| !s.starts_with("--")) {
            assert!(parameter.help.contains(&format!("({spelling})")), "{name}");
        }
        let shown = parameter.default.is_some() || parameter.otherwise.is_some();
        let config = parameter.is_set_in(Place::Config);
        assert!(
            !config || shown || !parameter.example().is_empty(),
            "{name}"
        );
    }
}

#[test]
fn names_are_unique() {
    let mut known = HashSet::new();
    for parameter in all() {
        let mut names = vec![parameter.name.clone()];
        names.extend(parameter.short.map(String::from));
        let aliases = parameter.aliases.iter().filter(|alias| alias.len() > 1);
        names.extend(aliases.map(|alias| (*alias).to_owned()));
        names.extend(
            parameter
                .spellings
                .iter()
                .map(|s| s.trim_start_matches('-').to_owned()),
        );
        for name in names {
            assert!(known.insert(name.clone()), "{name} twice");
        }
    }
}

#[test]
fn defaults_are_allowed_and_read_as_they_are_shown() {
    for parameter in all() {
        let Some(default) = &parameter.default else {
            continue;
        };
        let mut values = Values::default();
        parameter.set(&mut values, default).unwrap();
        assert_eq!(parameter.get(&values).as_ref(), Some(default));
        assert_eq!(
            parameter.kind.read(&default.to_string()).as_ref(),
            Ok(default)
        );
        assert_eq!(parameter.held(&Values::default()).as_ref(), Some(default));
    }
}

#[test]
fn the_documentation_of_manifests_has_every_key() {
    let of_members = [
        "name",
        "file",
        "sha256",
        "size",
        "sources",
        "licence",
        "licence_url",
        "chat_template",
        "chat_template_file",
        "prior",
    ];
    let places = [Place::Fusion, Place::Member, Place::MemberAlone];
    let keys = places.iter().flat_map(|place| known(*place).map(|p| p.key));
    let keys: HashSet<String> = keys.chain(of_members).map(str::to_owned).collect();
    assert_eq!(documented(), keys);
}

#[test]
fn a_value_out_of_range_is_refused_in_the_same_words_everywhere() {
    for (name, value, said, expected) in [
        (
            "top-p",
            Value::Number(2.0),
            "top-p must be from 0 to 1 (1 is off), not 2",
            "a number from 0 to 1 (1 is off)",
        ),
        (
            "heads",
            Value::Whole(0),
            "heads must be from 1 to 121, not 0",
            "a whole number from 1 to 121",
        ),
        (
            "temp",
            Value::Number(f64::INFINITY),
            "temp must be a finite number (0 takes the likeliest symbol), not inf",
            "a finite number (0 takes the likeliest symbol)",
        ),
        (
            "repeat-penalty",
            Value::Whole(0),
            "repeat-penalty must be a finite number above 0 (1 is off), not 0",
            "a finite number above 0 (1 is off)",
        ),
        (
            "ctx-size",
            Value::Whole(0),
            "ctx-size must be at least 1, not 0",
            "a whole number of at least 1",
        ),
        (
            "tensor-split",
            Value::List(vec![Value::Number(0.0)]),
            "tensor-split must be at least 0 and not all 0, not 0",
            "a list of numbers of at least 0 and not all 0",
        ),
        (
            "vocab",
            Value::Text("words".into()),
            "vocab must be auto, tokens, bytes or mined, not words",
            "auto, tokens, bytes or mined",
        ),
    ] {
        let parameter = find(name).unwrap();
        let mut values = Values::default();
        let wrong = parameter.set(&mut values, &value).unwrap_err();
        assert_eq!(wrong.to_string(), said);
        assert_eq!(parameter.expected(), expected);
        assert_eq!(values, Values::default());
    }
}

#[test]
fn what_is_stronger_wins_and_what_is_silent_is_filled() {
    let strong = Values {
        tau: Some(2.0),
        ..Values::default()
    };
    let weak = Values {
        tau: Some(3.0),
        rate: Some(0.1),
        ..Values::default()
    };
    let held = strong.or(&weak);
    assert_eq!(
        (held.tau, held.rate, held.floor),
        (Some(2.0), Some(0.1), None)
    );
    assert_eq!(held.floor(), packllm_engine::mix::DEFAULT_FLOOR);
}

#[test]
fn numbers_are_read_as_their_types_hold_them() {
    let kind = |name: &str| find(name).unwrap().kind;
    assert_eq!(kind("top-k").read("40"), Ok(Value::Whole(40)));
    assert_eq!(
        kind("top-k").read("x").unwrap_err(),
        "invalid digit found in string"
    );
    assert!(
        kind("top-k")
            .read("-1")
            .unwrap_err()
            .contains("-1 is not in 0..=")
    );
    assert_eq!(kind("predict").read("-1"), Ok(Value::Whole(-1)));
    assert_eq!(
        kind("temp").read("hot").unwrap_err(),
        "invalid float literal"
    );
    assert_eq!(kind("n-gpu-layers").read("3"), Ok(Value::Whole(3)));
    assert_eq!(Layers::read(&Value::Whole(-1)), Ok(Layers::All));
    assert_eq!(u32::read(&Value::Whole(-1)), Err(Misfit));
}

proptest! {
    #[test]
    fn values_survive_being_typed(number in any::<f64>(), whole in any::<i64>(), share in any::<f32>()) {
        prop_assume!(number.is_finite() && share.is_finite());
        let shown = Value::Number(number).to_string();
        prop_assert_eq!(Kind::Number.read(&shown), Ok(Value::Number(number)));
        prop_assert_eq!(i64::KIND.read(&whole.to_string()), Ok(whole.value()));
        prop_assert_eq!(f32::read(&share.value()), Ok(share));
    }
}

#[test]
fn answers_that_go_in_circles_end_and_completed_texts_only_if_asked_for() {
    let ends = |word: &str, raw| {
        let mut values = Values::default();
        let parameter = find("repeat-stop").unwrap();
        parameter
            .set(&mut values, &Value::Text(word.into()))
            .unwrap();
        values.repeat_stop().ends(raw)
    };
    assert_eq!(
        ["auto", "on", "off"].map(|word| ends(word, false)),
        [true, true, false]
    );
    assert_eq!(
        ["auto", "on", "off"].map(|word| ends(word, true)),
        [false, true, false]
    );
}
