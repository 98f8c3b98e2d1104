//! What a pack says.

use crate::rig::*;
use packllm_engine::backend::fake::FakeMember;
use packllm_engine::backend::{Member, Token, TokenKind};
use packllm_engine::engine::{Answer, AnswerOptions, EngineError, Finish, Fusion, Lookup};
use packllm_engine::mix::Mix;
use packllm_engine::sample::Params;
use packllm_engine::vocab::Alphabet;
use packllm_engine::vocab::cover::Budget;
use proptest::prelude::*;
use std::sync::Arc;

/// The plain twin: after the start token and the prompt, always the likeliest token that is text or
/// an end.
fn plain_greedy(member: &mut FakeMember, prompt: &str, limit: usize) -> (String, Finish) {
    let vocab = Arc::clone(member.vocab());
    let mut tokens: Vec<Token> = vocab.text_start().into_iter().collect();
    tokens.extend(member.tokenize(prompt, false).unwrap());
    let mut text = Vec::new();
    for _ in 0..limit {
        let logits = member.rule(&tokens);
        let next = (0..vocab.len() as Token)
            .filter(|&t| vocab.kind(t) != TokenKind::Control)
            .max_by(|&a, &b| logits[a as usize].total_cmp(&logits[b as usize]))
            .unwrap();
        if vocab.kind(next) == TokenKind::End {
            return (String::from_utf8(text).unwrap(), Finish::Stop);
        }
        text.extend_from_slice(vocab.piece(next));
        tokens.push(next);
    }
    (String::from_utf8(text).unwrap(), Finish::Length)
}

#[test]
fn in_tokens_one_member_and_the_same_twice_answer_like_a_plain_greedy_loop() {
    let mut finishes = Vec::new();
    for seed in 0..30 {
        let fake = || Fake::new(NESTED, seed);
        let want = plain_greedy(&mut fake().bare(), "ab c", 10);
        for fakes in [vec![fake()], vec![fake(), fake()]] {
            for mix in [Mix::Log, Mix::Linear] {
                let members = fakes.len();
                let mut engine = load((0..members).map(|_| fake()).collect());
                set(
                    &mut engine,
                    Fusion {
                        mix: Some(mix),
                        ..uniform()
                    },
                );
                assert_eq!(engine.alphabet(), Alphabet::Tokens);
                let got = ask(&mut engine, "ab c", &greedy(10));
                assert_eq!(
                    (got.text, got.finish),
                    want,
                    "seed {seed}, {members} members, {mix}"
                );
            }
        }
        finishes.push(want.1);
    }
    assert!(finishes.contains(&Finish::Stop) && finishes.contains(&Finish::Length));
}

#[test]
fn in_bytes_one_member_and_the_same_twice_answer_alike() {
    for seed in 0..20 {
        let fake = || Fake::new(NESTED, seed);
        let mut one = pack(vec![fake()], Alphabet::Bytes);
        let mut two = pack(vec![fake(), fake()], Alphabet::Bytes);
        let (one, two) = (
            ask(&mut one, "ab c", &greedy(24)),
            ask(&mut two, "ab c", &greedy(24)),
        );
        assert_eq!(
            (one.text, one.finish, one.tokens),
            (two.text, two.finish, two.tokens)
        );
    }
}

#[test]
fn where_every_text_has_one_segmentation_bytes_answer_like_tokens() {
    for seed in 0..20 {
        let want = plain_greedy(&mut Fake::new(LETTERS, seed).bare(), "a b", 24);
        let mut engine = pack(vec![Fake::new(LETTERS, seed)], Alphabet::Bytes);
        let got = ask(&mut engine, "a b", &greedy(24));
        assert_eq!((got.text, got.finish), want, "seed {seed}");
        assert_eq!(got.skipped_mass, 0.0);
    }
}

#[test]
fn auto_takes_tokens_for_one_vocabulary_and_bytes_for_two() {
    let same = load(vec![Fake::new(LETTERS, 1), Fake::new(LETTERS, 2)]);
    assert_eq!(same.alphabet(), Alphabet::Tokens);
    let moved = load(vec![Fake::new(LETTERS, 1), Fake::new(LETTERS_MOVED, 1)]);
    assert_eq!(moved.alphabet(), Alphabet::Bytes);
    // An end makes a difference, too.
    let ends = load(vec![Fake::new(LETTERS, 1), Fake::without_end(LETTERS, 1)]);
    assert_eq!(ends.alphabet(), Alphabet::Bytes);
}

