//! Members that panic: an error names them, nobody waits for them, and the others go on.

use crate::rig::*;
use packllm_engine::backend::{BackendError, BatchToken};
use packllm_engine::chat::speaker::plain_text;
use packllm_engine::engine::{
    Ending, EngineError, ExpectedPrompt, Fusion, Lockstep, PromptPrefetch, ScoreRequest,
};
use packllm_engine::vocab::Alphabet;
use packllm_engine::vocab::cover::Budget;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const TEXT: &str = "ab c";

/// Does it, or fails where it would take for ever.
fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = channel();
    let thread = std::thread::spawn(move || drop(done.send(work())));
    match result.recv_timeout(Duration::from_secs(120)) {
        Ok(result) => result,
        Err(_) if thread.is_finished() => panic!("{:?}", thread.join().err()),
        Err(_) => panic!("somebody waits for ever"),
    }
}

/// Panics at the decode of this number and whenever it is asked again.
fn panics_at(at: usize) -> Hook {
    Box::new(move |n, _: &[BatchToken]| {
        assert!(n < at, "on purpose");
        Ok(())
    })
}

/// The first is fine and says when it is freed, the second has the hook.
fn pair(hook: Hook) -> (Vec<Fake>, Receiver<()>) {
    let (dropped, drops) = channel();
    let fine = Fake {
        dropped: Some(dropped),
        ..Fake::without_end(NESTED, 1)
    };
    let mad = Fake::without_end(NESTED, 2).with_hook(hook);
    (vec![fine, mad], drops)
}

/// It names the member and says what the panic said.
fn check<T: std::fmt::Debug>(result: Result<T, EngineError>) {
    let error = result.unwrap_err();
    assert!(matches!(error, EngineError::Panicked { .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        "b: its thread panicked: on purpose (this is a bug)"
    );
}

/// The second member is gone for good, the first is there.
fn check_rest(mut engine: Lockstep, drops: &Receiver<()>) {
    let prompts = || plain_text(TEXT, 2, Ending::Closed);
    check(engine.prepare(prompts()));
    check(engine.read(ScoreRequest::NOTHING));
    check(engine.answer(&greedy(4), &mut |_| {}));
    check(engine.spent());
    check(engine.clear());
    engine.read_apart(0, prompts().remove(0), SCORES).unwrap();
    assert!(drops.try_recv().is_err());
    drop(engine);
    assert!(drops.try_recv().is_ok(), "its thread has ended");
}

#[test]
fn in_a_reading() {
    for alphabet in [Alphabet::Bytes, Alphabet::Tokens] {
        in_time(move || {
            let (fakes, drops) = pair(panics_at(1));
            let mut engine = pack(fakes, alphabet);
            engine
                .prepare(plain_text(TEXT, 2, Ending::Continue))
                .unwrap();
            check(engine.read(ScoreRequest::NOTHING));
            check_rest(engine, &drops);
        });
    }
}

#[test]
fn in_an_answer_which_reports_what_was_said() {
    for alphabet in [Alphabet::Bytes, Alphabet::Tokens] {
        in_time(move || {
            let (fakes, drops) = pair(panics_at(7));
            let mut engine = pack(fakes, alphabet);
            read(&mut engine, TEXT);
            let mut said = String::new();
            check(engine.answer(&greedy(40), &mut |event| said.push_str(text_of(event))));
            assert!(!said.is_empty());
            check_rest(engine, &drops);
        });
    }
}

#[test]
fn in_a_reading_that_nobody_waits_for() {
    in_time(|| {
        let cancel = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&cancel);
        let (let_go, gate) = channel::<()>();
        let (fakes, drops) = pair(Box::new(move |_, _| {
            flag.store(true, Ordering::Relaxed);
            gate.recv().unwrap();
            panic!("on purpose")
        }));
        let mut engine = try_load(specs(fakes), &cancel).unwrap();
        set(&mut engine, uniform());
        engine
            .prepare(plain_text(TEXT, 2, Ending::Continue))
            .unwrap();
        let read = engine.read(ScoreRequest::NOTHING);
        assert!(matches!(read, Err(EngineError::Cancelled)), "{read:?}");
        let_go.send(()).unwrap();
        engine.settle();
        cancel.store(false, Ordering::Relaxed);
        check_rest(engine, &drops);
    });
}

/// Records an answer, then replays it while the second member does `what` at its second evaluation.
/// Returns how many evaluations of the first are missing.
fn replayed(what: impl Fn() -> Result<(), BackendError> + Send + 'static) -> (EngineError, usize) {
    let armed = Arc::new(AtomicBool::new(false));
    let (trigger, mut left) = (Arc::clone(&armed), 2);
    let mad = Fake::without_end(NESTED, 2).with_hook(Box::new(move |_, _| {
        left -= usize::from(trigger.load(Ordering::Relaxed));
        if left == 0 { what() } else { Ok(()) }
    }));
    let evaluated = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&evaluated);
    let fine = Fake::without_end(NESTED, 1).with_hook(Box::new(move |_, _| {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }));
    let mut engine = pack(vec![fine, mad], Alphabet::Tokens);
    engine.clear().unwrap();
    engine.engine().start_recording().unwrap();
    ask(&mut engine, TEXT, &greedy(12));
    let tape = engine.engine().stop_recording().unwrap();
    engine.clear().unwrap();
    let once = evaluated.swap(0, Ordering::Relaxed);
    armed.store(true, Ordering::Relaxed);
    let error = engine.engine().replay(&tape).unwrap_err();
    (error, once - evaluated.load(Ordering::Relaxed))
}

