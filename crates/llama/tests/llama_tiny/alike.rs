//! Packs of one model, of the same twice, and of two.

use crate::rig::*;
use crate::tiny::TinyModel;
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::sampling::LlamaSampler;
use llama_cpp_2::token::LlamaToken;
use packllm_engine::engine::{AnswerOptions, Finish, Fusion};
use packllm_engine::mix::Mix;
use packllm_engine::sample::Params;
use packllm_engine::vocab::Alphabet;
use packllm_engine::weight::Method;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::OnceLock;

const PROMPT: &str = "what time is it";
const LIMIT: usize = 40;

/// CachedPrompt for good: dropping it would take llama.cpp away from tests beside this one.
fn backend() -> &'static LlamaBackend {
    static BACKEND: OnceLock<LlamaBackend> = OnceLock::new();
    packllm_llama::init();
    BACKEND.get_or_init(|| LlamaBackend::init().unwrap())
}

/// llama.cpp's own loop and sampler, with the shapes of our batches: the prompt in one, then token
/// by token. `start` is the written form of the token in front, if the model does not add one
/// itself.
fn llama_greedy(path: &Path, start: &str) -> (Vec<u8>, Finish) {
    let model = LlamaModel::load_from_file(backend(), path, &LlamaModelParams::default()).unwrap();
    let params = LlamaContextParams::default()
        .with_n_ctx(NonZeroU32::new(model.n_ctx_train()))
        .with_n_batch(BATCH)
        .with_n_ubatch(BATCH)
        .with_n_seq_max(SEQUENCES)
        .with_n_threads(1)
        .with_n_threads_batch(1)
        .with_kv_unified(true)
        .with_swa_full(true);
    let mut context = model.new_context(backend(), params).unwrap();
    let vocab = model.vocab();
    let mut prompt: Vec<LlamaToken> = vocab.tokenize(start.as_bytes(), false, true);
    prompt.extend(vocab.tokenize(PROMPT.as_bytes(), start.is_empty(), false));
    let mut batch = LlamaBatch::new(prompt.len(), 1);
    for (i, &token) in prompt.iter().enumerate() {
        batch
            .add(token, i as i32, &[0], i + 1 == prompt.len())
            .unwrap();
    }
    let mut sampler = LlamaSampler::greedy();
    let mut text = Vec::new();
    for n in 0..LIMIT {
        context.decode(&mut batch).unwrap();
        let token = sampler.sample(&context, -1);
        if vocab.is_eog(token) {
            return (text, Finish::Stop);
        }
        vocab.token_to_piece_into(token, &mut text, false, None);
        batch.clear();
        batch
            .add(token, (prompt.len() + n) as i32, &[0], true)
            .unwrap();
    }
    (text, Finish::Length)
}

