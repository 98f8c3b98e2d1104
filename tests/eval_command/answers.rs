//! Questions that are answered with a text.

use super::resume::started;
use super::{questions, setting, task, timeless, with, write};
use crate::user::{Done, interrupt, says};
use serde_json::{Value, json};
use std::fs;

/// One question of each kind that is answered with a text, and words that come next.
fn kinds() -> Vec<Value> {
    vec![
        json!({"query": "the moon and", "answer": "sea", "aliases": ["water", "stars"]}),
        json!({"question": "one and one?", "answer": 2}),
        json!({"query": "say a word", "pattern": "^\\S+$", "excludes": "\\d"}),
        json!({"context": "water of the", "continuation": "moon"}),
    ]
}

/// `n` questions that are answered with a text.
fn many(n: usize) -> Vec<Value> {
    let query = |i: usize| format!("number {i}: the moon and the sea of {i} stars");
    (0..n)
        .map(|i| json!({"query": query(i), "answer": "water"}))
        .collect()
}

#[test]
fn every_contestant_answers_every_kind() {
    let (user, line) = setting();
    let file = task(&user, "kinds.jsonl", &kinds());
    for framing in ["--chat", "--raw"] {
        let out = user.path(framing.trim_start_matches('-'));
        let args = [&*file, framing, "-n", "6", "--json", "--dev", "0", "-o"];
        let args = [&args[..], &[out.to_str().unwrap()]].concat();
        let document = user.json(&with(&line, &args));
        let rows = document["pooled"]["results"].as_array().unwrap();
        let names: Vec<&str> = rows.iter().map(|r| r["method"].as_str().unwrap()).collect();
        assert_eq!(names[..3], ["bpe", "spm", "uniform"]);
        for row in rows {
            let texts = &row["texts"];
            assert!(texts["tokens"].as_f64().unwrap() <= 7.0, "{row}");
            assert!(texts["tokens_per_second"].as_f64().unwrap() > 0.0);
            assert!((0.0..=1.0).contains(&texts["ended"].as_f64().unwrap()));
            assert!((0.0..=1.0).contains(&row["overruled"].as_f64().unwrap()));
        }
        let journal = fs::read_to_string(out.join("journal.jsonl")).unwrap();
        for (what, n) in [
            ("\"answered\":", 3),
            ("\"followed\":", 1),
            ("\"again\":", 2),
        ] {
            // The settings have a key of the last name.
            let lines = journal.lines().skip(1).filter(|line| line.contains(what));
            assert_eq!(lines.count(), n, "{what}");
        }
    }
}

#[test]
fn examples_and_separators_shape_what_is_asked() {
    let (user, line) = setting();
    let file = task(&user, "many.jsonl", &many(6));
    let texts = |rest: &[&str]| -> Vec<String> {
        let out = user.path(&rest.concat().replace(['\n', ' '], "_"));
        let args = [
            &*file,
            "-n",
            "5",
            "--limit",
            "2",
            "--again",
            "0",
            "--parallel",
            "1",
        ];
        user.ok(&with(
            &line,
            &[&args[..], &["-o", out.to_str().unwrap()], rest].concat(),
        ));
        let journal = fs::read_to_string(out.join("journal.jsonl")).unwrap();
        let entries = journal
            .lines()
            .skip(1)
            .map(|l| serde_json::from_str::<Value>(l).unwrap());
        let text = |entry: Value| entry["answered"]["replies"].to_string();
        let seconds = |text: String| text.split("\"tokens\"").next().unwrap().to_owned();
        entries.map(text).map(seconds).collect()
    };
    let usual = texts(&["--chat"]);
    let shapes: [&[&str]; 4] = [
        &["--raw"],
        &["--few-shot", "2"],
        &["--raw", "--few-shot", "2"],
        &["--raw", "--separator", "\nAnswer: "],
    ];
    for shape in shapes {
        assert_ne!(texts(shape), usual, "{shape:?}");
    }
}

