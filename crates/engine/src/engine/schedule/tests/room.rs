//! Who leaves the cache, who waits, and what does not fit at all.

use super::*;

/// A cache of 32 tokens, and conversations that each hold so many in it.
fn filled(held: &[usize]) -> (Rig, Vec<Conversation>) {
    let rig = Rig::new(Limits {
        context: 32,
        batch: 16,
        ..LIMITS
    });
    let all = held.iter().enumerate().map(|(seed, &n)| {
        let mut conversation = rig.conversation(1);
        for first in (0..n).step_by(16) {
            let text = tokens(n, seed);
            let more = &text[first..n.min(first + 16)];
            rig.read(&mut conversation, 0, &text[..first], more);
        }
        conversation
    });
    let all = all.collect();
    (rig, all)
}

#[test]
fn idle_conversations_leave_first_and_then_who_began_last() {
    let (rig, mut all) = filled(&[6, 6, 6, 6, 6]);
    let leaves = |all: &[Conversation]| -> Vec<usize> {
        let gone = (0..all.len()).filter(|&i| !all[i].is_placed(&rig));
        gone.collect()
    };
    // The second was seen longest ago, then the fourth.
    let pause = || std::thread::sleep(std::time::Duration::from_millis(2));
    for i in [1, 3] {
        all[i].rest();
        pause();
    }
    assert_eq!(leaves(&all), [0; 0]);
    for (more, gone) in [(6, vec![1]), (4, vec![1, 3]), (6, vec![1, 3, 4])] {
        let mut before = tokens(6, 0);
        before.extend(tokens(16, 9));
        let said = all[0].lease.seq_len(0) as usize;
        rig.read(&mut all[0], 0, &before[..said], &before[said..said + more]);
        assert_eq!(leaves(&all), gone);
    }
    assert_eq!(rig.evictions(), 3);
    // Who has left comes back with the same predictions, also at the cost of others.
    for i in [3, 1, 4] {
        all[i].wake();
        all[0].rest();
        rig.read(&mut all[i], 0, &tokens(6, i), &[5]);
    }
}

#[test]
fn what_has_left_predicts_the_same_once_it_is_read_again() {
    let (rig, mut all) = filled(&[20]);
    let text = tokens(20, 0);
    let mut other = rig.conversation(1);
    all[0].rest();
    rig.read(&mut other, 0, &[], &tokens(16, 5));
    assert!(!all[0].is_placed(&rig));
    assert_eq!(
        all[0].lease.seq_len(0),
        20,
        "as far as it is asked, it is there"
    );
    other.rest();
    all[0].wake();
    all[0].lease.seq_truncate(0, 18).unwrap();
    rig.read(&mut all[0], 0, &text[..18], &[1, 2]);
    assert_eq!(rig.evictions(), 2);
}

#[test]
fn the_older_goes_on_where_there_is_no_room_for_both_and_then_the_younger() {
    let (rig, mut all) = filled(&[12, 12]);
    let mut younger = all.pop().unwrap();
    let mut older = all.pop().unwrap();
    let more = tokens(10, 7);
    let (first, second) = (older.batch(0, &more), younger.batch(0, &more));
    let (mut older_asks, mut younger_asks) = (older.ask(&first), younger.ask(&second));
    rig.evaluate();
    older_asks.poll().unwrap();
    assert!(younger_asks.poll().is_none());
    drop(older_asks);
    rig.check_rows(&older, &tokens(12, 0), &more);
    // It may mix, or wait at another member: it is still at work.
    let evictions = rig.evictions();
    for _ in 0..3 {
        assert!(!rig.evaluate(), "there is nothing to do");
        assert!(younger_asks.poll().is_none());
    }
    assert_eq!(rig.evictions(), evictions);
    older.rest();
    while younger_asks.poll().is_none() {
        rig.evaluate();
    }
    drop(younger_asks);
    rig.check_rows(&younger, &tokens(12, 1), &more);
}

#[test]
fn nobody_comes_back_in_part() {
    let rig = Rig::new(Limits {
        context: 128,
        ..LIMITS
    });
    let (mut older, mut younger) = (rig.conversation(1), rig.conversation(1));
    rig.read(&mut younger, 0, &[], &tokens(60, 1));
    let mut said = tokens(64, 0);
    rig.read(&mut older, 0, &[], &said);
    let more = tokens(8, 2);
    rig.read(&mut older, 0, &said, &more);
    said.extend(more);
    assert!(!younger.is_placed(&rig));
    // It would come in pieces of 32, of which one has room.
    older.presence.begin_answer();
    let request = younger.batch(0, &[1]);
    let mut asked = younger.ask(&request);
    let evictions = rig.evictions();
    rig.take_batches();
    for _ in 0..24 {
        rig.read(&mut older, 0, &said, &[1]);
        said.push(1);
    }
    assert!(asked.poll().is_none());
    let sizes: Vec<usize> = rig.take_batches().iter().map(Vec::len).collect();
    assert_eq!((sizes, rig.evictions()), (vec![1; 24], evictions));
}