/// Both kinds of vocabulary, and the token that a raw text of each starts after if the model adds
/// none.
fn models(seed: u64) -> [(TinyModel, &'static str); 2] {
    [
        (TinyModel::spm(seed).with_space_prefix(false), ""),
        (TinyModel::bpe(seed), "\n"),
    ]
}

#[test]
fn in_tokens_one_model_and_the_same_twice_answer_like_llama_cpps_own_loop() {
    let files = Files::new();
    let mut finishes = Vec::new();
    for seed in 0..8 {
        // Some end within the limit, some do not.
        for (model, start) in models(seed) {
            let model = model.with_end_bias(if seed < 4 { 3.5 } else { -30.0 });
            let path = files.write("model.gguf", &model);
            let (want, finish) = llama_greedy(&path, start);
            let want = String::from_utf8(want).unwrap();
            for members in [1, 2] {
                let mut engine = pack(vec![options(path.clone()); members]);
                assert_eq!(engine.alphabet(), Alphabet::Tokens);
                let got = ask(&mut engine, PROMPT, &greedy(LIMIT));
                assert_eq!(
                    (&got.text, got.finish),
                    (&want, finish),
                    "seed {seed}, {members}"
                );
            }
            finishes.push(finish);
        }
    }
    assert!(finishes.contains(&Finish::Stop) && finishes.contains(&Finish::Length));
}

#[test]
fn in_bytes_one_model_and_the_same_twice_answer_alike() {
    let files = Files::new();
    for seed in 0..3 {
        for (model, _) in models(seed) {
            let path = files.write("model.gguf", &model);
            let answer = |members, mix| {
                let mut engine = pack(vec![options(path.clone()); members]);
                let bytes = Some(Alphabet::Bytes);
                let method = Method::Uniform;
                set(
                    &mut engine,
                    Fusion {
                        alphabet: bytes,
                        method,
                        mix: Some(mix),
                        ..Fusion::default()
                    },
                );
                let said = ask(&mut engine, PROMPT, &greedy(LIMIT));
                (said.text, said.finish, said.tokens)
            };
            let one = answer(1, Mix::Log);
            assert!(!one.0.is_empty());
            assert_eq!(answer(2, Mix::Log), one, "seed {seed}");
            assert_eq!(answer(2, Mix::Linear), one, "seed {seed}");
        }
    }
}

#[test]
fn two_vocabularies_fuse_into_whole_characters_the_same_on_every_run_and_for_any_threads() {
    let files = Files::new();
    for seed in 0..3 {
        let spm = files.write("spm.gguf", &TinyModel::spm(seed).with_end_bias(-30.0));
        let bpe = files.write("bpe.gguf", &TinyModel::bpe(seed).with_end_bias(-30.0));
        let answer = |threads, temperature| {
            let with = |path: &Path| packllm_llama::LoadOptions {
                threads,
                threads_batch: threads,
                ..options(path.to_path_buf())
            };
            let mut engine = pack(vec![with(&spm), with(&bpe)]);
            assert_eq!(engine.alphabet(), Alphabet::Bytes);
            let sampling = Params {
                temperature,
                seed,
                ..Params::default()
            };
            let said = ask(
                &mut engine,
                "für ",
                &AnswerOptions {
                    sampling,
                    ..greedy(30)
                },
            );
            (said.text, said.tokens)
        };
        for temperature in [0.0, 0.8, 1.5] {
            let (text, tokens) = answer(1, temperature);
            assert!(!text.is_empty() && !text.contains('\u{FFFD}'), "{text:?}");
            // The last character may take some more.
            assert!((30..=33).contains(&tokens), "{tokens}");
            assert_eq!(answer(1, temperature), (text.clone(), tokens));
            // More threads than cores spin against each other: once is enough.
            if seed == 0 {
                assert_eq!(answer(2, temperature), (text, tokens));
            }
        }
    }
}

#[test]
fn a_context_that_fills_up_ends_the_answer_by_length() {
    let files = Files::new();
    let narrow = |model: TinyModel| model.with_context(256).with_end_bias(-30.0).with_scale(0.5);
    let spm = files.write("spm.gguf", &narrow(TinyModel::spm(1)));
    let bpe = files.write("bpe.gguf", &narrow(TinyModel::bpe(1)));
    for paths in [vec![spm.clone(), bpe.clone()], vec![bpe.clone(), bpe]] {
        let mut engine = pack(paths.into_iter().map(options).collect());
        let sampling = Params {
            temperature: 1.0,
            top_k: 0,
            repeat_stop: false,
            ..Params::default()
        };
        let endless = AnswerOptions {
            limit: None,
            sampling,
            stops: Vec::new(),
            attribution: false,
        };
        let said = ask(&mut engine, &"a b ".repeat(40), &endless);
        assert_eq!(said.finish, Finish::Length);
        assert!(said.text.len() > 20, "{:?}", said.text);
        // There is room again once it is cleared.
        engine.clear().unwrap();
        assert_eq!(ask(&mut engine, "a b", &greedy(4)).finish, Finish::Length);
    }
}
