//! Questions decided from one evaluation, against every option read from scratch.

use crate::rig::*;
use packllm_engine::competence::{Competence, Loss, Standings, pairs};
use packllm_engine::engine::{
    Ending, Fusion, Lockstep, Place, Prompt, ScoreRequest, Segment, Start,
};
use packllm_engine::mix::Mix;
use packllm_engine::vocab::Alphabet;
use packllm_engine::weight::{self, Evidence, Method, apply_drop, weights};
use packllm_eval::{Ask, ContestantKind, Judge, Layout, Question, Score, Sheet, Shots, Verdict};
use proptest::prelude::*;
use std::f64::consts::LN_2;
use std::sync::Arc;

fn members(alphabet: Alphabet, seed: u64) -> Vec<Fake> {
    let second = match alphabet {
        Alphabet::Tokens | Alphabet::Mapped => NESTED,
        Alphabet::Bytes => LETTERS_MOVED,
    };
    vec![Fake::new(NESTED, seed), Fake::new(second, seed + 50)]
}

/// What a fresh pack makes of `scored` after `before`.
fn from_scratch(fakes: Vec<Fake>, alphabet: Alphabet, before: &[&str], scored: &str) -> Evidence {
    let mut engine = pack(fakes, alphabet);
    let before = before.iter().filter(|text| !text.is_empty());
    let mut segments: Vec<Segment> = before
        .map(|text| Segment::content(*text, Place::default()))
        .collect();
    segments.push(Segment::evidence(scored, Place::default()));
    let prompt = Prompt {
        start: Start::Text,
        segments,
        ending: Ending::Closed,
    };
    engine.prepare(vec![prompt; 2]).unwrap();
    let request = ScoreRequest {
        scores: true,
        rows: true,
        full: false,
    };
    engine.read(request).unwrap();
    engine.evidence().unwrap()
}

/// A contestant's scores and weights, each option by itself.
fn plain(
    judge: &Judge,
    kind: &ContestantKind,
    fakes: &dyn Fn() -> Vec<Fake>,
    sheet: &Sheet,
) -> Plain {
    let alphabet = judge.fusion.alphabet.unwrap();
    let drop = judge.fusion.drop;
    let question = from_scratch(fakes(), alphabet, &[&sheet.shots], &sheet.query);
    let before = [&*sheet.shots, &*sheet.query, &*sheet.bridge];
    let mut plain = Plain::default();
    for text in &sheet.options {
        let option = from_scratch(fakes(), alphabet, &before, text);
        let (nats, lead) = match kind {
            ContestantKind::Member(k) | ContestantKind::Again(k, _) => (
                option.members[*k].nats.iter().map(|&x| f64::from(x)).sum(),
                *k,
            ),
            ContestantKind::Among(_) => unreachable!("no such contestant here"),
            ContestantKind::Mixture(method) => {
                let evidence = if judge.per_option {
                    question.joined(&option)
                } else {
                    question.clone()
                };
                let options = weight::Options {
                    ties_to_newcomer: judge.per_option,
                    ..judge.fusion.weighing(&evidence.alphabet)
                };
                let lambda = weights(method, &evidence, &options).unwrap().lambda;
                let lambda = apply_drop(&lambda, drop, &[]);
                let mixture = judge.fusion.mixture(&option).unwrap();
                let bits = mixture.bits_per_byte(&lambda).unwrap();
                let lead = usize::from(lambda[1] > lambda[0]);
                plain.lambdas.push(lambda);
                (bits * LN_2 * text.len() as f64, lead)
            }
        };
        plain.scores.push(match judge.score {
            Score::Mean => -nats / text.len() as f64,
            Score::Sum => -nats,
            Score::Token => -nats / option.members[lead].tokens as f64,
        });
    }
    plain
}

#[derive(Debug, Default)]
struct Plain {
    scores: Vec<f64>,
    lambdas: Vec<Vec<f64>>,
}

