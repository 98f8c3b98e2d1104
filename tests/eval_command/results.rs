//! What a run prints and writes.

use super::{questions, setting, task, timeless, with};
use crate::user::says;
use serde_json::Value;

fn numbers(rows: &Value, key: &str) -> Vec<f64> {
    let rows = rows["results"].as_array().unwrap();
    rows.iter().map(|row| row[key].as_f64().unwrap()).collect()
}

#[test]
fn the_document_has_every_field_and_adds_up() {
    let (user, line) = setting();
    let a = task(&user, "a.jsonl", &questions(9));
    let b = task(&user, "b.jsonl", &questions(17)[9..]);
    let document = user.json(&with(&line, &[&a, &b, "--json", "--limit", "7"]));
    let [first, second] = &document["tasks"].as_array().unwrap()[..] else {
        panic!("{document}")
    };
    let pooled = &document["pooled"];
    for (section, name, n) in [(first, "a", 7), (second, "b", 7), (pooled, "pooled", 14)] {
        assert_eq!(
            (&section["task"], &section["questions"]),
            (&name.into(), &n.into())
        );
        let rows = section["results"].as_array().unwrap();
        let methods: Vec<&str> = rows.iter().map(|r| r["method"].as_str().unwrap()).collect();
        assert_eq!(methods[..3], ["bpe", "spm", "uniform"]);
        for method in ["top1", "sim", "opt"] {
            assert!(methods.contains(&method), "{methods:?}");
        }
        for row in rows {
            let p = row["accuracy"].as_f64().unwrap();
            let right = p * f64::from(n);
            assert!((right - right.round()).abs() < 1e-9, "{row}");
            let error = (p * (1.0 - p) / f64::from(n - 1)).sqrt();
            assert!((row["stderr"].as_f64().unwrap() - error).abs() < 1e-9);
            assert!(row["seconds"].as_f64().unwrap() > 0.0);
            let best = row["method"] == section["best_member"];
            assert_eq!(row["vs_best_member"].is_null(), best);
            assert_eq!(row["vs_uniform"].is_null(), row["method"] == "uniform");
            if let Some(d) = row["vs_uniform"]["difference"].as_f64() {
                let uniform = rows[2]["accuracy"].as_f64().unwrap();
                assert!((d - (p - uniform)).abs() < 1e-9);
                assert!(row["vs_uniform"]["low"].as_f64().unwrap() <= d);
            }
        }
    }
    let (a, b) = (numbers(first, "accuracy"), numbers(second, "accuracy"));
    for ((p, a), b) in numbers(pooled, "accuracy").iter().zip(a).zip(b) {
        assert!((p - (a + b) / 2.0).abs() < 1e-9);
    }
    for member in document["members"].as_array().unwrap() {
        assert!(member["evaluated_tokens"].as_u64().unwrap() > 14);
    }
}

