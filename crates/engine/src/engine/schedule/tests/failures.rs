//! What goes wrong for one conversation is no matter of the others.

use super::*;

#[test]
fn a_batch_that_fails_fails_for_the_guilty_one_alone() {
    let rig = Rig::new(LIMITS);
    let mut all: Vec<_> = (0..4).map(|_| rig.conversation(1)).collect();
    rig.seen.poison.set(Some(6));
    let requests = all.iter().zip([&[0], &[1], &[6], &[2]]);
    let requests: Vec<_> = requests
        .map(|(conversation, text)| conversation.batch(0, text))
        .collect();
    let mut asked = ask_all(&mut all, &requests);
    let mut results = vec![None; 4];
    while results.iter().any(Option::is_none) {
        rig.evaluate();
        for (result, asked) in results.iter_mut().zip(&mut asked) {
            if result.is_none() {
                *result = asked.result();
            }
        }
    }
    drop(asked);
    for (i, result) in results.iter().enumerate() {
        match result {
            Some(Err(BackendError::Decode { code: -3, .. })) => assert_eq!(i, 2),
            other => assert!(i != 2 && matches!(other, Some(Ok(()))), "{i}: {other:?}"),
        }
    }
    // It can go on with something else.
    for conversation in &mut all {
        let said = conversation.lease.seq_len(0);
        assert_eq!(said, u32::from(conversation.id != 2));
    }
    rig.read(&mut all[2], 0, &[], &[3]);
}

#[test]
fn nobody_waits_long_for_a_guilty_one_while_others_answer() {
    let rig = Rig::new(LIMITS);
    let (mut first, mut second) = (rig.conversation(1), rig.conversation(1));
    let mut guilty = rig.conversation(1);
    rig.seen.poison.set(Some(6));
    let (asks, bad) = (second.batch(0, &[1]), guilty.batch(0, &[6]));
    let (mut second_asks, mut guilty_asks) = (second.ask(&asks), guilty.ask(&bad));
    // The first is back before every batch.
    let mut said = Vec::new();
    let (mut answered, mut failed) = (false, false);
    while !(answered && failed) {
        let more = first.batch(0, &[2]);
        let mut asked = first.ask(&more);
        while asked.poll().is_none() {
            rig.evaluate();
        }
        said.push(2);
        answered |= !answered && second_asks.poll().is_some();
        failed |= !failed && guilty_asks.result().is_some_and(|result| result.is_err());
        assert!(said.len() < 6, "they wait for the whole answer");
    }
}

#[test]
fn a_cancelled_request_leaves_the_queue_and_nobody_elses_batch() {
    let rig = Rig::new(LIMITS);
    let (mut one, mut two) = (rig.conversation(1), rig.conversation(1));
    let (first, second) = (one.batch(0, &tokens(4, 1)), two.batch(0, &tokens(4, 2)));
    let cancel = Arc::clone(&one.cancel);
    let (mut one_asks, mut two_asks) = (one.ask(&first), two.ask(&second));
    cancel.store(true, Ordering::Relaxed);
    rig.evaluate();
    assert!(matches!(
        one_asks.result(),
        Some(Err(BackendError::Cancelled))
    ));
    two_asks.poll().unwrap();
    drop((one_asks, two_asks));
    let sizes: Vec<usize> = rig.take_batches().iter().map(Vec::len).collect();
    assert_eq!(sizes, [4]);
    rig.check_rows(&two, &[], &tokens(4, 2));
    assert!(one.lease.cancelled() && one.lease.seq_len(0) == 0);
    // Lowered, it is as if nothing had been asked.
    cancel.store(false, Ordering::Relaxed);
    rig.read(&mut one, 0, &[], &tokens(4, 1));
}

#[test]
fn a_conversation_may_go_while_it_waits() {
    let rig = Rig::new(LIMITS);
    let (mut one, mut two) = (rig.conversation(2), rig.conversation(1));
    rig.read(&mut one, 0, &[], &tokens(4, 1));
    one.lease.seq_copy(0, 1, 3).unwrap();
    let (first, second) = (one.batch(1, &tokens(4, 1)), two.batch(0, &tokens(4, 2)));
    let mut two_asks = two.ask(&second);
    drop(one.ask(&first));
    assert!(rig.scheduler.borrow().has_requests() && !rig.pulse.is_running());
    drop(one.lease);
    assert!(rig.pulse.is_running(), "its caller has not left yet");
    drop(one.inside);
    assert!(!rig.pulse.is_running());
    rig.check();
    rig.evaluate();
    two_asks.poll().unwrap();
    drop(two_asks);
    rig.check_rows(&two, &[], &tokens(4, 2));
    drop(two);
    assert!(!rig.scheduler.borrow().has_requests());
    rig.check_empty();
}

#[test]
fn what_was_placed_for_a_request_that_failed_is_given_back() {
    let rig = Rig::new(LIMITS);
    let mut one = rig.conversation(3);
    rig.read(&mut one, 0, &[], &tokens(4, 1));
    rig.seen.poison.set(Some(6));
    for seq in [1, 2] {
        let bad = one.batch(seq, &[6]);
        let mut asked = one.ask(&bad);
        rig.evaluate();
        assert!(asked.result().unwrap().is_err());
    }
    // A sequence that is still empty takes a copy, and another is leased no longer.
    one.lease.seq_copy(0, 1, 4).unwrap();
    rig.check();
    one.lease.resize(2);
    assert_eq!(rig.scheduler.borrow().occupancy().sequences, 2);
    drop(one);
    rig.check_empty();
}
