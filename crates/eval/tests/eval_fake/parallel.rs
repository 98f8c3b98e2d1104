//! Questions decided by several conversations at once, against one conversation alone.

use crate::rig::*;
use packllm_engine::backend::Vocab;
use packllm_engine::engine::{Engine, EngineError, Fusion, Maps};
use packllm_engine::pack::{Conversation, Pack, PackError, PackOptions};
use packllm_engine::vocab::Alphabet;
use packllm_engine::weight::Method;
use packllm_eval::{Ask, Judge, Layout, Question, Sheet, Shots, Verdict, decide_all};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Two members, of one vocabulary where tokens are the alphabet.
fn members(alphabet: Alphabet) -> Vec<Fake> {
    let second = match alphabet {
        Alphabet::Tokens => NESTED,
        Alphabet::Bytes => LETTERS_MOVED,
        Alphabet::Mapped => WHOLE,
    };
    fn fed<'a>(pieces: &[&'a [u8]]) -> Vec<&'a [u8]> {
        [pieces, &[b"\n"]].concat()
    }
    vec![Fake::new(&fed(NESTED), 3), Fake::new(&fed(second), 4)]
}

/// Conversations with one pack, all configured alike and stopped by `cancel`.
fn conversations_until(
    engine: &Arc<Engine>,
    count: usize,
    alphabet: Alphabet,
    cancel: &Arc<AtomicBool>,
) -> Vec<Conversation> {
    let options = PackOptions {
        fusion: Fusion {
            alphabet: Some(alphabet),
            ..Fusion::default()
        },
        ..PackOptions::default()
    };
    let pack = Pack::new(Arc::clone(engine), options, &mut ()).unwrap();
    let open = |_| {
        let mut conversation = pack.conversation(Arc::clone(cancel)).unwrap();
        conversation.lockstep.lease_at_least(4);
        set(&mut conversation.lockstep, conversation_fusion(alphabet));
        conversation
    };
    (0..count).map(open).collect()
}

fn conversation_fusion(alphabet: Alphabet) -> Fusion {
    Fusion {
        alphabet: Some(alphabet),
        ..Fusion::default()
    }
}

fn conversations(engine: &Arc<Engine>, count: usize, alphabet: Alphabet) -> Vec<Conversation> {
    conversations_until(engine, count, alphabet, &Arc::default())
}

/// How a judge decides a sheet.
fn deciding(
    judge: &Judge,
) -> impl Fn(u32, &mut Conversation, &Sheet) -> Result<Verdict, PackError> + Sync {
    |at_once, conversation, sheet| {
        let lockstep = &mut conversation.lockstep;
        Ok(judge.decide_among(at_once, lockstep, sheet)?)
    }
}

/// Every contestant; in a mapped alphabet the reference is chosen for each question.
fn judge(engine: &Engine, alphabet: Alphabet) -> Judge {
    let vocabs: Vec<&Vocab> = engine.members().iter().map(|m| &*m.vocab).collect();
    let maps_to = |r: usize| {
        let others = vocabs.iter().enumerate();
        others
            .map(|(k, own)| map(vocabs[r], own).filter(|_| k != r))
            .collect()
    };
    let methods = Method::named().map(|(name, method)| (name.to_owned(), method));
    let fusion = Fusion {
        alphabet: Some(alphabet),
        ..Fusion::default()
    };
    Judge {
        maps: (alphabet == Alphabet::Mapped)
            .then(|| Arc::new((0..2).map(maps_to).collect::<Maps>())),
        ..Judge::new(&engine.names(), methods.collect(), fusion)
    }
}

/// Questions of two to four options, after `shots` examples.
fn sheets(count: usize, shots: usize) -> Vec<Sheet> {
    let words = ["a", "bc", "cab", "abc", "ca b", "bb", "c a"];
    let word = |i: usize| words[i % words.len()];
    let question = |i: usize| Question {
        line: i + 1,
        query: format!("{} {} {}", word(i), word(3 * i + 1), word(i / 2)),
        ask: Ask::Choice {
            choices: (0..2 + i % 3).map(|j| word(2 * i + 3 * j).into()).collect(),
            gold: 0,
        },
    };
    let shots = Shots::draw((40..45).map(question).collect(), shots, 1);
    let lay = |i| Layout::default().sheet(&question(i), &shots);
    (0..count).map(lay).collect()
}

type Decided = Vec<(usize, Result<Verdict, PackError>)>;

/// What came of the questions, in the order in which they were decided; the run fails where one
/// does.
fn run(
    judge: &Judge,
    conversations: &mut [Conversation],
    sheets: &[Sheet],
) -> (Decided, Option<usize>) {
    let mut decided = Vec::new();
    let share = !sheets[0].shots.is_empty();
    let result = decide_all(
        conversations,
        sheets,
        share,
        &deciding(judge),
        &mut |i, verdict| {
            let failed = verdict.is_err().then_some(i);
            decided.push((i, verdict));
            failed.map_or(Ok(()), Err)
        },
    );
    (decided, result.err())
}

/// Everything but times and tokens, in the order of the questions.
fn timeless(decided: Decided) -> Vec<(usize, Verdict)> {
    let timeless = |(i, verdict): (usize, Result<Verdict, PackError>)| {
        // Tokens: examples may be there from the question before.
        let verdict = Verdict {
            tokens: Vec::new(),
            seconds: Vec::new(),
            total_seconds: 0.0,
            ..verdict.unwrap()
        };
        (i, verdict)
    };
    let mut all: Vec<_> = decided.into_iter().map(timeless).collect();
    all.sort_by_key(|(i, _)| *i);
    all
}

