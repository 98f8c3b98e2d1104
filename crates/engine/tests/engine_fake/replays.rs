//! Recording what an answer asked of the members, and doing it again.

use crate::rig::*;
use packllm_engine::backend::BatchToken;
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
        // And leaves nothing behind.
        let again = ask(&mut engine, "ab c", &greedy(16));
        assert_eq!((again.text, again.tokens), (said.text, said.tokens));
    }
}
