//! Loads and evaluations that fail, and what is left afterwards.

use crate::rig::*;
use packllm_engine::backend::Watch;
use packllm_engine::backend::{BackendError, BatchToken};
use packllm_engine::chat::speaker::plain_text;
use packllm_engine::engine::{
    Ending, EngineError, Finish, Fusion, Lockstep, MemberSpec, ScoreRequest,
};
use packllm_engine::vocab::Alphabet;
use packllm_engine::vocab::cover::Budget;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};

/// What a backend of our own may say.
#[derive(Debug, PartialEq)]
struct Torn;

impl std::error::Error for Torn {}

impl std::fmt::Display for Torn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("torn")
    }
}

fn broken() -> BackendError {
    BackendError::Load {
        path: PathBuf::from("b.gguf"),
        fault: Arc::new(Torn),
    }
}

fn failing(name: &str) -> MemberSpec {
    MemberSpec {
        name: name.into(),
        loader: Box::new(|_| Err(broken())),
        prefetch: None,
        pace: Default::default(),
    }
}

/// A load that goes on until it is cancelled, and then says so.
fn endless(name: &str) -> (MemberSpec, Receiver<()>) {
    let (stopped, stops) = channel();
    let loader = Box::new(move |watch: &Arc<Watch>| {
        while !watch.is_cancelled() {
            std::thread::yield_now();
        }
        stopped.send(()).unwrap();
        Err(BackendError::Cancelled)
    });
    (
        MemberSpec {
            name: name.into(),
            loader,
            prefetch: None,
            pace: Default::default(),
        },
        stops,
    )
}

/// A member that loads, and says when it is freed.
fn freed(name: &str) -> (MemberSpec, Receiver<()>) {
    let (dropped, drops) = channel();
    let fake = Fake {
        dropped: Some(dropped),
        ..Fake::new(LETTERS, 1)
    };
    (fake.spec(name), drops)
}

fn error_of(specs: Vec<MemberSpec>, cancel: &Arc<AtomicBool>) -> EngineError {
    try_load(specs, cancel).err().unwrap()
}

#[test]
fn a_failed_load_names_the_member_and_frees_the_others() {
    // Whether the failing one comes first or last, also behind a load that would never end.
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let cancel = Arc::default();
        let (loads, drops) = freed("fine");
        let (hangs, stops) = endless("slow");
        let mut specs = [Some(loads), Some(hangs), Some(failing("bad"))];
        let specs = order.map(|i: usize| specs[i].take().unwrap()).into();
        let error = error_of(specs, &cancel);
        assert_eq!(error.to_string(), "bad: b.gguf: torn");
        let EngineError::Member {
            source: BackendError::Load { fault, .. },
            ..
        } = error
        else {
            panic!("{error:?}")
        };
        assert_eq!(fault.downcast_ref(), Some(&Torn));
        // The threads are gone by now.
        assert!(drops.try_recv().is_ok() && stops.try_recv().is_ok());
        assert!(!cancel.load(Ordering::Relaxed), "the flag is the caller's");
    }
}

#[test]
fn of_several_failures_one_is_named() {
    let cancel = Arc::default();
    let error = error_of(vec![failing("first"), failing("second")], &cancel);
    assert!(["first: b.gguf: torn", "second: b.gguf: torn"].contains(&error.to_string().as_str()));
}

#[test]
fn a_load_that_panics_is_an_error_and_frees_the_others() {
    let (loads, drops) = freed("fine");
    let loader = Box::new(|_: &Arc<Watch>| panic!("a loader that panics, on purpose"));
    let error = error_of(
        vec![
            loads,
            MemberSpec {
                name: "mad".into(),
                loader,
                prefetch: None,
                pace: Default::default(),
            },
        ],
        &Arc::default(),
    );
    let EngineError::Panicked { member, message } = error else {
        panic!("{error}");
    };
    assert_eq!(member, "mad");
    assert_eq!(message, "a loader that panics, on purpose");
    assert!(drops.try_recv().is_ok());
}

