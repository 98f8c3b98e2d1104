//! `eval`: its document, its results, its journal.

use super::{held, line, lines, setting};
use crate::user::{User, text};
use packllm_eval::{JournalEntry, Outcome};
use serde_json::{Value, json};
use std::fs;

/// Writes a task file of questions, and of lines that are more than a context takes.
fn task(user: &User, name: &str, questions: usize, long: usize) -> String {
    let question = |i: usize| {
        let query = format!("The moon and {i} of the sea are");
        json!({"query": query, "choices": ["one", "water of the stars", "two"], "gold": i % 3})
    };
    let too_long = json!({"query": "the moon ".repeat(2000), "choices": ["one", "two"], "gold": 0});
    let lines = (0..questions).map(question);
    let lines = lines.chain(std::iter::repeat_n(too_long, long));
    let lines: String = lines.map(|line| format!("{line}\n")).collect();
    let path = user.path(name);
    fs::write(&path, lines).unwrap();
    text(&path)
}

/// Writes a task file of questions that are answered with a text, and of words that come next.
fn texts(user: &User, name: &str) -> String {
    let lines = [
        json!({"query": "The moon is", "answer": "one", "aliases": ["water"]}),
        json!({"query": "Water of", "answer": "stars"}),
        json!({"question": "one and one", "answer": 2}),
        json!({"query": "say it", "pattern": "^a"}),
        json!({"context": "the moon and the", "continuation": "sea"}),
        json!({"prompt": "def f():\n    return 1\n# ", "test": "def check(f): assert f()", "entry_point": "f"}),
    ];
    let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let path = user.path(name);
    fs::write(&path, lines).unwrap();
    text(&path)
}

/// A tokenizer of single bytes, and of one word.
fn tokenizer(user: &User) -> String {
    let bytes = (0..=255u8).map(|byte| json!([format!("<0x{byte:02X}>"), -9.0]));
    let words = [json!(["<unk>", 0.0]), json!(["moon", -1.0])];
    let vocab: Vec<Value> = words.into_iter().chain(bytes).collect();
    let document = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null,
        "model": {"type": "Unigram", "unk_id": 0, "byte_fallback": true, "vocab": vocab},
    });
    let path = user.path("tokenizer.json");
    fs::write(&path, document.to_string()).unwrap();
    text(&path)
}

/// The line of a question that could not be decided. Those that are too long are found before any
/// is, and are in no journal, so that the program hardly ever writes one.
fn skipped() -> Value {
    let outcome = Outcome::Skipped("too long".into());
    let (task, line) = (0, 1);
    serde_json::to_value(JournalEntry {
        task,
        line,
        outcome,
    })
    .unwrap()
}

#[test]
fn eval() {
    let (user, pack) = setting();
    let task = task(&user, "a.jsonl", 6, 1);
    let shots = self::task(&user, "shots.jsonl", 3, 0);
    let reference = tokenizer(&user);
    let plain = [
        &*task,
        "--skip-bad",
        "--replay",
        "--json",
        "--output",
        "out",
    ];
    let plain = user.json(&line(&["eval"], &pack, &plain));
    let results = fs::read(user.path("out/results.json")).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&results).unwrap(), plain);
    let journal = lines(&user.path("out/journal.jsonl"));
    assert_eq!(journal[0], plain["settings"]);
    let texts = texts(&user, "texts.jsonl");
    let said = [
        &*texts,
        "-n",
        "4",
        "--run-code",
        "--dev",
        "0.5",
        "--again",
        "2",
    ];
    let said = [&said[..], &["--json", "--output", "said"]].concat();
    let said = user.json(&line(&["eval"], &pack, &said));
    let replies = lines(&user.path("said/journal.jsonl"));
    held(
        "journal.jsonl",
        &["Reply"],
        &[&journal[1..], &replies[1..], &[skipped()]].concat(),
    );
    let shaped = [
        "--few-shot",
        "1",
        "--shots-from",
        &shots,
        "--vocab",
        "mined",
    ];
    let shaped = [&shaped[..], &["--reference", &reference, "--limit", "1"]].concat();
    let given = ["--weights", "bpe=1,spm=3", "--skip-bad", "--json", &task];
    let shaped = user.json(&line(&["eval"], &pack, &[&given[..], &shaped].concat()));
    let shapes = ["Section", "Difference", "Settings", "File"];
    held("eval --json", &shapes, &[plain, shaped, said]);
}

#[test]
fn tune() {
    let user = User::new();
    let (one, two) = (user.saying(crate::tiny::CHATML, &["one"]), user.models().0);
    user.ok(&["pack", "new", "duo", "-m", &one, "-m", &two]);
    let task = texts(&user, "texts.jsonl");
    let document = user.json(&["pack", "tune", "duo", &task, "--limit", "2", "--json"]);
    held("Verdict", &[], &[document["verdict"].clone()]);
}
