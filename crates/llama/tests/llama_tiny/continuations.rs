//! Options that branch from one prompt in llama.cpp's cache, against each read from scratch.

use crate::rig::*;
use crate::tiny::TinyModel;
use packllm_engine::engine::{
    Ending, Fusion, Lockstep, Place, Prompt, ScoreRequest, Segment, Start,
};
use packllm_engine::vocab::Alphabet;
use packllm_engine::weight::{Evidence, Rows};

/// Batches of other sizes sum in another order, in f16 caches: nats.
const TOLERANCE: f32 = 5e-3;

const BEFORE: &str = "Question: what is the moon and the sea of";
const OPTIONS: [&str; 6] = [
    " water",
    " the stars and the moon",
    " é日本",
    "x",
    " one",
    " the sea of the stars of the water and more",
];

fn prompts(scored: &str) -> Vec<Prompt> {
    let mut segments = vec![Segment::content(BEFORE, Place::default())];
    if !scored.is_empty() {
        segments.push(Segment::evidence(scored, Place::default()));
    }
    let prompt = Prompt {
        start: Start::Text,
        segments,
        ending: Ending::Closed,
    };
    vec![prompt; 2]
}

fn request() -> ScoreRequest {
    ScoreRequest {
        scores: true,
        rows: true,
        full: false,
    }
}

fn near(got: &Evidence, want: &Evidence) {
    assert_eq!((got.bytes, &got.symbols), (want.bytes, &want.symbols));
    for (got, want) in got.members.iter().zip(&want.members) {
        assert_eq!(got.tokens, want.tokens);
        for (a, b) in got.nats.iter().zip(&want.nats) {
            assert!((a - b).abs() < TOLERANCE, "{a} {b}");
        }
        if let (Rows::Dense(got), Rows::Dense(want)) = (&got.rows, &want.rows) {
            assert_eq!(got.len(), want.len());
            let likely = |(_, b): &(&f32, &f32)| **b > -12.0;
            for (a, b) in got.iter().zip(want).filter(likely) {
                assert!((a - b).abs() < TOLERANCE, "{a} {b}");
            }
        }
    }
}

fn check(alphabet: Alphabet, models: [TinyModel; 2], batch: u32, sequences: u32) {
    let files = Files::new();
    let pack = || -> Lockstep {
        let options = |(name, model): (&str, &TinyModel)| {
            let mut options = options(files.write(name, model));
            (options.batch, options.ubatch) = (batch, batch);
            options.sequences = sequences;
            options
        };
        let mut engine = pack(
            ["a.gguf", "b.gguf"]
                .into_iter()
                .zip(&models)
                .map(options)
                .collect(),
        );
        let fusion = Fusion {
            alphabet: Some(alphabet),
            ..engine.fusion().clone()
        };
        set(&mut engine, fusion);
        engine
    };
    let mut engine = pack();
    let options = OPTIONS.map(str::to_owned);
    engine.prepare(prompts("")).unwrap();
    engine.read(request()).unwrap();
    let got = engine.read_continuations(&options, request()).unwrap();
    // Again, with the prompt in the caches.
    engine.prepare(prompts("")).unwrap();
    engine.read(request()).unwrap();
    let again = engine.read_continuations(&options, request()).unwrap();
    for ((text, got), again) in OPTIONS.iter().zip(&got).zip(&again) {
        let mut fresh = pack();
        fresh.prepare(prompts(text)).unwrap();
        fresh.read(request()).unwrap();
        let want = fresh.evidence().unwrap();
        assert_eq!(got.bytes, text.len());
        near(got, &want);
        near(again, &want);
    }
}

#[test]
fn options_are_scored_as_if_each_alone_came_next() {
    for (batch, sequences) in [(BATCH, SEQUENCES), (5, 3)] {
        check(
            Alphabet::Bytes,
            [TinyModel::bpe(1), TinyModel::spm(2)],
            batch,
            sequences,
        );
        check(
            Alphabet::Tokens,
            [TinyModel::bpe(1), TinyModel::bpe(2)],
            batch,
            sequences,
        );
    }
}