#[test]
fn a_load_can_be_cancelled() {
    let (slow, stops) = endless("slow");
    let cancel = Arc::new(AtomicBool::new(true));
    assert!(matches!(
        error_of(vec![slow], &cancel),
        EngineError::Cancelled
    ));
    assert!(stops.try_recv().is_ok());
    assert!(
        cancel.load(Ordering::Relaxed),
        "raised by the caller, it stays raised"
    );
}

#[test]
fn a_pack_of_nothing_is_an_error() {
    assert!(matches!(
        error_of(Vec::new(), &Arc::default()),
        EngineError::NoMembers
    ));
}

/// Reads and answers; the first error.
fn attempt(engine: &mut Lockstep) -> Result<String, EngineError> {
    use packllm_engine::chat::speaker::plain_text;
    let prompts = plain_text(
        "ab c",
        engine.members().len(),
        packllm_engine::engine::Ending::Continue,
    );
    engine.prepare(prompts)?;
    engine.read(ScoreRequest::NOTHING)?;
    engine.weigh()?;
    Ok(engine.answer(&greedy(12), &mut |_| {})?.text)
}

fn both_alphabets(second: impl Fn() -> Fake) -> impl Iterator<Item = Lockstep> {
    let alphabets = [Alphabet::Bytes, Alphabet::Tokens].into_iter();
    alphabets.map(move |alphabet| pack(vec![Fake::without_end(NESTED, 1), second()], alphabet))
}

#[test]
fn a_failed_evaluation_names_the_member() {
    for fail_at in 1..6 {
        let second = || {
            let mut fake = Fake::without_end(NESTED, 2);
            fake.options.fail_at = Some(fail_at);
            fake
        };
        for mut engine in both_alphabets(second) {
            let error = attempt(&mut engine).unwrap_err();
            assert_eq!(
                error.to_string(),
                "b: evaluation failed with code -3: told to fail"
            );
            // It goes on failing, and says so every time.
            engine.clear().unwrap();
            assert!(attempt(&mut engine).is_err());
        }
    }
}

#[test]
fn of_failures_at_once_the_gravest_is_told() {
    let milder = [
        BackendError::ContextFull { context: 8 },
        BackendError::Cancelled,
    ];
    for mild in milder {
        for order in [[0, 1], [1, 0]] {
            let errors = [
                mild.clone(),
                BackendError::Decode {
                    code: -3,
                    log: "broken".into(),
                },
            ];
            let fakes = order.map(|i: usize| {
                let error = errors[i].clone();
                Fake::new(LETTERS, 1)
                    .with_hook(Box::new(move |_, _: &[BatchToken]| Err(error.clone())))
            });
            let mut engine = load(fakes.into());
            let error = attempt(&mut engine).unwrap_err();
            assert!(error.to_string().ends_with("code -3: broken"), "{error}");
        }
    }
}

#[test]
fn what_is_not_a_number_names_the_member() {
    for nan_at in 1..6 {
        let second = || {
            let mut fake = Fake::without_end(NESTED, 2);
            fake.options.nan_at = Some(nan_at);
            fake
        };
        for mut engine in both_alphabets(second) {
            let error = attempt(&mut engine).unwrap_err();
            let not_a_number = |e: &BackendError| matches!(e, BackendError::NotANumber);
            assert!(
                matches!(&error, EngineError::Member { member, source } if member == "b" && not_a_number(source)),
                "{error}"
            );
        }
    }
}

#[test]
fn after_an_evaluation_that_failed_once_the_pack_answers_as_ever() {
    for fail_at in 1..10 {
        let flaky = || {
            let error = BackendError::Decode {
                code: -1,
                log: "once".into(),
            };
            let fails = move |n, _: &[BatchToken]| {
                if n == fail_at {
                    Err(error.clone())
                } else {
                    Ok(())
                }
            };
            Fake::without_end(NESTED, 2).with_hook(Box::new(fails))
        };
        let steady = both_alphabets(|| Fake::without_end(NESTED, 2));
        for (mut engine, mut steady) in both_alphabets(flaky).zip(steady) {
            assert!(attempt(&mut engine).is_err());
            engine.clear().unwrap();
            assert_eq!(
                attempt(&mut engine).unwrap(),
                attempt(&mut steady).unwrap(),
                "{fail_at}"
            );
        }
    }
}

