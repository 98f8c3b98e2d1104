//! What an answer costs beside the members' own evaluations, on made-up data: `cargo bench`.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark")]

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use packllm_engine::backend::{Special, TokenKind, Vocab, VocabBuilder};
use packllm_engine::mix::{Mix, Mixer, SymbolSet};
use packllm_engine::sample::{Params, Repetition, Sampler};
use packllm_engine::vocab::SYMBOLS;
use packllm_engine::vocab::cover::{Budget, Cover};
use packllm_engine::vocab::sorted::SortedVocab;
use packllm_engine::weight::{self, Evidence, MemberEvidence, Method, Rows};
use rand_pcg::rand_core::{Rng, SeedableRng};
use std::hint::black_box;
use std::sync::Arc;

/// SmolLM2's and Gemma's.
const VOCABULARIES: [usize; 2] = [49_152, 262_144];

struct Random(rand_pcg::Pcg64);

impl Random {
    fn new() -> Self {
        Self(rand_pcg::Pcg64::seed_from_u64(7))
    }

    fn below(&mut self, n: usize) -> usize {
        (self.0.next_u64() % n as u64) as usize
    }

    /// Of mean 0, between −3 and 3 deviations.
    fn normal(&mut self) -> f64 {
        let unit = |r: &mut Self| r.below(1 << 20) as f64 / f64::from(1 << 20);
        (0..12).map(|_| unit(self)).sum::<f64>() - 6.0
    }

    fn logits(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| (4.0 * self.normal()) as f32).collect()
    }

    /// ln p over the bytes and END.
    fn row(&mut self) -> Vec<f64> {
        let logits: Vec<f64> = (0..SYMBOLS).map(|_| 3.0 * self.normal()).collect();
        let ln_sum = logits.iter().map(|z| z.exp()).sum::<f64>().ln();
        logits.iter().map(|z| z - ln_sum).collect()
    }
}

/// All bytes, and words of one to ten letters that begin with a space as often as not.
fn vocabulary(size: usize) -> Vocab {
    let mut random = Random::new();
    let mut builder = VocabBuilder::default();
    (0..=255u8).for_each(|byte| builder.push(&[byte], TokenKind::Text));
    for _ in 257..size {
        let mut piece = vec![b' '; random.below(2)];
        for _ in 0..1 + random.below(10) {
            // Some letters are likelier than others, so that words share beginnings.
            let letters = 1 + random.below(26);
            piece.push(b'a' + random.below(letters) as u8);
        }
        builder.push(&piece, TokenKind::Text);
    }
    builder.push(b"<end>", TokenKind::End);
    builder.build(Special::default())
}

fn cover(c: &mut Criterion) {
    let mut group = c.benchmark_group("cover");
    for size in VOCABULARIES {
        let vocab = vocabulary(size);
        group.bench_with_input(
            BenchmarkId::new("sort vocabulary", size),
            &vocab,
            |b, vocab| {
                b.iter(|| SortedVocab::new(vocab));
            },
        );
        let sorted = Arc::new(SortedVocab::new(&vocab));
        let logits = Random::new().logits(vocab.len());
        // One distribution from logits, and what follows from it.
        let mut cover = Cover::new(Arc::clone(&sorted), Budget::default());
        group.bench_function(BenchmarkId::new("begin", size), |b| {
            b.iter(|| cover.begin((), &logits, Some(b'\n')).unwrap());
        });
        let begun = || {
            let mut cover = Cover::new(Arc::clone(&sorted), Budget::default());
            cover.begin((), &logits, Some(b'\n')).unwrap();
            cover.finish(None);
            cover
        };
        // Without evaluations: each costs about as much as the line above.
        group.bench_function(BenchmarkId::new("advance a byte", size), |b| {
            let step = |mut cover: Cover<()>| {
                cover.advance(b'e');
                cover.finish(None);
                cover
            };
            b.iter_batched(begun, step, BatchSize::PerIteration);
        });
    }
    group.finish();
}

