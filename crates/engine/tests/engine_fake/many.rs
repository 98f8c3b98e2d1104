//! Several conversations with one pack: they share batches and the caches, and each says what it
//! would say alone.

use crate::rig::*;
use packllm_engine::backend::BatchToken;
use packllm_engine::engine::{Engine, Finish};
use packllm_engine::vocab::Alphabet;
use script::{Deed, Script, Turn, check, fakes, open, play, read_texts};
use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

mod random;
mod script;

/// Runs it, but not for ever: whoever waits for what never comes is found out.
fn in_time(test: impl FnOnce() + Send + 'static) {
    let (done, is_done) = channel();
    let thread = std::thread::spawn(move || {
        test();
        done.send(()).unwrap();
    });
    let waited = is_done.recv_timeout(Duration::from_secs(180));
    if let Err(std::sync::mpsc::RecvTimeoutError::Timeout) = waited {
        panic!("they wait for each other");
    }
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// No conversation is open, and no sequence or cell is in use.
fn check_empty(engine: &Engine) {
    assert_eq!(engine.conversations(), 0);
    for held in engine.occupancy().unwrap() {
        let held = (held.conversations, held.sequences, held.cells);
        assert_eq!(held, (0, 0, 0));
    }
}

/// Sequences of the member that a batch goes on with. Over tokens each is of another conversation.
fn sequences(batch: &[BatchToken]) -> usize {
    let sequences: HashSet<u32> = batch.iter().map(|entry| entry.seq).collect();
    sequences.len()
}

/// Both are answered at length, so that the answers overlap.
const TEXTS: [&str; 2] = ["a", "cc"];

#[test]
fn one_batch_holds_tokens_of_two_conversations() {
    for alphabet in [Alphabet::Bytes, Alphabet::Tokens] {
        in_time(move || {
            let most = Arc::new(Mutex::new(0));
            let seen = Arc::clone(&most);
            let mut members = fakes(alphabet, 512);
            let look = move |_, batch: &[BatchToken]| {
                let mut seen = seen.lock().unwrap();
                *seen = sequences(batch).max(*seen);
                Ok(())
            };
            members[0].hook = Some(Box::new(look));
            let engine = load_engine(members);
            // A batch waits for others only so long, and this machine may be busy.
            let mut shared = 0;
            while shared == 0 {
                engine.start_recording().unwrap();
                let start = Barrier::new(2);
                std::thread::scope(|threads| {
                    for text in TEXTS {
                        threads.spawn(|| {
                            let mut talk = open(&engine, alphabet);
                            start.wait();
                            ask(&mut talk, text, &greedy(24));
                        });
                    }
                });
                shared = engine.stop_recording().unwrap().shared_batches()[0];
            }
            if alphabet == Alphabet::Tokens {
                assert_eq!(*most.lock().unwrap(), 2);
            }
        });
    }
}

/// Two conversations over tokens. Once they answer and a batch of the first member holds tokens of
/// both, the flags of those with these numbers are raised. How each ended and what it said; whether that batch was
/// evaluated; and what each says to the same text afterwards.
fn cancelled_together(which: &'static [usize]) -> (Vec<(Finish, String)>, bool, Vec<String>) {
    let alphabet = Alphabet::Tokens;
    let flags: [Arc<AtomicBool>; 2] = Default::default();
    let mut members = fakes(alphabet, 512);
    let (raised, raise) = (Arc::<Mutex<Option<usize>>>::default(), flags.clone());
    let done = Arc::new(Mutex::new(BTreeSet::new()));
    let (at, after) = (Arc::clone(&raised), Arc::clone(&done));
    let have_read = Arc::new(AtomicBool::new(false));
    let armed = Arc::clone(&have_read);
    members[0].hook = Some(Box::new(move |n, batch: &[BatchToken]| {
        let mut at = at.lock().unwrap();
        if !armed.load(Ordering::Relaxed) || at.is_some() {
            return Ok(());
        }
        if sequences(batch) == 1 {
            // The other has only to come along.
            std::thread::sleep(Duration::from_millis(5));
        } else {
            *at = Some(n);
            which
                .iter()
                .for_each(|&i| raise[i].store(true, Ordering::Relaxed));
        }
        Ok(())
    }));
    members[0].after = Some(Box::new(move |n, _: &[BatchToken]| {
        after.lock().unwrap().insert(n);
        Ok(())
    }));
    let engine = load_engine(members);
    let start = Barrier::new(2);
    let said = std::thread::scope(|threads| {
        let (engine, start, have_read) = (&engine, &start, &have_read);
        let talks = flags.iter().zip(TEXTS).map(|(flag, text)| {
            threads.spawn(move || {
                let mut talk = engine.lockstep(Arc::clone(flag)).unwrap();
                set(&mut talk, uniform());
                read(&mut talk, text);
                start.wait();
                have_read.store(true, Ordering::Relaxed);
                let first = answer(&mut talk, &greedy(200));
                let again = ask(&mut talk, text, &greedy(40));
                ((first.finish, first.text), again.text)
            })
        });
        let talks: Vec<_> = talks.collect();
        let said = talks.into_iter().map(|talk| talk.join().unwrap());
        said.collect::<Vec<_>>()
    });
    check_empty(&engine);
    let (first, again) = said.into_iter().unzip();
    let at = raised.lock().unwrap().expect("they shared a batch");
    let was_evaluated = done.lock().unwrap().contains(&at);
    (first, was_evaluated, again)
}

/// What each says alone.
fn alone(tokens: usize) -> Vec<String> {
    let engine = load_engine(fakes(Alphabet::Tokens, 512));
    let said = TEXTS.iter().map(|text| {
        let mut talk = engine.lockstep(Arc::default()).unwrap();
        set(&mut talk, uniform());
        ask(&mut talk, text, &greedy(tokens)).text
    });
    said.collect()
}

#[test]
fn cancelling_one_leaves_the_other_and_their_batch_as_they_are() {
    in_time(|| {
        let (said, was_evaluated, again) = cancelled_together(&[0]);
        let whole = alone(200);
        assert!(was_evaluated, "somebody still wants it");
        assert_eq!(said[0].0, Finish::Cancelled);
        assert!(whole[0].starts_with(&said[0].1) && said[0].1 != whole[0]);
        assert_eq!(said[1].1, whole[1]);
        assert_ne!(said[1].0, Finish::Cancelled);
        assert_eq!(again, alone(40));
    });
}

#[test]
fn a_batch_is_aborted_once_all_in_it_are_cancelled() {
    in_time(|| {
        let (said, was_evaluated, again) = cancelled_together(&[0, 1]);
        assert!(!was_evaluated, "nobody wants it");
        for ((finish, text), whole) in said.iter().zip(alone(200)) {
            assert_eq!(*finish, Finish::Cancelled);
            assert!(
                whole.starts_with(text) && *text != whole,
                "{text:?} is no beginning of {whole:?}"
            );
        }
        assert_eq!(again, alone(40));
    });
}

/// Turns without disturbance.
fn calm(texts: &[&str], tokens: usize) -> Script {
    let turn = |text: &&str| Turn {
        text: (*text).into(),
        tokens,
        deed: Deed::Whole,
    };
    Script {
        turns: texts.iter().map(turn).collect(),
        drafts: false,
    }
}

#[test]
fn an_answer_that_nobody_drives_stops_nobody() {
    for alphabet in [Alphabet::Bytes, Alphabet::Tokens] {
        in_time(move || {
            let engine = load_engine(fakes(alphabet, 96));
            let mut held = open(&engine, alphabet);
            read_texts(&mut held, &["abc ab ca bc abc", "a b"], 0).unwrap();
            let options = greedy(24);
            let mut generation = held.generate(&options).unwrap();
            let mut said = text_of(generation.next().unwrap().unwrap()).to_owned();
            // The others need the room that it has.
            let script = calm(&["abc ca", "b b ab"], 24);
            let alone = play(
                open(&load_engine(fakes(alphabet, 96)), alphabet),
                &script,
                None,
            );
            std::thread::scope(|threads| {
                for _ in 0..3 {
                    threads.spawn(|| check(&play(open(&engine, alphabet), &script, None), &alone));
                }
            });
            assert!(engine.occupancy().unwrap()[0].evictions > 0);
            // It goes on as if it had never been held up.
            while let Some(event) = generation.next().unwrap() {
                said.push_str(text_of(event));
            }
            assert_eq!(generation.finish().unwrap().text, said);
            let mut fresh = open(&load_engine(fakes(alphabet, 96)), alphabet);
            read_texts(&mut fresh, &["abc ab ca bc abc", "a b"], 0).unwrap();
            assert_eq!(answer(&mut fresh, &options).text, said);
        });
    }
}

#[test]
fn thirty_two_conversations_are_answered_where_few_have_room() {
    for alphabet in [Alphabet::Bytes, Alphabet::Tokens] {
        in_time(move || {
            let context = 160;
            let engine = load_engine(fakes(alphabet, context));
            let texts = |i: usize| ["ab", "c a", "bca ", " cc"].map(|t| t.repeat(1 + i % 3));
            let script = |i: usize| calm(&texts(i).each_ref().map(|t| t.as_str())[i % 2..], 10);
            let reference = load_engine(fakes(alphabet, context));
            let alone: Vec<_> = (0..32)
                .map(|i| play(open(&reference, alphabet), &script(i), None))
                .collect();
            let over = AtomicBool::new(false);
            std::thread::scope(|threads| {
                let watcher = threads.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        for held in engine.occupancy().unwrap() {
                            assert!(held.cells <= context as usize && held.sequences <= 64);
                            assert!(held.conversations <= 32);
                        }
                        std::thread::sleep(Duration::from_millis(1));
                    }
                });
                let talks: Vec<_> = (0..32).map(|_| open(&engine, alphabet)).collect();
                let talks = talks.into_iter().enumerate().map(|(i, talk)| {
                    let (script, alone) = (script(i), &alone[i]);
                    threads.spawn(move || check(&play(talk, &script, None), alone))
                });
                let talks: Vec<_> = talks.collect();
                let ended: Vec<_> = talks.into_iter().map(|talk| talk.join()).collect();
                over.store(true, Ordering::Relaxed);
                watcher.join().unwrap();
                assert!(ended.iter().all(Result::is_ok));
            });
            assert!(engine.occupancy().unwrap()[0].evictions > 0);
            check_empty(&engine);
        });
    }
}

#[test]
fn a_beginning_that_is_shared_is_scored_as_if_it_had_been_read() {
    for alphabet in [Alphabet::Bytes, Alphabet::Tokens] {
        let texts = |text| [script::SYSTEM, "a c", text];
        let evidence = |engine: &Arc<Engine>, text| {
            let mut talk = open(engine, alphabet);
            read_texts(&mut talk, &texts(text), 0).unwrap();
            let evidence = talk.evidence().unwrap();
            let nats: Vec<_> = evidence.members.into_iter().map(|m| m.nats).collect();
            (talk, nats)
        };
        for text in ["b ab", "ca"] {
            let engine = load_engine(fakes(alphabet, 512));
            let (talk, alone) = evidence(&engine, text);
            let read = spent(&talk);
            drop(talk);
            let _other = evidence(&engine, "b ab").0;
            let (talk, shared) = evidence(&engine, text);
            assert_eq!(shared, alone);
            let both = spent(&talk).into_iter().zip(read);
            assert!(both.into_iter().all(|(now, then)| now + 6 < then));
        }
    }
}
