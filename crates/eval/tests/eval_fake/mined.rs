//! In the published mode.

use crate::rig::*;
use packllm_engine::backend::Vocab;
use packllm_engine::engine::{Maps, lowest};
use packllm_engine::weight::Method;
use packllm_eval::{Ask, Judge, Layout, Question, Shots};
use std::sync::Arc;

#[test]
fn a_judge_chooses_the_reference_for_every_question() {
    let fakes = || vec![Fake::new(NESTED, 3), Fake::new(WHOLE, 4)];
    let vocabs: Vec<Vocab> = fakes().iter().map(|fake| fake.vocab.clone()).collect();
    let maps_to = |r: usize| {
        let others = vocabs.iter().enumerate();
        others
            .map(|(k, own)| map(&vocabs[r], own).filter(|_| k != r))
            .collect()
    };
    let maps: Maps = (0..2).map(maps_to).collect();
    let methods = Method::named().map(|(name, method)| (name.to_owned(), method));
    let mut engine = mined(fakes(), 0, Method::Sim);
    let mut judge = Judge::new(
        &["a".into(), "b".into()],
        methods.collect(),
        engine.fusion().clone(),
    );
    let mut chosen = [0; 2];
    for (i, query) in ["abc ab", "  a  b", "bb cab", "cab cab bb", "a", "c c"]
        .into_iter()
        .enumerate()
    {
        let question = Question {
            line: 1,
            query: query.into(),
            ask: Ask::Choice {
                choices: vec!["a".into(), "bc".into(), "cab b".into()],
                gold: 0,
            },
        };
        let sheet = Layout::default().sheet(&question, &Shots::draw(Vec::new(), 0, 0));
        let losses = engine.losses_per_token(vec![sheet.prompt(); 2]).unwrap();
        let best = lowest(&losses);
        chosen[best] += 1;
        judge.per_option = i % 2 == 1;
        judge.maps = None;
        let mut fixed = mined(fakes(), best, Method::Sim);
        let want = judge.decide(&mut fixed, &sheet).unwrap();
        judge.maps = Some(Arc::new(maps.clone()));
        judge.check(&mut engine, &sheet).unwrap();
        let got = judge.decide(&mut engine, &sheet).unwrap();
        assert_eq!(engine.reference(), Some(best));
        assert_eq!(
            (got.picked, got.scores, got.lambda),
            (want.picked, want.scores, want.lambda)
        );
    }
    assert!(chosen.iter().all(|&n| n > 0), "{chosen:?}");
}
