//! One answer: where it goes, what it is made from, that it can be repeated, how it is stopped.

use super::{ENDLESS, line, pack};
use crate::user::{Done, User, interrupt, says, wait_for_output};
use serde_json::Value;
use std::fs;
use std::io::Read;
use std::process::Stdio;

const GREEDY: [&str; 6] = ["-p", "The moon and the", "-n", "12", "--temp", "0"];
/// Both members speak.
const EXACT: [&str; 2] = ["--weights", "exact"];

#[test]
fn the_answer_is_on_stdout_and_everything_else_on_stderr() {
    let user = User::new();
    let pack = pack(&user);
    let done = user.run(&line("run", &pack, &GREEDY));
    assert_eq!(done.code, 0, "{}", done.err);
    let document: Value = user.json(&line("run", &pack, &[&GREEDY[..], &["--json"]].concat()));
    assert_eq!(
        done.out,
        format!("{}\n", document["text"].as_str().unwrap())
    );
    // Who has no template is left out, and costs nothing.
    says(&done.err, &["bpe 1.00", "spm dropped", "tok/s", "seed "]);
    says(
        &done.err,
        &["note: spm has no chat template: it is left out"],
    );
    assert_eq!(document["members"][1]["evaluations"], 0);
    let both = user.run(&line("run", &pack, &[&GREEDY[..], &EXACT].concat()));
    says(&both.err, &["bpe 0.", "spm 0."]);
    says(&both.err, &["note: spm has no chat template: it reads"]);
}

#[test]
fn the_document_has_every_field_in_its_place() {
    let user = User::new();
    let pack = pack(&user);
    let more = [&GREEDY[..], &EXACT, &["--json"]].concat();
    let document: Value = user.json(&line("run", &pack, &more));
    let fields: Vec<&str> = document
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let expected = [
        "text",
        "finish_reason",
        "vocab",
        "mix",
        "weights_method",
        "members",
        "usage",
        "timings",
        "draft",
        "skipped_mass",
        "seed",
    ];
    assert_eq!(fields, expected);
    let number = |value: &Value| value.as_f64().unwrap();
    for member in document["members"].as_array().unwrap() {
        assert!((0.0..=1.0).contains(&number(&member["weight"])));
        assert!(number(&member["prompt_tokens"]) > 3.0);
        assert!(number(&member["evaluations"]) >= 4.0, "{member}");
        assert!(number(&member["eval_ms"]) > 0.0);
    }
    let usage = &document["usage"];
    assert_eq!(usage["prompt_bytes"], 16);
    assert_eq!(
        number(&usage["completion_bytes"]) as usize,
        document["text"].as_str().unwrap().len()
    );
    assert!((1.0..=13.0).contains(&number(&usage["completion_tokens"])));
    for field in ["load_ms", "prompt_ms", "predicted_ms", "tokens_per_second"] {
        assert!(number(&document["timings"][field]) > 0.0, "{field}");
    }
    assert!((0.0..1.0).contains(&number(&document["skipped_mass"])));
}

#[test]
fn text_that_repeats_itself_is_drafted_unless_that_is_off() {
    let user = User::new();
    let pack = pack(&user);
    let document = |draft: &str| -> Value {
        let more = [
            "-p",
            "The moon and the",
            "--temp",
            "0",
            "-n",
            "160",
            "--json",
            "--draft",
            draft,
        ];
        user.json(&line("run", &pack, &[&more[..], &EXACT].concat()))
    };
    let drafted = |document: &Value, what: &str| document["draft"][what].as_u64().unwrap();
    // Greedy text of random models repeats itself.
    let (auto, off) = (document("auto"), document("off"));
    let (accepted, proposed) = (drafted(&auto, "accepted"), drafted(&auto, "proposed"));
    assert!(accepted > 50, "{}", auto["draft"]);
    // Most of what is drafted is what comes.
    assert!(
        accepted <= proposed && accepted * 10 > proposed * 8,
        "{}",
        auto["draft"]
    );
    assert_eq!(
        (drafted(&off, "accepted"), drafted(&off, "proposed")),
        (0, 0)
    );
    // That drafts do not change the text is tested on the fake: llama.cpp's kernels round
    // differently for other batch shapes.
}

