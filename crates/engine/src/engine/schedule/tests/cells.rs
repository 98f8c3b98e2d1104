//! Cells are counted as the member itself counts them.

use super::*;

#[test]
fn copies_share_cells_until_they_go_different_ways() {
    let rig = Rig::new(LIMITS);
    let mut one = rig.conversation(3);
    let prompt = tokens(10, 1);
    rig.read(&mut one, 0, &[], &prompt);
    one.lease.seq_copy(0, 1, 8).unwrap();
    one.lease.seq_copy(1, 2, 3).unwrap();
    rig.check();
    assert_eq!(rig.seen.cells.get(), 10);
    rig.read(&mut one, 1, &prompt[..8], &[5, 6]);
    rig.read(&mut one, 2, &prompt[..3], &[1]);
    assert_eq!(rig.seen.cells.get(), 13);
    // What others still have stays.
    one.lease.seq_truncate(0, 0).unwrap();
    rig.check();
    assert_eq!(rig.seen.cells.get(), 11);
    one.lease.seq_copy(1, 0, 10).unwrap();
    rig.read(&mut one, 0, &[&prompt[..8], &[5, 6]].concat(), &[2]);
    drop(one.inside.take());
    drop(one.lease);
    rig.check_empty();
}

#[test]
fn what_one_conversation_has_of_another_outlives_it() {
    let rig = Rig::new(LIMITS);
    let (mut one, mut two) = (rig.conversation(1), rig.conversation(1));
    let prompt = tokens(12, 2);
    rig.read(&mut one, 0, &[], &prompt);
    two.lease.copy_from((one.id, 0), 0, 10).unwrap();
    rig.check();
    assert_eq!(rig.seen.cells.get(), 12);
    rig.read(&mut two, 0, &prompt[..10], &[3, 3]);
    drop(one);
    rig.check();
    assert_eq!(rig.seen.cells.get(), 12);
    rig.read(&mut two, 0, &[&prompt[..10], &[3, 3]].concat(), &[1]);
    drop(two);
    rig.check_empty();
}

/// Two conversations that share 40 tokens, both of which have left the cache.
fn forks_that_left(rig: &Rig) -> (Conversation, Conversation, Vec<Token>) {
    let (mut one, mut two) = (rig.conversation(1), rig.conversation(1));
    let prompt = tokens(40, 3);
    rig.read(&mut one, 0, &[], &prompt);
    two.lease.copy_from((one.id, 0), 0, 40).unwrap();
    for id in [one.id, two.id] {
        rig.scheduler.borrow_mut().evict(id).unwrap();
    }
    rig.check();
    assert_eq!(rig.seen.cells.get(), 0);
    (one, two, prompt)
}

#[test]
fn what_two_share_is_held_once_also_when_both_read_it_again() {
    let rig = Rig::new(LIMITS);
    let (mut one, mut two, prompt) = forks_that_left(&rig);
    let (first, second) = (one.batch(0, &[1]), two.batch(0, &[2]));
    let (mut one_asks, mut two_asks) = (one.ask(&first), two.ask(&second));
    let mut done = [false; 2];
    while done != [true; 2] {
        rig.evaluate();
        done[0] |= !done[0] && one_asks.poll().is_some();
        done[1] |= !done[1] && two_asks.poll().is_some();
    }
    assert_eq!(rig.seen.cells.get(), 42);
    drop((one_asks, two_asks));
    rig.read(&mut one, 0, &[&prompt[..], &[1]].concat(), &[4]);
    rig.read(&mut two, 0, &[&prompt[..], &[2]].concat(), &[4]);
}

#[test]
fn what_another_has_read_meanwhile_is_not_read_again() {
    let limits = Limits {
        batch: 16,
        ..LIMITS
    };
    let rig = Rig::new(limits);
    let (mut one, mut two) = (rig.conversation(1), rig.conversation(1));
    let prompt = tokens(32, 3);
    rig.read(&mut one, 0, &[], &prompt[..16]);
    rig.read(&mut one, 0, &prompt[..16], &prompt[16..]);
    two.lease.copy_from((one.id, 0), 0, 32).unwrap();
    for id in [one.id, two.id] {
        rig.scheduler.borrow_mut().evict(id).unwrap();
    }
    // Two has read the first half when it is cancelled.
    let request = two.batch(0, &[2]);
    let mut asked = two.ask(&request);
    rig.evaluate();
    drop(asked.result());
    drop(asked);
    two.cancel.store(true, Ordering::Relaxed);
    rig.evaluate();
    two.cancel.store(false, Ordering::Relaxed);
    rig.read(&mut one, 0, &prompt, &[1]);
    rig.read(&mut two, 0, &prompt, &[2]);
    assert_eq!(rig.seen.cells.get(), 34);
}

#[test]
fn a_prefix_is_saved_from_wherever_it_lies_and_restored() {
    let rig = Rig::new(LIMITS);
    let (mut one, mut two) = (rig.conversation(1), rig.conversation(2));
    let prompt = tokens(9, 4);
    rig.read(&mut one, 0, &[], &tokens(3, 1));
    rig.read(&mut two, 0, &[], &prompt);
    // Not while another conversation is open.
    assert!(matches!(two.lease.save(), Err(BackendError::Refused(_))));
    drop(one);
    let state = two.lease.save().unwrap();
    rig.read(&mut two, 0, &prompt, &[1]);
    two.lease.seq_truncate(0, 0).unwrap();
    two.lease.restore(&state, &prompt).unwrap();
    rig.check();
    // Also what was restored can leave and be read again.
    rig.scheduler.borrow_mut().evict(two.id).unwrap();
    assert!(matches!(two.lease.save(), Err(BackendError::Refused(_))));
    rig.read(&mut two, 0, &prompt, &[1]);
    drop(two);
    rig.check_empty();
}