#[test]
fn tokens_cannot_be_forced_on_two_vocabularies() {
    let mut engine = load(vec![Fake::new(LETTERS, 1), Fake::new(LETTERS_MOVED, 1)]);
    let fusion = Fusion {
        alphabet: Some(Alphabet::Tokens),
        ..Fusion::default()
    };
    let error = engine.configure(fusion, vec![true; 2]).unwrap_err();
    assert!(matches!(&error, EngineError::NotIdentical(a, b) if a == "a" && b == "b"));
    assert!(
        error.to_string().contains("those of a and b differ"),
        "{error}"
    );
    // It still answers as before.
    assert_eq!(engine.alphabet(), Alphabet::Bytes);
    assert!(!ask(&mut engine, "a b", &greedy(8)).text.is_empty());
}

#[test]
fn the_size_of_batches_changes_no_answer() {
    for seed in 0..8 {
        let answer = |batch| {
            let with = |pieces, seed| {
                let mut fake = Fake::without_end(pieces, seed);
                fake.options.limits.batch = batch;
                fake
            };
            let fakes = vec![with(NESTED, seed), with(MULTIBYTE, seed + 1)];
            let mut engine = pack(fakes, Alphabet::Bytes);
            let first = ask(&mut engine, "ab ca", &greedy(12));
            let second = ask(&mut engine, &format!("ab ca{}", first.text), &greedy(12));
            [first, second].map(|a| (a.text, a.tokens))
        };
        let want = answer(512);
        for batch in [1, 2, 3] {
            assert_eq!(answer(batch), want, "seed {seed}, batches of {batch}");
        }
    }
}

#[test]
fn few_sequences_leave_no_answer_without_a_path_that_spells_it() {
    for seed in 0..40 {
        for (hypotheses, epsilon) in [(1, 0.03), (2, 0.03), (3, 0.001)] {
            let mut fake = Fake::without_end(NESTED, seed).with_spread(0.5);
            fake.options.limits.sequences = 2 * hypotheses + 2;
            let mut engine = load(vec![fake]);
            let budget = Budget {
                epsilon,
                hypotheses: hypotheses as usize,
            };
            set(
                &mut engine,
                Fusion {
                    alphabet: Some(Alphabet::Bytes),
                    budget,
                    ..uniform()
                },
            );
            let said = ask(&mut engine, "ab ca", &greedy(30));
            // The limit counts along the path that leads at the time; where paths are nearly alike,
            // the one that the answer comes to rest on may have other tokens. Here none is over 3
            // bytes.
            assert!(
                (25..=31).contains(&said.tokens) && 3 * said.tokens >= said.text.len(),
                "seed {seed}, {hypotheses} hypotheses: {} tokens for {:?}",
                said.tokens,
                said.text
            );
        }
    }
}

fn sampled(temperature: f64, seed: u64) -> AnswerOptions {
    AnswerOptions {
        sampling: Params {
            temperature,
            seed,
            ..Params::default()
        },
        ..greedy(20)
    }
}

