//! `--vocab mined`: from the command line to an answer.

use crate::user::{User, says};
use crate::{line, pack};

const TEXT: &str = "what time is it, and what is the water for";

#[test]
fn weigh_and_run_name_the_reference_and_mix_over_its_tokens() {
    let user = User::new();
    let pack = pack(&user);
    let done = user.run(&line(
        "weigh",
        &pack,
        &["--raw", "--vocab", "mined", "-p", TEXT, "--json"],
    ));
    assert_eq!(done.code, 0, "{}", done.err);
    says(&done.err, &["is the reference", "nats per own token"]);
    let document: serde_json::Value = serde_json::from_str(&done.out).unwrap();
    let members = document["members"].as_array().unwrap();
    // Both are measured on the reference's tokens.
    assert_eq!(members[0]["tokens"], members[1]["tokens"]);
    let bits = |k: usize| members[k]["bits_per_byte"].as_f64().unwrap();
    let mixed = |method: &str| document["bits_per_byte"][method].as_f64().unwrap();
    assert!((mixed("top1") - bits(0).min(bits(1))).abs() < 1e-6);
    assert!(mixed("opt") <= mixed("top1") + 1e-9);

    let args = [
        "--raw", "--vocab", "mined", "-p", TEXT, "-n", "8", "--seed", "1", "--json",
    ];
    let document = user.json(&line("run", &pack, &args));
    assert_eq!(document["vocab"], "mined");
    assert_eq!(
        document,
        without_times(&user.json(&line("run", &pack, &args)), &document)
    );
}

/// The document with the times of another, which alone may differ.
fn without_times(document: &serde_json::Value, other: &serde_json::Value) -> serde_json::Value {
    let mut document = document.clone();
    document["timings"] = other["timings"].clone();
    for k in 0..2 {
        document["members"][k]["eval_ms"] = other["members"][k]["eval_ms"].clone();
    }
    document
}

#[test]
fn a_chat_prompt_works_and_bench_declines() {
    let user = User::new();
    let pack = pack(&user);
    let args = [
        "--vocab",
        "mined",
        "-p",
        "Hello",
        "-n",
        "4",
        "--seed",
        "1",
        "--weights",
        "opt",
    ];
    user.ok(&line("run", &pack, &args));
    says(
        &user.misused(&line("bench", &pack, &["--vocab", "mined"])),
        &["--vocab mined"],
    );
}