/// A member that is lost at one evaluation.
fn lost_at(fail_at: usize) -> Fake {
    let fails = move |n, _: &[BatchToken]| match n == fail_at {
        true => Err(BackendError::Lost {
            place: "there:1".into(),
            reason: "gone".into(),
        }),
        false => Ok(()),
    };
    Fake::without_end(NESTED, 2).with_hook(Box::new(fails))
}

#[test]
fn the_others_outlive_a_member_that_was_lost_if_they_are_to() {
    let mut in_answers = 0;
    for fail_at in 1..10 {
        let steady = both_alphabets(|| Fake::without_end(NESTED, 2));
        for (mut engine, mut steady) in both_alphabets(|| lost_at(fail_at)).zip(steady) {
            let fusion = engine.fusion().clone();
            set(
                &mut engine,
                Fusion {
                    outlive: true,
                    ..fusion
                },
            );
            let text = match attempt(&mut engine) {
                Ok(text) => {
                    in_answers += 1;
                    text
                }
                // Lost in the prompt: it is for the caller to read again.
                Err(error) => {
                    assert_eq!(error.to_string(), "b: lost there:1: gone");
                    assert!(engine.goes_on_without(&error) && !engine.goes_on_without(&error));
                    attempt(&mut engine).unwrap()
                }
            };
            assert_eq!(engine.lost(), [false, true], "{fail_at}");
            assert_eq!(engine.lambda(), [1.0, 0.0]);
            let all = attempt(&mut steady).unwrap();
            assert!(!text.is_empty());
            // It reads and says nothing more, until all begins anew.
            let before = spent(&engine);
            attempt(&mut engine).unwrap();
            let after = spent(&engine);
            assert!(
                after[0] > before[0] && after[1] == before[1],
                "{before:?} {after:?}"
            );
            engine.clear().unwrap();
            assert_eq!(attempt(&mut engine).unwrap(), all);
        }
    }
    assert!(in_answers > 5, "{in_answers}");
}

#[test]
fn a_lost_member_ends_an_answer_that_it_alone_makes() {
    for fail_at in 1..6 {
        let mut engine = load(vec![lost_at(fail_at)]);
        let fusion = Fusion {
            outlive: true,
            ..uniform()
        };
        set(&mut engine, fusion);
        let error = attempt(&mut engine).unwrap_err();
        assert!(
            error.to_string().ends_with(": lost there:1: gone"),
            "{error}"
        );
        assert!(!engine.goes_on_without(&error));
        assert!(attempt(&mut engine).is_ok());
    }
}

#[test]
fn an_exact_cover_without_room_is_an_error_and_the_next_one_works() {
    for sequences in 2..12 {
        let crowded = || {
            let mut fake = Fake::without_end(NESTED, 2);
            fake.options.limits.sequences = sequences;
            fake
        };
        let fuse = |epsilon| Fusion {
            alphabet: Some(Alphabet::Bytes),
            budget: Budget {
                epsilon,
                hypotheses: 1,
            },
            ..uniform()
        };
        let mut engine = load(vec![crowded()]);
        set(&mut engine, fuse(0.0));
        let error = attempt(&mut engine).unwrap_err();
        assert!(
            error.to_string().contains("no free sequence"),
            "{sequences}: {error}"
        );
        let source = |error: EngineError| match error {
            EngineError::Member { source, .. } => source,
            other => panic!("{other:?}"),
        };
        assert!(matches!(source(error), BackendError::NoSequence));
        engine.clear().unwrap();
        if sequences < 4 {
            continue; // The prefix, a hypothesis, its fork and a place to come to rest.
        }
        let mut fresh = load(vec![crowded()]);
        for engine in [&mut engine, &mut fresh] {
            set(engine, fuse(0.03));
        }
        assert_eq!(
            attempt(&mut engine).unwrap(),
            attempt(&mut fresh).unwrap(),
            "{sequences}"
        );
    }
}