#[test]
fn what_is_asked_for_changes_what_comes_out() {
    let (user, line) = setting();
    let a = task(&user, "a.jsonl", &questions(12));
    let scores = |rest: &[&str]| -> Value {
        let folder = user.path(&format!("out{}", rest.concat().replace(['/', ','], "")));
        let folder = folder.to_str().unwrap();
        let document = user.json(&with(
            &line,
            &[rest, &[&a, "--json", "--output", folder, "--parallel", "1"]].concat(),
        ));
        let journal = std::fs::read_to_string(format!("{folder}/journal.jsonl")).unwrap();
        let entry: Value = serde_json::from_str(journal.lines().nth(1).unwrap()).unwrap();
        let names: Vec<Value> = document["tasks"][0]["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(|r| r["method"].clone())
            .collect();
        serde_json::json!([
            entry["decided"]["scores"],
            entry["decided"]["lambda"],
            names
        ])
    };
    let usual = scores(&[]);
    for other in [
        &["--score", "sum"][..],
        &["--score", "token"],
        &["--few-shot", "2"],
        &["--few-shot", "2", "--seed", "5"],
        &["--separator", "\nAnswer: "],
        &["--as-published"],
        &["--methods", "opt,uniform"],
        &["--weights", "bpe=0.9,spm=0.1"],
        &["--mix", "log"],
    ] {
        assert_ne!(scores(other), usual, "{other:?}");
    }
    let named = scores(&["--methods", "sim,uniform"]);
    assert_eq!(
        named[2],
        serde_json::json!(["bpe", "spm", "sim", "uniform"])
    );
    // A sum is the mean times the bytes: the first question's first option is " the the".
    let sum = scores(&["--score", "sum", "--tau", "1"]);
    let (mean, sum) = (
        usual[0][0][0].as_f64().unwrap(),
        sum[0][0][0].as_f64().unwrap(),
    );
    assert!((sum - 8.0 * mean).abs() < 1e-9, "{sum} {mean}");
}

#[test]
fn the_same_run_gives_the_same_answers_whatever_the_batches() {
    let (user, line) = setting();
    let a = task(&user, "a.jsonl", &questions(12));
    let alone = ["--json", "--parallel", "1"];
    let run =
        |rest: &[&str]| timeless(user.json(&with(&line, &[&[&*a][..], &alone[..], rest].concat())));
    let usual = run(&[]);
    assert_eq!(run(&[]), usual);
    assert_eq!(run(&["-b", "7"])["tasks"], usual["tasks"]);
}

#[test]
fn a_replay_changes_no_answer_and_is_shown() {
    let (user, line) = setting();
    let a = task(&user, "a.jsonl", &questions(9));
    let alone = ["--parallel", "1", "--few-shot", "2", "--json"];
    let usual = user.json(&with(&line, &[&[&*a], &alone[..]].concat()));
    assert!(usual["replay_seconds"].is_null());
    let replayed = user.json(&with(&line, &[&a, "--json", "--few-shot", "2", "--replay"]));
    assert!(replayed["replay_seconds"].as_f64().unwrap() > 0.0);
    assert_eq!(timeless(replayed)["tasks"], timeless(usual)["tasks"]);
    let table = user.ok(&with(&line, &[&a, "--replay"]));
    says(&table, &["the same evaluations and nothing else"]);
}

#[test]
fn one_vocabulary_is_scored_by_tokens() {
    let (user, line) = setting();
    let other = crate::tiny::TinyModel::bpe(5).write(user.path("files/other.gguf"));
    let a = task(&user, "a.jsonl", &questions(8));
    let line = ["eval", "-m", &line[2], "-m", other.to_str().unwrap()].map(str::to_owned);
    let alone = ["--json", "--parallel", "1"];
    let usual = user.json(&with(&line, &[&[&*a], &alone[..]].concat()));
    let tokens = [&[&*a, "--vocab", "tokens"], &alone[..]].concat();
    let tokens = user.json(&with(&line, &tokens));
    assert_eq!(tokens["tasks"][0]["questions"], 8);
    assert_eq!(timeless(usual)["tasks"], timeless(tokens)["tasks"]);
}

#[test]
fn tables_page_and_picture_name_everybody() {
    let (user, line) = setting();
    let a = task(&user, "a.jsonl", &questions(6));
    let b = task(&user, "b & c.jsonl", &questions(9)[6..]);
    let out = user.path("out");
    let out = out.to_str().unwrap();
    let tables = user.ok(&with(&line, &[&a, &b, "--output", out]));
    let read = |name: &str| std::fs::read_to_string(format!("{out}/{name}")).unwrap();
    let (page, picture) = (read("results.md"), read("results.svg"));
    let document: Value = serde_json::from_str(&read("results.json")).unwrap();
    assert_eq!(document["pooled"]["questions"], 9);
    for text in [&tables, &page, &picture] {
        says(
            text,
            &["bpe", "spm", "uniform", "top1", "sim", "opt", "pooled"],
        );
    }
    says(&tables, &["a: 6 questions", "b & c: 3 questions", "tok in"]);
    says(&page, &["## a: 6 questions", "| --- |"]);
    for text in [&tables, &page] {
        says(
            text,
            &["8 questions at a time", "are within 5%", "of 9 questions"],
        );
    }
    let alone = user.ok(&with(&line, &[&a, "--parallel", "1"]));
    assert!(!alone.contains("at a time"), "{alone}");
    says(&picture, &["<svg", "b &amp; c", "</svg>"]);
    // Every element is closed.
    let count = |what: &str| picture.matches(what).count();
    assert_eq!(count("<text"), count("</text>"));
    assert_eq!(
        count("<") - count("</"),
        count("/>") + count("</text>") + count("</svg>")
    );
}

#[test]
fn the_mined_vocabulary_has_a_row_for_everyone() {
    let (user, line) = setting();
    let file = task(&user, "a.jsonl", &questions(6));
    for more in [&[][..], &["--as-published"]] {
        let rest = [&[&*file, "--json", "--vocab", "mined"][..], more].concat();
        let document = user.json(&with(&line, &rest));
        let rows = document["pooled"]["results"].as_array().unwrap();
        let methods: Vec<&str> = rows.iter().map(|r| r["method"].as_str().unwrap()).collect();
        assert_eq!(methods[..3], ["bpe", "spm", "uniform"]);
        for method in ["top1", "sim", "opt", "exact"] {
            assert!(methods.contains(&method), "{methods:?}");
        }
        assert_eq!(document["pooled"]["questions"], 6);
        assert_eq!(timeless(document), timeless(user.json(&with(&line, &rest))));
    }
}