fn multibyte_pack(seed: u64, alphabet: Alphabet) -> packllm_engine::engine::Lockstep {
    let other = if alphabet == Alphabet::Tokens {
        MULTIBYTE
    } else {
        MULTIBYTE_MOVED
    };
    pack(
        vec![Fake::new(MULTIBYTE, seed), Fake::new(other, seed ^ 0xff)],
        alphabet,
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn fused_text_is_whole_characters_and_the_same_for_the_same_seed(
        seed in any::<u64>(),
        hot in any::<bool>(),
        alphabet in prop::sample::select(vec![Alphabet::Bytes, Alphabet::Tokens]),
    ) {
        let generation = sampled(if hot { 1.5 } else { 0.8 }, seed);
        let said = ask(&mut multibyte_pack(seed, alphabet), "aé", &generation);
        // What is no character comes out as U+FFFD, which no piece spells.
        prop_assert!(!said.text.contains('\u{FFFD}'), "{:?}", said.text);
        // Nothing was left out for being half a character: the cache spells the text and no more.
        let again = ask(&mut multibyte_pack(seed, alphabet), "aé", &generation);
        prop_assert_eq!((said.text, said.finish, said.tokens), (again.text, again.finish, again.tokens));
    }
}

#[test]
fn a_lead_that_cannot_spell_the_text_does_not_lift_the_limit() {
    let mut answers = (0..20_000).map(|seed| {
        let mut pack = multibyte_pack(seed, Alphabet::Bytes);
        ask(&mut pack, "aé", &sampled(1.5, seed))
    });
    let unspelt = answers.find(|said| said.finish == Finish::Length && said.tokens == 0);
    let said = unspelt.expect("a text that the first member cannot spell");
    let longest = MULTIBYTE.iter().map(|piece| piece.len()).max().unwrap();
    assert!(said.text.len() <= 20 * longest + 4, "{}", said.text.len());
}

#[test]
fn another_seed_gives_another_text() {
    let text = |seed| {
        let mut engine = pack(vec![Fake::new(NESTED, 1)], Alphabet::Bytes);
        ask(&mut engine, "ab c", &sampled(1.5, seed)).text
    };
    assert!((1..10).any(|seed| text(seed) != text(0)));
}

/// All texts between two character boundaries of `text`, at most `longest` bytes.
fn parts(text: &str, longest: usize) -> impl Iterator<Item = &str> {
    let bounds = move |&(i, j): &(usize, usize)| {
        i < j && j - i <= longest && text.is_char_boundary(i) && text.is_char_boundary(j)
    };
    let ends = (0..=text.len()).flat_map(move |i| (0..=text.len()).map(move |j| (i, j)));
    ends.filter(bounds).map(move |(i, j)| &text[i..j])
}

fn without_end_pack(alphabet: Alphabet) -> packllm_engine::engine::Lockstep {
    pack(vec![Fake::without_end(NESTED, 3)], alphabet)
}

#[test]
fn a_stop_string_ends_the_answer_wherever_it_stands_and_is_not_shown() {
    for alphabet in [Alphabet::Bytes, Alphabet::Tokens] {
        let full = ask(&mut without_end_pack(alphabet), "ab c", &greedy(12));
        assert_eq!(full.finish, Finish::Length);
        let mut engine = without_end_pack(alphabet);
        // Of every length up to five bytes: most of them across tokens (at most three bytes long).
        for stop in parts(&full.text, 5) {
            engine.clear().unwrap();
            let stops = vec!["never".to_owned(), stop.to_owned()];
            let got = ask(
                &mut engine,
                "ab c",
                &AnswerOptions {
                    stops,
                    ..greedy(12)
                },
            );
            let at = full.text.find(stop).unwrap();
            assert_eq!(
                (got.text.as_str(), got.finish),
                (&full.text[..at], Finish::Stop),
                "{stop:?}"
            );
        }
    }
}

#[test]
fn the_beginning_of_a_stop_string_that_does_not_come_is_shown() {
    let mut engine = without_end_pack(Alphabet::Bytes);
    let full = ask(&mut engine, "ab c", &greedy(12)).text;
    engine.clear().unwrap();
    let stops = vec![format!("{full}!")];
    let got = ask(
        &mut engine,
        "ab c",
        &AnswerOptions {
            stops,
            ..greedy(12)
        },
    );
    assert_eq!((got.text, got.finish), (full, Finish::Length));
}

#[test]
fn the_limit_counts_tokens_of_the_leading_member() {
    // The first spells letters, the second pairs.
    let engine = |weights: [f64; 2]| {
        let letters = Fake::without_end(&[b"a", b"b"], 7);
        let pairs = Fake::without_end(&[b"ab", b"ba"], 7);
        let mut engine = load(vec![letters, pairs]);
        let given = vec![("a".to_owned(), weights[0]), ("b".to_owned(), weights[1])];
        let method = packllm_engine::weight::Method::Given(given);
        set(
            &mut engine,
            Fusion {
                method,
                drop: 0.0,
                ..Fusion::default()
            },
        );
        engine
    };
    let by_letters = ask(&mut engine([0.6, 0.4]), "ab", &greedy(6));
    assert_eq!((by_letters.text.len(), by_letters.tokens), (6, 6));
    let by_pairs = ask(&mut engine([0.4, 0.6]), "ab", &greedy(6));
    assert_eq!((by_pairs.text.len(), by_pairs.tokens), (12, 6));
    assert_eq!(by_pairs.finish, Finish::Length);
}

#[test]
fn the_limit_lets_a_character_be_finished() {
    for alphabet in [Alphabet::Bytes, Alphabet::Tokens] {
        // "€" in two tokens is all it can say.
        let fake = Fake::without_end(&[b"\xe2\x82", b"\xac"], 5);
        let got = ask(&mut pack(vec![fake], alphabet), "€", &greedy(1));
        assert_eq!((got.text.as_str(), got.tokens), ("€", 2), "{alphabet:?}");
        assert_eq!(got.finish, Finish::Length);
    }
}

#[test]
fn a_limit_of_nothing_says_nothing() {
    for alphabet in [Alphabet::Bytes, Alphabet::Tokens] {
        let got: Answer = ask(&mut without_end_pack(alphabet), "ab c", &greedy(0));
        assert_eq!(
            (got.text.as_str(), got.tokens, got.finish),
            ("", 0, Finish::Length)
        );
    }
}

#[test]
fn end_is_decided_by_the_members_that_can_end() {
    // One that would end at once, one that has no end.
    let certain = (0..).find(|&seed| {
        plain_greedy(&mut Fake::new(LETTERS, seed).bare(), "a b", 1).1 == Finish::Stop
    });
    let ending_member = || Fake::new(LETTERS, certain.unwrap()).with_spread(20.0);
    let mut engine = pack(
        vec![Fake::without_end(LETTERS, 9), ending_member()],
        Alphabet::Bytes,
    );
    let ended = ask(&mut engine, "a b", &greedy(10));
    assert_eq!((ended.text.as_str(), ended.finish), ("", Finish::Stop));
    // If it may not end, nobody does.
    engine.clear().unwrap();
    let fusion = Fusion {
        alphabet: Some(Alphabet::Bytes),
        ..uniform()
    };
    engine.configure(fusion, vec![false, false]).unwrap();
    let went_on = ask(&mut engine, "a b", &greedy(10));
    assert_eq!((went_on.text.len(), went_on.finish), (10, Finish::Length));
}

#[test]
fn an_answer_in_two_parts_counts_as_one() {
    let members = || vec![Fake::without_end(NESTED, 1), Fake::without_end(LETTERS, 2)];
    let mut engine = pack(members(), Alphabet::Bytes);
    let first = ask(&mut engine, "ab c", &greedy(5));
    let begun = format!("ab c{}", first.text);
    let more = ask(&mut engine, &begun, &greedy(7));
    let mut whole = first.clone();
    whole.append(more.clone());
    assert_eq!(whole.text, format!("{}{}", first.text, more.text));
    assert_eq!(whole.tokens, first.tokens + more.tokens);
    assert_eq!(whole.steps, first.steps + more.steps);
    assert_eq!(whole.time, first.time + more.time);
    for k in 0..2 {
        let sum = first.member_tokens[k] + more.member_tokens[k];
        assert_eq!(whole.member_tokens[k], sum);
        let spent = first.spent[k].tokens + more.spent[k].tokens;
        assert_eq!(whole.spent[k].tokens, spent);
    }
    // Means over all bytes.
    let bytes = |answer: &Answer| answer.text.len() as f64;
    let sum = first.skipped_mass * bytes(&first) + more.skipped_mass * bytes(&more);
    assert!((whole.skipped_mass * bytes(&whole) - sum).abs() < 1e-12);
    assert!((whole.mean_weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
}

#[test]
fn what_the_leading_member_would_not_have_said_is_counted() {
    let counted = |weights: [f64; 2], attribution| {
        let mut engine = load(vec![
            Fake::without_end(NESTED, 1),
            Fake::without_end(LETTERS, 2),
        ]);
        let given = vec![("a".to_owned(), weights[0]), ("b".to_owned(), weights[1])];
        set(
            &mut engine,
            Fusion {
                method: packllm_engine::weight::Method::Given(given),
                drop: 0.0,
                ..Fusion::default()
            },
        );
        let options = AnswerOptions {
            attribution,
            ..greedy(40)
        };
        let answer = ask(&mut engine, "ab", &options);
        (answer.overruled, answer.steps)
    };
    let (overruled, steps) = counted([0.51, 0.49], true);
    assert!(0 < overruled && overruled < steps, "{overruled} of {steps}");
    assert_eq!(counted([1.0, 0.0], true).0, 0);
    assert_eq!(counted([0.51, 0.49], false).0, 0);
}

const LOOP: &str = "La capitale de la France est Paris. ";

/// A pack that can say one sentence, and no end.
fn one_sentence_pack(alphabet: Alphabet) -> packllm_engine::engine::Lockstep {
    let fake = || Fake::without_end(&[LOOP.as_bytes()], 5).with_context(4096);
    pack(vec![fake(), fake()], alphabet)
}

#[test]
fn an_answer_that_goes_in_circles_ends_if_it_is_to() {
    for alphabet in [Alphabet::Bytes, Alphabet::Tokens] {
        let mut engine = one_sentence_pack(alphabet);
        let ended = ask(&mut engine, LOOP, &greedy(100));
        assert_eq!(ended.finish, Finish::Repetition, "{alphabet:?}");
        let due = 3 * LOOP.len() + 300;
        assert!((due..due + LOOP.len()).contains(&ended.text.len()));
        // Drafts change nothing.
        engine.clear().unwrap();
        engine.draft_with(Some(Box::new(Lookup::default())));
        let drafted = ask(&mut engine, LOOP, &greedy(100));
        assert_eq!((&drafted.text, drafted.finish), (&ended.text, ended.finish));
        // The conversation goes on, and so does the text if it may.
        let mut endless = greedy(100);
        endless.sampling.repeat_stop = false;
        let went_on = ask(&mut engine, &format!("{LOOP}{}", ended.text), &endless);
        assert_eq!(went_on.finish, Finish::Length);
        assert_eq!(went_on.tokens, 100);
    }
}
