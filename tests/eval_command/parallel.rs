//! Several questions at a time.

use super::{questions, setting, task, with};
use crate::user::{Done, User, interrupt, says};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;

/// The questions of a journal by task and line, each there once.
fn journal(user: &User, folder: &str) -> BTreeMap<(u64, u64), Value> {
    let text = fs::read_to_string(user.path(folder).join("journal.jsonl")).unwrap();
    let entries = text.lines().skip(1).map(|line| {
        let entry: Value = serde_json::from_str(line).unwrap();
        let number = |key: &str| entry[key].as_u64().unwrap();
        ((number("task"), number("line")), entry["decided"].clone())
    });
    let entries: Vec<_> = entries.collect();
    let count = entries.len();
    let entries: BTreeMap<_, _> = entries.into_iter().collect();
    assert_eq!(entries.len(), count);
    entries
}

fn floats(scores: &Value) -> Vec<f64> {
    let scores = scores.as_array().unwrap();
    scores.iter().map(|score| score.as_f64().unwrap()).collect()
}

/// Whether the document holds what follows from the journal's picks and scores: the right answers
/// and the near ties of every contestant.
fn agree(document: &Value, journal: &BTreeMap<(u64, u64), Value>, gold: &[u64]) {
    let rows = document["pooled"]["results"].as_array().unwrap();
    for (c, row) in rows.iter().enumerate() {
        let right = journal.iter().filter(|((_, line), decided)| {
            decided["picked"][c].as_u64() == Some(gold[*line as usize - 1])
        });
        let accuracy = right.count() as f64 / journal.len() as f64;
        assert!((row["accuracy"].as_f64().unwrap() - accuracy).abs() < 1e-12);
        let scores = journal.values().map(|d| floats(&d["scores"][c]));
        let near = scores.filter(|scores| packllm_eval::is_near_tie(scores));
        assert_eq!(row["near_ties"], near.count());
    }
}

#[test]
fn what_differs_from_one_at_a_time_are_near_ties() {
    let (user, line) = setting();
    let lines = questions(40);
    let gold: Vec<u64> = lines.iter().map(|q| q["gold"].as_u64().unwrap()).collect();
    let file = task(&user, "a.jsonl", &lines);
    for more in [&[][..], &["--few-shot", "2"], &["--vocab", "mined"]] {
        let run = |parallel: &str| {
            let folder = format!("out{parallel}{}", more.concat());
            let rest = [&file, "--json", "--output", &folder, "--parallel", parallel];
            let document = user.json(&with(&line, &[&rest[..], more].concat()));
            let journal = journal(&user, &folder);
            assert_eq!(document["parallel"].to_string(), parallel);
            assert_eq!(journal.len(), 40);
            agree(&document, &journal, &gold);
            (document, journal)
        };
        let (document, alone) = run("1");
        assert_eq!(
            alone.keys().map(|(_, line)| *line).collect::<Vec<_>>(),
            (1..=40).collect::<Vec<_>>()
        );
        for parallel in ["2", "5"] {
            let (other, beside) = run(parallel);
            let mut jumps = 0;
            assert_eq!(other["settings"], document["settings"]);
            for (key, decided) in &alone {
                let picks = |decided: &Value| decided["picked"].as_array().unwrap().clone();
                let picked = picks(decided).into_iter().zip(picks(&beside[key]));
                for (c, (one, other)) in picked.enumerate() {
                    let scores = floats(&decided["scores"][c]);
                    let tie = packllm_eval::is_near_tie(&scores);
                    assert!(one == other || tie, "{key:?} {c}: {scores:?}");
                    let others = floats(&beside[key]["scores"][c]);
                    let weights = |of: &Value| floats(&of["lambda"][c]);
                    let mut moved = weights(decided).into_iter().zip(weights(&beside[key]));
                    // Where rounding moves `opt` by a step of its search, scores jump.
                    if moved.any(|(one, other)| (one - other).abs() > 0.04) {
                        jumps += 1;
                        continue;
                    }
                    for (one, other) in scores.iter().zip(others) {
                        assert!((one - other).abs() < 0.01 * one.abs(), "{one} {other}");
                    }
                }
            }
            assert!(jumps < 10, "{jumps} of 40 questions of eight contestants");
        }
    }
}

