//! The pack `tiny` itself: pulled once into the target folder, then answered with, measured, and
//! compared with an independent computation. Where the pack cannot be had these tests fail;
//! `PACKLLM_TEST_OFFLINE=1` leaves them out, which is said on the terminal.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::token::LlamaToken;
use serde_json::Value;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::OnceLock;

const SMOLLM2: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";
const GEMMA: &str = "gemma-3-270m-q4_k_m.gguf";

fn packllm(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_packllm"));
    for (name, _) in std::env::vars_os() {
        // The user's own settings must not change what is measured.
        if name.to_string_lossy().starts_with("PACKLLM_") {
            command.env_remove(name);
        }
    }
    command
        .args(args)
        .env("PACKLLM_HOME", home())
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap()
}

fn home() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("packllm-home")
}

/// Pulls the pack `tiny`, once for all tests. False if the tests are to be left out. If the pack
/// cannot be pulled, every test fails.
fn tiny_is_here() -> bool {
    static PULLED: OnceLock<Result<bool, String>> = OnceLock::new();
    let pulled = PULLED.get_or_init(|| {
        if std::env::var_os("PACKLLM_TEST_OFFLINE").is_some_and(|v| v == "1") {
            skip();
            return Ok(false);
        }
        let pulled = packllm(&["models", "pull", "tiny", "--yes"]);
        match pulled.status.success() {
            true => Ok(true),
            false => Err(String::from_utf8_lossy(&pulled.stderr).into_owned()),
        }
    });
    match pulled {
        Ok(here) => *here,
        Err(said) => panic!(
            "the pack `tiny` cannot be had: run this once with a network, or put the pack's files into {}. \
             PACKLLM_TEST_OFFLINE=1 leaves the tests on real models out.\n{said}",
            home().join("models").display()
        ),
    }
}