fn mixing(c: &mut Criterion) {
    let mut group = c.benchmark_group("mix");
    for mix in [Mix::Log, Mix::Linear] {
        for members in [2, 3, 8] {
            let mut random = Random::new();
            let rows: Vec<Vec<f64>> = (0..members).map(|_| random.row()).collect();
            let lambda = vec![1.0 / members as f64; members];
            let can_end = vec![true; members];
            let mut mixer = Mixer::new(mix, 1e-10, SymbolSet::bytes()).unwrap();
            let mut out = vec![0.0; SYMBOLS];
            group.bench_function(BenchmarkId::new(mix.to_string(), members), |b| {
                b.iter(|| mixer.mix(&rows, &lambda, &can_end, &mut out).unwrap());
            });
        }
    }
    group.finish();
}

/// An alphabet of tokens: what a token costs beside the members' own soft-max.
fn tokens(c: &mut Criterion) {
    let mut group = c.benchmark_group("tokens");
    for size in VOCABULARIES {
        let mut random = Random::new();
        let rows: Vec<Vec<f64>> = (0..2)
            .map(|_| {
                let logits = random.logits(size);
                let ln_sum = logits.iter().map(|&z| f64::from(z).exp()).sum::<f64>().ln();
                logits.iter().map(|&z| f64::from(z) - ln_sum).collect()
            })
            .collect();
        let alphabet = SymbolSet::tokens(size, vec![size - 1]).unwrap();
        let mut out = vec![0.0; size];
        for mix in [Mix::Log, Mix::Linear] {
            let mut mixer = Mixer::new(mix, 1e-10, alphabet.clone()).unwrap();
            group.bench_function(
                BenchmarkId::new(format!("mix {mix}, 2 members"), size),
                |b| {
                    b.iter(|| mixer.mix(&rows, &[0.5; 2], &[true; 2], &mut out).unwrap());
                },
            );
        }
        let mut sampler = Sampler::tokens(Params::default()).unwrap();
        group.bench_function(BenchmarkId::new("sample", size), |b| {
            b.iter(|| black_box(sampler.pick(&mut out, |_| true)));
        });
    }
    group.finish();
}

fn weights(c: &mut Criterion) {
    const BYTES: usize = 8000;
    let mut random = Random::new();
    let symbols: Vec<u32> = (0..BYTES).map(|_| random.below(256) as u32).collect();
    let member = |_| {
        let rows: Vec<Vec<f64>> = symbols.iter().map(|_| random.row()).collect();
        let nats = rows
            .iter()
            .zip(&symbols)
            .map(|(row, &s)| -row[s as usize] as f32);
        MemberEvidence {
            tokens: BYTES / 4,
            can_end: true,
            nats: nats.collect(),
            rows: Rows::Dense(rows.iter().flatten().map(|&p| p as f32).collect()),
        }
    };
    let evidence = Evidence {
        alphabet: SymbolSet::bytes(),
        bytes: BYTES,
        members: (0..8).map(member).collect(),
        symbols: symbols.clone(),
    };
    let mut group = c.benchmark_group("weights");
    group.sample_size(10);
    for mix in [Mix::Log, Mix::Linear] {
        let options = weight::Options {
            mix,
            ..packllm_engine::engine::Fusion::default().weighing(&SymbolSet::bytes())
        };
        group.bench_function(BenchmarkId::new("exact, 8 members, 8000 bytes", mix), |b| {
            b.iter(|| weight::weights(&Method::Exact, &evidence, &options).unwrap());
        });
    }
    group.finish();
}

fn sampling(c: &mut Criterion) {
    let row = Random::new().row();
    let mut sampler = Sampler::bytes(Params::default(), 256).unwrap();
    c.bench_function("sample a byte", |b| {
        b.iter_batched_ref(
            || row.clone(),
            |row| black_box(sampler.pick(row, |_| true)),
            BatchSize::SmallInput,
        );
    });
}

/// A thousand bytes of prose, of dashes, and of a loop.
fn repetition(c: &mut Criterion) {
    let mut random = Random::new();
    let letters = (0..1000).map(|_| char::from(b'a' + random.below(26) as u8));
    let prose: String = letters.collect();
    let mut group = c.benchmark_group("look for loops in 1000 bytes");
    for (name, text) in [
        ("prose", prose),
        ("dashes", "-".repeat(1000)),
        ("loop", "It is so. ".repeat(100)),
    ] {
        group.bench_function(name, |b| {
            b.iter_batched_ref(
                Repetition::default,
                |repetition| repetition.push(&text),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(
    benches, cover, mixing, tokens, weights, sampling, repetition
);
criterion_main!(benches);
