//! From prompts to evidence to weights to who is evaluated.

use crate::rig::*;
use packllm_engine::backend::fake::FakeMember;
use packllm_engine::backend::{Member, Token, TokenKind};
use packllm_engine::chat::speaker::plain_text;
use packllm_engine::engine::{
    Ending, Fusion, Lockstep, Place, Prompt, ScoreRequest, Segment, Start,
};
use packllm_engine::mix::DEFAULT_FLOOR;
use packllm_engine::vocab::Alphabet;
use packllm_engine::weight::{Evidence, Method, mixture_bits_per_byte};

/// −ln p(token | before), by softmax over text and end tokens in f64.
fn nats(member: &FakeMember, before: &[Token], token: Token) -> f64 {
    let vocab = member.vocab();
    let logits = member.rule(before);
    let counts = |t: &usize| vocab.kind(*t as Token) != TokenKind::Control;
    let sum: f64 = (0..vocab.len())
        .filter(counts)
        .map(|t| f64::from(logits[t]).exp())
        .sum();
    sum.ln() - f64::from(logits[token as usize])
}

/// The losses of a text's own tokens after the start token and `before`.
fn plain_nats(fake: &Fake, before: &str, text: &str) -> Vec<f64> {
    let mut member = fake.bare();
    let mut tokens: Vec<Token> = member.vocab().text_start().into_iter().collect();
    tokens.extend(member.tokenize(before, false).unwrap());
    let own = member.tokenize(text, false).unwrap();
    let mut losses = Vec::new();
    for token in own {
        losses.push(nats(&member, &tokens, token));
        tokens.push(token);
    }
    losses
}

fn assert_near(got: &[f32], want: &[f64]) {
    assert_eq!(got.len(), want.len());
    for (&g, &w) in got.iter().zip(want) {
        assert!((f64::from(g) - w).abs() < 1e-5, "{got:?} {want:?}");
    }
}

fn measure(engine: &mut Lockstep, prompts: Vec<Prompt>, request: ScoreRequest) -> Evidence {
    engine.prepare(prompts).unwrap();
    engine.read(request).unwrap();
    engine.evidence().unwrap()
}

fn fused(alphabet: Alphabet, method: Method) -> Fusion {
    Fusion {
        alphabet: Some(alphabet),
        method,
        drop: 0.0,
        ..Fusion::default()
    }
}

fn two(alphabet: Alphabet, seeds: [u64; 2]) -> [Fake; 2] {
    let second = if alphabet == Alphabet::Tokens {
        LETTERS
    } else {
        LETTERS_MOVED
    };
    [Fake::new(LETTERS, seeds[0]), Fake::new(second, seeds[1])]
}

#[test]
fn only_what_all_members_read_counts() {
    for alphabet in [Alphabet::Bytes, Alphabet::Tokens] {
        let fakes = two(alphabet, [1, 2]);
        let want = [
            plain_nats(&fakes[0], "  ", "ab c"),
            plain_nats(&fakes[1], "", "ab c"),
        ];
        let mut engine = pack(fakes.into(), alphabet);
        // The second member's template trims the message.
        let prompt = |text: &str, offset: u32| Prompt {
            start: Start::Text,
            segments: vec![Segment::evidence(text, Place { message: 0, offset })],
            ending: Ending::Closed,
        };
        let prompts = vec![prompt("  ab c ", 0), prompt("ab c", 2)];
        let evidence = measure(&mut engine, prompts, SCORES);
        assert_eq!(evidence.bytes, 4);
        let spelled: Vec<u8> = match alphabet {
            Alphabet::Bytes => evidence.symbols.iter().map(|&s| s as u8).collect(),
            Alphabet::Tokens | Alphabet::Mapped => evidence
                .symbols
                .iter()
                .flat_map(|&t| engine.members()[0].vocab.piece(t).to_vec())
                .collect(),
        };
        assert_eq!(spelled, b"ab c");
        for (member, want) in evidence.members.iter().zip(&want) {
            assert_near(&member.nats, want);
        }
    }
}

#[test]
fn messages_that_differ_are_told_apart_by_their_place() {
    // One member does not get to see the second message.
    let mut engine = pack(two(Alphabet::Bytes, [1, 2]).into(), Alphabet::Bytes);
    let message = |text: &str, message| Segment::evidence(text, Place { message, offset: 0 });
    let prompt = |segments| Prompt {
        start: Start::Text,
        segments,
        ending: Ending::Closed,
    };
    let prompts = vec![
        prompt(vec![message("ab", 0), message("ab", 1)]),
        prompt(vec![message("ab", 0)]),
    ];
    assert_eq!(measure(&mut engine, prompts, SCORES).bytes, 2);
}