/// Says that the tests are left out, directly on standard error: the output of `eprintln!` is
/// hidden for tests that pass.
fn skip() {
    let line = "\nSKIPPED: no test on real models was run, as PACKLLM_TEST_OFFLINE=1 asks\n\n";
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

fn run_json(args: &[&str]) -> Value {
    let output = packllm(args);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// llama.cpp by the plain crate: a context for one text.
struct Plain {
    model: LlamaModel,
}

fn backend() -> &'static LlamaBackend {
    static BACKEND: OnceLock<LlamaBackend> = OnceLock::new();
    BACKEND.get_or_init(|| {
        let mut backend = LlamaBackend::init().unwrap();
        backend.void_logs();
        backend
    })
}

impl Plain {
    fn open(file: &str) -> Self {
        let path = home().join("models").join(file);
        let model =
            LlamaModel::load_from_file(backend(), path, &LlamaModelParams::default()).unwrap();
        Self { model }
    }

    /// Probabilities of the next token after `tokens`, evaluated from nothing in one batch.
    fn next(&self, tokens: &[LlamaToken]) -> Vec<f64> {
        let params = LlamaContextParams::default()
            .with_n_ctx(std::num::NonZeroU32::new(64))
            .with_n_batch(64)
            .with_n_ubatch(64)
            .with_n_threads(2)
            .with_n_threads_batch(2);
        let mut context = self.model.new_context(backend(), params).unwrap();
        let mut batch = LlamaBatch::new(64, 1);
        for (i, &token) in tokens.iter().enumerate() {
            batch
                .add(token, i as i32, &[0], i + 1 == tokens.len())
                .unwrap();
        }
        context.decode(&mut batch).unwrap();
        let logits = context.get_logits_ith(tokens.len() as i32 - 1);
        let vocab = self.model.vocab();
        // Control tokens are no text; the rest is renormalised, end tokens included.
        let weight = |(i, &z): (usize, &f32)| {
            let token = LlamaToken(i as i32);
            let text = !vocab.token_to_piece(token, false, None).is_empty();
            if text || vocab.is_eog(token) {
                f64::from(z).exp()
            } else {
                0.0
            }
        };
        let weights: Vec<f64> = logits.iter().enumerate().map(weight).collect();
        let total: f64 = weights.iter().sum();
        weights.iter().map(|w| w / total).collect()
    }

    /// Bits per byte of `text` after `start`: every token path that spells a beginning of it is
    /// evaluated from nothing, unless its share is below 1e-3 of all that spell as much.
    fn bits_per_byte(&self, start: LlamaToken, text: &[u8]) -> f64 {
        let vocab = self.model.vocab();
        let pieces: Vec<Vec<u8>> = (0..vocab.n_tokens())
            .map(|t| vocab.token_to_piece(LlamaToken(t), false, None))
            .collect();
        // Paths by the number of bytes they spell, with their probability.
        let mut paths: Vec<Vec<(Vec<LlamaToken>, f64)>> = vec![Vec::new(); text.len()];
        paths[0].push((vec![start], 1.0));
        let mut whole = 0.0;
        for at in 0..text.len() {
            let arriving: f64 = paths[at].iter().map(|(_, w)| w).sum();
            let passing = running_total(&paths, at);
            for (path, weight) in std::mem::take(&mut paths[at]) {
                if weight < 1e-3 * arriving.max(passing) {
                    continue;
                }
                let p = self.next(&path);
                for (t, piece) in pieces
                    .iter()
                    .enumerate()
                    .filter(|(_, piece)| !piece.is_empty())
                {
                    if piece.starts_with(&text[at..]) {
                        whole += weight * p[t];
                    } else if text[at..].starts_with(piece) {
                        let mut longer = path.clone();
                        longer.push(LlamaToken(t as i32));
                        paths[at + piece.len()].push((longer, weight * p[t]));
                    }
                }
            }
        }
        -whole.log2() / text.len() as f64
    }
}

/// A bound for the paths that pass over `at`: the heaviest path beyond it.
fn running_total(paths: &[Vec<(Vec<LlamaToken>, f64)>], at: usize) -> f64 {
    paths[at..]
        .iter()
        .flatten()
        .map(|(_, w)| *w)
        .fold(0.0, f64::max)
}

/// Gemma-3-270M is a base model: of `tiny`, SmolLM2 alone can hold a chat.
#[test]
fn a_chat_with_tiny_is_one_with_its_chat_model_alone() {
    if !tiny_is_here() {
        return;
    }
    let model = home().join("models").join(SMOLLM2);
    let ask = |pack: &[&str]| {
        let question = [
            "-p",
            "Name three colours.",
            "-n",
            "24",
            "--temp",
            "0",
            "--json",
        ];
        run_json(&[&["run"][..], pack, &question].concat())
    };
    let both = ask(&["--pack", "tiny"]);
    let alone = ask(&["-m", model.to_str().unwrap()]);
    assert_eq!(both["text"], alone["text"]);
    assert_eq!(both["usage"], alone["usage"]);
    let members = both["members"].as_array().unwrap();
    assert_eq!(members[0]["weight"], 1.0);
    assert_eq!(members[1]["evaluations"], 0, "who has no say costs nothing");
}

#[test]
fn the_tiny_pack_answers_twice_alike_with_all_fields() {
    if !tiny_is_here() {
        return;
    }
    let ask = || {
        run_json(&[
            "run",
            "--pack",
            "tiny",
            "-p",
            "Explain in two sentences why the sky is blue.",
            "-n",
            "64",
            "--temp",
            "0",
            "--weights",
            "exact",
            "--json",
        ])
    };
    let (first, second) = (ask(), ask());
    assert_eq!(first["text"], second["text"]);
    assert!(first["text"].as_str().unwrap().len() > 100);
    for field in [
        "text",
        "finish_reason",
        "vocab",
        "mix",
        "weights_method",
        "skipped_mass",
        "seed",
    ] {
        assert!(!first[field].is_null(), "{field} is missing");
    }
    assert_eq!(first["vocab"], "bytes");
    assert!((0.0..0.2).contains(&first["skipped_mass"].as_f64().unwrap()));
    let members = first["members"].as_array().unwrap();
    assert_eq!(members.len(), 2);
    let sum: f64 = members.iter().map(|m| m["weight"].as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-9);
    for member in members {
        assert!(member["prompt_tokens"].as_u64().unwrap() > 5);
        assert!(member["evaluations"].as_u64().unwrap() >= 30, "{member}");
        assert!(member["eval_ms"].as_f64().unwrap() > 0.0);
    }
    let tokens = first["usage"]["completion_tokens"].as_u64().unwrap();
    assert!((60..=66).contains(&tokens), "-n 64 gave {tokens} tokens");
    for field in ["load_ms", "prompt_ms", "predicted_ms", "tokens_per_second"] {
        assert!(first["timings"][field].as_f64().unwrap() > 0.0, "{field}");
    }
}

#[test]
fn raw_greedy_completion_of_the_two_models_is_sensible_and_repeats() {
    if !tiny_is_here() {
        return;
    }
    let complete = || {
        let output = packllm(&[
            "run",
            "-m",
            SMOLLM2,
            "-m",
            GEMMA,
            "--raw",
            "-p",
            "Monday, Tuesday, Wednesday, Thursday, Fri",
            "-n",
            "8",
            "--temp",
            "0",
        ]);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    let text = complete();
    // The prompt stops inside a word, and the answer continues the word.
    assert!(text.starts_with("day, Saturday, Sunday"), "{text}");
    assert_eq!(text, complete());
}

#[test]
fn bits_per_byte_agree_with_an_independent_computation() {
    if !tiny_is_here() {
        return;
    }
    let text = "The keeper lit the lamp at 6 each day.";
    let weigh = |extra: &[&str]| {
        let mut args = vec!["weigh", "--pack", "tiny", "--raw", "-p", text, "--json"];
        args.extend(extra);
        run_json(&args)
    };
    let (chain, full) = (weigh(&[]), weigh(&["--full", "--epsilon", "0.0005"]));
    // SmolLM2 adds no BOS: text starts after a line break. Gemma adds one.
    for (k, file, start) in [(0, SMOLLM2, "\n"), (1, GEMMA, "<bos>")] {
        let plain = Plain::open(file);
        let start = plain.model.vocab().tokenize(start.as_bytes(), false, true);
        assert_eq!(start.len(), 1);
        let expected = plain.bits_per_byte(start[0], text.as_bytes());
        let bits = |document: &Value| document["members"][k]["bits_per_byte"].as_f64().unwrap();
        let far = |got: f64| (got - expected).abs() / expected;
        assert!(
            far(bits(&full)) < 0.01,
            "{file}: full cover {}, independent {expected}",
            bits(&full)
        );
        assert!(
            far(bits(&chain)) < 0.04,
            "{file}: chain {}, independent {expected}",
            bits(&chain)
        );
    }
    let uniform = full["bits_per_byte"]["uniform"].as_f64().unwrap();
    let worst = full["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["bits_per_byte"].as_f64().unwrap())
        .fold(0.0, f64::max);
    assert!(uniform < worst);
}

#[test]
fn one_real_model_by_tokens_answers_what_llama_cpp_answers() {
    if !tiny_is_here() {
        return;
    }
    let plain = Plain::open(SMOLLM2);
    let prompt = "A list of colours: red, green,";
    let vocab = plain.model.vocab();
    let mut tokens = vocab.tokenize(b"\n", false, true);
    tokens.extend(vocab.tokenize(prompt.as_bytes(), false, false));
    let (mut expected, n) = (Vec::new(), tokens.len());
    // llama.cpp's own greedy loop: the prompt in one batch, then one token at a time.
    let params = LlamaContextParams::default()
        .with_n_ctx(std::num::NonZeroU32::new(512))
        .with_n_threads(1)
        .with_n_threads_batch(1);
    let mut context = plain.model.new_context(backend(), params).unwrap();
    let mut batch = LlamaBatch::new(512, 1);
    for (i, &token) in tokens.iter().enumerate() {
        batch.add(token, i as i32, &[0], i + 1 == n).unwrap();
    }
    for i in 0..24 {
        context.decode(&mut batch).unwrap();
        let row = context.get_logits_ith(batch.n_tokens() - 1);
        let best = row
            .iter()
            .enumerate()
            .max_by(|a, b| a.1.total_cmp(b.1))
            .unwrap()
            .0 as i32;
        if vocab.is_eog(LlamaToken(best)) {
            break;
        }
        expected.extend(vocab.token_to_piece(LlamaToken(best), false, None));
        batch.clear();
        batch
            .add(LlamaToken(best), (n + i) as i32, &[0], true)
            .unwrap();
    }
    let expected = String::from_utf8(expected).unwrap();
    let path = home().join("models").join(SMOLLM2);
    let path = path.to_str().unwrap();
    for models in [vec![path], vec![path, path]] {
        let mut args = vec![
            "run", "--raw", "-p", prompt, "-n", "24", "--temp", "0", "--json",
        ];
        // Threads do not change the logits; batch shapes do, so the evidence must not divide them.
        args.extend(["--weights", "uniform"]);
        models.iter().for_each(|m| args.extend(["-m", m]));
        let document = run_json(&args);
        assert_eq!(document["vocab"], "tokens");
        assert_eq!(
            document["text"].as_str().unwrap(),
            expected,
            "{} members",
            models.len()
        );
    }
}

#[test]
fn the_maps_of_align_serve_the_mined_mode() {
    if !tiny_is_here() {
        return;
    }
    // Both commands know the vocabularies, one from the header only, and use the same name for the
    // map.
    let aligned = run_json(&["align", GEMMA, SMOLLM2, "--json"]);
    assert_eq!(aligned["reference"]["tokens"], 262_144);
    let covered = ["equal", "near", "unreachable"].map(|key| aligned[key].as_u64().unwrap());
    assert_eq!(covered.iter().sum::<u64>(), 262_144);
    run_json(&["align", SMOLLM2, GEMMA, "--json"]);
    let maps = || {
        let folder = std::fs::read_dir(home().join("maps")).unwrap();
        let mut names: Vec<_> = folder.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = maps();
    let args = [
        "weigh", "--raw", "--pack", "tiny", "--vocab", "mined", "--json",
    ];
    let weighed =
        run_json(&[&args[..], &["-p", "The lighthouse was built on the rocks."]].concat());
    assert_eq!(maps(), before);
    let tokens = |k: usize| weighed["members"][k]["tokens"].as_u64().unwrap();
    assert_eq!(tokens(0), tokens(1));
}
