//! When the cancel flag is seen, and who lowers it.

use crate::rig::*;
use packllm_engine::backend::{BackendError, BatchToken};
use packllm_engine::chat::speaker::plain_text;
use packllm_engine::engine::{AnswerOptions, Ending, EngineError, Event, Finish, Fusion, Lockstep};
use packllm_engine::vocab::Alphabet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const TEXT: &str = "ab c";

/// A pack over both alphabets, whose second member calls the hook, with its cancel flag.
fn packs(
    hook: impl Fn(&Arc<AtomicBool>) -> Option<Hook>,
) -> impl Iterator<Item = (Lockstep, Arc<AtomicBool>)> {
    [Alphabet::Bytes, Alphabet::Tokens]
        .into_iter()
        .map(move |alphabet| {
            let cancel = Arc::default();
            let second = Fake {
                hook: hook(&cancel),
                ..Fake::without_end(NESTED, 2)
            };
            let fakes = specs(vec![Fake::without_end(NESTED, 1), second]);
            let mut engine = try_load(fakes, &cancel).unwrap();
            let alphabet = Some(alphabet);
            set(
                &mut engine,
                Fusion {
                    alphabet,
                    ..uniform()
                },
            );
            (engine, cancel)
        })
}

/// What the packs say, and a generation that holds all of it back until it ends.
fn held_back() -> impl Iterator<Item = (String, AnswerOptions)> {
    packs(|_| None).map(|(mut engine, _)| {
        let text = ask(&mut engine, TEXT, &greedy(12)).text;
        let stops = vec![format!("{text}z")];
        (
            text,
            AnswerOptions {
                stops,
                ..greedy(12)
            },
        )
    })
}

fn is_raised(cancel: &AtomicBool) -> bool {
    cancel.load(Ordering::Relaxed)
}

#[test]
fn a_flag_raised_after_an_answer_has_ended_is_for_whoever_comes_next() {
    for ((mut engine, cancel), (text, generation)) in packs(|_| None).zip(held_back()) {
        read(&mut engine, TEXT);
        let mut said = String::new();
        // Nothing is let go before the end.
        let mut sink = |event: Event<'_>| {
            said.push_str(text_of(event));
            cancel.store(true, Ordering::Relaxed);
        };
        let answer = engine.answer(&generation, &mut sink).unwrap();
        assert_eq!((said, answer.finish), (text.clone(), Finish::Length));
        assert!(is_raised(&cancel));
        let next = engine.answer(&generation, &mut |_| {}).unwrap();
        assert_eq!((next.finish, next.text.as_str()), (Finish::Cancelled, ""));
        assert!(!is_raised(&cancel));
        // And nothing of it is left.
        assert_eq!(ask(&mut engine, TEXT, &generation).text, text);
    }
}

#[test]
fn what_was_held_back_is_reported_however_an_answer_ends() {
    let broken = || BackendError::Decode {
        code: -3,
        log: "told to fail".into(),
    };
    for fails in [false, true] {
        let hook = move |cancel: &Arc<AtomicBool>| -> Option<Hook> {
            let cancel = Arc::clone(cancel);
            Some(Box::new(move |n, _: &[BatchToken]| {
                if n < 9 {
                    return Ok(());
                }
                cancel.store(n == 9 || is_raised(&cancel), Ordering::Relaxed);
                if fails { Err(broken()) } else { Ok(()) }
            }))
        };
        for ((mut engine, cancel), (text, generation)) in packs(hook).zip(held_back()) {
            read(&mut engine, TEXT);
            let mut said = String::new();
            let answer = engine.answer(&generation, &mut |event| said.push_str(text_of(event)));
            match answer {
                Ok(answer) => {
                    assert_eq!((answer.finish, fails), (Finish::Cancelled, false));
                    assert_eq!(answer.text, said);
                }
                Err(error) => assert!(fails && error.to_string().starts_with("b: "), "{error}"),
            }
            assert!(!said.is_empty() && text.starts_with(&said) && said != text);
            assert!(!is_raised(&cancel), "it was for this answer");
        }
    }
}

#[test]
fn an_answer_that_does_not_begin_leaves_the_flag() {
    for (mut engine, cancel) in packs(|_| None) {
        read(&mut engine, TEXT);
        cancel.store(true, Ordering::Relaxed);
        let mut wrong = greedy(12);
        wrong.sampling.temperature = f64::NAN;
        assert!(matches!(
            engine.answer(&wrong, &mut |_| {}),
            Err(EngineError::Parameter(_))
        ));
        assert!(is_raised(&cancel));
    }
}

#[test]
fn a_reading_is_cancelled_between_its_batch_and_its_rows() {
    let scored = |engine: &mut Lockstep| {
        engine.prepare(plain_text("abc ab", 2, Ending::Closed))?;
        engine.read(SCORES)?;
        Ok(engine.evidence()?.members[1].nats.clone())
    };
    let cancel = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&cancel);
    let raise = move |n: usize, _: &[BatchToken]| {
        flag.store(n == 1, Ordering::Relaxed);
        Ok(())
    };
    let second = Fake {
        after: Some(Box::new(raise)),
        ..Fake::new(LETTERS, 2)
    };
    let fakes = specs(vec![Fake::new(NESTED, 1), second]);
    let mut engine = try_load(fakes, &cancel).unwrap();
    set(&mut engine, uniform());
    let read: Result<Vec<f32>, EngineError> = scored(&mut engine);
    assert!(matches!(read, Err(EngineError::Cancelled)), "{read:?}");
    engine.settle();
    cancel.store(false, Ordering::Relaxed);
    let mut fresh = load(vec![Fake::new(NESTED, 1), Fake::new(LETTERS, 2)]);
    set(&mut fresh, uniform());
    engine.forget_evidence();
    engine.clear().unwrap();
    assert_eq!(scored(&mut engine).unwrap(), scored(&mut fresh).unwrap());
}
