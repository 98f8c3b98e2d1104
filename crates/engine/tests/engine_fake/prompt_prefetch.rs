//! What was read while others loaded is what would have been read afterwards.

use crate::rig::*;
use packllm_engine::chat::speaker::plain_text;
use packllm_engine::engine::{
    Ending, ExpectedPrompt, Fusion, Lockstep, MemberSpec, Prompt, ScoreRequest,
};
use packllm_engine::vocab::Alphabet;
use packllm_engine::vocab::cover::Budget;
use packllm_engine::weight::Method;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const TEXT: &str = "abc ab";

fn prompt(text: &str) -> Prompt {
    plain_text(text, 1, Ending::Continue).remove(0)
}

fn ahead(text: &str) -> ExpectedPrompt {
    ExpectedPrompt {
        alphabet: Alphabet::Bytes,
        budget: Budget::default(),
        prompt: prompt(text),
        request: ScoreRequest::of(&Method::Exact, 2),
    }
}

fn exact() -> Fusion {
    Fusion {
        alphabet: Some(Alphabet::Bytes),
        method: Method::Exact,
        ..Fusion::default()
    }
}

/// Two members that read ahead, and a count of the tokens that the first is asked to evaluate.
fn pair(read: &[Option<ExpectedPrompt>; 2]) -> (Vec<MemberSpec>, Arc<AtomicUsize>) {
    let evaluated = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&evaluated);
    let counting = Fake::new(NESTED, 1).with_hook(Box::new(move |_, batch| {
        counted.fetch_add(batch.len(), Ordering::Relaxed);
        Ok(())
    }));
    let mut specs = specs(vec![counting, Fake::new(LETTERS, 2)]);
    for (spec, read) in specs.iter_mut().zip(read) {
        let read = read.clone();
        spec.prefetch = Some(Box::new(move |_| read));
    }
    (specs, evaluated)
}

fn begin(read: &[Option<ExpectedPrompt>; 2], fusion: &Fusion) -> (Lockstep, Arc<AtomicUsize>) {
    let (specs, evaluated) = pair(read);
    let mut engine = try_load(specs, &Arc::default()).unwrap();
    engine.engine().catch_up(&mut |_| {}).unwrap();
    set(&mut engine, fusion.clone());
    (engine, evaluated)
}

#[test]
fn answers_and_weights_are_the_same_whatever_was_foreseen() {
    let exact = exact();
    let uniform = Fusion {
        method: Method::Uniform,
        ..exact.clone()
    };
    let fine = Fusion {
        budget: Budget {
            epsilon: 0.001,
            ..Budget::default()
        },
        ..exact.clone()
    };
    let other_budget = ExpectedPrompt {
        budget: fine.budget,
        ..ahead(TEXT)
    };
    let cases = [
        [Some(ahead(TEXT)), Some(ahead(TEXT))],
        [Some(ahead(TEXT)), None],
        [Some(ahead("abc a")), Some(ahead("c"))],
        [Some(other_budget.clone()), Some(other_budget)],
        [Some(ahead(&"ab ".repeat(5000))), Some(ahead(""))],
    ];
    for fusion in [exact, uniform, fine] {
        let (mut plain, _) = begin(&[None, None], &fusion);
        let want = ask(&mut plain, TEXT, &greedy(12));
        for case in &cases {
            let (mut engine, _) = begin(case, &fusion);
            let got = ask(&mut engine, TEXT, &greedy(12));
            assert_eq!((&got.text, got.tokens), (&want.text, want.tokens));
            assert_eq!(got.mean_weights, want.mean_weights, "{case:?}");
            assert_eq!(engine.prompt_tokens(), plain.prompt_tokens());
        }
    }
}

#[test]
fn what_was_foreseen_is_read_once() {
    let fusion = exact();
    let tokens_of = |case: &[Option<ExpectedPrompt>; 2]| {
        let (mut engine, evaluated) = begin(case, &fusion);
        read(&mut engine, TEXT);
        let ahead = engine.prefetched();
        read(&mut engine, "abc abc");
        assert!(!engine.prefetched());
        (evaluated.load(Ordering::Relaxed), ahead)
    };
    let (plain, _) = tokens_of(&[None, None]);
    assert_eq!(tokens_of(&[Some(ahead(TEXT)), None]), (plain, false));
    assert_eq!(
        tokens_of(&[Some(ahead(TEXT)), Some(ahead(TEXT))]),
        (plain, true)
    );
    let (wasted, read) = tokens_of(&[Some(ahead("c a")), None]);
    assert!(wasted > plain && !read);
}
