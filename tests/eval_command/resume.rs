//! Runs that are interrupted and resumed.

use super::{questions, setting, task, timeless, with};
use crate::user::{Done, User, interrupt, says, text};
use serde_json::{Value, json};
use std::fs;
use std::process::Child;
use std::time::{Duration, Instant};

/// More questions than a tiny pack answers before it is stopped.
const MANY: usize = 600;

/// Starts a run and waits until its journal has `lines` lines.
pub fn started(user: &User, args: &[&str], journal: &str, lines: usize) -> Child {
    let child = user.piped(args);
    let begin = Instant::now();
    let count = || fs::read_to_string(journal).map_or(0, |text| text.lines().count());
    while count() < lines {
        assert!(begin.elapsed() < Duration::from_secs(60), "no progress");
        std::thread::sleep(Duration::from_millis(2));
    }
    child
}

#[test]
fn a_killed_run_goes_on_and_counts_nothing_twice() {
    let (user, line) = setting();
    let a = task(&user, "a.jsonl", &questions(MANY));
    let b = task(&user, "b.jsonl", &questions(5));
    let out = user.path("out");
    let (out, journal) = (out.to_str().unwrap(), out.join("journal.jsonl"));
    let journal = journal.to_str().unwrap();
    // With one conversation: picks of several may differ where two scores are nearly equal.
    let usual = with(&line, &[&a, &b, "--json", "--parallel", "1"]);
    let kept = [&usual[..], &["--output", out]].concat();
    let resumed = [&kept[..], &["--resume"]].concat();

    let mut child = started(&user, &kept, journal, 20);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!user.path("out/results.json").exists());
    let text = fs::read(journal).unwrap();
    let decided = text.iter().filter(|&&b| b == b'\n').count();
    assert!(decided < MANY);
    // And the last line was cut off.
    fs::write(journal, &text[..text.len() - 9]).unwrap();

    // Interrupted once more.
    let child = started(&user, &resumed, journal, decided + 20);
    interrupt(&child);
    let done = Done::of(child.wait_with_output().unwrap());
    assert_eq!(done.code, 130, "{}", done.err);
    says(&done.err, &["interrupted", "--resume", "are kept in"]);
    assert_eq!(done.out, "");

    let document = user.json(&resumed);
    assert_eq!(timeless(document.clone()), timeless(user.json(&usual)));
    let lines = fs::read_to_string(journal).unwrap();
    assert_eq!(lines.lines().count(), 1 + MANY + 5);
    // A finished run is only shown again.
    assert_eq!(user.json(&resumed), document);
    assert_eq!(fs::read_to_string(journal).unwrap(), lines);
}

#[test]
fn another_run_is_not_taken_for_this_one() {
    let (user, line) = setting();
    let a = task(&user, "a.jsonl", &questions(4));
    let b = task(&user, "b.jsonl", &questions(5));
    let out = user.path("out");
    let out = out.to_str().unwrap();
    user.ok(&with(&line, &[&a, "--output", out]));
    let error = user.fails(&with(&line, &[&a, "--output", out]));
    says(&error, &["journal.jsonl", "is there already", "--resume"]);
    for (changed, key) in [
        (&["--limit", "3"][..], "limit"),
        (&["--score", "sum"], "score"),
        (&["--few-shot", "1"], "few_shot"),
        (&["--tau", "2"], "tau"),
        (&["--methods", "sim"], "contestants"),
        (&["-m", &*line[2]], "members"),
        (&[&*b], "tasks"),
    ] {
        let args = with(
            &line,
            &[&[&*a, "--output", out, "--resume"], changed].concat(),
        );
        says(
            &user.fails(&args),
            &["journal.jsonl", &format!("another {key}")],
        );
    }
    // The file was changed since.
    task(&user, "a.jsonl", &questions(3));
    let error = user.fails(&with(&line, &[&a, "--output", out, "--resume"]));
    says(&error, &["another tasks"]);
    user.misused(&with(&line, &[&a, "--resume"]));
}

/// A tokenizer of single bytes, and of one word.
fn tokenizer(word: &str) -> String {
    let bytes = (0..=255u8).map(|byte| json!([format!("<0x{byte:02X}>"), -9.0]));
    let vocab: Vec<Value> = [json!(["<unk>", 0.0]), json!([word, -1.0])]
        .into_iter()
        .chain(bytes)
        .collect();
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null,
        "model": {"type": "Unigram", "unk_id": 0, "byte_fallback": true, "vocab": vocab},
    })
    .to_string()
}

#[test]
fn a_reference_that_was_changed_is_noticed() {
    let (user, line) = setting();
    let a = task(&user, "a.jsonl", &questions(2));
    let file = user.path("tokenizer.json");
    let (file, out) = (text(&file), text(&user.path("out")));
    let args = with(
        &line,
        &[
            &a,
            "--output",
            &out,
            "--vocab",
            "mined",
            "--reference",
            &file,
        ],
    );
    let resumed = [&args[..], &["--resume"]].concat();
    fs::write(&file, tokenizer("moon")).unwrap();
    user.ok(&args);
    user.ok(&resumed);
    fs::write(&file, tokenizer("water")).unwrap();
    says(
        &user.fails(&resumed),
        &["journal.jsonl", "another reference"],
    );
}

#[test]
fn where_there_is_nothing_yet_resume_begins() {
    let (user, line) = setting();
    let a = task(&user, "a.jsonl", &questions(4));
    let out = user.path("deep/out");
    let document: Value = user.json(&with(
        &line,
        &[&a, "--json", "--output", out.to_str().unwrap(), "--resume"],
    ));
    assert_eq!(document["tasks"][0]["questions"], 4);
}