#[test]
fn only_what_would_not_fit_alone_is_an_error() {
    let (rig, mut all) = filled(&[20, 10]);
    let mut younger = all.pop().unwrap();
    let text = tokens(20, 0);
    let request = all[0].batch(0, &tokens(13, 1));
    let mut asked = all[0].ask(&request);
    rig.evaluate();
    assert!(matches!(
        asked.result(),
        Some(Err(BackendError::ContextFull { context: 32 }))
    ));
    drop(asked);
    assert!(younger.is_placed(&rig), "nobody leaves in vain");
    rig.read(&mut all[0], 0, &text, &tokens(12, 1));
    all[0].rest();
    rig.read(&mut younger, 0, &tokens(10, 1), &[1]);
    // All of the cache for one that comes back.
    all[0].wake();
    younger.rest();
    all[0].lease.seq_truncate(0, 20).unwrap();
    rig.read(&mut all[0], 0, &text, &tokens(12, 3));
}

#[test]
fn who_stays_is_waited_for_only_while_it_works() {
    let (rig, mut all) = filled(&[20, 10]);
    let mut younger = all.pop().unwrap();
    let mut stays = all.pop().unwrap();
    stays.presence.stay(true);
    let text = tokens(10, 1);
    let more = younger.batch(0, &tokens(6, 2));
    let mut asked = younger.ask(&more);
    assert!(!rig.evaluate() && asked.poll().is_none());
    stays.rest();
    rig.evaluate();
    assert!(matches!(
        asked.result(),
        Some(Err(BackendError::ContextFull { .. }))
    ));
    drop(asked);
    stays.presence.stay(false);
    rig.read(&mut younger, 0, &text, &tokens(6, 2));
    // One that works and stays does not leave for an older one.
    stays.wake();
    younger.presence.stay(true);
    let more = stays.batch(0, &[1]);
    assert!(!stays.is_placed(&rig));
    let mut asked = stays.ask(&more);
    assert!(!rig.evaluate() && asked.poll().is_none());
    drop(younger);
    while asked.poll().is_none() {
        rig.evaluate();
    }
}

#[test]
fn sequences_are_given_out_by_need() {
    let rig = Rig::new(Limits {
        sequences: 4,
        ..LIMITS
    });
    let (mut older, mut younger) = (rig.conversation(4), rig.conversation(9));
    assert_eq!(younger.lease.limits().sequences, 4);
    let text = tokens(4, 1);
    rig.read(&mut younger, 0, &[], &text);
    rig.read(&mut older, 0, &[], &text);
    for seq in 1..4 {
        // A copy gets a place when one is free, or someone leaves for it.
        younger.lease.seq_copy(0, seq, 4).unwrap();
        rig.check();
    }
    for seq in 1..4 {
        older.lease.seq_copy(0, seq, 3).unwrap();
        rig.read(&mut older, seq, &text[..3], &[seq]);
        older.lease.seq_truncate(seq, 3).unwrap();
    }
    let held = rig.scheduler.borrow().occupancy();
    assert_eq!((held.sequences, younger.is_placed(&rig)), (4, false));
    older.rest();
    for seq in 0..4 {
        rig.read(&mut younger, seq, &text, &[seq]);
    }
    let evictions = rig.evictions();
    drop(younger);
    rig.check();
    for seq in 1..4 {
        rig.read(&mut older, seq, &text[..3], &[seq + 1]);
    }
    assert_eq!(rig.evictions(), evictions);
    drop(older);
    rig.check_empty();
}

#[test]
fn idle_conversations_hold_only_so_much() {
    let rig = Rig::new(Limits {
        context: 4096,
        batch: 512,
        outputs: 512,
        sequences: 8,
    });
    let mut all: Vec<_> = (0..4).map(|_| rig.conversation(1)).collect();
    let text = tokens(400, 1);
    for conversation in &mut all[..3] {
        rig.read(conversation, 0, &[], &text);
        conversation.rest();
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    assert_eq!(rig.scheduler.borrow().occupancy().cells, 1200);
    let mut said = Vec::new();
    rig.read(&mut all[3], 0, &said, &[1]);
    said.push(1);
    assert_eq!(rig.scheduler.borrow().occupancy().cells, 801);
    assert!(!all[0].is_placed(&rig) && all[1].is_placed(&rig));
    // Those at work do not count.
    all[1].wake();
    all[2].wake();
    rig.read(&mut all[0], 0, &text, &[1]);
    rig.read(&mut all[3], 0, &said, &[1]);
    assert_eq!(rig.scheduler.borrow().occupancy().cells, 1203);
}