#[test]
fn evidence_adds_up_over_turns_until_it_is_cleared() {
    let mut engine = pack(two(Alphabet::Bytes, [1, 2]).into(), Alphabet::Bytes);
    let prompt = |message| Prompt {
        start: Start::Text,
        segments: vec![Segment::evidence("abc", Place { message, offset: 0 })],
        ending: Ending::Closed,
    };
    for turn in 0..3 {
        let evidence = measure(&mut engine, vec![prompt(turn); 2], SCORES);
        assert_eq!(evidence.bytes, 3 * (turn as usize + 1));
    }
    engine.clear().unwrap();
    assert_eq!(measure(&mut engine, vec![prompt(0); 2], SCORES).bytes, 3);
}

#[test]
fn weights_by_sim_and_top1_follow_from_the_losses() {
    for alphabet in [Alphabet::Bytes, Alphabet::Tokens] {
        for seed in 0..10 {
            let text = "ab cab a\nbc";
            let fakes = two(alphabet, [seed, seed + 50]);
            let loss = |fake| plain_nats(fake, "", text).iter().sum::<f64>() / text.len() as f64;
            let losses: Vec<f64> = fakes.iter().map(loss).collect();
            let mut engine = pack(fakes.into(), alphabet);
            let prompts = || plain_text(text, 2, Ending::Continue);

            set(&mut engine, fused(alphabet, Method::Sim));
            measure(&mut engine, prompts(), SCORES);
            let lambda = engine.weigh().unwrap().lambda;
            // A letter a token: bytes per token is 1.
            let share = 1.0 / (1.0 + (losses[0] - losses[1]).exp());
            assert!((lambda[0] - share).abs() < 1e-5, "{lambda:?} {share}");
            assert!((lambda[0] + lambda[1] - 1.0).abs() < 1e-12);

            set(&mut engine, fused(alphabet, Method::Top1));
            engine
                .configure(fused(alphabet, Method::Top1), vec![false; 2])
                .unwrap();
            let lambda = engine.weigh().unwrap().lambda;
            let first = f64::from(u8::from(losses[0] < losses[1]));
            assert_eq!(lambda, [first, 1.0 - first]);
        }
    }
}

#[test]
fn sim_counts_per_token_and_not_per_byte() {
    // Pairs: two bytes a token.
    let pairs: &[&[u8]] = &[b"ab", b"ba", b"cc"];
    let text = "abbaccabcc";
    let fakes = [Fake::new(pairs, 1), Fake::new(pairs, 8)];
    let loss = |fake| plain_nats(fake, "", text).iter().sum::<f64>() / 5.0;
    let losses: Vec<f64> = fakes.iter().map(loss).collect();
    for alphabet in [Alphabet::Bytes, Alphabet::Tokens] {
        let mut engine = pack(vec![Fake::new(pairs, 1), Fake::new(pairs, 8)], alphabet);
        set(&mut engine, fused(alphabet, Method::Sim));
        measure(&mut engine, plain_text(text, 2, Ending::Continue), SCORES);
        let lambda = engine.weigh().unwrap().lambda;
        let share = 1.0 / (1.0 + (losses[0] - losses[1]).exp());
        assert!((lambda[0] - share).abs() < 1e-5, "{lambda:?} {share}");
    }
}

#[test]
fn weights_by_opt_are_the_best_of_the_grid() {
    for alphabet in [Alphabet::Bytes, Alphabet::Tokens] {
        for seed in 0..6 {
            let mut engine = pack(two(alphabet, [seed, seed + 50]).into(), alphabet);
            set(&mut engine, fused(alphabet, Method::Opt));
            let request = engine.score_request_for(&Method::Opt);
            let prompts = plain_text("ab cab a\nbc", 2, Ending::Continue);
            let evidence = measure(&mut engine, prompts, request);
            let (lambda, mix) = (engine.weigh().unwrap().lambda, engine.mix());
            let bits = |first: f64| {
                let lambda = [first, 1.0 - first];
                mixture_bits_per_byte(&lambda, &evidence, mix, DEFAULT_FLOOR).unwrap()
            };
            let best = (0..=20)
                .map(|i| bits(f64::from(i) / 20.0))
                .fold(f64::INFINITY, f64::min);
            assert!((bits(lambda[0]) - best).abs() < 1e-9, "{lambda:?} {best}");
        }
    }
}

