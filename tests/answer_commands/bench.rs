//! The benchmark: what it prints, never how fast anything is.

use super::{line, pack};
use crate::user::{User, says};
use serde_json::Value;

const SHORT: [&str; 4] = ["-n", "4", "--pairs", "2"];

fn numbers(value: &Value, keys: &[&str]) {
    for key in keys {
        let number = value[key].as_f64();
        assert!(number.is_some_and(f64::is_finite), "{key}: {value}");
    }
}

#[test]
fn the_document_has_every_field() {
    let user = User::new();
    let pack = pack(&user);
    let rest = [&SHORT[..], &["--draft", "auto", "--json"]].concat();
    let document = user.json(&line("bench", &pack, &rest));
    let members = document["members"].as_array().unwrap();
    assert_eq!(members.len(), 2);
    for member in members {
        let rates = ["prompt_tokens_per_second", "decode_tokens_per_second"];
        numbers(
            member,
            &[&rates[..], &["load_ms", "first_byte_ms"]].concat(),
        );
    }
    let together = &document["pack"];
    numbers(
        together,
        &[
            "decode_tokens_per_second",
            "prompt_ms",
            "first_byte_ms",
            "mix_us_per_step",
            "overhead",
            "prompt_overhead",
            "given_prompt_overhead",
            "decode_overhead",
        ],
    );
    // At most one more than asked for: the last character may need another token.
    let tokens = together["completion_tokens"].as_u64().unwrap();
    assert!((1..=5).contains(&tokens), "{together}");
    for kind in ["repeating", "prose"] {
        let gain = &together["drafting"][kind];
        numbers(gain, &["ratio", "proposed", "accepted"]);
    }
    // The replay evaluates what the answer did, and the prompt.
    for k in 0..2 {
        let replayed = together["replayed_tokens"][k].as_u64().unwrap();
        assert!(replayed > together["evaluations"][k].as_u64().unwrap());
    }
}

#[test]
fn batches_are_timed_once_and_kept() {
    let user = User::new();
    let pack = pack(&user);
    let shown = user.ok(&line("bench", &pack, &["--tune"]));
    says(
        &shown,
        &[
            "tokens at once",
            "bpe: on CPU; reads ahead by ",
            "spm: on CPU; ",
            "kept: ",
        ],
    );
    let kept = std::fs::read_dir(user.path("store/pace")).unwrap().count();
    assert_eq!(kept, 2);
    let document = user.json(&line("bench", &pack, &["--tune", "--json"]));
    let one = &document["members"][0];
    let sizes = one["batches"].as_array().unwrap().iter();
    let sizes: Vec<u64> = sizes.map(|b| b["tokens"].as_u64().unwrap()).collect();
    assert_eq!(sizes[..9], [1, 2, 3, 4, 5, 6, 7, 8, 16]);
    numbers(&one["pace"], &["columns", "worth", "beside"]);
    // Whoever runs these members as now goes by it, and says the same.
    let answer = ["-p", "The moon", "--temp", "0", "-n", "12"];
    let with = user.ok(&line("run", &pack, &answer));
    for file in std::fs::read_dir(user.path("store/pace")).unwrap() {
        std::fs::write(file.unwrap().path(), "{\"columns\": 0}").unwrap();
    }
    assert_eq!(
        user.ok(&line("run", &pack, &answer)),
        with,
        "a bad file is as none"
    );
    let wrong = line("bench", &pack, &["--tune", "--conversations", "2"]);
    says(&user.misused(&wrong), &["--tune", "--conversations"]);
}

#[test]
fn several_conversations_are_measured_at_once() {
    let user = User::new();
    let pack = pack(&user);
    for count in ["1", "3"] {
        let rest = [&SHORT[..], &["--conversations", count, "--json"]].concat();
        let document = user.json(&line("bench", &pack, &rest));
        let several = &document["conversations"];
        assert_eq!(several["count"].to_string(), count);
        numbers(
            several,
            &[
                "tokens_per_second",
                "one",
                "replay",
                "overhead",
                "prompt_overhead",
                "first_byte_ms",
            ],
        );
        for k in 0..2 {
            let of = |key: &str| several[key][k].as_f64().unwrap();
            assert!(of("batches") >= 1.0 && of("batch_cost") > 0.0, "{several}");
            let shared = of("shared_batches");
            assert!(shared <= of("batches"), "{several}");
            assert!(count != "1" || shared == 0.0, "{several}");
            assert_eq!(of("evictions"), 0.0);
        }
    }
    let document = user.json(&line("bench", &pack, &[&SHORT[..], &["--json"]].concat()));
    assert!(document["conversations"].is_null());
    let none = [&SHORT[..], &["--conversations", "0"]].concat();
    says(
        &user.misused(&line("bench", &pack, &none)),
        &["--conversations"],
    );
    let three = [&SHORT[..], &["--conversations", "3"]].concat();
    let table = user.ok(&line("bench", &pack, &three));
    says(&table, &["3 conversations: ", "batches shared"]);
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let user = User::new();
    let pack = pack(&user);
    let alone = [&SHORT[..], &["--weights", "top1"]].concat();
    let error = user.fails(&line("bench", &pack, &alone));
    says(&error, &["--weights top1 gives", "no weight"]);
    let error = user.misused(&line("bench", &pack, &["--pairs", "0"]));
    says(&error, &["--pairs"]);
    let table = user.ok(&line("bench", &pack, &SHORT));
    says(&table, &["member", "pack: ", "overhead over a replay"]);
}