#[test]
fn a_run_goes_on_with_another_number_at_a_time() {
    let (user, line) = setting();
    let lines = questions(600);
    let gold: Vec<u64> = lines.iter().map(|q| q["gold"].as_u64().unwrap()).collect();
    let a = task(&user, "a.jsonl", &lines);
    let run = |parallel: &'static str| {
        let rest = [
            "--json",
            "--output",
            "out",
            "--resume",
            "--parallel",
            parallel,
        ];
        with(&line, &[&[&*a], &rest[..]].concat())
    };
    let path = user.path("out/journal.jsonl");
    let path = path.to_str().unwrap();
    let child = super::resume::started(&user, &run("3"), path, 20);
    interrupt(&child);
    let done = Done::of(child.wait_with_output().unwrap());
    assert_eq!(done.code, 130, "{}", done.err);
    let kept = journal(&user, "out");
    let said = format!("{} questions are kept in out; --resume goes on", kept.len());
    says(&done.err, &["interrupted", &said]);
    let mut child = super::resume::started(&user, &run("5"), path, kept.len() + 20);
    child.kill().unwrap();
    child.wait().unwrap();
    let document = user.json(&run("1"));
    let all = journal(&user, "out");
    assert_eq!(all.len(), 600);
    agree(&document, &all, &gold);
    assert!(kept.iter().all(|(key, decided)| all[key] == *decided));
    // A finished run is only shown again.
    let again = user.json(&run("4"));
    assert_eq!(again["pooled"], document["pooled"]);
}

/// A tokenizer of the printable letters of ASCII and nothing else.
fn letters() -> Value {
    let unknown = json!(["<unk>", 0.0]);
    let letters = (' '..='~').map(|letter| json!([letter.to_string(), -2.0]));
    let vocab: Vec<Value> = std::iter::once(unknown).chain(letters).collect();
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null,
        "model": {"type": "Unigram", "unk_id": 0, "byte_fallback": false, "vocab": vocab},
    })
}

#[test]
fn the_first_question_that_cannot_be_read_ends_the_run() {
    let (user, line) = setting();
    let mut lines = questions(30);
    for i in [11, 12, 20] {
        lines[i]["query"] = json!("a smile \u{1f60a}");
    }
    let file = task(&user, "a.jsonl", &lines);
    let reference = super::write(&user, "letters.json", letters().to_string().as_bytes());
    let mined = ["--vocab", "mined", "--reference", &reference];
    let rest = [&[&*file, "--parallel", "4", "--output", "out"], &mined[..]].concat();
    let error = user.fails(&with(&line, &rest));
    says(
        &error,
        &["a.jsonl:12", "(--skip-bad leaves such questions out)"],
    );
    // What was decided beside it is kept.
    let kept = journal(&user, "out");
    let first: Vec<u64> = kept.keys().map(|(_, line)| *line).take(11).collect();
    assert_eq!(first, (1..=11).collect::<Vec<_>>());
    assert!(kept.len() <= 14, "{kept:?}");
    let rest = [&[&*file, "--skip-bad", "--json"], &mined[..]].concat();
    let document = user.json(&with(&line, &rest));
    let pooled = &document["pooled"];
    assert_eq!(
        (&pooled["questions"], &pooled["skipped"]),
        (&27.into(), &3.into())
    );
}

#[test]
fn conversations_that_have_no_room_beside_others_wait_for_it() {
    let (user, line) = setting();
    let file = task(&user, "a.jsonl", &questions(40));
    let run = |parallel: &str| {
        let rest = [
            "--json",
            "--few-shot",
            "1",
            "-c",
            "256",
            "--parallel",
            parallel,
        ];
        user.json(&with(&line, &[&[&*file], &rest[..]].concat()))
    };
    let (crowded, alone) = (run("25"), run("1"));
    let rows = |document: &Value| document["pooled"]["results"].as_array().unwrap().clone();
    for (one, other) in rows(&crowded).iter().zip(rows(&alone)) {
        let right = |row: &Value| 40.0 * row["accuracy"].as_f64().unwrap();
        let near = other["near_ties"].as_f64().unwrap();
        assert!(
            (right(one) - right(&other)).abs() < near + 0.5,
            "{one} {other}"
        );
    }
}

#[test]
fn a_replay_is_of_one_question_at_a_time() {
    let (user, line) = setting();
    let file = task(&user, "a.jsonl", &questions(3));
    let error = user.misused(&with(&line, &[&file, "--replay", "--parallel", "3"]));
    says(&error, &["--replay and --parallel 3", "use --parallel 1"]);
    for more in [&["--replay"][..], &["--replay", "--parallel", "1"]] {
        let document = user.json(&with(&line, &[&[&*file, "--json"], more].concat()));
        assert_eq!(document["parallel"], 1);
        assert!(document["replay_seconds"].as_f64().unwrap() > 0.0);
    }
    for bad in ["0", "26", "x"] {
        let error = user.misused(&with(&line, &[&file, "--parallel", bad]));
        says(&error, &["--parallel", bad]);
    }
}