#[test]
fn in_a_replay_which_the_others_finish() {
    let (error, missing) = in_time(|| replayed(|| panic!("on purpose")));
    check::<()>(Err(error));
    assert_eq!(missing, 0);
    let broken = || {
        Err(BackendError::Decode {
            code: -3,
            log: "told to fail".into(),
        })
    };
    let (error, missing) = in_time(move || replayed(broken));
    assert!(error.to_string().starts_with("b: evaluation failed"));
    assert_eq!(missing, 0);
}

#[test]
fn while_something_is_read_ahead() {
    let expected = || ExpectedPrompt {
        alphabet: Alphabet::Bytes,
        budget: Budget::default(),
        prompt: plain_text(TEXT, 1, Ending::Continue).remove(0),
        request: ScoreRequest::NOTHING,
    };
    let in_decode: PromptPrefetch = Box::new(move |_| Some(expected()));
    let in_foresight: PromptPrefetch = Box::new(|_| panic!("on purpose"));
    for prefetch in [in_decode, in_foresight] {
        in_time(move || {
            let (dropped, drops) = channel();
            let fine = Fake {
                dropped: Some(dropped),
                ..Fake::without_end(LETTERS, 1)
            };
            let mad = Fake::without_end(NESTED, 2).with_hook(panics_at(1));
            let mut specs = specs(vec![fine, mad]);
            specs[1].prefetch = Some(prefetch);
            let engine = try_load(specs, &Arc::default()).unwrap();
            check(engine.engine().catch_up(&mut |_| {}));
            check_rest(engine, &drops);
        });
    }
}

#[test]
fn while_a_question_waits_in_its_inbox() {
    let (dropped, drops) = channel();
    let fine = Fake {
        dropped: Some(dropped),
        ..Fake::without_end(LETTERS, 1)
    };
    let (let_go, gate) = channel::<()>();
    let mad = Fake::without_end(NESTED, 2).with_hook(Box::new(move |_, _| {
        gate.recv().unwrap();
        panic!("on purpose")
    }));
    let mut specs = specs(vec![fine, mad]);
    specs[1].prefetch = Some(Box::new(|_| {
        Some(ExpectedPrompt {
            alphabet: Alphabet::Bytes,
            budget: Budget::default(),
            prompt: plain_text(TEXT, 1, Ending::Continue).remove(0),
            request: ScoreRequest::NOTHING,
        })
    }));
    in_time(move || {
        let engine = try_load(specs, &Arc::default()).unwrap();
        // Time enough to ask; who asks later is told as well.
        let soon = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            let_go.send(()).unwrap();
        });
        check(engine.engine().catch_up(&mut |_| {}));
        soon.join().unwrap();
        check_rest(engine, &drops);
    });
}

#[test]
fn with_something_that_is_no_text() {
    let (fakes, _drops) = pair(Box::new(|_, _| std::panic::panic_any(7)));
    let mut engine = load(fakes);
    set(&mut engine, Fusion::default());
    engine
        .prepare(plain_text(TEXT, 2, Ending::Continue))
        .unwrap();
    let first = engine.read(ScoreRequest::NOTHING).unwrap_err();
    let later = engine.spent().unwrap_err();
    for error in [first, later] {
        assert_eq!(
            error.to_string(),
            "b: its thread ended unexpectedly (this is a bug)"
        );
    }
}
