//! Texts of generated schemas, as a speaker without sense says them, validate.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests may panic; the exemption for tests does not reach them"
)]

mod generator;

use packllm_engine::constraint::{Constraint, Mask};
use packllm_grammar::{Alphabet, Form, Thought};
use rand_pcg::rand_core::{Rng, SeedableRng};
use serde_json::Value;

/// A text by chance, which closes what is open as often as not; None if it does not end.
fn babble(mut constraint: Box<dyn Constraint>, seed: u64) -> Option<String> {
    let mut random = rand_pcg::Pcg64::seed_from_u64(seed);
    let mut mask = Mask::none(constraint.alphabet_size());
    let mut text = Vec::new();
    for _ in 0..2000 {
        mask.fill();
        constraint.allows(&mut mask).unwrap();
        if constraint.may_end().unwrap()
            && (mask.count() == 1 || random.next_u64().is_multiple_of(2))
        {
            return Some(String::from_utf8(text).unwrap());
        }
        let closing: Vec<usize> = mask
            .iter()
            .filter(|&s| b"\"]}".contains(&(s as u8)))
            .collect();
        let pool: Vec<usize> = match closing.is_empty() || random.next_u64().is_multiple_of(4) {
            true => mask.iter().filter(|&s| s < 256).collect(),
            false => closing,
        };
        let symbol = pool[random.next_u64() as usize % pool.len()];
        constraint.advance(symbol).unwrap();
        text.push(symbol as u8);
    }
    None
}

#[test]
fn what_is_finished_validates() {
    let bytes = Alphabet::bytes().unwrap();
    let mut finished = 0;
    for n in 0..200 {
        let schema = generator::schema(n);
        let validator = jsonschema::options()
            .should_validate_formats(true)
            .build(&schema)
            .unwrap();
        let form = Form::Json(schema.clone());
        let constraint = form.over(&bytes, Thought::None);
        let constraint = constraint.unwrap_or_else(|error| panic!("{n}: {error}: {schema}"));
        for seed in 0..5 {
            let Some(text) = babble(constraint.fork(), seed) else {
                continue;
            };
            let value: Value = serde_json::from_str(&text).unwrap();
            assert!(validator.is_valid(&value), "{n}: {text}: {schema}");
            finished += 1;
        }
    }
    assert!(finished > 950, "{finished} of 1000");
}
