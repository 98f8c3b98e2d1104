//! Every JSON document of the program, and every JSON file that others may read, checked against
//! the tables of `docs/json.md`: the program itself on tiny models.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod answers;
mod evaluation;
mod page;
mod surroundings;
#[path = "../tiny/mod.rs"]
mod tiny;
#[path = "../user/mod.rs"]
mod user;

use page::{Findings, Page};
use serde_json::Value;
use std::path::Path;
use user::User;

/// Checks documents against one table: together they must have every field of it, and of `shapes`.
fn held(heading: &'static str, shapes: &[&'static str], documents: &[Value]) {
    let (page, mut findings) = (Page::read(), Findings::default());
    for document in documents {
        page.check(heading, document, &mut findings);
    }
    page.settle(&[&[heading], shapes].concat(), findings);
}

/// A user with two tiny models of different vocabularies, and a command with them.
fn setting() -> (User, [String; 4]) {
    let user = User::new();
    let (bpe, spm) = user.models();
    (user, ["-m".into(), bpe, "-m".into(), spm])
}

/// A command line: the words of the command, a pack, and more.
fn line<'a>(command: &[&'a str], pack: &'a [String], more: &[&'a str]) -> Vec<&'a str> {
    let pack: Vec<&str> = pack.iter().map(String::as_str).collect();
    [command, &pack, more].concat()
}

/// The lines of a file.
fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}
