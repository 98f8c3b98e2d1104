//! The cover over a real model against every segmentation, enumerated.
//!
//! Batches differ: the enumeration evaluates each path alone from the start, the engine the forks
//! of a byte together after what they share. llama.cpp adds up in another order for each shape of a
//! batch, which moves probabilities of these models by up to some 1e-4; hence [`TOLERANCE`].

use crate::rig::*;
use crate::tiny::TinyModel;
use packllm_engine::backend::{BatchToken, Member, SeqId, Token, TokenKind, Vocab};
use packllm_engine::chat::speaker::plain_text;
use packllm_engine::engine::{Fusion, ScoreRequest};
use packllm_engine::mix::{Mix, Mixer, SymbolSet};
use packllm_engine::vocab::cover::{Budget, Cover};
use packllm_engine::vocab::sorted::SortedVocab;
use packllm_engine::vocab::{Alphabet, END, Row};
use packllm_engine::weight::{Method, Rows};
use packllm_llama::{LlamaMember, LoadOptions};
use std::sync::Arc;

const TOLERANCE: f64 = 2e-3;
const EXACT: Budget = Budget {
    epsilon: 0.0,
    hypotheses: 8,
};

fn models() -> [TinyModel; 2] {
    [
        TinyModel::spm(5).with_space_prefix(false),
        TinyModel::bpe(6),
    ]
}

/// What the cover predicts before every byte of a text and after the last, and the mean share of it
/// that was not evaluated.
fn predictions(model: &TinyModel, budget: Budget, text: &str) -> (Vec<Row>, f64) {
    let files = Files::new();
    let mut engine = pack(vec![LoadOptions {
        sequences: 250,
        outputs: 250,
        ..options(files.write("model.gguf", model))
    }]);
    let fusion = Fusion {
        alphabet: Some(Alphabet::Bytes),
        method: Method::Uniform,
        budget,
        ..Fusion::default()
    };
    set(&mut engine, fusion);
    let request = ScoreRequest {
        scores: true,
        rows: true,
        full: true,
    };
    // One byte more: a row is what is predicted before a byte.
    let prompts = plain_text(&format!("{text} "), 1, request.ending());
    engine.prepare(prompts).unwrap();
    engine.read(request).unwrap();
    let evidence = engine.evidence().unwrap();
    let Rows::Dense(ln_p) = &evidence.members[0].rows else {
        panic!("no rows");
    };
    let (rows, rest) = ln_p.as_chunks::<{ END + 1 }>();
    assert_eq!((rows.len(), rest.len()), (text.len() + 1, 0));
    let rows = rows.iter().map(|row| row.map(|l| f64::from(l).exp()));
    (rows.collect(), engine.skipped_mass()[0])
}

/// The plain twin: every token path that spells a beginning of the text, each evaluated alone.
struct Enumeration {
    member: LlamaMember,
    vocab: Arc<Vocab>,
}

impl Enumeration {
    const ALONE: SeqId = 1;

    fn new(model: &TinyModel) -> Self {
        let member = member(model);
        let vocab = Arc::clone(member.vocab());
        Self { member, vocab }
    }

    /// What every text begins after.
    fn start(&self) -> Token {
        self.vocab.text_start().unwrap()
    }

    fn logits(&mut self, path: &[Token]) -> Vec<f32> {
        let last = path.len() - 1;
        let entry = |(i, &token): (usize, &Token)| BatchToken {
            token,
            pos: i as u32,
            seq: Self::ALONE,
            output: i == last,
        };
        let batch: Vec<BatchToken> = path.iter().enumerate().map(entry).collect();
        self.member.decode(&batch).unwrap();
        let logits = self.member.logits(last).unwrap().to_vec();
        self.member.seq_truncate(Self::ALONE, 0).unwrap();
        logits
    }

    /// Adds what follows `path`, of probability `weight`, with `rest` of the text left to spell.
    fn add(&mut self, path: &mut Vec<Token>, weight: f64, rest: &[u8], row: &mut Row) {
        let vocab = Arc::clone(&self.vocab);
        let p = probabilities(&vocab, &self.logits(path));
        for token in 0..vocab.len() as Token {
            let (piece, mass) = (vocab.piece(token), weight * p[token as usize]);
            match vocab.kind(token) {
                TokenKind::Control => {}
                TokenKind::End if rest.is_empty() => row[END] += mass,
                TokenKind::End => {}
                TokenKind::Text => {
                    if let Some(&next) = piece.strip_prefix(rest).and_then(|more| more.first()) {
                        row[next as usize] += mass;
                    } else if let Some(rest) = rest.strip_prefix(piece) {
                        path.push(token);
                        self.add(path, mass, rest, row);
                        path.pop();
                    }
                }
            }
        }
    }

