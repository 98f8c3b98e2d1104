//! Who argued for what of an answer.

use crate::rig::*;
use packllm_engine::backend::{Member, Token, TokenKind};
use packllm_engine::engine::{AnswerOptions, Event, Lockstep};
use packllm_engine::vocab::Alphabet;
use std::sync::Arc;

/// The answer, and what each member contributed to its bytes.
fn attributed(engine: &mut Lockstep, text: &str, generation: &AnswerOptions) -> (String, Vec<f64>) {
    read(engine, text);
    let generation = AnswerOptions {
        attribution: true,
        ..generation.clone()
    };
    let (mut said, mut contributions) = (String::new(), Vec::new());
    let mut sink = |event: Event<'_>| {
        let Event::Text(text, more) = event else {
            panic!("{event:?}");
        };
        said.push_str(text);
        assert_eq!(more.len() % text.len(), 0);
        contributions.extend_from_slice(more);
    };
    engine.answer(&generation, &mut sink).unwrap();
    (said, contributions)
}

#[test]
fn it_changes_no_answer_and_every_byte_has_its_contributions() {
    for alphabet in [Alphabet::Bytes, Alphabet::Tokens] {
        for seed in 0..6 {
            let make = || {
                let fakes = (0..3)
                    .map(|k| Fake::new(MULTIBYTE, seed + 10 * k))
                    .collect();
                pack(fakes, alphabet)
            };
            let stops = AnswerOptions {
                stops: vec!["é €".into()],
                ..greedy(20)
            };
            let want = ask(&mut make(), "a é", &stops);
            let (text, contributions) = attributed(&mut make(), "a é", &stops);
            assert_eq!(text, want.text);
            assert_eq!(contributions.len(), 3 * text.len());
            assert!(contributions.iter().all(|c| c.is_finite()));
        }
    }
}

/// One token a byte: by the rule itself, contributions of two differ by the log-ratio of their
/// probabilities.
#[test]
fn of_two_members_the_difference_is_how_much_likelier_one_made_the_byte() {
    let mut some = false;
    for alphabet in [Alphabet::Bytes, Alphabet::Tokens] {
        for seed in 0..6 {
            let fake = |k| Fake::new(LETTERS, seed + 50 * k);
            let mut engine = pack(vec![fake(0), fake(1)], alphabet);
            let (text, contributions) = attributed(&mut engine, "a b", &greedy(16));
            let ln_p = |k: u64| -> Vec<f64> {
                let mut member = fake(k).bare();
                let vocab = Arc::clone(member.vocab());
                let mut tokens: Vec<Token> = vocab.text_start().into_iter().collect();
                tokens.extend(member.tokenize("a b", false).unwrap());
                let mut each = Vec::new();
                for token in member.tokenize(&text, false).unwrap() {
                    let logits = member.rule(&tokens);
                    // Control tokens are masked.
                    let spoken =
                        (0..logits.len()).filter(|&t| vocab.kind(t as Token) != TokenKind::Control);
                    let z: f64 = spoken.map(|t| f64::from(logits[t]).exp()).sum();
                    each.push(f64::from(logits[token as usize]) - z.ln());
                    tokens.push(token);
                }
                each
            };
            let (first, second) = (ln_p(0), ln_p(1));
            for (i, c) in contributions.chunks(2).enumerate() {
                some = true;
                let (got, want) = (c[0] - c[1], first[i] - second[i]);
                assert!((got - want).abs() < 1e-4, "{seed} {i}: {got} {want}");
            }
        }
    }
    assert!(some);
}

#[test]
fn a_lone_member_says_all_itself_and_twins_add_nothing() {
    let mut one = pack(vec![Fake::new(NESTED, 3)], Alphabet::Bytes);
    let (text, contributions) = attributed(&mut one, "ab c", &greedy(12));
    assert_eq!(contributions, vec![f64::INFINITY; text.len()]);
    let twins = vec![Fake::new(NESTED, 3), Fake::new(NESTED, 3)];
    let (_, contributions) = attributed(&mut pack(twins, Alphabet::Bytes), "ab c", &greedy(12));
    assert!(contributions.iter().all(|c| c.abs() < 1e-6));
}
