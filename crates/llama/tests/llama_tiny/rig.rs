//! Files, members and packs.

use crate::tiny::TinyModel;
use packllm_engine::backend::Watch;
use packllm_engine::backend::{Member, Token, TokenKind, Vocab};
use packllm_engine::chat::speaker::plain_text;
use packllm_engine::engine::{
    Answer, AnswerOptions, Ending, Engine, Fusion, Lockstep, MemberSpec, ScoreRequest,
};
use packllm_engine::sample::Params;
use packllm_engine::weight::Method;
use packllm_llama::offload::Offload;
use packllm_llama::{CacheType, LlamaMember, LoadOptions};
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

pub const BATCH: u32 = 512;
pub const SEQUENCES: u32 = 18;
pub const SCORES: ScoreRequest = ScoreRequest {
    scores: true,
    ..ScoreRequest::NOTHING
};

/// A folder of models, removed when dropped.
pub struct Files(TempDir);

impl Files {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn write(&self, name: &str, model: &TinyModel) -> PathBuf {
        model.write(self.0.path().join(name))
    }
}

pub fn options(path: PathBuf) -> LoadOptions {
    LoadOptions {
        path,
        context: None,
        batch: BATCH,
        ubatch: BATCH,
        outputs: 64,
        sequences: SEQUENCES,
        threads: 1,
        threads_batch: 1,
        flash_attention: None,
        cache: (CacheType::F16, CacheType::F16),
        repack: true,
        offload: Offload::default(),
        watch: Arc::default(),
    }
}

pub fn member(model: &TinyModel) -> LlamaMember {
    let files = Files::new();
    LlamaMember::load(&options(files.write("model.gguf", model))).unwrap()
}

/// A pack of these files, all weights equal; every member that has an end can end.
pub fn pack(members: Vec<LoadOptions>) -> Lockstep {
    let spec = |(name, options): (char, LoadOptions)| MemberSpec {
        name: name.to_string(),
        prefetch: None,
        pace: Default::default(),
        loader: Box::new(move |watch: &Arc<Watch>| {
            let options = LoadOptions {
                watch: Arc::clone(watch),
                ..options
            };
            LlamaMember::load(&options).map(|m| Box::new(m) as Box<dyn Member>)
        }),
    };
    let specs = ('a'..).zip(members).map(spec).collect();
    let mut engine = Engine::load(specs, Arc::default(), &mut |_| {})
        .unwrap()
        .lockstep(Arc::default())
        .unwrap();
    set(
        &mut engine,
        Fusion {
            method: Method::Uniform,
            ..Fusion::default()
        },
    );
    engine
}

pub fn set(engine: &mut Lockstep, fusion: Fusion) {
    let can_end = engine
        .members()
        .iter()
        .map(|m| m.vocab.ends().next().is_some())
        .collect();
    engine.configure(fusion, can_end).unwrap();
}

pub fn greedy(limit: usize) -> AnswerOptions {
    let sampling = Params {
        temperature: 0.0,
        // llama.cpp goes on as well.
        repeat_stop: false,
        ..Params::default()
    };
    AnswerOptions {
        limit: Some(limit),
        sampling,
        stops: Vec::new(),
        attribution: false,
    }
}

pub fn ask(engine: &mut Lockstep, text: &str, generation: &AnswerOptions) -> Answer {
    let prompts = plain_text(text, engine.members().len(), Ending::Continue);
    engine.prepare(prompts).unwrap();
    engine.read(ScoreRequest::NOTHING).unwrap();
    engine.weigh().unwrap();
    engine.answer(generation, &mut |_| {}).unwrap()
}

/// Probabilities by softmax over text and end tokens, in f64.
pub fn probabilities(vocab: &Vocab, logits: &[f32]) -> Vec<f64> {
    let max = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let weight = |(t, &z): (usize, &f32)| match vocab.kind(t as Token) {
        TokenKind::Control => 0.0,
        _ => (f64::from(z) - max).exp(),
    };
    let weights: Vec<f64> = logits.iter().enumerate().map(weight).collect();
    let total: f64 = weights.iter().sum();
    weights.iter().map(|w| w / total).collect()
}
