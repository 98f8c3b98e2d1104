//! Conversations at random, at the same time, on members with little room.

use super::script::{Deed, Outcome, Script, Turn, check, fakes, open, play};
use super::{check_empty, in_time};
use crate::rig::*;
use packllm_engine::backend::{BackendError, BatchToken};
use packllm_engine::engine::Engine;
use packllm_engine::vocab::Alphabet;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

fn turns() -> impl Strategy<Value = Turn> {
    let deed = prop_oneof![
        6 => Just(Deed::Whole),
        1 => (0..6usize).prop_map(Deed::Drop),
        1 => (0..6usize).prop_map(Deed::Cancel),
        2 => (0..3000u64).prop_map(Deed::Interrupt),
        1 => Just(Deed::Fork),
    ];
    ("[abc ]{1,10}", 1..12usize, deed).prop_map(|(text, tokens, deed)| Turn { text, tokens, deed })
}

fn scripts() -> impl Strategy<Value = Script> {
    let turns = proptest::collection::vec(turns(), 1..4);
    (turns, any::<bool>()).prop_map(|(turns, drafts)| Script { turns, drafts })
}

/// A member that fails each so many batches, once.
fn failing(fake: Fake, every: Option<usize>) -> Fake {
    let Some(every) = every else { return fake };
    let batches = AtomicUsize::new(0);
    fake.with_hook(Box::new(move |_, _: &[BatchToken]| {
        match (batches.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(every) {
            true => Err(BackendError::Decode {
                code: -3,
                log: "told to fail".into(),
            }),
            false => Ok(()),
        }
    }))
}

/// All at once, each on a thread of its own.
fn play_together(engine: &Arc<Engine>, alphabet: Alphabet, all: &[Script]) -> Vec<Vec<Outcome>> {
    let start = Barrier::new(all.len());
    std::thread::scope(|threads| {
        let played = all.iter().map(|script| {
            let start = &start;
            threads.spawn(move || {
                let talk = open(engine, alphabet);
                start.wait();
                play(talk, script, None)
            })
        });
        let played: Vec<_> = played.collect();
        played.into_iter().map(|p| p.join().unwrap()).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 96,
        max_shrink_iters: 60,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn each_answers_what_it_answers_alone(
        alphabet in prop_oneof![Just(Alphabet::Bytes), Just(Alphabet::Tokens)],
        context in 120..260u32,
        every in proptest::option::weighted(0.4, 20..80usize),
        all in proptest::collection::vec(scripts(), 2..6),
    ) {
        in_time(move || {
            let members = fakes(alphabet, context).into_iter();
            let engine = load_engine(members.map(|fake| failing(fake, every)).collect());
            let beside = play_together(&engine, alphabet, &all);
            check_empty(&engine);
            let engine = load_engine(fakes(alphabet, context));
            for (script, beside) in all.iter().zip(&beside) {
                let alone = play(open(&engine, alphabet), script, Some(beside));
                check(beside, &alone);
            }
            check_empty(&engine);
        });
    }
}

#[test]
fn after_a_thousand_conversations_nothing_is_left() {
    for alphabet in [Alphabet::Bytes, Alphabet::Tokens] {
        let mut runner = TestRunner::deterministic();
        let all: Vec<Script> = (0..500)
            .map(|_| scripts().new_tree(&mut runner).unwrap().current())
            .collect();
        in_time(move || {
            let members = fakes(alphabet, 80).into_iter();
            let engine = load_engine(members.map(|fake| failing(fake, Some(400))).collect());
            let next = AtomicUsize::new(0);
            std::thread::scope(|threads| {
                for _ in 0..8 {
                    threads.spawn(|| {
                        while let Some(script) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                            play(open(&engine, alphabet), script, None);
                        }
                    });
                }
            });
            check_empty(&engine);
            let evictions: u64 = evictions(&engine);
            assert!(evictions > 0);
        });
    }
}

fn evictions(engine: &Engine) -> u64 {
    let occupancy = engine.occupancy().unwrap();
    occupancy.iter().map(|o| o.evictions).sum()
}
