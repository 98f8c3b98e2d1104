//! Bits per byte on held-out text.

use super::{line, pack};
use crate::pty::Terminal;
use crate::user::{User, says};
use serde_json::Value;
use std::fs;

const TEXT: &str =
    "The moon and the sea are one and the same; le thé est à moitié bu, and the tide goes out.";

fn write(user: &User, name: &str, text: impl AsRef<[u8]>) {
    fs::write(user.path(name), text).unwrap();
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

/// The mixture of a file's document by these weights.
fn mixture<'a>(file: &'a Value, mix: &str, weights: &str) -> &'a Value {
    let mixtures = file["mixtures"].as_array().unwrap();
    let found = |m: &&Value| m["mix"] == mix && m["weights"] == weights;
    mixtures.iter().find(found).unwrap()
}

#[test]
fn the_document_has_every_field_and_adds_up() {
    let user = User::new();
    let pack = pack(&user);
    write(&user, "a.txt", TEXT);
    write(&user, "b.txt", &TEXT[5..]);
    for chain in [&[][..], &["--chain"]] {
        let rest = [
            "a.txt",
            "b.txt",
            "--json",
            "--drop",
            "0",
            "--mix",
            "log,linear",
        ];
        let given = [
            "--weights",
            "uniform,top1,sim,opt",
            "--weights",
            "bpe=1,spm=3",
        ];
        let document = user.json(&line("score", &pack, &[&rest, &given[..], chain].concat()));
        let files = document["files"].as_array().unwrap();
        assert_eq!(files.len(), 2);
        assert_eq!(
            (&files[0]["file"], &files[1]["file"]),
            (&"a.txt".into(), &"b.txt".into())
        );
        let (before, after) = (&files[0]["prompt_bytes"], &files[0]["scored_bytes"]);
        assert_eq!(number(before) + number(after), TEXT.len() as f64);
        for file in files {
            let members = file["members"].as_array().unwrap();
            assert_eq!(
                (&members[0]["name"], &members[1]["name"]),
                (&"bpe".into(), &"spm".into())
            );
            let bits = |k: usize| number(&members[k]["bits_per_byte"]);
            let evaluations = |k: usize| number(&members[k]["evaluations_per_token"]);
            for (k, member) in members.iter().enumerate() {
                assert!(bits(k) > 0.0 && number(&member["skipped_mass"]) < 1.0);
                if chain.is_empty() {
                    assert!(evaluations(k) >= 1.0);
                } else {
                    assert_eq!(evaluations(k), 1.0);
                }
            }
            assert_eq!(file["mixtures"].as_array().unwrap().len(), 10);
            for mix in ["log", "linear"] {
                let top = mixture(file, mix, "top1");
                let best = usize::from(top["lambda"][1] == 1.0);
                // Rows are kept in f32.
                assert!((number(&top["bits_per_byte"]) - bits(best)).abs() < 1e-4);
                assert_eq!(
                    top["evaluations_per_token"],
                    members[best]["evaluations_per_token"]
                );
                let given = mixture(file, mix, "bpe=0.25,spm=0.75");
                assert_eq!(given["lambda"], serde_json::json!([0.25, 0.75]));
                assert_eq!(given["vocab"], "bytes");
            }
            // A linear mixture is, per byte, at least half as likely as the better member finds it.
            let half = number(&mixture(file, "linear", "uniform")["bits_per_byte"]);
            assert!(half <= bits(0).min(bits(1)) + 1.0 + 1e-4);
        }
    }
}

#[test]
fn the_parts_are_those_of_the_text_read_as_a_whole() {
    // The loss on the second part is the loss on the whole text less that on the first.
    let user = User::new();
    let pack = pack(&user);
    write(&user, "a.txt", TEXT);
    let bits = |split: &str| {
        let rest = ["a.txt", "--json", "--chain", "--split", split];
        let document = user.json(&line("score", &pack, &rest));
        let file = &document["files"][0];
        let scored = number(&file["scored_bytes"]);
        (
            scored,
            scored * number(&file["members"][0]["bits_per_byte"]),
        )
    };
    let raw = ["-p", TEXT, "--raw", "--json"];
    let whole = user.json(&line("weigh", &pack, &raw));
    let (most, most_bits) = bits("0.02");
    let (half, half_bits) = bits("0.5");
    let total = TEXT.len() as f64 * number(&whole["members"][0]["bits_per_byte"]);
    assert_eq!(most, TEXT.len() as f64 - 1.0);
    assert!(half < most && half_bits < most_bits && most_bits < total);
    // One byte is missing, the first.
    assert!(total - most_bits < 40.0);
}

#[test]
fn weights_come_from_the_first_part_alone() {
    let user = User::new();
    let pack = pack(&user);
    let (first, second) = TEXT.split_at(40);
    write(&user, "a.txt", TEXT);
    write(&user, "b.txt", format!("{first}{}", second.to_uppercase()));
    let rest = [
        "a.txt",
        "b.txt",
        "--json",
        "--chain",
        "--split",
        "0.4",
        "--weights",
        "sim,opt",
    ];
    let document = user.json(&line("score", &pack, &rest));
    for weights in ["sim", "opt"] {
        let of = |i: usize| mixture(&document["files"][i], "linear", weights);
        // Batches of different lengths round differently.
        let lambda = |i: usize| number(&of(i)["lambda"][0]);
        assert!(
            (lambda(0) - lambda(1)).abs() < 1e-3,
            "{} {}",
            lambda(0),
            lambda(1)
        );
        assert_ne!(of(0)["bits_per_byte"], of(1)["bits_per_byte"]);
    }
}

