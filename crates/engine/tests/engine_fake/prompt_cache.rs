//! Prompts that outlive an engine.

use crate::rig::*;
use packllm_engine::engine::prompt_cache::CachedPrompt;
use packllm_engine::engine::{EngineError, Fusion, Lockstep, Place, Prompt, ScoreRequest, Segment};
use packllm_engine::vocab::Alphabet;
use packllm_engine::weight::{Evidence, Method};

const SYSTEM: &str = "abc bc a cab abc";
const EVERYTHING: ScoreRequest = ScoreRequest {
    scores: true,
    rows: true,
    full: false,
};

fn engine(alphabet: Alphabet) -> Lockstep {
    let second = if alphabet == Alphabet::Tokens {
        NESTED
    } else {
        LETTERS
    };
    let mut engine = load(vec![Fake::new(NESTED, 1), Fake::new(second, 2)]);
    set(
        &mut engine,
        Fusion {
            alphabet: Some(alphabet),
            method: Method::Exact,
            ..Fusion::default()
        },
    );
    engine
}

/// Messages between markup, each of them evidence.
fn prompts(messages: &[&str]) -> Vec<Prompt> {
    let mut prompt = Prompt::default();
    for (message, &text) in (0..).zip(messages) {
        let place = Place { message, offset: 0 };
        prompt.segments.push(Segment::markup("b "));
        prompt.segments.push(Segment::evidence(text, place));
    }
    prompt.segments.push(Segment::markup(" b"));
    vec![prompt.clone(), prompt]
}

/// New tokens of each member, what was scored, and the answer.
fn ask(engine: &mut Lockstep, messages: &[&str]) -> (Vec<usize>, Evidence, String) {
    let before = spent(engine);
    engine.prepare(prompts(messages)).unwrap();
    engine.read(EVERYTHING).unwrap();
    let read = spent(engine)
        .iter()
        .zip(before)
        .map(|(now, then)| now - then)
        .collect();
    engine.weigh().unwrap();
    (
        read,
        engine.evidence().unwrap(),
        answer(engine, &greedy(12)).text,
    )
}

fn keep(alphabet: Alphabet, messages: &[&str]) -> Vec<CachedPrompt> {
    let mut engine = engine(alphabet);
    engine.cache_next_prompt().unwrap();
    ask(&mut engine, messages);
    let kept = engine.take_cached_prompt().unwrap().unwrap();
    assert!(
        engine.take_cached_prompt().unwrap().is_none(),
        "it is handed over once"
    );
    kept
}

#[test]
fn what_is_restored_is_neither_evaluated_again_nor_scored_otherwise() {
    for alphabet in [Alphabet::Bytes, Alphabet::Tokens] {
        let kept = keep(alphabet, &[SYSTEM, "ab ca"]);
        // The same prompt, another question, one that begins alike, another system prompt.
        for (messages, shared) in [
            ([SYSTEM, "ab ca"], 2),
            ([SYSTEM, "c bc"], 1),
            ([SYSTEM, "ab ca b"], 1),
            (["abc bc", "ab ca"], 0),
        ] {
            let (all, evidence, text) = ask(&mut engine(alphabet), &messages);
            let mut restored = engine(alphabet);
            restored.restore(kept.clone()).unwrap();
            let (new, same_evidence, same_text) = ask(&mut restored, &messages);
            assert_eq!(evidence, same_evidence, "{alphabet:?} {messages:?}");
            assert_eq!(text, same_text, "{alphabet:?} {messages:?}");
            for (new, all) in new.iter().zip(&all) {
                assert_eq!(new < all, shared > 0, "{alphabet:?} {messages:?}");
            }
            // What was restored counts once.
            let (again, ..) = ask(&mut restored, &messages);
            assert!(again.iter().zip(&all).all(|(new, all)| new <= all));
        }
    }
}

#[test]
fn a_message_scores_the_same_whether_or_not_others_are_read_along() {
    let (_, together, _) = ask(&mut engine(Alphabet::Bytes), &[SYSTEM, "ab ca"]);
    let mut engine = engine(Alphabet::Bytes);
    let turn_by_turn = [prompts(&[SYSTEM]), prompts(&[SYSTEM, "ab ca"])];
    for (turn, mut prompts) in turn_by_turn.into_iter().enumerate() {
        // The system prompt is evidence in the first turn alone.
        for prompt in prompts.iter_mut().filter(|_| turn == 1) {
            prompt.segments[1].scored = 0..0;
        }
        engine.prepare(prompts).unwrap();
        engine.read(EVERYTHING).unwrap();
    }
    assert_eq!(engine.evidence().unwrap(), together);
}

#[test]
fn what_fits_no_member_is_refused_and_nothing_is_left_of_it() {
    let kept = keep(Alphabet::Bytes, &[SYSTEM, "ab ca"]);
    let mut other = engine(Alphabet::Bytes);
    let (all, evidence, _) = ask(&mut engine(Alphabet::Bytes), &["ab"]);
    for wrong in [
        vec![kept[1].clone(), kept[0].clone()],
        vec![kept[0].clone()],
        Vec::new(),
    ] {
        let few = wrong.len() < 2;
        match other.restore(wrong) {
            // A member without a prompt of its own begins anew.
            Ok(()) => assert!(few),
            Err(EngineError::Member { .. }) => assert!(!few),
            Err(error) => panic!("{error}"),
        }
        other.clear().unwrap();
    }
    let (new, same, _) = ask(&mut other, &["ab"]);
    assert_eq!((new, same), (all, evidence));
}

#[test]
fn a_prompt_in_which_nothing_is_to_be_scored_is_not_kept() {
    let mut engine = engine(Alphabet::Bytes);
    engine.cache_next_prompt().unwrap();
    let mut prompts = prompts(&[SYSTEM]);
    prompts.iter_mut().for_each(|p| p.segments[1].scored = 0..0);
    engine.prepare(prompts).unwrap();
    engine.read(EVERYTHING).unwrap();
    assert!(engine.take_cached_prompt().unwrap().is_none());
}

#[test]
fn a_state_that_cannot_be_saved_harms_nothing_else() {
    let mut second = Fake::new(LETTERS, 2);
    second.saves = false;
    let mut engine_of_two = load(vec![Fake::new(NESTED, 1), second]);
    set(
        &mut engine_of_two,
        Fusion {
            alphabet: Some(Alphabet::Bytes),
            method: Method::Exact,
            ..Fusion::default()
        },
    );
    engine_of_two.cache_next_prompt().unwrap();
    let messages = [SYSTEM, "ab ca"];
    let asked = ask(&mut engine_of_two, &messages);
    assert_eq!(asked, ask(&mut engine(Alphabet::Bytes), &messages));
    let error = engine_of_two.take_cached_prompt().unwrap_err();
    assert!(matches!(&error, EngineError::Member { member, .. } if member == "b"));
    // It is told once.
    assert!(engine_of_two.take_cached_prompt().unwrap().is_none());
}
