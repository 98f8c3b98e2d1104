//! `packllm run`, `chat` and `weigh` as a user runs them: the program itself on tiny models that
//! llama.cpp runs, with good input and bad.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests may panic; the exemption for tests does not reach them"
)]

mod attribution;
mod bad_files;
mod bad_input;
mod bench;
mod chat;
mod completions;
mod config;
mod look;
mod mined;
mod prompt_cache;
mod pty;
mod remote;
mod run;
mod score;
mod sessions;
mod structured;
mod terminal;
#[path = "../tiny/mod.rs"]
mod tiny;
#[path = "../user/mod.rs"]
mod user;
mod weigh;

use user::User;

/// `-m` for two models of different vocabularies.
fn pack(user: &User) -> [String; 4] {
    let (bpe, spm) = user.models();
    ["-m".into(), bpe, "-m".into(), spm]
}

/// With these an answer of an [endless](User::endless) member lasts until it is stopped.
const ENDLESS: [&str; 6] = ["-c", "100000", "--temp", "0", "--repeat-stop", "off"];

/// A conversation with an [endless](User::endless) member, saved under a name.
fn endless_talk(model: &str) -> [&str; 11] {
    [
        "chat",
        "-m",
        model,
        "-c",
        "100000",
        "--temp",
        "0",
        "--repeat-stop",
        "off",
        "--session",
        "tea",
    ]
}

/// A command line from parts.
fn line<'a>(command: &'a str, pack: &'a [String], rest: &[&'a str]) -> Vec<&'a str> {
    let pack = pack.iter().map(String::as_str);
    [command]
        .into_iter()
        .chain(pack)
        .chain(rest.iter().copied())
        .collect()
}