#[test]
fn one_vocabulary_is_measured_in_tokens_and_in_bytes() {
    let user = User::new();
    let (bpe, _) = user.models();
    write(&user, "a.txt", TEXT);
    let args = [
        "score",
        "-m",
        &bpe,
        "-m",
        &bpe,
        "a.txt",
        "--weights",
        "uniform",
        "--json",
    ];
    let document = user.json(&[&args[..], &["--vocab", "tokens,auto,bytes"]].concat());
    let mixtures = document["files"][0]["mixtures"].as_array().unwrap();
    let vocab: Vec<&str> = mixtures
        .iter()
        .map(|m| m["vocab"].as_str().unwrap())
        .collect();
    assert_eq!(vocab, ["tokens", "bytes"]);
    // Twice the same member is that member; its own tokens are one of the paths that bytes sum
    // over.
    let bits = |i: usize| number(&mixtures[i]["bits_per_byte"]);
    let alone = number(&document["files"][0]["members"][0]["bits_per_byte"]);
    assert!((bits(0) - alone).abs() < 1e-4, "{} {alone}", bits(0));
    assert_eq!(mixtures[0]["evaluations_per_token"], 1.0);
    assert!(bits(1) > 0.0 && bits(1) != bits(0));
}

#[test]
fn tables_name_files_members_and_methods_and_end_with_the_means() {
    let user = User::new();
    let pack = pack(&user);
    write(&user, "a.txt", TEXT);
    write(&user, "b.txt", TEXT);
    let one = user.ok(&line("score", &pack, &["a.txt", "--chain"]));
    says(
        &one,
        &[
            "a.txt: weights from",
            "bits/byte",
            "bpe",
            "spm",
            "uniform",
            "top1",
            "sim",
            "opt",
        ],
    );
    assert!(!one.contains("mean"));
    let two = user.ok(&line("score", &pack, &["a.txt", "b.txt", "--chain"]));
    let (texts, mean) = two.split_once("mean of 2 texts\n").unwrap();
    // Twice the same text: each table is the same as their mean.
    let table = |part: &str| part.split_once("\n\n").unwrap().1.to_owned();
    assert_eq!(table(&one).trim(), mean.trim());
    assert!(texts.contains("a.txt") && texts.contains("b.txt"));
}

#[test]
fn texts_that_cannot_be_scored_are_named() {
    let user = User::new();
    let pack = pack(&user);
    write(&user, "good.txt", TEXT);
    write(&user, "empty.txt", "");
    write(&user, "one.txt", "a");
    write(&user, "bad.txt", b"good \xff bad");
    write(&user, "big.txt", TEXT.repeat(400));
    fs::create_dir_all(user.path("folder")).unwrap();
    let fails = |file: &'static str| user.fails(&line("score", &pack, &["good.txt", file]));
    says(&fails("nothing.txt"), &["nothing.txt", "No such file"]);
    says(&fails("folder"), &["folder", "Is a directory"]);
    says(&fails("empty.txt"), &["empty.txt", "empty"]);
    says(&fails("one.txt"), &["one.txt", "too few"]);
    says(&fails("bad.txt"), &["bad.txt: not valid UTF-8 at byte 5"]);
    let long = fails("big.txt");
    says(
        &long,
        &[
            "big.txt",
            "too long for",
            "its context of",
            "--max-bytes",
            "-c",
        ],
    );
    // A text of the size in the hint fits.
    let bytes = long.split("--max-bytes ").nth(1).unwrap();
    let bytes = bytes.split(',').next().unwrap();
    user.ok(&line(
        "score",
        &pack,
        &[
            "big.txt",
            "--chain",
            "--max-bytes",
            bytes,
            "--weights",
            "sim",
        ],
    ));
}

#[test]
fn wrong_flags_are_named() {
    let user = User::new();
    let pack = pack(&user);
    write(&user, "a.txt", TEXT);
    let cases = [
        (["--split", "0"], "--split"),
        (["--split", "1"], "--split"),
        (["--split", "-0.5"], "--split"),
        (["--split", "nan"], "--split"),
        (["--max-bytes", "1"], "--max-bytes"),
        (["--weights", "sim,optt"], "did you mean \"opt\"?"),
        (["--weights", "nobody=1"], "nobody"),
        (["--mix", "log,cubic"], "cubic"),
        (["--vocab", "bytes,words"], "words"),
        (["--epsilon", "2"], "epsilon"),
    ];
    for (flag, name) in cases {
        let rest = [&["a.txt"], &flag[..]].concat();
        says(
            &user.misused(&line("score", &pack, &rest)),
            &["error: ", name],
        );
    }
    says(&user.misused(&line("score", &pack, &[])), &["<FILE>"]);
    let tokens = line("score", &pack, &["a.txt", "--vocab", "bytes,tokens"]);
    says(&user.fails(&tokens), &["--vocab tokens", "differ"]);
}

#[test]
fn ctrl_c_stops_a_long_reading() {
    let user = User::new();
    let pack = pack(&user);
    write(&user, "a.txt", TEXT.repeat(8));
    let files = vec!["a.txt"; 2000];
    let mut terminal = Terminal::new(&user, &line("score", &pack, &files), &[]);
    terminal.waits_for("reading a.txt");
    terminal.types("\x03");
    terminal.waits_for("interrupted");
    assert_eq!(terminal.code(), 130);
}