    fn predicted(&mut self, text: &[u8]) -> Row {
        let mut row = [0.0; END + 1];
        self.add(&mut vec![self.start()], 1.0, text, &mut row);
        let total: f64 = row.iter().sum();
        row.map(|p| p / total)
    }
}

/// Total variation: the largest difference that the two can have on any set of symbols.
fn distance(a: &Row, b: &Row) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f64>() / 2.0
}

#[test]
fn the_exact_cover_equals_the_enumeration_of_all_segmentations() {
    // Words of the vocabularies, a character in pieces, a run of spaces.
    let texts = [" the", "ing ", "für", "    "];
    for model in models() {
        let mut enumeration = Enumeration::new(&model);
        for text in texts {
            let (rows, skipped_mass) = predictions(&model, EXACT, text);
            for (n, row) in rows.iter().enumerate() {
                let want = enumeration.predicted(&text.as_bytes()[..n]);
                let far = distance(row, &want);
                assert!(far < TOLERANCE, "{:?}: {far}", &text.as_bytes()[..n]);
            }
            assert_eq!(skipped_mass, 0.0);
        }
    }
}

#[test]
fn the_usual_cover_is_near_the_exact_one() {
    // On these texts, byte by byte: never further than a quarter, a fiftieth on average. Random
    // weights spread over many segmentations; trained ones do so far less.
    for model in models() {
        let mut distances = Vec::new();
        for text in [" the", "ing ", "für"] {
            let (exact, _) = predictions(&model, EXACT, text);
            let (usual, _) = predictions(&model, Budget::default(), text);
            let rows = exact.iter().zip(&usual).skip(1);
            distances.extend(rows.map(|(exact, usual)| distance(exact, usual)));
        }
        let mean = distances.iter().sum::<f64>() / distances.len() as f64;
        let most = distances.iter().copied().fold(0.0, f64::max);
        assert!(
            mean < 0.02 && most < 0.25,
            "mean {mean}, most {most}: {distances:?}"
        );
        assert!(most > 0.0, "nothing was left out, so nothing was compared");
    }
}

/// A cover after the start token, of which every path is evaluated alone: in full precision.
struct Alone {
    enumeration: Enumeration,
    cover: Cover<()>,
}

impl Alone {
    fn new(model: &TinyModel, budget: Budget) -> Self {
        let mut enumeration = Enumeration::new(model);
        let sorted = Arc::new(SortedVocab::new(&enumeration.vocab));
        let mut cover = Cover::new(sorted, budget);
        let start = enumeration.start();
        let logits = enumeration.logits(&[start]);
        cover.begin((), &logits, None).unwrap();
        Self { enumeration, cover }
    }

    fn advance(&mut self, byte: u8) {
        self.cover.advance(byte);
        loop {
            let wanted = self.cover.wanted(usize::MAX);
            if wanted.is_empty() {
                break;
            }
            for evaluation in wanted {
                let mut path = vec![self.enumeration.start()];
                path.extend(self.cover.paths().tokens(evaluation.path, 0));
                let logits = self.enumeration.logits(&path);
                self.cover.admit(&evaluation, (), &logits).unwrap();
            }
        }
        assert!(!self.cover.is_lost());
        self.cover.finish(None);
    }
}

#[test]
fn every_prediction_of_members_and_mixtures_is_a_distribution() {
    // With what the vocabularies spell in many ways, in few, and hardly at all.
    let text = "  let für = 漢;\n\u{1}\0 3 the water";
    let sum = |row: &Row| row.iter().sum::<f64>();
    for epsilon in [0.03, 0.3] {
        let budget = Budget {
            epsilon,
            ..Budget::default()
        };
        let mut members = models().map(|model| Alone::new(&model, budget));
        let mut mixers =
            [Mix::Log, Mix::Linear].map(|mix| Mixer::new(mix, 1e-10, SymbolSet::bytes()).unwrap());
        for &byte in text.as_bytes() {
            let rows = [0, 1].map(|k: usize| members[k].cover.predicted().map(f64::ln).to_vec());
            for member in &mut members {
                let p = member.cover.predicted();
                assert!((sum(p) - 1.0).abs() < 1e-12);
                assert!(p.iter().all(|&p| p > 0.0), "a symbol is impossible");
            }
            for mixer in &mut mixers {
                let mut mixed = [0.0; END + 1];
                mixer
                    .mix(&rows, &[0.3, 0.7], &[true, true], &mut mixed)
                    .unwrap();
                assert!((sum(&mixed.map(f64::exp)) - 1.0).abs() < 1e-12);
            }
            members.iter_mut().for_each(|member| member.advance(byte));
        }
    }
}