#[test]
fn several_conversations_decide_what_one_decides() {
    for alphabet in [Alphabet::Bytes, Alphabet::Tokens, Alphabet::Mapped] {
        for shots in [0, 2] {
            let engine = load_engine(members(alphabet));
            let sheets = sheets(17, shots);
            let mut judge = judge(&engine, alphabet);
            for per_option in [false, true] {
                judge.per_option = per_option;
                let mut alone = conversations(&engine, 1, alphabet);
                let serial = timeless(run(&judge, &mut alone, &sheets).0);
                drop(alone);
                for count in [2, 3, 8, 30] {
                    let mut several = conversations(&engine, count, alphabet);
                    let parallel = timeless(run(&judge, &mut several, &sheets).0);
                    assert_eq!(parallel.len(), serial.len());
                    for (one, other) in parallel.into_iter().zip(&serial) {
                        assert_eq!(&one, other, "{alphabet:?}, {count} conversations");
                    }
                }
            }
            // Nothing is left of them.
            let occupied = engine.occupancy().unwrap();
            assert!(
                occupied
                    .iter()
                    .all(|o| o.conversations == 0 && o.cells == 0)
            );
        }
    }
}

#[test]
fn examples_are_read_once_for_all_conversations() {
    for (alphabet, shots) in [
        (Alphabet::Bytes, 0),
        (Alphabet::Bytes, 3),
        (Alphabet::Tokens, 3),
    ] {
        let engine = load_engine(members(alphabet));
        let judge = judge(&engine, alphabet);
        let mut sheets = sheets(12, shots);
        let examples = sheets[0].shots.clone();
        sheets
            .iter_mut()
            .for_each(|sheet| sheet.shots.clone_from(&examples));
        let mut evaluated = [1, 5].map(|count| {
            let mut several = conversations(&engine, count, alphabet);
            let (decided, _) = run(&judge, &mut several, &sheets);
            let tokens = |(i, verdict): (usize, Result<Verdict, _>)| (i, verdict.unwrap().tokens);
            decided.into_iter().map(tokens).collect::<Vec<_>>()
        });
        evaluated[1].sort_unstable();
        assert_eq!(evaluated[0], evaluated[1], "{alphabet:?}");
    }
}

#[test]
fn one_conversation_decides_in_order_and_stops_at_a_failure() {
    let engine = load_engine(members(Alphabet::Bytes));
    let judge = judge(&engine, Alphabet::Bytes);
    let mut sheets = sheets(6, 0);
    sheets[4].query = "a?".into();
    let mut alone = conversations(&engine, 1, Alphabet::Bytes);
    let (decided, failed) = run(&judge, &mut alone, &sheets);
    assert_eq!(failed, Some(4));
    let order: Vec<usize> = decided.iter().map(|(i, _)| *i).collect();
    assert_eq!(order, [0, 1, 2, 3, 4]);
}

#[test]
fn the_first_failure_in_order_ends_the_run_and_nothing_is_lost() {
    let engine = load_engine(members(Alphabet::Bytes));
    let judge = judge(&engine, Alphabet::Bytes);
    let mut sheets = sheets(40, 0);
    for bad in [9, 10, 12, 35] {
        sheets[bad].query = "a?".into();
    }
    let mut several = conversations(&engine, 4, Alphabet::Bytes);
    for _ in 0..10 {
        let (decided, failed) = run(&judge, &mut several, &sheets);
        assert_eq!(failed, Some(9));
        for (i, verdict) in &decided {
            let bad = [9, 10, 12].contains(i);
            assert_eq!(verdict.is_err(), bad, "{i}: {verdict:?}");
        }
        // All before it, and of those after it only what had been begun.
        let mut begun: Vec<usize> = decided.iter().map(|(i, _)| *i).collect();
        begun.sort_unstable();
        let all: Vec<usize> = (0..begun.len()).collect();
        assert_eq!(begun, all);
        assert!((10..=13).contains(&begun.len()), "{begun:?}");
    }
}

#[test]
fn a_cancelled_run_begins_nothing_more() {
    let engine = load_engine(members(Alphabet::Bytes));
    let judge = judge(&engine, Alphabet::Bytes);
    let cancel = Arc::new(AtomicBool::new(false));
    let mut several = conversations_until(&engine, 3, Alphabet::Bytes, &cancel);
    let sheets = sheets(40, 0);
    let (mut kept, mut stopped) = (0, 0);
    let result = decide_all(
        &mut several,
        &sheets,
        false,
        &deciding(&judge),
        &mut |_, verdict| {
            match verdict {
                Ok(_) => kept += 1,
                Err(error) => {
                    assert!(is_cancelled(&error), "{error}");
                    stopped += 1;
                    return Err(error);
                }
            }
            cancel.store(kept >= 10, Ordering::Relaxed);
            Ok(())
        },
    );
    assert!(result.is_err_and(|error| is_cancelled(&error)));
    assert!((10..=12).contains(&kept), "{kept}");
    assert!((1..=3).contains(&stopped), "{stopped}");
}

fn is_cancelled(error: &PackError) -> bool {
    matches!(error, PackError::Engine(EngineError::Cancelled))
}