#[test]
fn no_evidence_means_equal_weights_and_says_so() {
    let mut engine = pack(two(Alphabet::Bytes, [1, 2]).into(), Alphabet::Bytes);
    set(&mut engine, fused(Alphabet::Bytes, Method::Sim));
    measure(&mut engine, plain_text("", 2, Ending::Continue), SCORES);
    let weights = engine.weigh().unwrap();
    assert_eq!(
        (weights.lambda, weights.no_evidence),
        (vec![0.5, 0.5], true)
    );
}

/// A pack with the given weights; what each member evaluates for an answer.
fn spent_on_answer(weights: [f64; 2], drop: f64, can_end: [bool; 2]) -> (Vec<f64>, Vec<usize>) {
    let mut engine = load(two(Alphabet::Bytes, [1, 2]).into());
    let given = vec![("a".to_owned(), weights[0]), ("b".to_owned(), weights[1])];
    let fusion = Fusion {
        method: Method::Given(given),
        drop,
        ..Fusion::default()
    };
    engine.configure(fusion, can_end.to_vec()).unwrap();
    let said = ask(&mut engine, "ab c", &greedy(8));
    (
        engine.lambda().to_vec(),
        said.spent.iter().map(|s| s.tokens).collect(),
    )
}

#[test]
fn a_dropped_member_is_not_evaluated_during_the_answer() {
    let (lambda, spent) = spent_on_answer([0.99, 0.01], 0.02, [true, false]);
    assert_eq!(lambda, [1.0, 0.0]);
    assert!(spent[0] > 0);
    assert_eq!(spent[1], 0);
    // Above the threshold it stays.
    let (lambda, spent) = spent_on_answer([0.97, 0.03], 0.02, [true, false]);
    assert_eq!(lambda, [0.97, 0.03]);
    assert!(spent[1] > 0);
}

#[test]
fn a_member_that_alone_can_end_is_never_dropped() {
    for weights in [[0.99, 0.01], [1.0, 0.0]] {
        let (lambda, spent) = spent_on_answer(weights, 0.02, [false, true]);
        assert_eq!(lambda, weights);
        assert!(spent[1] > 0, "{weights:?}");
    }
}

#[test]
fn a_dropped_member_catches_up_when_the_weights_change() {
    let mut engine = load(two(Alphabet::Bytes, [1, 2]).into());
    let given = |first: f64| {
        let given = vec![("a".to_owned(), first), ("b".to_owned(), 1.0 - first)];
        Fusion {
            method: Method::Given(given),
            ..Fusion::default()
        }
    };
    engine.configure(given(1.0), vec![true, false]).unwrap();
    let first = ask(&mut engine, "ab c", &greedy(6)).text;
    engine.configure(given(0.0), vec![false, true]).unwrap();
    let text = format!("ab c{first}");
    let later = ask(&mut engine, &text, &greedy(6)).text;
    let mut fresh = load(two(Alphabet::Bytes, [1, 2]).into());
    fresh.configure(given(0.0), vec![false, true]).unwrap();
    assert_eq!(later, ask(&mut fresh, &text, &greedy(6)).text);
}

#[test]
fn weights_follow_the_answer_only_where_that_is_asked_for() {
    for alphabet in [Alphabet::Bytes, Alphabet::Tokens] {
        let weights = |rate: f64, follow_answer: bool| {
            let mut engine = pack(two(alphabet, [3, 53]).into(), alphabet);
            let fusion = Fusion {
                rate,
                follow_answer,
                ..fused(alphabet, Method::Adaptive)
            };
            set(&mut engine, fusion);
            let request = engine.score_request_for(&Method::Adaptive);
            measure(
                &mut engine,
                plain_text("ab cab a\nbc", 2, Ending::Continue),
                request,
            );
            engine.weigh().unwrap();
            let answer = answer(&mut engine, &greedy(10));
            assert!(!answer.text.is_empty());
            (answer.mean_weights, engine.lambda().to_vec())
        };
        let differ = |a: &[f64], b: &[f64]| a.iter().zip(b).any(|(a, b)| (a - b).abs() > 1e-6);
        let (mean, still) = weights(0.05, false);
        assert!(!differ(&mean, &still));
        let (mean, moved) = weights(0.05, true);
        // The answer itself is mixed by what was learnt so far.
        assert!(differ(&mean, &still) && differ(&mean, &moved));
        assert!((moved.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(differ(&moved, &still));
        // What does not learn does not move.
        let (_, unmoved) = weights(0.0, true);
        let (_, before) = weights(0.0, false);
        assert_eq!(unmoved.len(), before.len());
        assert!(
            unmoved
                .iter()
                .zip(&before)
                .all(|(a, b)| (a - b).abs() < 1e-12)
        );
    }
}