#[test]
fn a_killed_run_of_answers_goes_on_to_the_same_numbers() {
    let (user, line) = setting();
    let file = task(&user, "many.jsonl", &many(40));
    let out = user.path("out");
    let (out, journal) = (out.to_str().unwrap(), out.join("journal.jsonl"));
    let usual = [
        "-n",
        "5",
        "--methods",
        "uniform,exact",
        "--parallel",
        "1",
        "--json",
    ];
    let usual = with(&line, &[&[&*file], &usual[..]].concat());
    let kept = [&usual[..], &["--output", out]].concat();
    let resumed = [&kept[..], &["--resume"]].concat();
    // In the middle of the questions, and while one member answers them again and again.
    for lines in [10, 60] {
        let args = if lines == 10 { &kept } else { &resumed };
        let mut child = started(&user, args, journal.to_str().unwrap(), lines);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let document = user.json(&resumed);
    assert_eq!(
        timeless(document)["tasks"],
        timeless(user.json(&usual))["tasks"]
    );
    let lines = fs::read_to_string(&journal).unwrap();
    assert_eq!(lines.lines().count(), 1 + 2 * 40);
}

#[test]
fn an_interrupt_stops_all_that_answer() {
    let (user, line) = setting();
    let file = task(&user, "many.jsonl", &many(400));
    let out = user.path("out");
    let journal = out.join("journal.jsonl");
    let args = [
        "-n",
        "12",
        "--parallel",
        "4",
        "--output",
        out.to_str().unwrap(),
    ];
    let args = with(&line, &[&[&*file], &args[..]].concat());
    let child = started(&user, &args, journal.to_str().unwrap(), 2);
    interrupt(&child);
    let done = Done::of(child.wait_with_output().unwrap());
    assert_eq!(done.code, 130, "{}", done.err);
    says(&done.err, &["--resume", "are kept in"]);
}

#[test]
fn code_runs_only_where_it_is_asked_for() {
    let (user, line) = setting();
    // A comment takes up what is generated.
    let prompt = "def f():\n    return 1\n# ";
    let code = |test: &str| json!({"prompt": prompt, "test": test, "entry_point": "f"});
    let marker = user.path("marker");
    let writes = format!("def check(f): open({marker:?}, 'w').write('x')");
    let lines = [
        code("def check(f): assert f() == 1"),
        code("def check(f): assert f() == 2"),
        code(&writes),
    ];
    let file = task(&user, "code.jsonl", &lines);
    let refused = user.misused(&with(&line, &[&file]));
    says(
        &refused,
        &["code.jsonl: 3 questions run Python", "--run-code"],
    );
    let args = [
        &*file,
        "--run-code",
        "--raw",
        "-n",
        "1",
        "--methods",
        "uniform",
        "--json",
    ];
    let document = user.json(&with(&line, &args));
    let rows = document["tasks"][0]["results"].as_array().unwrap();
    assert!(rows.iter().all(|row| row["right"] == 1), "{document}");
    assert!(!marker.exists());
}

#[test]
fn a_suite_asks_ten_domains() {
    let (user, line) = setting();
    let args = [
        "--suite",
        "quick",
        "-n",
        "2",
        "--methods",
        "uniform",
        "--limit",
    ];
    let brief = [&args[..], &["1", "--again", "0", "--json"]].concat();
    let document = user.json(&with(&line, &brief));
    let tasks = document["tasks"].as_array().unwrap();
    let names: Vec<&str> = tasks
        .iter()
        .map(|task| task["task"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), 10);
    assert!(
        names.contains(&"german") && names.contains(&"instructions"),
        "{names:?}"
    );
    assert_eq!(document["mean"]["questions"], 10);
    // Examples come from the whole domain; those of a form have no answer to show.
    let shots = [&args[..], &["2", "--few-shot", "3"]].concat();
    let done = user.run(&with(&line, &shots));
    says(
        &done.out,
        &["facts: 2 questions", "mean of tasks: 20 questions"],
    );
    says(&done.err, &["instructions: no examples"]);
}

#[test]
fn the_best_member_is_chosen_apart() {
    let (user, line) = setting();
    let file = task(&user, "a.jsonl", &questions(20));
    let document = user.json(&with(&line, &[&file, "--json"]));
    assert_eq!(document["tasks"][0]["development"], 6);
    let table = user.ok(&with(&line, &[&file]));
    says(
        &table,
        &["is the best member on 6 of them and compared on the others"],
    );
    let hindsight = user.json(&with(&line, &[&file, "--json", "--dev", "0"]));
    assert_eq!(hindsight["tasks"][0]["development"], 0);
    for wrong in ["1", "-0.1", "nan"] {
        says(
            &user.misused(&with(&line, &[&file, &format!("--dev={wrong}")])),
            &["--dev"],
        );
    }
}

#[test]
fn lines_of_another_kind_are_named() {
    let (user, line) = setting();
    let bad = write(
        &user,
        "bad.jsonl",
        b"{\"query\": \"q\"}\n{\"query\": \"q\", \"pattern\": \"(\"}\n{\"question\": \"q\", \"answer\": \"x\"}\n",
    );
    let error = user.fails(&with(&line, &[&bad]));
    says(
        &error,
        &[
            "bad.jsonl:1: no field says what it asks for",
            "bad.jsonl:2: pattern",
            "bad.jsonl:3: invalid type",
        ],
    );
    let none = user.misused(&["eval", "-m", &line[2]]);
    says(&none, &["no questions", "--suite quick"]);
}
