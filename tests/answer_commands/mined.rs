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

/// The document with the times of another: only times may differ.
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

/// The tokenizer of a tiny model as a tokenizer.json.
fn tokenizer_json(user: &User, model: &crate::tiny::TinyModel) -> String {
    use serde_json::json;
    let vocabulary = model.vocabulary();
    let spm = vocabulary.is_spm();
    let ids: serde_json::Map<String, serde_json::Value> = vocabulary
        .tokens
        .iter()
        .enumerate()
        .map(|(id, token)| (token.text.clone(), id.into()))
        .collect();
    let special = [
        "<unk>",
        "<s>",
        "</s>",
        "<|endoftext|>",
        "<|im_start|>",
        "<|im_end|>",
    ];
    let added: Vec<_> = special
        .iter()
        .filter_map(|name| Some((name, vocabulary.id(name)?)))
        .map(|(name, id)| {
            json!({"id": id, "content": name, "special": true, "single_word": false,
                   "lstrip": false, "rstrip": false, "normalized": false})
        })
        .collect();
    let merges: Vec<String> = if spm {
        // SentencePiece merges any two pieces whose whole is one, the best of these first: here by
        // id.
        let known = |part: &str| vocabulary.id(part).is_some();
        let pieces = vocabulary.tokens.iter().filter(|token| token.readable);
        pieces
            .flat_map(|token| {
                let cuts = token.text.char_indices().skip(1);
                cuts.map(|(at, _)| token.text.split_at(at))
            })
            .filter(|(start, rest)| known(start) && known(rest))
            .map(|(start, rest)| format!("{start} {rest}"))
            .collect()
    } else {
        vocabulary.merges.clone()
    };
    let level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": !spm});
    let spaces = json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"});
    let document = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": if spm { spaces } else { json!(null) },
        "pre_tokenizer": if spm { json!(null) } else { level.clone() },
        "post_processor": null,
        "decoder": if spm { json!({"type": "ByteFallback"}) } else { level },
        "model": {"type": "BPE", "vocab": ids, "merges": merges, "byte_fallback": spm,
                  "unk_token": spm.then_some("<unk>"), "fuse_unk": spm},
    });
    let path = user.path(if spm { "spm.json" } else { "bpe.json" });
    std::fs::write(&path, document.to_string()).unwrap();
    crate::user::text(&path)
}

#[test]
fn a_member_by_name_is_the_reference() {
    let user = User::new();
    let pack = pack(&user);
    for name in ["bpe", "spm"] {
        let args = ["--raw", "--vocab", "mined", "-p", TEXT, "--reference", name];
        let done = user.run(&line("weigh", &pack, &args));
        assert_eq!(done.code, 0, "{}", done.err);
        says(
            &done.err,
            &[&format!("the vocabulary of {name} is the reference")],
        );
    }
}

#[test]
fn the_tokenizer_file_of_a_member_measures_as_that_member() {
    use crate::tiny::TinyModel;
    let user = User::new();
    let pack = pack(&user);
    for (name, model) in [("bpe", TinyModel::bpe(1)), ("spm", TinyModel::spm(2))] {
        let file = tokenizer_json(&user, &model);
        let weigh = |reference: &str| {
            let args = [
                "--raw",
                "--vocab",
                "mined",
                "-p",
                TEXT,
                "--json",
                "--reference",
                reference,
            ];
            user.json(&line("weigh", &pack, &args))
        };
        let (of_member, of_file) = (weigh(name), weigh(&file));
        for k in 0..2 {
            let of = |document: &serde_json::Value| document["members"][k].clone();
            let bits = |document| of(document)["bits_per_byte"].as_f64().unwrap();
            assert_eq!(of(&of_member)["tokens"], of(&of_file)["tokens"], "{name}");
            let (a, b) = (bits(&of_member), bits(&of_file));
            assert!((a - b).abs() < 1e-4, "{name} {k}: {a} {b}");
        }
        let args = [
            "--vocab",
            "mined",
            "-p",
            "Hello",
            "-n",
            "4",
            "--reference",
            &file,
        ];
        user.ok(&line("run", &pack, &args));
    }
}

#[test]
fn what_is_no_reference_is_refused_by_name() {
    let user = User::new();
    let pack = pack(&user);
    let args = ["--raw", "-p", TEXT, "--reference", "bpe"];
    says(
        &user.misused(&line("weigh", &pack, &args)),
        &["--reference bpe", "--vocab mined"],
    );
    std::fs::create_dir(user.path("folder")).unwrap();
    let huge = std::fs::File::create(user.path("huge.json")).unwrap();
    huge.set_len(1 << 30).unwrap();
    let word =
        r#"{"added_tokens":[],"model":{"type":"WordLevel","vocab":{"a":0},"unk_token":"a"}}"#;
    let far = r#"{"added_tokens":[],"model":{"type":"BPE","vocab":{"a":4000000000},"merges":[]}}"#;
    for (name, content) in [
        ("text.json", "hello"),
        ("other.json", "{}"),
        ("word.json", word),
        ("far.json", far),
    ] {
        std::fs::write(user.path(name), content).unwrap();
    }
    for (name, why) in [
        ("nowhere.json", "no such file"),
        ("folder", "not a file"),
        ("huge.json", "too many"),
        ("text.json", "not JSON"),
        ("other.json", "not a tokenizer.json"),
        ("word.json", "WordLevel"),
        ("far.json", "too large"),
    ] {
        let path = crate::user::text(&user.path(name));
        let args = [
            "--raw",
            "--vocab",
            "mined",
            "-p",
            TEXT,
            "--reference",
            &path,
        ];
        says(
            &user.fails(&line("weigh", &pack, &args)),
            &["--reference", name, why],
        );
    }
}
