//! The published mode: one member's tokens are the alphabet, the others are mapped to it.

use crate::rig::*;
use packllm_engine::backend::fake::FakeMember;
use packllm_engine::backend::{Member, Token, TokenKind, Vocab};
use packllm_engine::chat::speaker::plain_text;
use packllm_engine::engine::{
    Ending, EngineError, Lockstep, Place, Prompt, ScoreRequest, Segment, Start, lowest,
};
use packllm_engine::vocab::Alphabet;
use packllm_engine::vocab::mapped::Map;
use packllm_engine::weight::{Evidence, Method};

/// Some of the pieces of [`NESTED`] and some others.
const OTHERS: &[&[u8]] = &[b" a", b"b", b"bb", b"c", b"cab", b"a", b"  "];
fn measure(engine: &mut Lockstep, text: &str) -> Evidence {
    let prompts = plain_text(text, engine.members().len(), Ending::Closed);
    engine.prepare(prompts).unwrap();
    engine.read(SCORES).unwrap();
    engine.evidence().unwrap()
}

/// ln p over the reference's tokens after `read`, in probabilities and word for word: logits
/// gathered by id, then the soft-max over the reference's text and end tokens.
fn gathered(member: &FakeMember, reference: &Vocab, map: &Map, read: &[Token]) -> Vec<f64> {
    let logits = member.rule(read);
    let weight = |t: Token| match (reference.kind(t), map.token(t)) {
        (TokenKind::Control, _) | (_, None) => 0.0,
        (_, Some(own)) => f64::from(logits[own as usize]).exp(),
    };
    let weights: Vec<f64> = (0..reference.len() as Token).map(weight).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|w| (w / sum).ln()).collect()
}

#[test]
fn a_member_reads_mapped_ids_and_its_logits_are_gathered() {
    let text = "abc ab ca bcab";
    let [one, two] = [Fake::new(NESTED, 3), Fake::new(OTHERS, 4)];
    let mut members = [one.bare(), two.bare()];
    let reference = one.vocab.clone();
    let maps = [&one.vocab, &two.vocab].map(|own| map(&reference, own).unwrap());
    let shared = members[0].tokenize(text, false).unwrap();
    assert!(shared.iter().any(|&t| maps[1].token(t) != Some(t)));

    let mut engine = mined(vec![one, two], 0, Method::Sim);
    let evidence = measure(&mut engine, text);
    // Both texts start after END, the document separator of these vocabularies.
    assert_eq!(evidence.symbols, shared);
    assert_eq!(evidence.bytes, text.len());
    for ((member, map), got) in members.iter().zip(&maps).zip(&evidence.members) {
        let mut read: Vec<Token> = member.vocab().text_start().into_iter().collect();
        assert_eq!(got.nats.len(), shared.len());
        for (&token, &nats) in shared.iter().zip(&got.nats) {
            let ln_p = gathered(member, &reference, map, &read)[token as usize];
            assert!((f64::from(nats) + ln_p).abs() < 1e-5, "{nats} {ln_p}");
            read.extend(map.token(token));
        }
    }
}

#[test]
fn an_answer_is_the_mean_of_gathered_logits() {
    let text = "ab ca";
    for seed in 0..20 {
        let [one, two] = [Fake::new(NESTED, seed), Fake::new(OTHERS, seed + 100)];
        let mut members = [one.bare(), two.bare()];
        let reference = one.vocab.clone();
        let maps = [&one.vocab, &two.vocab].map(|own| map(&reference, own).unwrap());
        let mut shared = members[0].tokenize(text, false).unwrap();
        let prompt = shared.len();
        // Whether to end is decided first, by the same rule, in the alphabet of tokens: here by
        // hand.
        let next = |shared: &[Token]| -> Option<Token> {
            let rows: Vec<Vec<f64>> = members
                .iter()
                .zip(&maps)
                .map(|(member, map)| {
                    let start = member.vocab().text_start();
                    let own = shared.iter().filter_map(|&t| map.token(t));
                    let read: Vec<Token> = start.into_iter().chain(own).collect();
                    gathered(member, &reference, map, &read)
                })
                .collect();
            let end = reference.ends().next().unwrap() as usize;
            let two_way = |of: &dyn Fn(f64) -> f64| -> f64 {
                rows.iter().map(|row| 0.5 * of(row[end].exp()).ln()).sum()
            };
            let (stop, go_on) = (two_way(&|p| p), two_way(&|p| 1.0 - p));
            let q_end = stop.exp() / (stop.exp() + go_on.exp());
            let score = |t: usize| -> f64 {
                let ln = |row: &Vec<f64>| row[t] - (1.0 - row[end].exp()).ln();
                rows.iter().map(|row| 0.5 * ln(row)).sum()
            };
            let text =
                (0..reference.len()).filter(|&t| reference.kind(t as Token) == TokenKind::Text);
            let sum: f64 = text.clone().map(|t| score(t).exp()).sum();
            let best = text.max_by(|&a, &b| score(a).total_cmp(&score(b))).unwrap();
            let p = (1.0 - q_end) * score(best).exp() / sum;
            (p > q_end).then_some(best as Token)
        };
        while let Some(token) = next(&shared).filter(|_| shared.len() < prompt + 12) {
            shared.push(token);
        }
        let said: Vec<u8> = shared[prompt..]
            .iter()
            .flat_map(|&t| reference.piece(t).to_vec())
            .collect();

        let mut engine = mined(vec![one, two], 0, Method::Uniform);
        let answer = ask(&mut engine, text, &greedy(12));
        assert_eq!(answer.text.as_bytes(), said);
        assert_eq!(answer.tokens, shared.len() - prompt);
        // One evaluation a token, for every member alike.
        assert_eq!(answer.spent[0].tokens, answer.spent[1].tokens);
    }
}

