//! What the members make of a text.

use super::{line, pack};
use crate::user::{User, says};
use serde_json::Value;

const TEXT: &str = "The moon and the sea are one and the same.";

#[test]
fn the_document_has_every_field_and_adds_up() {
    let user = User::new();
    let pack = pack(&user);
    for raw in [&[][..], &["--raw"], &["--raw", "--full"]] {
        let document: Value = user.json(&line(
            "weigh",
            &pack,
            &[&["-p", TEXT, "--json"], raw].concat(),
        ));
        assert_eq!(document["bytes"], TEXT.len());
        let members = document["members"].as_array().unwrap();
        let bits = |k: usize| members[k]["bits_per_byte"].as_f64().unwrap();
        for (k, architecture) in [(0, "llama"), (1, "llama")] {
            assert_eq!(members[k]["architecture"], architecture);
            let tokens = members[k]["tokens"].as_f64().unwrap();
            // Token perplexity is the same loss, spread over tokens instead of bytes.
            let expected = (bits(k) * TEXT.len() as f64 / tokens).exp2();
            let perplexity = members[k]["token_perplexity"].as_f64().unwrap();
            assert!(
                (perplexity / expected - 1.0).abs() < 1e-4,
                "{perplexity} {expected}"
            );
        }
        let best = usize::from(bits(1) < bits(0));
        for method in ["uniform", "top1", "sim", "opt"] {
            let lambda: Vec<f64> =
                serde_json::from_value(document["weights"][method].clone()).unwrap();
            assert!((lambda.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{method}");
            let mixture = document["bits_per_byte"][method].as_f64().unwrap();
            assert!(mixture > 0.0);
            if method == "top1" {
                assert_eq!(lambda[best], 1.0);
            }
            // In a chat END is pooled over those that can end, which need not be the best.
            if method == "top1" && !raw.is_empty() {
                assert!(
                    (mixture - bits(best)).abs() < 1e-3,
                    "{mixture} {}",
                    bits(best)
                );
            }
            if method == "opt" {
                assert!(mixture <= bits(best) + 1e-3);
            }
        }
    }
}

#[test]
fn the_table_names_members_and_methods() {
    let user = User::new();
    let pack = pack(&user);
    let table = user.ok(&line(
        "weigh",
        &pack,
        &["-p", TEXT, "--weights", "bpe=0.3,spm=0.7"],
    ));
    says(
        &table,
        &[
            "bits/byte",
            "perplexity",
            "bpe",
            "spm",
            "uniform",
            "top1",
            "sim",
            "opt",
        ],
    );
    says(&table, &["given", "bpe 0.300  spm 0.700"]);
}
