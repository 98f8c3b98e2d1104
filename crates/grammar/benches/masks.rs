//! What a mask costs, and a symbol that is forced: `cargo bench -p packllm-grammar`.
//!
//! Masks are measured by the time that their thread had on the processor: others may use it as well.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark")]

use criterion::{Criterion, criterion_group, criterion_main};
use packllm_engine::backend::{Special, TokenKind, Vocab, VocabBuilder};
use packllm_engine::constraint::{Constraint, Mask};
use packllm_grammar::{Alphabet, Form, Structured, Thought};
use rand_pcg::rand_core::{Rng, SeedableRng};
use std::time::Duration;

#[path = "../tests/generator/mod.rs"]
mod generator;

/// As many symbols as SmolLM2 and Qwen2.5 have.
const SMALL: usize = 49_152;
const LARGE: usize = 151_936;

/// The time that this thread had on the processor.
fn processor() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

const SCHEMA: &str = r#"{"type": "object", "additionalProperties": false,
    "required": ["name", "kind", "price", "tags", "maker"],
    "properties": {
        "name": {"type": "string"}, "kind": {"enum": ["bread", "cake", "pie"]},
        "price": {"type": "number", "minimum": 0, "maximum": 100},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 12}, "maxItems": 4},
        "maker": {"anyOf": [{"type": "null"}, {"type": "object", "additionalProperties": false,
            "required": ["town"], "properties": {"town": {"type": "string", "pattern": "^[A-Z][a-z]+$"}}}]}
    }}"#;

const ANSWER: &str = "{\"name\": \"Rye with sunflower seeds, baked twice a week\", \"kind\": \"bread\", \
    \"price\": 4.25, \"tags\": [\"dark\", \"sour\", \"größe €\"], \"maker\": {\"town\": \"Bremen\"}}";

/// All bytes, and words up to this many symbols, JSON's own among them.
fn vocabulary(symbols: usize) -> Vocab {
    let mut random = rand_pcg::Pcg64::seed_from_u64(7);
    let mut below = |n: u64| random.next_u64() % n;
    let mut builder = VocabBuilder::default();
    (0..=255u8).for_each(|byte| builder.push(&[byte], TokenKind::Text));
    for piece in [
        "{\"", "\":", "\": ", " \"", "\",", "\", \"", "\"}", "name", "price", "town",
    ] {
        builder.push(piece.as_bytes(), TokenKind::Text);
    }
    for _ in 267..symbols - 1 {
        let mut piece = vec![b' '; below(2) as usize];
        for _ in 0..=below(10) {
            let letters = 1 + below(26);
            piece.push(b'a' + below(letters) as u8);
        }
        builder.push(&piece, TokenKind::Text);
    }
    builder.push(b"<end>", TokenKind::End);
    builder.build(Special::default())
}

/// Says the answer again and again, and takes the time of every mask that is not forced.
fn masks(constraint: &Structured, symbols: &[usize], times: u64) -> Vec<Duration> {
    let mut taken = Vec::new();
    let mut mask = Mask::none(constraint.alphabet_size());
    for _ in 0..times {
        let mut constraint = constraint.fork();
        for &symbol in symbols {
            mask.fill();
            let start = processor();
            constraint.allows(&mut mask).unwrap();
            taken.push(processor() - start);
            constraint.advance(symbol).unwrap();
        }
    }
    taken.sort_unstable();
    taken
}

/// The answer in the longest tokens that its constraint allows.
fn spelled(constraint: &Structured, vocab: &Vocab) -> Vec<usize> {
    let (mut constraint, mut rest) = (constraint.fork(), ANSWER.as_bytes());
    let mut symbols = Vec::new();
    let mut mask = Mask::none(vocab.len());
    while !rest.is_empty() {
        mask.fill();
        constraint.allows(&mut mask).unwrap();
        let fits = mask
            .iter()
            .filter(|&s| rest.starts_with(vocab.piece(s as u32)));
        let longest = fits.max_by_key(|&s| vocab.piece(s as u32).len()).unwrap();
        constraint.advance(longest).unwrap();
        symbols.push(longest);
        rest = &rest[vocab.piece(longest as u32).len()..];
    }
    symbols
}