#[test]
fn with_one_vocabulary_it_is_the_alphabet_of_tokens() {
    let fakes = || vec![Fake::new(NESTED, 1), Fake::new(NESTED, 2)];
    let mut tokens = pack(fakes(), Alphabet::Tokens);
    let mut engine = mined(fakes(), 1, Method::Uniform);
    for text in ["ab ca", "c", "abcabc a"] {
        tokens.clear().unwrap();
        let (a, b) = (
            ask(&mut tokens, text, &greedy(20)),
            ask(&mut engine, text, &greedy(20)),
        );
        assert_eq!((a.text, a.tokens), (b.text, b.tokens));
    }
}

#[test]
fn turn_after_turn_everything_is_read_anew() {
    let fakes = || vec![Fake::new(NESTED, 5), Fake::new(OTHERS, 6)];
    let mut engine = mined(fakes(), 0, Method::Uniform);
    let first = ask(&mut engine, "ab ", &greedy(6));
    let grown = format!("ab {} c", first.text);
    let second = ask(&mut engine, &grown, &greedy(6));
    let mut fresh = mined(fakes(), 0, Method::Uniform);
    assert_eq!(ask(&mut fresh, &grown, &greedy(6)).text, second.text);
}

#[test]
fn the_losses_are_each_members_own() {
    let text = "abc ab aca abcab";
    let fakes = [Fake::new(NESTED, 3), Fake::new(OTHERS, 4)];
    let losses = fakes.iter().map(|fake| {
        let mut member = fake.bare();
        let own = map(&fake.vocab, &fake.vocab).unwrap();
        let mut read: Vec<Token> = member.vocab().text_start().into_iter().collect();
        let tokens = member.tokenize(text, false).unwrap();
        let mut sum = 0.0;
        for &token in &tokens {
            sum -= gathered(&member, &fake.vocab, &own, &read)[token as usize];
            read.push(token);
        }
        sum / tokens.len() as f64
    });
    let losses: Vec<f64> = losses.collect();
    let mut engine = mined(fakes.into(), 1, Method::Sim);
    let prompts = || plain_text(text, 2, Ending::Continue);
    let got = engine.losses_per_token(prompts()).unwrap();
    for (got, want) in got.iter().zip(&losses) {
        assert!((got - want).abs() < 1e-5, "{got} {want}");
    }
    // It starts over: the reference has to be named again.
    assert_eq!(engine.reference(), None);
    let error = engine.prepare(prompts()).unwrap_err();
    assert!(matches!(error, EngineError::NoReference));
    let nothing = engine
        .losses_per_token(plain_text("", 2, Ending::Continue))
        .unwrap();
    assert!(nothing.iter().all(|loss| loss.is_nan()));
}

#[test]
fn markup_that_a_member_lacks_is_left_out_of_what_it_reads() {
    let fakes = vec![
        Fake::of(chat_vocab(LETTERS), 1),
        Fake::new(LETTERS_MOVED, 2),
    ];
    let mut engine = mined(fakes, 0, Method::Uniform);
    let prompt = Prompt {
        start: Start::Nothing,
        segments: vec![
            Segment::markup("<user>"),
            Segment::evidence("ab", Default::default()),
            Segment::markup("<end><reply>"),
        ],
        ending: Ending::Fresh,
    };
    let prepared = engine.prepare(vec![prompt; 2]).unwrap();
    // <user> a b <end> <reply>, and a b <end>.
    assert_eq!(prepared.tokens, [5, 3]);
    engine.read(SCORES).unwrap();
    engine.weigh().unwrap();
    let answer = answer(&mut engine, &greedy(5));
    assert!(answer.text.bytes().all(|b| b"abc \n".contains(&b)));
}

const ROWS: ScoreRequest = ScoreRequest {
    scores: true,
    rows: true,
    full: false,
};

#[test]
fn options_that_branch_score_as_when_each_is_read_after_the_prompt() {
    let options: Vec<String> = [" ab", " c", "bcab a", " a"].map(String::from).into();
    for reference in 0..2 {
        let fakes = || vec![Fake::new(NESTED, 7), Fake::new(WHOLE, 8)];
        let prompt = |option: Option<&String>| {
            let content = Segment::content("abc ca", Place::default());
            let scored = option.map(|text| Segment::evidence(text, Place::default()));
            let prompt = Prompt {
                start: Start::Text,
                segments: [content].into_iter().chain(scored).collect(),
                ending: Ending::Closed,
            };
            vec![prompt; 2]
        };
        let mut engine = mined(fakes(), reference, Method::Sim);
        engine.prepare(prompt(None)).unwrap();
        engine.read(ROWS).unwrap();
        let branched = engine.read_continuations(&options, ROWS).unwrap();
        for (option, got) in options.iter().zip(&branched) {
            let mut plain = mined(fakes(), reference, Method::Sim);
            plain.prepare(prompt(Some(option))).unwrap();
            plain.read(ROWS).unwrap();
            let want = plain.evidence().unwrap();
            assert_eq!((&got.symbols, got.bytes), (&want.symbols, option.len()));
            for (got, want) in got.members.iter().zip(&want.members) {
                for (a, b) in got.nats.iter().zip(&want.nats) {
                    assert!((a - b).abs() < 1e-5, "{a} {b}");
                }
            }
        }
    }
}

#[test]
fn nothing_measured_makes_the_first_the_reference() {
    assert_eq!(lowest(&[f64::NAN, f64::NAN]), 0);
    assert_eq!(lowest(&[f64::NAN, 2.0, 1.0, 1.0]), 2);
}
