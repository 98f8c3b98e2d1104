//! `--prompt-cache`: a prompt that is evaluated once.

use super::{line, pack};
use crate::tiny::TinyModel;
use crate::user::{User, says, text};
use serde_json::Value;
use std::fs;

const SYSTEM: &str =
    "The moon and the water over the hill; what time is it for the others, and what for us?";

/// Both members read and speak.
const EXACT: [&str; 2] = ["--weights", "exact"];

fn arguments<'a>(question: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let asked = [
        "-sys", SYSTEM, "-p", question, "-n", "12", "-s", "3", "--json",
    ];
    let exact = match more.contains(&"--weights") {
        true => &[][..],
        false => &EXACT[..],
    };
    let fixed = [&asked[..], exact].concat();
    fixed.iter().chain(more).copied().collect()
}

/// The document without what differs from run to run.
fn answer(mut document: Value) -> (Value, Vec<u64>) {
    let members = document["members"].as_array().unwrap().clone();
    let cached = members.iter().map(|m| m["cached_tokens"].as_u64().unwrap());
    let weights: Vec<Value> = members.iter().map(|m| m["weight"].clone()).collect();
    let text = document["text"].take();
    (
        serde_json::json!([text, weights, document["skipped_mass"]]),
        cached.collect(),
    )
}

const CACHE: [&str; 2] = ["--prompt-cache", "prompt.kept"];

#[test]
fn another_question_under_the_same_system_prompt_is_answered_as_without() {
    let user = User::new();
    let pack = pack(&user);
    let ask = |question: &str, more: &[&str]| {
        let done = user.run(&line("run", &pack, &arguments(question, more)));
        assert_eq!(done.code, 0, "{}", done.err);
        (answer(serde_json::from_str(&done.out).unwrap()), done.err)
    };
    let ((first, cached), said) = ask("The sea", &CACHE);
    assert_eq!(cached, [0, 0]);
    says(&said, &["is kept in prompt.kept"]);
    assert_eq!(first, ask("The sea", &[]).0.0);
    let written = fs::read(user.path("prompt.kept")).unwrap();
    for question in ["The sea", "What is the water for?"] {
        let ((with, cached), said) = ask(question, &CACHE);
        assert!(cached.iter().all(|&n| n > 30), "{cached:?}");
        assert_eq!(with, ask(question, &[]).0.0, "{question}");
        says(&said, &["cached) "]);
        assert!(!said.contains("prompt-cache"), "{said}");
    }
    assert_eq!(fs::read(user.path("prompt.kept")).unwrap(), written);
}

#[test]
fn what_belongs_to_others_is_told_and_written_anew() {
    let user = User::new();
    let pack = pack(&user);
    let run = |pack: &[String], more: &[&str]| {
        let more = [&CACHE[..], more].concat();
        let done = user.run(&line("run", pack, &arguments("The sea", &more)));
        assert_eq!(done.code, 0, "{}", done.err);
        done.err
    };
    run(&pack, &[]);
    let other = text(&TinyModel::bpe(9).write(user.path("files/other.gguf")));
    let others = ["-m".into(), other, "-m".into(), pack[3].clone()];
    let anew = ["prompt.kept: it is of other", "is kept in prompt.kept"];
    says(
        &run(&others, &[]),
        &[anew[0], "models (bpe + spm)", anew[1]],
    );
    says(&run(&pack, &[]), &anew);
    says(
        &run(&pack, &["-ctk", "q8_0", "-fa", "on"]),
        &[anew[0], "settings (bpe:", anew[1]],
    );
    says(&run(&pack, &["--weights", "uniform"]), &anew);
    says(&run(&pack, &["-c", "512", "--weights", "uniform"]), &anew);
    assert!(!run(&pack, &["-c", "512", "--weights", "uniform"]).contains("prompt.kept"));
    let path = user.path("prompt.kept");
    let whole = fs::read(&path).unwrap();
    for damage in [0, 7, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..damage]).unwrap();
        says(
            &run(&pack, &["-c", "512", "--weights", "uniform"]),
            &["prompt.kept: it is damaged", anew[1]],
        );
    }
    assert_eq!(fs::read(&path).unwrap().len(), whole.len());
}

#[test]
fn what_is_no_prompt_cache_is_left_alone_and_a_disk_that_fails_harms_nothing() {
    let user = User::new();
    let pack = pack(&user);
    fs::write(user.path("prompt.kept"), "my diary, all of it").unwrap();
    fs::create_dir(user.path("folder")).unwrap();
    for (path, said) in [
        (
            "prompt.kept",
            "it is no prompt cache of packllm: it is left alone",
        ),
        ("folder", "left alone"),
        ("no/such/place", "not written: "),
    ] {
        let more = ["--prompt-cache", path];
        let done = user.run(&line("run", &pack, &arguments("The sea", &more)));
        assert_eq!(done.code, 0, "{}", done.err);
        says(&done.err, &["note: --prompt-cache ", path, said]);
        let plain = user.json(&line("run", &pack, &arguments("The sea", &[])));
        assert_eq!(
            answer(serde_json::from_str(&done.out).unwrap()).0,
            answer(plain).0
        );
    }
    let diary = fs::read_to_string(user.path("prompt.kept")).unwrap();
    assert_eq!(diary, "my diary, all of it");
}

#[test]
fn a_single_message_is_not_kept_and_that_is_said() {
    let user = User::new();
    let pack = pack(&user);
    let lone = line(
        "run",
        &pack,
        &["-p", "The sea", "-n", "2", CACHE[0], CACHE[1]],
    );
    says(
        &user.run(&lone).err,
        &["note: --prompt-cache prompt.kept: nothing is kept"],
    );
    assert!(!user.path("prompt.kept").exists());
}

#[test]
fn where_no_prompt_can_be_kept_it_is_wrong_usage() {
    let user = User::new();
    let pack = pack(&user);
    let raw = line("run", &pack, &["--raw", "-p", "x", CACHE[0], CACHE[1]]);
    says(&user.misused(&raw), &["--prompt-cache", "--raw"]);
    let mined = line(
        "run",
        &pack,
        &["--vocab", "mined", "-p", "x", CACHE[0], CACHE[1]],
    );
    says(&user.misused(&mined), &["--prompt-cache", "--vocab mined"]);
}

#[test]
fn a_chat_begins_where_a_run_or_a_chat_before_it_ended_reading() {
    let user = User::new();
    let pack = pack(&user);
    let talk = |more: &[&str]| {
        let fixed = [
            &["-sys", SYSTEM, "-n", "8", "--temp", "0", "--no-history"][..],
            &EXACT,
        ]
        .concat();
        let arguments: Vec<&str> = fixed.iter().chain(more).copied().collect();
        let input = b"The moon\nThe hill\n/weights\n";
        let done = user.run_with(&line("chat", &pack, &arguments), input);
        assert_eq!(done.code, 0, "{}", done.err);
        done
    };
    let plain = talk(&[]);
    let first = talk(&CACHE);
    says(&first.err, &["is kept in prompt.kept"]);
    let second = talk(&CACHE);
    assert_eq!(plain.out, first.out);
    assert_eq!(plain.out, second.out);
    assert_eq!(second.err.matches("cached)").count(), 1, "{}", second.err);
}
