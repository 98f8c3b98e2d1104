//! How well members predict a text.

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
            &[&["-p", TEXT, "--json", "--prior-bytes", "0"], raw].concat(),
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
        for method in ["uniform", "top1", "sim", "opt", "exact", "adaptive"] {
            let lambda: Vec<f64> =
                serde_json::from_value(document["weights"][method].clone()).unwrap();
            assert!((lambda.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{method}");
            let mixture = document["bits_per_byte"][method].as_f64().unwrap();
            assert!(mixture > 0.0);
            if method == "top1" {
                assert_eq!(lambda[best], 1.0);
            }
            // In a chat END is mixed over the members that can end, which need not include the
            // best.
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
            if method == "exact" {
                let opt = document["bits_per_byte"]["opt"].as_f64().unwrap();
                assert!(mixture <= opt + 1e-9, "{mixture} {opt}");
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
            "exact",
            "adaptive",
            "nats per byte after",
        ],
    );
    says(&table, &["given", "bpe 0.300  spm 0.700"]);
}

#[test]
fn the_prior_of_the_manifest_counts_as_much_as_the_flag_says() {
    let user = User::new();
    let (bpe, spm) = user.models();
    let manifest = |priors: [&str; 2]| {
        let member = |name: &str, file: &str, prior: &str| {
            format!("[[member]]\nname = \"{name}\"\nfile = \"{file}\"\n{prior}\n")
        };
        let members = [
            member("bpe", &bpe, priors[0]),
            member("spm", &spm, priors[1]),
        ];
        let path = user.path("prior.toml");
        let text = format!("name = \"p\"\n{}{}", members[0], members[1]);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let typed = |pack: &str, bytes: &str| -> Vec<String> {
        let words = ["weigh", "--pack", pack, "-p", TEXT, "--json"];
        let words = words.into_iter().chain(["--prior-bytes", bytes]);
        words.map(str::to_owned).collect()
    };
    let weights = |priors: [&str; 2], bytes: &str| -> Vec<f64> {
        let typed = typed(&manifest(priors), bytes);
        let typed: Vec<&str> = typed.iter().map(String::as_str).collect();
        let document: Value = user.json(&typed);
        serde_json::from_value(document["weights"]["exact"].clone()).unwrap()
    };
    let near = |lambda: &[f64], first: f64| (lambda[0] - first).abs() < 1e-3;
    // A member without a prior counts as 1; without any, the losses say what to expect.
    assert!(near(&weights(["prior = 3", ""], "1e7"), 0.75));
    let sim: Value = user.json(&["weigh", "-m", &bpe, "-m", &spm, "-p", TEXT, "--json"]);
    let sim = sim["weights"]["sim"][0].as_f64().unwrap();
    assert!(near(&weights(["", ""], "1e7"), sim));
    assert_eq!(
        weights(["prior = 3", ""], "0"),
        weights(["", "prior = 3"], "0")
    );
    let typed = typed(&manifest(["prior = 0", "prior = 0"]), "1");
    let typed: Vec<&str> = typed.iter().map(String::as_str).collect();
    assert!(user.misused(&typed).contains("`prior`"));
}

#[test]
fn members_are_measured_at_plain_text_once_and_auto_leans_to_it() {
    let user = User::new();
    let pack = pack(&user);
    let rest = ["-p", TEXT, "--raw", "--json", "--prior-bytes", "0"];
    let first = user.run(&line("weigh", &pack, &rest));
    assert_eq!(first.code, 0, "{}", first.err);
    let told = "measuring bpe and spm on 80 short questions as plain text, once for this file";
    says(&first.err, &[told]);
    let document: Value = serde_json::from_str(&first.out).unwrap();
    let numbers = |value: &Value| serde_json::from_value::<Vec<f64>>(value.clone()).unwrap();
    let (exact, auto) = (&document["weights"]["exact"], &document["weights"]["auto"]);
    // By hand, of what is shown: λ ∝ e · (expected loss)^(−3 · 500/(500 + n)).
    let power = 3.0 * 500.0 / (500.0 + TEXT.len() as f64);
    let losses = numbers(&document["expected_loss"]);
    let known = numbers(exact).into_iter().zip(&losses);
    let known: Vec<f64> = known.map(|(e, loss)| e * loss.powf(-power)).collect();
    for (got, want) in numbers(auto).iter().zip(&known) {
        let want = want / known.iter().sum::<f64>();
        assert!((got - want).abs() < 1e-9, "{auto} {known:?}");
    }
    assert_ne!(losses[0], losses[1]);

    let again = user.run(&line("weigh", &pack, &["-p", TEXT, "--raw"]));
    assert!(!again.err.contains("measuring"), "{}", again.err);
    says(
        &again.out,
        &["auto: from the probe: ", "expected loss on such text: "],
    );
    let run = user.run(&line("run", &pack, &["-p", TEXT, "-n", "1", "--raw"]));
    assert!(!run.err.contains("measuring"), "{}", run.err);
}
