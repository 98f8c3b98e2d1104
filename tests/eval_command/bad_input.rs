//! Files that are no tasks, questions that do not fit, flags that make no sense.

use super::{questions, setting, task, with, write};
use crate::user::says;
use serde_json::{Value, json};

const GOOD: &str = r#"{"query": "one of", "choices": ["the", "sea"], "gold": 1}"#;

#[test]
fn bad_lines_stop_the_run_before_anything_is_loaded() {
    let (user, mut line) = setting();
    let bad = [
        "nonsense",
        r#"{"query": "q", "choices": ["a", "b"], "gold": 2}"#,
        r#"{"query": "q", "choices": ["a"], "gold": 0}"#,
        r#"{"query": "q", "choices": ["a", ""], "gold": 0}"#,
        r#"{"query": "", "choices": ["a", "b"], "gold": 0}"#,
        r#"{"query": "q", "choices": ["a", "b"], "gold": 7}"#,
    ];
    let content = format!("{GOOD}\n{}\n{GOOD}\n", bad.join("\n"));
    let file = write(&user, "bad.jsonl", content.as_bytes());
    // The error comes before a member that cannot be loaded is noticed.
    line[2] = write(&user, "no-model.gguf", b"nothing");
    let error = user.fails(&with(&line, &[&file]));
    says(
        &error,
        &["6 lines are no question", "bad.jsonl:2: ", "bad.jsonl:6: "],
    );
    says(
        &error,
        &[
            "gold is 2, and the choices are numbered 0 to 1",
            "and 1 more",
            "--skip-bad",
        ],
    );
}

#[test]
fn bad_lines_are_left_out_and_counted_if_asked() {
    let (user, line) = setting();
    let content = [
        GOOD.as_bytes(),
        b"\n{\"query\": \"\xff\"}\nno\n\n",
        GOOD.as_bytes(),
    ]
    .concat();
    let file = write(&user, "bad.jsonl", &content);
    says(
        &user.fails(&with(&line, &[&file])),
        &["bad.jsonl:2: not valid UTF-8", "bad.jsonl:3: "],
    );
    let done = user.run(&with(&line, &[&file, "--skip-bad", "--json"]));
    assert_eq!(done.code, 0, "{}", done.err);
    says(&done.err, &["2 lines are no question", "left out"]);
    let document: Value = serde_json::from_str(&done.out).unwrap();
    let section = &document["tasks"][0];
    assert_eq!(
        (&section["questions"], &section["skipped"]),
        (&2.into(), &2.into())
    );
    let table = user.ok(&with(&line, &[&file, "--skip-bad"]));
    says(&table, &["2 questions, 2 left out"]);
}

#[test]
fn a_question_that_fits_no_context_is_named_or_left_out() {
    let (user, line) = setting();
    let mut lines = questions(3);
    lines.insert(
        1,
        json!({"query": "the sea ".repeat(12_500), "choices": ["a", "b"], "gold": 0}),
    );
    // Only its options make it too long.
    lines.push(json!({"query": "q", "choices": ["a", "stars ".repeat(2_000)], "gold": 0}));
    let file = task(&user, "long.jsonl", &lines);
    let out = user.path("out");
    let error = user.fails(&with(&line, &[&file, "--output", out.to_str().unwrap()]));
    says(
        &error,
        &[
            "long.jsonl:2",
            "tokens too long for",
            "room for 2048",
            "--skip-bad",
        ],
    );
    // Nothing was decided, so the folder can be used.
    let again = ["--skip-bad", "--json", "--output", out.to_str().unwrap()];
    let document = user.json(&with(&line, &[&[&*file], &again[..]].concat()));
    let section = &document["tasks"][0];
    assert_eq!(
        (&section["questions"], &section["skipped"]),
        (&3.into(), &2.into())
    );
}

#[test]
fn files_that_are_no_tasks_are_named() {
    let (user, line) = setting();
    let none = user.path("none.jsonl");
    let none = none.to_str().unwrap();
    says(
        &user.fails(&with(&line, &[none])),
        &["none.jsonl", "No such file"],
    );
    let empty = write(&user, "empty.jsonl", b"\n \n");
    says(
        &user.fails(&with(&line, &[&empty])),
        &["empty.jsonl", "no questions"],
    );
    let bad = write(&user, "bad.jsonl", b"x\n");
    let error = user.fails(&with(&line, &[&bad, "--skip-bad"]));
    says(&error, &["no question is left"]);
}

#[test]
fn flags_that_make_no_sense_are_refused() {
    let (user, line) = setting();
    let file = task(&user, "a.jsonl", &questions(3));
    for (flags, words) in [
        (&["--limit", "0"][..], &["--limit 0"][..]),
        (&["--methods", "simm"], &["no method \"simm\"", "uniform"]),
        (&["--methods", "sim,sim"], &["sim is given twice"]),
        (
            &["--few-shot", "3"],
            &["--few-shot 3", "2 examples beside the question"],
        ),
        (&["--shots-from", "x"], &["--few-shot"]),
        (&[&file], &["given twice"]),
        (&["--score", "best"], &["--score"]),
    ] {
        let error = user.misused(&with(&line, &[&[&*file], flags].concat()));
        says(&error, words);
    }
    says(&user.misused(&with(&line, &[])), &["TASK.jsonl"]);
}
