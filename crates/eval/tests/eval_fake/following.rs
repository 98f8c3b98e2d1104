//! Texts that are followed from one evaluation, against texts that are generated.

use crate::rig::*;
use packllm_engine::engine::Fusion;
use packllm_engine::vocab::Alphabet;
use packllm_engine::weight::Method;
use packllm_eval::{Ask, ContestantKind, Judge, Layout, Question, Shots};

/// Members that spell most texts in several ways, and end some.
fn fakes(seed: u64) -> Vec<Fake> {
    vec![Fake::new(NESTED, seed), Fake::without_end(WHOLE, seed + 50)]
}

/// What contestant `kind` says after the text, greedily.
fn generated(judge: &Judge, kind: &ContestantKind, seed: u64, text: &str, tokens: usize) -> String {
    let mut engine = pack(fakes(seed), Alphabet::Bytes);
    let method = match kind {
        ContestantKind::Member(k) | ContestantKind::Again(k, _) => {
            let weight = |j| f64::from(u8::from(j == *k));
            Method::Given(vec![("a".into(), weight(0)), ("b".into(), weight(1))])
        }
        ContestantKind::Mixture(method) => method.clone(),
        ContestantKind::Among(_) => unreachable!("no such contestant here"),
    };
    let fusion = Fusion {
        method,
        ..judge.fusion.clone()
    };
    set(&mut engine, fusion);
    ask(&mut engine, text, &greedy(tokens)).text
}

#[test]
fn a_text_is_followed_where_it_would_be_generated() {
    let methods = ["uniform", "top1", "exact"];
    let methods = Method::named().filter(|(name, _)| methods.contains(name));
    let methods = methods.map(|(name, method)| (name.to_owned(), method));
    let fusion = Fusion {
        alphabet: Some(Alphabet::Bytes),
        ..Fusion::default()
    };
    let judge = Judge::new(&["a".into(), "b".into()], methods.collect(), fusion);
    let (mut right, mut wrong) = (0, 0);
    for seed in 0..12 {
        for (c, contestant) in judge.contestants.iter().enumerate() {
            let text = "ab ca";
            let said = generated(&judge, &contestant.kind, seed, text, 3);
            if said.is_empty() {
                continue;
            }
            let question = Question {
                line: 1,
                query: text.into(),
                ask: Ask::Last {
                    continuation: said.clone(),
                },
            };
            let layout = Layout {
                separator: Some(String::new()),
            };
            let sheet = layout.sheet(&question, &Shots::default());
            let mut engine = pack(fakes(seed), Alphabet::Bytes);
            let followed = judge.follow(1, &mut engine, &sheet).unwrap();
            assert!(followed.likeliest[c].iter().all(|&l| l), "{contestant:?}");
            for (mark, other) in followed.marks().iter().zip(&judge.contestants) {
                let same = generated(&judge, &other.kind, seed, text, 20).starts_with(&said);
                assert_eq!(mark.right, same, "{seed} {contestant:?} {other:?}");
                (right, wrong) = (right + usize::from(same), wrong + usize::from(!same));
            }
        }
    }
    assert!(right > 30 && wrong > 10, "{right} {wrong}");
}