fn agrees(judge: &Judge, engine: &mut Lockstep, fakes: &dyn Fn() -> Vec<Fake>, sheet: &Sheet) {
    let Verdict {
        picked,
        scores,
        lambda,
        ..
    } = judge.decide(engine, sheet).unwrap();
    for (c, contestant) in judge.contestants.iter().enumerate() {
        let plain = plain(judge, &contestant.kind, fakes, sheet);
        for (got, want) in scores[c].iter().zip(&plain.scores) {
            assert!(
                (got - want).abs() < 1e-9,
                "{contestant:?} {scores:?} {plain:?}"
            );
        }
        assert_eq!(scores[c].len(), plain.scores.len());
        let best = plain.scores.iter().copied().fold(f64::MIN, f64::max);
        assert!(best - plain.scores[picked[c]] < 1e-9);
        let of_pick = plain.lambdas.get(picked[c]).cloned();
        assert_eq!(lambda[c], of_pick.unwrap_or_default());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_contestant_picks_as_if_options_were_read_one_by_one(
        query in "[abc]{1,9}",
        choices in prop::collection::vec("[abc][abc ]{0,8}", 2..6),
        seed in 0..50u64,
        score in prop::sample::select(vec![Score::Mean, Score::Sum, Score::Token]),
        per_option: bool,
        mix in prop::sample::select(vec![Mix::Log, Mix::Linear]),
        shots in 0..3usize,
    ) {
        let question = |query: &str| Question { line: 1, query: query.into(), ask: Ask::Choice { choices: choices.clone(), gold: 1 } };
        let pool = ["a b", "ca", "bb"].map(question).into();
        let shots = Shots::draw(pool, shots, seed);
        for alphabet in [Alphabet::Bytes, Alphabet::Tokens] {
            let fusion = Fusion { alphabet: Some(alphabet), mix: Some(mix), ..Fusion::default() };
            let methods = Method::named().map(|(name, method)| (name.to_owned(), method));
            let names = ["a".to_owned(), "b".into()];
            let judge = Judge { score, per_option, ..Judge::new(&names, methods.collect(), fusion.clone()) };
            let fakes = || {
                // The line feeds between examples need a token.
                let mut fakes = members(alphabet, seed);
                fakes[0] = Fake::new(&[NESTED, &[b"\n"]].concat(), seed);
                if alphabet == Alphabet::Tokens {
                    fakes[1] = Fake::new(&[NESTED, &[b"\n"]].concat(), seed + 50);
                }
                fakes
            };
            let mut engine = load(fakes());
            set(&mut engine, fusion);
            let sheet = Layout::default().sheet(&question(&query), &shots);
            // Twice: what the first left in the caches changes nothing.
            for _ in 0..2 {
                agrees(&judge, &mut engine, &fakes, &sheet);
            }
        }
    }
}

#[test]
fn examples_are_evaluated_once_for_all_questions() {
    let fakes = vec![Fake::new(LETTERS, 1), Fake::new(LETTERS_MOVED, 2)];
    let mut engine = pack(fakes, Alphabet::Bytes);
    let question = |query: &str| Question {
        line: 1,
        query: query.into(),
        ask: Ask::Choice {
            choices: vec!["a".into(), "bc".into()],
            gold: 0,
        },
    };
    let shots = Shots::draw(vec![question("abcabc")], 1, 0);
    let judge = Judge::new(
        &["a".into(), "b".into()],
        Vec::new(),
        engine.fusion().clone(),
    );
    let sheet = |query: &str| Layout::default().sheet(&question(query), &shots);
    // Start, "abcabc a\n\n", "cab", and of " a" and " bc" all but the last letters.
    let first = judge.decide(&mut engine, &sheet("cab")).unwrap();
    assert_eq!(first.tokens, [1 + 10 + 3 + 1 + 2; 2]);
    // Of the examples only the last token again.
    let second = judge.decide(&mut engine, &sheet("bb")).unwrap();
    assert_eq!(second.tokens, [1 + 2 + 1 + 2; 2]);
}

#[test]
fn auto_knows_who_is_good_at_text() {
    let fakes = vec![Fake::new(LETTERS, 1), Fake::new(LETTERS_MOVED, 2)];
    let mut engine = pack(fakes, Alphabet::Bytes);
    let losing = |nats: f64| {
        let losses = vec![Loss { nats, bytes: 10 }; pairs().len()];
        Competence {
            questions: losses.clone(),
            answers: losses,
        }
    };
    let standings = Standings::of(&[losing(6.0), losing(9.0)]).unwrap();
    engine.know_text(Some(Arc::new(standings)));
    let methods = [Method::Exact, Method::Auto].map(|m| (m.to_string(), m));
    let names = ["a".into(), "b".into()];
    let judge = Judge::new(&names, methods.to_vec(), engine.fusion().clone());
    let question = |ask| Question {
        line: 1,
        query: "abcabc cab".into(),
        ask,
    };
    let choice = question(Ask::Choice {
        choices: vec!["a".into(), "bc".into()],
        gold: 0,
    });
    let sheet = Layout::default().sheet(&choice, &Shots::draw(Vec::new(), 0, 0));
    let decided = judge.decide(&mut engine, &sheet).unwrap().lambda;
    // As a pack would weigh it that has read the same.
    let evidence = engine.evidence().unwrap();
    let weights = |method| engine.weights(&method, engine.mix(), &evidence).unwrap();
    for (lambda, method) in decided[2..].iter().zip([Method::Exact, Method::Auto]) {
        assert_eq!(*lambda, weights(method).lambda);
    }
    assert!(decided[3][0] > decided[2][0] + 0.1, "{decided:?}");
}

#[test]
fn a_replay_leaves_the_caches_as_they_were() {
    let question = |i: usize| Question {
        line: i,
        query: ["cab", "a", "abc bc", "a"][i % 4].into(),
        ask: Ask::Choice {
            choices: vec!["a".into(), "bc".into(), "c ab".into()],
            gold: 0,
        },
    };
    for shots in [0, 1] {
        let decided = [false, true].map(|replay| {
            let fakes = vec![Fake::new(LETTERS, 5), Fake::new(LETTERS, 6)];
            let mut engine = pack(fakes, Alphabet::Tokens);
            let names = ["a".to_owned(), "b".into()];
            let methods = Method::named().map(|(name, method)| (name.to_owned(), method));
            let fusion = engine.fusion().clone();
            let judge = Judge {
                replay,
                ..Judge::new(&names, methods.collect(), fusion)
            };
            let shots = Shots::draw(vec![question(2)], shots, 0);
            let mut decide = |i: usize| {
                let sheet = Layout::default().sheet(&question(i), &shots);
                let verdict = judge.decide(&mut engine, &sheet).unwrap();
                assert_eq!(verdict.replay_seconds.is_some(), replay);
                (verdict.scores, verdict.tokens)
            };
            [0, 1, 3, 4].map(&mut decide)
        });
        assert_eq!(decided[0], decided[1]);
    }
}
