//! `packllm eval` as a user runs it: the program itself on tiny models that llama.cpp runs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests may panic; the exemption for tests does not reach them"
)]

mod answers;
mod bad_input;
mod parallel;
mod results;
mod resume;
#[path = "../tiny/mod.rs"]
mod tiny;
mod tuning;
#[path = "../user/mod.rs"]
mod user;

use serde_json::{Value, json};
use user::{User, text};

/// Words that the tiny vocabularies spell in several ways.
const WORDS: [&str; 8] = ["the", "moon", "and", "sea", "water", "of", "stars", "one"];

/// `n` meaningless questions with two to five options.
fn questions(n: usize) -> Vec<Value> {
    let word = |i: usize| WORDS[i % WORDS.len()];
    let question = |i: usize| {
        let choices: Vec<String> = (0..2 + i % 4)
            .map(|j| format!("{} {}", word(i * 3 + j), word(i + j * j)))
            .collect();
        let query = format!("Question {i}: is {} {} of", word(i), word(i * 5 + 1));
        json!({"query": query, "choices": choices, "gold": i % choices.len()})
    };
    (0..n).map(question).collect()
}

/// Writes a task file and returns its path.
fn task(user: &User, name: &str, lines: &[Value]) -> String {
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    write(user, name, (lines.join("\n") + "\n").as_bytes())
}

fn write(user: &User, name: &str, content: &[u8]) -> String {
    let path = user.path(name);
    std::fs::write(&path, content).unwrap();
    text(&path)
}

/// A user with two tiny models, and `eval` with them.
fn setting() -> (User, Vec<String>) {
    let user = User::new();
    let (bpe, spm) = user.models();
    let line = ["eval", "-m", &bpe, "-m", &spm].map(str::to_owned);
    (user, line.into())
}

/// The command line and more.
fn with<'a>(line: &'a [String], rest: &[&'a str]) -> Vec<&'a str> {
    let line = line.iter().map(String::as_str);
    line.chain(rest.iter().copied()).collect()
}

/// A document without what differs from run to run: times.
fn timeless(mut document: Value) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(map) => {
                map.retain(|key, _| !key.contains("second"));
                map.values_mut().for_each(strip);
            }
            Value::Array(values) => values.iter_mut().for_each(strip),
            _ => {}
        }
    }
    strip(&mut document);
    document
}
