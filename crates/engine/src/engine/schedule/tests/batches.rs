//! What goes into one batch, and what goes first.

use super::*;
use crate::backend::Pace;

#[test]
fn one_batch_holds_tokens_of_two_conversations() {
    let rig = Rig::new(LIMITS);
    let (mut one, mut two) = (rig.conversation(1), rig.conversation(1));
    let texts = [tokens(5, 1), tokens(7, 2)];
    let (first, second) = (one.batch(0, &texts[0]), two.batch(0, &texts[1]));
    let (mut one_asks, mut two_asks) = (one.ask(&first), two.ask(&second));
    rig.evaluate();
    one_asks.poll().unwrap();
    two_asks.poll().unwrap();
    drop((one_asks, two_asks));
    let batches = rig.take_batches();
    let sizes: Vec<usize> = batches.iter().map(Vec::len).collect();
    assert_eq!(sizes, [12]);
    rig.check_rows(&one, &[], &texts[0]);
    rig.check_rows(&two, &[], &texts[1]);
    // Another batch, and its rows are gone.
    rig.read(&mut one, 0, &texts[0], &[1]);
    assert!(matches!(
        two.lease.logits(0),
        Err(BackendError::Refused(why)) if why.contains("gone")
    ));
}

#[test]
fn a_row_that_was_not_asked_for_is_refused() {
    let rig = Rig::new(LIMITS);
    let (mut one, mut two) = (rig.conversation(1), rig.conversation(1));
    let (mut first, second) = (one.batch(0, &tokens(2, 1)), two.batch(0, &[1]));
    first[0].output = false;
    let (mut one_asks, mut two_asks) = (one.ask(&first), two.ask(&second));
    rig.evaluate();
    one_asks.poll().unwrap();
    two_asks.poll().unwrap();
    drop((one_asks, two_asks));
    // Row 1 of the second conversation would be in the batch, but not its own.
    for (lease, row, is_there) in [
        (&one.lease, 0, false),
        (&one.lease, 1, true),
        (&one.lease, 2, false),
        (&two.lease, 0, true),
        (&two.lease, 1, false),
    ] {
        assert_eq!(lease.logits(row).is_ok(), is_there);
    }
}

/// Who is in each batch, by the length of the request, until all are done.
fn served(rig: &Rig, mut asked: Vec<Asked<'_>>) -> Vec<Vec<usize>> {
    let mut order = Vec::new();
    let mut left: Vec<usize> = (0..asked.len()).collect();
    while !left.is_empty() {
        rig.evaluate();
        let done = |i: &usize| asked[*i].poll().is_some();
        let (now, later) = left.into_iter().partition(done);
        left = later;
        order.push(now);
    }
    order
}

#[test]
fn few_tokens_go_before_many_and_who_began_first_before_all() {
    let rig = Rig::new(LIMITS);
    let mut all: Vec<_> = (0..4).map(|_| rig.conversation(1)).collect();
    // Both prompts would fill a batch.
    let lengths = [1, 64, 64, 2];
    let requests = all.iter().zip(lengths);
    let requests: Vec<_> = requests
        .map(|(conversation, n)| conversation.batch(0, &tokens(n, n)))
        .collect();
    let asked = ask_all(&mut all, &requests);
    assert_eq!(served(&rig, asked), [vec![0, 3], vec![1], vec![2]]);
}

#[test]
fn answers_do_not_keep_an_older_prompt_waiting() {
    let rig = Rig::new(LIMITS);
    let (mut prompt, mut answer) = (rig.conversation(1), rig.conversation(1));
    let long = prompt.batch(0, &tokens(64, 1));
    let mut asked = prompt.ask(&long);
    let mut said = Vec::new();
    let mut batches = 0;
    while asked.poll().is_none() {
        // The answer goes on as fast as it can.
        rig.read(&mut answer, 0, &said, &[1]);
        said.push(1);
        batches += 1;
        assert!(batches < 3, "the prompt waits for the whole answer");
    }
}

#[test]
fn prompts_beside_answers_come_in_small_pieces() {
    let rig = Rig::new(LIMITS);
    let (mut answer, mut prompt) = (rig.conversation(1), rig.conversation(1));
    assert_eq!(prompt.lease.prompt_batch(), LIMITS.batch);
    answer.presence.begin_answer();
    assert_eq!(prompt.lease.prompt_batch(), Pace::default().beside as u32);
    assert_eq!(answer.lease.prompt_batch(), LIMITS.batch);
    answer.rest();
    assert_eq!(prompt.lease.prompt_batch(), LIMITS.batch);
    // Who has left the cache is read again, in such pieces too.
    let text = tokens(64, 1);
    rig.read(&mut prompt, 0, &[], &text);
    for beside in [true, false] {
        rig.scheduler.borrow_mut().evict(prompt.id).unwrap();
        if beside {
            answer.wake();
            answer.presence.begin_answer();
        } else {
            answer.rest();
        }
        rig.take_batches();
        let seen = tokens(64, 1);
        let more = prompt.batch(0, &[1]);
        let mut asked = prompt.ask(&more);
        while asked.poll().is_none() {
            rig.evaluate();
        }
        drop(asked);
        rig.check_rows(&prompt, &seen, &[1]);
        prompt.lease.seq_truncate(0, 64).unwrap();
        let sizes: Vec<usize> = rig.take_batches().iter().map(Vec::len).collect();
        let expected: &[usize] = if beside { &[32, 32, 1] } else { &[64, 1] };
        assert_eq!(sizes, expected);
    }
}