#[test]
fn a_prompt_comes_from_a_flag_a_file_or_a_pipe() {
    let user = User::new();
    let pack = pack(&user);
    let rest = ["-n", "12", "--temp", "0"];
    let with =
        |more: &[&'static str]| -> Vec<&str> { line("run", &pack, &[more, &rest[..]].concat()) };
    fs::write(user.path("prompt.txt"), "The moon and the\n").unwrap();
    let expected = user.ok(&with(&["-p", "The moon and the"]));
    assert!(expected.len() > 5, "{expected:?}");
    assert_eq!(user.ok(&with(&["-f", "prompt.txt"])), expected);
    assert_eq!(
        user.run_with(&with(&["-p", "-"]), b"The moon and the\n")
            .out,
        expected
    );
    assert_eq!(
        user.run_with(&with(&[]), b"The moon and the\r\n").out,
        expected
    );
}

#[test]
fn a_seed_repeats_an_answer_and_another_gives_another() {
    let user = User::new();
    let pack = pack(&user);
    let draw = |seed: &'static str| {
        let rest = [
            "--raw", "-p", "Once", "-n", "24", "--temp", "1.5", "--min-p", "0", "-s", seed,
        ];
        user.ok(&line("run", &pack, &rest))
    };
    assert_eq!(draw("7"), draw("7"));
    assert_ne!(draw("7"), draw("8"));
}

#[test]
fn nothing_asked_for_is_nothing_said() {
    let user = User::new();
    let pack = pack(&user);
    let document = user.json(&line("run", &pack, &["-p", "Hello", "-n", "0", "--json"]));
    assert_eq!(document["text"], "");
    assert_eq!(document["finish_reason"], "length");
    assert_eq!(document["usage"]["completion_tokens"], 0);
}

#[test]
fn a_stop_string_ends_the_answer() {
    let user = User::new();
    let pack = pack(&user);
    let whole = user.json(&line("run", &pack, &[&GREEDY[..], &["--json"]].concat()));
    let whole = whole["text"].as_str().unwrap();
    let (at, letter) = whole.char_indices().nth(3).unwrap();
    let cut = whole.find(letter).unwrap().min(at);
    let letter = letter.to_string();
    let rest = [&GREEDY[..], &["--json", "-r", &letter]].concat();
    let stopped = user.json(&line("run", &pack, &rest));
    assert_eq!(stopped["text"].as_str().unwrap(), &whole[..cut]);
    assert_eq!(stopped["finish_reason"], "stop");
}

#[test]
fn an_interrupted_answer_keeps_what_was_said() {
    let user = User::new();
    let model = user.endless();
    let mut child = user.piped(
        &[
            &["run", "-m", &model, "-p", "Go on", "-n", "90000"][..],
            &ENDLESS,
        ]
        .concat(),
    );
    wait_for_output(&mut child);
    interrupt(&child);
    let done = Done::of(child.wait_with_output().unwrap());
    assert_eq!(done.code, 130, "{}", done.err);
    assert!(done.out.ends_with('\n'));
    says(&done.err, &["cancelled"]);
}

#[test]
fn a_reader_that_leaves_ends_the_answer_in_silence() {
    let user = User::new();
    let model = user.endless();
    let mut child = user.piped(
        &[
            &["run", "-m", &model, "-p", "Go on", "-n", "90000"][..],
            &ENDLESS,
        ]
        .concat(),
    );
    let mut out = child.stdout.take().unwrap();
    out.read_exact(&mut [0; 4]).unwrap();
    drop(out);
    let done = Done::of(child.wait_with_output().unwrap());
    assert_eq!((done.code, done.err.as_str()), (1, ""));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_under_stdout_is_an_error() {
    let user = User::new();
    let pack = pack(&user);
    let mut command = user.command(&line("run", &pack, &GREEDY));
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let done = Done::of(
        command
            .stdout(full)
            .stderr(Stdio::piped())
            .output()
            .unwrap(),
    );
    assert_eq!(done.code, 1);
    says(&done.err, &["error: stdout", "No space left"]);
}
