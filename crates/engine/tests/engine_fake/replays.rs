//! Recording what an answer asked of the members, and doing it again.

use crate::rig::*;
use packllm_engine::backend::BatchToken;
use packllm_engine::engine::{Fusion, Lockstep};
use packllm_engine::vocab::Alphabet;
use std::sync::{Arc, Mutex};

/// All batches that a member evaluated, in order.
type Batches = Arc<Mutex<Vec<Vec<BatchToken>>>>;

fn watched(fake: Fake) -> (Fake, Batches) {
    let batches = Batches::default();
    let seen = Arc::clone(&batches);
    let note = move |_, batch: &[BatchToken]| {
        seen.lock().unwrap().push(batch.to_vec());
        Ok(())
    };
    (fake.with_hook(Box::new(note)), batches)
}

fn take(batches: &[Batches]) -> Vec<Vec<Vec<BatchToken>>> {
    batches
        .iter()
        .map(|b| std::mem::take(&mut *b.lock().unwrap()))
        .collect()
}

#[test]
fn a_replay_evaluates_the_very_same_batches() {
    let different = [Fake::new(NESTED, 1), Fake::new(LETTERS, 2)];
    let alike = [Fake::new(NESTED, 1), Fake::new(NESTED, 2)];
    for (fakes, alphabet) in [(different, Alphabet::Bytes), (alike, Alphabet::Tokens)] {
        let (fakes, batches): (Vec<_>, Vec<_>) = fakes.map(watched).into_iter().unzip();
        let mut engine = pack(fakes, alphabet);
        ask(&mut engine, "a b c from before", &greedy(4));
        take(&batches);
        engine.clear().unwrap();
        engine.engine().start_recording().unwrap();
        let before = spent(&engine);
        read(&mut engine, "ab c");
        let prompt = engine.engine().stop_recording().unwrap();
        engine.engine().start_recording().unwrap();
        let said = answer(&mut engine, &greedy(16));
        let tape = engine.engine().stop_recording().unwrap();
        let evaluated = take(&batches);
        let tokens: Vec<usize> = evaluated.iter().map(|b| b.concat().len()).collect();
        let recorded: Vec<usize> = prompt
            .tokens()
            .iter()
            .zip(tape.tokens())
            .map(|(a, b)| a + b)
            .collect();
        assert_eq!(recorded, tokens);
        let metered: Vec<usize> = spent(&engine)
            .iter()
            .zip(before)
            .map(|(a, b)| a - b)
            .collect();
        assert_eq!(recorded, metered);
        assert!(tape.tokens().iter().all(|&n| n > 0));
        engine.clear().unwrap();
        for _ in 0..2 {
            engine.engine().replay(&prompt).unwrap();
            engine.engine().replay(&tape).unwrap();
            engine.engine().end_replay().unwrap();
            assert_eq!(take(&batches), evaluated);
        }
        // And leaves nothing behind but what was learnt of the text.
        engine.unlearn().unwrap();
        let again = ask(&mut engine, "ab c", &greedy(16));
        assert_eq!((again.text, again.tokens), (said.text, said.tokens));
    }
}

fn fakes() -> [Fake; 2] {
    [Fake::new(NESTED, 1), Fake::new(LETTERS, 2)]
}

fn in_bytes() -> Fusion {
    Fusion {
        alphabet: Some(Alphabet::Bytes),
        ..uniform()
    }
}

/// Does something with all conversations at once.
fn at_once(conversations: &mut [Lockstep], work: impl Fn(usize, &mut Lockstep) + Sync) {
    let work = &work;
    std::thread::scope(|scope| {
        for (i, conversation) in conversations.iter_mut().enumerate() {
            scope.spawn(move || work(i, conversation));
        }
    });
}

#[test]
fn several_conversations_are_replayed_batch_by_batch() {
    let (fakes_seen, batches): (Vec<_>, Vec<_>) = fakes().map(watched).into_iter().unzip();
    let engine = load_engine(fakes_seen);
    let open = (0..3).map(|_| {
        let mut lockstep = engine.lockstep(Arc::default()).unwrap();
        set(&mut lockstep, in_bytes());
        lockstep
    });
    let mut conversations: Vec<_> = open.collect();
    let texts = ["ab c", "a b c a", "cab"];
    engine.start_recording().unwrap();
    at_once(&mut conversations, |i, lockstep| read(lockstep, texts[i]));
    let prompts = engine.stop_recording().unwrap();
    engine.start_recording().unwrap();
    at_once(&mut conversations, |_, lockstep| {
        answer(lockstep, &greedy(12));
    });
    let answers = engine.stop_recording().unwrap();
    let evaluated = take(&batches);
    for (k, seen) in evaluated.iter().enumerate() {
        assert_eq!(prompts.batches()[k] + answers.batches()[k], seen.len());
        assert!(answers.shared_batches()[k] <= answers.batches()[k]);
    }
    assert!(answers.shared_batches().iter().sum::<usize>() > 0);
    for lockstep in &mut conversations {
        lockstep.clear().unwrap();
    }
    for _ in 0..2 {
        engine.replay(&prompts).unwrap();
        engine.replay(&answers).unwrap();
        engine.end_replay().unwrap();
        assert_eq!(take(&batches), evaluated);
    }
    engine.replay(&prompts).unwrap();
    let costs = engine.batch_cost(&prompts).unwrap();
    assert!(costs.len() == 2 && costs.iter().all(|&cost| cost > 0.0));
    for batches in take(&batches) {
        let sizes: Vec<usize> = batches.iter().rev().map(Vec::len).take(2).collect();
        assert_eq!(sizes, [3, 1]);
    }
    engine.end_replay().unwrap();
    // And leaves nothing behind.
    let mut other = pack(fakes().into(), Alphabet::Bytes);
    for (lockstep, text) in conversations.iter_mut().zip(texts) {
        // What was learnt of other texts would tell the two apart.
        lockstep.unlearn().unwrap();
        other.unlearn().unwrap();
        let again = ask(lockstep, text, &greedy(12));
        other.clear().unwrap();
        assert_eq!(again.text, ask(&mut other, text, &greedy(12)).text);
        lockstep.clear().unwrap();
    }
}