#[test]
fn a_read_that_is_cancelled_is_an_error_and_can_be_repeated() {
    for mut engine in both_alphabets(|| Fake::without_end(NESTED, 2)) {
        let want = attempt(&mut engine).unwrap();
        engine.clear().unwrap();
        engine.cancel_flag().store(true, Ordering::Relaxed);
        assert!(matches!(attempt(&mut engine), Err(EngineError::Cancelled)));
        engine.cancel_flag().store(false, Ordering::Relaxed);
        assert_eq!(attempt(&mut engine).unwrap(), want);
    }
}

#[test]
fn a_flag_raised_before_the_answer_ends_it_and_is_lowered() {
    for mut engine in both_alphabets(|| Fake::without_end(NESTED, 2)) {
        read(&mut engine, "ab c");
        engine.cancel_flag().store(true, Ordering::Relaxed);
        let said = answer(&mut engine, &greedy(12));
        assert_eq!((said.text.as_str(), said.finish), ("", Finish::Cancelled));
        assert!(!engine.cancel_flag().load(Ordering::Relaxed));
    }
}

#[test]
fn a_cache_that_overflows_in_mid_answer_cuts_the_answer_and_keeps_it() {
    // After the prompt and its last word.
    for full_at in 6..12 {
        // From there on nothing can be evaluated, not even to come to rest.
        let narrow = || {
            let full = BackendError::ContextFull { context: 1 };
            let refuses = move |n, _: &[BatchToken]| {
                if n >= full_at {
                    Err(full.clone())
                } else {
                    Ok(())
                }
            };
            Fake::without_end(NESTED, 2).with_hook(Box::new(refuses))
        };
        let wide = both_alphabets(|| Fake::without_end(NESTED, 2));
        for (mut engine, mut wide) in both_alphabets(narrow).zip(wide) {
            read(&mut engine, "ab c");
            let said = answer(&mut engine, &greedy(12));
            assert_eq!(said.finish, Finish::Length);
            assert!(
                attempt(&mut wide).unwrap().starts_with(&said.text),
                "{full_at}"
            );
            assert!(said.text.len() >= said.tokens && said.tokens > 0);
        }
    }
}

#[test]
fn a_cancelled_reading_is_not_waited_for_and_the_next_one_is_whole() {
    let fakes = || vec![Fake::new(NESTED, 1), Fake::new(LETTERS, 2)];
    let want = ask(&mut pack(fakes(), Alphabet::Bytes), "abc ab", &greedy(12));
    let cancel = Arc::new(AtomicBool::new(false));
    let (let_go, gate) = channel::<()>();
    let flag = Arc::clone(&cancel);
    // Its first evaluation does not end before it is let go, like a large matrix product.
    let hook = move |n: usize, _: &[BatchToken]| {
        if n == 1 {
            flag.store(true, Ordering::Relaxed);
            gate.recv().unwrap();
        }
        Ok(())
    };
    let mut fakes = fakes();
    let slow = fakes.pop().unwrap().with_hook(Box::new(hook));
    fakes.push(slow);
    let mut engine = try_load(specs(fakes), &cancel).unwrap();
    set(
        &mut engine,
        Fusion {
            alphabet: Some(Alphabet::Bytes),
            ..uniform()
        },
    );
    let prompts = plain_text("abc ab", 2, Ending::Continue);
    engine.prepare(prompts).unwrap();
    let read = engine.read(ScoreRequest::NOTHING);
    assert!(matches!(read, Err(EngineError::Cancelled)), "{read:?}");
    let_go.send(()).unwrap();
    engine.settle();
    cancel.store(false, Ordering::Relaxed);
    let got = ask(&mut engine, "abc ab", &greedy(12));
    assert_eq!((got.text, got.tokens), (want.text, want.tokens));
}
