//! The cover over a real model against every segmentation, enumerated.
//!
//! Batches differ: the enumeration evaluates each path alone from the start, the cover the forks of a
//! byte together after what they share. llama.cpp adds up in another order for each shape of a batch,
//! which moves probabilities of these models by up to some 1e-4; hence [`TOLERANCE`].

use crate::rig::*;
use crate::tiny::TinyModel;
use packllm_engine::backend::{BatchToken, Member, PREFIX, SeqId, Token, TokenKind, Vocab};
use packllm_engine::engine::branches::Branches;
use packllm_engine::mix::{Mix, Mixer, SymbolSet};
use packllm_engine::vocab::cover::{Budget, Cover};
use packllm_engine::vocab::sorted::SortedVocab;
use packllm_engine::vocab::{END, Row};
use packllm_llama::{LlamaMember, LoadOptions};
use std::sync::Arc;

const TOLERANCE: f64 = 2e-3;
const EXACT: Budget = Budget {
    epsilon: 0.0,
    heads: 8,
};

fn models() -> [TinyModel; 2] {
    [
        TinyModel::spm(5).with_space_prefix(false),
        TinyModel::bpe(6),
    ]
}

fn load(model: &TinyModel) -> LlamaMember {
    let files = Files::new();
    let path = files.write("model.gguf", model);
    LlamaMember::load(&LoadOptions {
        sequences: 250,
        outputs: 250,
        ..options(path)
    })
    .unwrap()
}

/// A cover after the start token.
struct Rig {
    member: LlamaMember,
    cover: Cover,
    branches: Branches,
}

impl Rig {
    fn new(model: &TinyModel, budget: Budget) -> Self {
        let mut member = load(model);
        let start = member.vocab().text_start().unwrap();
        member
            .decode(&[BatchToken {
                token: start,
                pos: 0,
                seq: PREFIX,
                output: true,
            }])
            .unwrap();
        let mut branches = Branches::new(member.limits().sequences);
        let mut cover = Cover::new(Arc::new(SortedVocab::new(member.vocab())), budget);
        branches
            .begin(&mut cover, &mut member, start, 0, None)
            .unwrap();
        Self {
            member,
            cover,
            branches,
        }
    }

    fn advance(&mut self, byte: u8) {
        self.branches
            .advance(&mut self.cover, &mut self.member, byte)
            .unwrap();
    }
}

/// The plain twin: every token path that spells a beginning of the text, each evaluated alone.
struct Enumeration {
    member: LlamaMember,
    vocab: Arc<Vocab>,
}

impl Enumeration {
    const ALONE: SeqId = 1;

    fn new(model: &TinyModel) -> Self {
        let member = load(model);
        let vocab = Arc::clone(member.vocab());
        Self { member, vocab }
    }

    fn after(&mut self, path: &[Token]) -> Vec<f64> {
        let last = path.len() - 1;
        let entry = |(i, &token): (usize, &Token)| BatchToken {
            token,
            pos: i as u32,
            seq: Self::ALONE,
            output: i == last,
        };
        let batch: Vec<BatchToken> = path.iter().enumerate().map(entry).collect();
        self.member.decode(&batch).unwrap();
        let p = probabilities(&self.vocab, self.member.logits(last).unwrap());
        self.member.seq_truncate(Self::ALONE, 0).unwrap();
        p
    }

    /// Adds what follows `path`, of probability `weight`, with `rest` of the text left to spell.
    fn add(&mut self, path: &mut Vec<Token>, weight: f64, rest: &[u8], row: &mut Row) {
        let p = self.after(path);
        let vocab = Arc::clone(&self.vocab);
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
        let start = self.vocab.text_start().unwrap();
        self.add(&mut vec![start], 1.0, text, &mut row);
        let total: f64 = row.iter().sum();
        row.map(|p| p / total)
    }
}

fn sum(row: &Row) -> f64 {
    row.iter().sum()
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
            let mut rig = Rig::new(&model, EXACT);
            for n in 0..=text.len() {
                let want = enumeration.predicted(&text.as_bytes()[..n]);
                let far = distance(rig.cover.predicted(), &want);
                assert!(far < TOLERANCE, "{:?}: {far}", &text.as_bytes()[..n]);
                if let Some(&byte) = text.as_bytes().get(n) {
                    rig.advance(byte);
                }
            }
            assert_eq!(rig.cover.skipped_mass(), 0.0);
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
            let mut exact = Rig::new(&model, EXACT);
            let mut usual = Rig::new(&model, Budget::default());
            for &byte in text.as_bytes() {
                exact.advance(byte);
                usual.advance(byte);
                distances.push(distance(exact.cover.predicted(), usual.cover.predicted()));
            }
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

#[test]
fn every_prediction_of_members_and_mixtures_is_a_distribution() {
    // With what the vocabularies spell in many ways, in few, and hardly at all.
    let text = "  let für = 漢;\n\u{1}\0 3 the water";
    for epsilon in [0.03, 0.3] {
        let budget = Budget {
            epsilon,
            ..Budget::default()
        };
        let mut rigs = models().map(|model| Rig::new(&model, budget));
        let mut mixers =
            [Mix::Log, Mix::Linear].map(|mix| Mixer::new(mix, 1e-10, SymbolSet::bytes()).unwrap());
        for &byte in text.as_bytes() {
            let rows = [0, 1].map(|k: usize| rigs[k].cover.predicted().map(f64::ln).to_vec());
            for rig in &mut rigs {
                let p = rig.cover.predicted();
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
            rigs.iter_mut().for_each(|rig| rig.advance(byte));
        }
    }
}
