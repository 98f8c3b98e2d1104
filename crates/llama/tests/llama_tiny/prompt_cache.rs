//! The prefix's KV cache as bytes, and prompts that are restored from it.

use crate::rig::*;
use crate::tiny::TinyModel;
use packllm_engine::backend::{BatchToken, Member, PREFIX};
use packllm_engine::chat::{Message, Speakers};
use packllm_engine::engine::prompt_cache::CachedPrompt;
use packllm_engine::engine::{Fusion, Lockstep, ScoreRequest};
use packllm_engine::weight::{Evidence, Method};
use packllm_llama::{CacheType, LlamaMember};

fn entries(tokens: &[u32], from: u32) -> Vec<BatchToken> {
    let last = tokens.len() - 1;
    let entry = |(i, &token): (usize, &u32)| BatchToken {
        token,
        pos: from + i as u32,
        seq: PREFIX,
        output: i == last,
    };
    tokens.iter().enumerate().map(entry).collect()
}

/// The logits after a prefix that is cut to 40 tokens and goes on with a few.
fn cut_and_go_on(member: &mut LlamaMember) -> Vec<f32> {
    member.seq_truncate(PREFIX, 40).unwrap();
    member.decode(&entries(&[70, 71, 72], 40)).unwrap();
    member.logits(2).unwrap().to_vec()
}

#[test]
fn a_restored_trunk_goes_on_as_the_saved_one() {
    let files = Files::new();
    let path = files.write("m.gguf", &TinyModel::bpe(3));
    let tokens: Vec<u32> = (0..100).map(|i| 60 + i % 40).collect();
    for (cache, flash) in [
        (CacheType::F16, None),
        (CacheType::Q8_0, Some(true)),
        (CacheType::F32, Some(false)),
    ] {
        let mut options = options(path.clone());
        options.cache = (cache, cache);
        options.flash_attention = flash;
        let load = || LlamaMember::load(&options).unwrap();
        let mut first = load();
        first.decode(&entries(&tokens, 0)).unwrap();
        let state = first.save().unwrap();
        let mut second = load();
        second.restore(&state, 100).unwrap();
        assert_eq!(second.seq_len(PREFIX), 100);
        assert_eq!(
            cut_and_go_on(&mut first),
            cut_and_go_on(&mut second),
            "{cache:?}"
        );
    }
}

#[test]
fn bytes_that_are_no_such_state_are_refused_and_leave_the_cache_empty() {
    let mut first = member(&TinyModel::bpe(3));
    first.decode(&entries(&[70, 71, 72, 73], 0)).unwrap();
    let state = first.save().unwrap();
    first.seq_copy(PREFIX, 1, 2).unwrap();
    assert!(first.save().is_err(), "another sequence is in use");
    assert!(first.restore(&state, 4).is_err(), "the cache is not empty");
    let mut second = member(&TinyModel::bpe(3));
    let mut refused = |state: &[u8], len: u32| {
        assert!(
            second.restore(state, len).is_err(),
            "{} bytes, {len} tokens",
            state.len()
        );
        assert_eq!(second.seq_len(PREFIX), 0);
    };
    refused(&state, 3);
    refused(&state, 5);
    refused(&state, 1_000_000);
    refused(&[&state[..], &[0]].concat(), 4);
    for end in 0..state.len() {
        refused(&state[..end], 4);
    }
    for at in (0..64).chain(state.len() - 64..state.len()) {
        let mut changed = state.clone();
        changed[at] ^= 0xff;
        // A changed value of the cache passes; that is what the file's checksum is for.
        if second.restore(&changed, 4).is_ok() {
            second.seq_truncate(PREFIX, 0).unwrap();
        }
    }
    second.restore(&state, 4).unwrap();
    second.decode(&entries(&[74], 4)).unwrap();
}

const SYSTEM: &str = "the water and the hill over the sea: what time is it for the others?";

struct Asked {
    new: Vec<usize>,
    evidence: Evidence,
    lambda: Vec<f64>,
    text: String,
}

fn engine(files: &Files, models: &[TinyModel]) -> Lockstep {
    let write = |(i, model)| options(files.write(&format!("{i}.gguf"), model));
    let mut engine = pack(models.iter().enumerate().map(write).collect());
    let method = Method::Exact;
    set(
        &mut engine,
        Fusion {
            method,
            ..Fusion::default()
        },
    );
    engine
}

fn ask(engine: &mut Lockstep, question: &str) -> Asked {
    let speakers = Speakers::new(engine.members(), &[]).unwrap();
    let messages = [Message::system(SYSTEM), Message::user(question)];
    let now = chrono::NaiveDateTime::default();
    let reading = speakers.read(&messages, 0, now).unwrap();
    let new = engine.prepare(reading.prompts).unwrap().new_tokens;
    let request = ScoreRequest {
        rows: true,
        ..SCORES
    };
    engine.read(request).unwrap();
    engine.weigh().unwrap();
    let mut generation = greedy(30);
    generation.sampling.temperature = 0.9;
    generation.sampling.seed = 5;
    Asked {
        new,
        evidence: engine.evidence().unwrap(),
        lambda: engine.lambda().to_vec(),
        text: engine.answer(&generation, &mut |_| {}).unwrap().text,
    }
}

/// Bit by bit: evidence, weights, and an answer that is drawn.
#[test]
fn with_a_restored_prompt_all_is_as_without() {
    let packs = [
        vec![TinyModel::bpe(1), TinyModel::spm(2)],
        vec![TinyModel::bpe(1), TinyModel::bpe(2)],
        vec![
            TinyModel::bpe(4).half(),
            TinyModel::spm(5).half(),
            TinyModel::bpe(6),
        ],
    ];
    for models in packs {
        let files = Files::new();
        let mut first = engine(&files, &models);
        first.cache_next_prompt().unwrap();
        ask(&mut first, "what is the time?");
        let kept: Vec<CachedPrompt> = first.take_cached_prompt().unwrap().unwrap();
        for question in ["what is the time?", "and for the water", "what is"] {
            let plain = ask(&mut engine(&files, &models), question);
            let mut restored = engine(&files, &models);
            restored.restore(kept.clone()).unwrap();
            let asked = ask(&mut restored, question);
            assert_eq!(asked.evidence, plain.evidence, "{question}");
            assert_eq!(asked.lambda, plain.lambda, "{question}");
            assert_eq!(asked.text, plain.text, "{question}");
            for (new, all) in asked.new.iter().zip(&plain.new) {
                assert!(2 * new < *all, "{new} of {all} tokens are read: {question}");
            }
        }
    }
}