fn report(name: &str, taken: &[Duration]) {
    let at = |share: f64| taken[(share * (taken.len() - 1) as f64) as usize];
    println!(
        "{name}: median {:?}, 90% {:?}, 99% {:?}, most {:?}",
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0)
    );
}

/// Texts by chance of the generated schemas: every mask, with its schema and what was said before it.
fn babble(alphabet: &Alphabet, vocab: &Vocab, schemas: u64) -> Vec<(Duration, u64, String)> {
    let mut taken = Vec::new();
    let mut mask = Mask::none(vocab.len());
    for n in 0..schemas {
        let form = Form::Json(generator::schema(n));
        let mut constraint = form.over(alphabet, Thought::None).unwrap();
        let mut random = rand_pcg::Pcg64::seed_from_u64(n);
        let mut said = Vec::new();
        for _ in 0..60 {
            mask.fill();
            let start = processor();
            constraint.allows(&mut mask).unwrap();
            let text = String::from_utf8_lossy(&said).into_owned();
            taken.push((processor() - start, n, text));
            if constraint.may_end().unwrap() && mask.count() == 1 {
                break;
            }
            // What closes comes as often as not, so that an answer ends.
            let closes = |s: &usize| b"\"]}".contains(vocab.piece(*s as u32).first().unwrap_or(&0));
            let closing: Vec<usize> = mask.iter().filter(closes).collect();
            let pool = match closing.is_empty() || random.next_u64().is_multiple_of(2) {
                true => mask.iter().collect(),
                false => closing,
            };
            let symbol = pool[random.next_u64() as usize % pool.len()];
            if vocab.kinds()[symbol] == TokenKind::End {
                break;
            }
            constraint.advance(symbol).unwrap();
            said.extend_from_slice(vocab.piece(symbol as u32));
        }
    }
    taken.sort();
    taken
}

fn babbled(alphabet: &Alphabet, vocab: &Vocab) {
    let taken = babble(alphabet, vocab, 200);
    let times: Vec<Duration> = taken.iter().map(|(time, ..)| *time).collect();
    let symbols = vocab.len();
    report(
        &format!("a token of {symbols}, 200 generated schemas"),
        &times,
    );
    for (time, schema, said) in taken.iter().rev().take(5) {
        println!("  {time:?}: schema {schema} after {said:?}");
    }
}

fn all(c: &mut Criterion) {
    let form = Form::schema(SCHEMA).unwrap();
    let bytes = form
        .over(&Alphabet::bytes().unwrap(), Thought::None)
        .unwrap();
    let answer: Vec<usize> = ANSWER.bytes().map(usize::from).collect();
    report("first answer, a byte", &masks(&bytes, &answer, 1));
    report("a byte", &masks(&bytes, &answer, 20));
    let vocab = vocabulary(SMALL);
    let alphabet = Alphabet::tokens(&vocab).unwrap();
    let tokens = form.over(&alphabet, Thought::None).unwrap();
    let spelled = spelled(&tokens, &vocab);
    report(
        "first answer, a token",
        &masks(&form.over(&alphabet, Thought::None).unwrap(), &spelled, 1),
    );
    report("a token", &masks(&tokens, &spelled, 20));
    babbled(&alphabet, &vocab);
    let large = vocabulary(LARGE);
    babbled(&Alphabet::tokens(&large).unwrap(), &large);

    c.bench_function("an answer of 146 bytes", |b| {
        b.iter(|| masks(&bytes, &answer, 1))
    });
    c.bench_function("a schema, over bytes", |b| {
        let alphabet = Alphabet::bytes().unwrap();
        b.iter(|| form.over(&alphabet, Thought::None).unwrap());
    });
    c.bench_function("a schema, over tokens", |b| {
        b.iter(|| form.over(&alphabet, Thought::None).unwrap());
    });
}

criterion_group!(benches, all);
criterion_main!(benches);
