//! Who takes part in an answer, where it is known what members are good at.

use super::{Ear, member, read, stream};
use crate::rig::*;
use packllm_engine::chat::Message;
use packllm_engine::competence::{Competence, DOMAINS, Loss, Standings, pairs};
use packllm_engine::engine::{EngineError, Fusion};
use packllm_engine::pack::{Conversation, Pack, PackError, PackOptions};
use packllm_engine::weight::Method;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const GERMAN: &str = "Wie heißt die Hauptstadt von Polen? abc ab";
const CODE: &str = "Write a Python function that prints a list. abc ab";

/// A member that loses so many nats a byte on answers of each domain.
fn competence(loss: impl Fn(&str) -> f64) -> Competence {
    let all = |loss: &dyn Fn(&str) -> f64| {
        let losses = pairs().iter().map(|pair| Loss {
            nats: 100.0 * loss(DOMAINS[pair.domain]),
            bytes: 100,
        });
        losses.collect()
    };
    Competence {
        questions: all(&|_| 1.0),
        answers: all(&loss),
    }
}

fn fakes() -> Vec<Fake> {
    vec![
        member(LETTERS, 7),
        member(NESTED, 8),
        member(LETTERS_MOVED, 9),
    ]
}

/// A conversation with a pack whose first member is bad at German, and whose third is bad.
fn knowing(method: Method) -> (Conversation, Ear) {
    let mut ear = Ear::default();
    let options = PackOptions {
        fusion: Fusion {
            method,
            ..Fusion::default()
        },
        ..PackOptions::default()
    };
    let mut pack = Pack::new(load_engine(fakes()), options, &mut ear).unwrap();
    let members = [
        competence(|domain| if domain == "german" { 9.0 } else { 1.0 }),
        competence(|_| 1.0),
        competence(|_| 9.0),
    ];
    pack.know(Standings::of(&members).unwrap());
    (pack.conversation(Arc::default()).unwrap(), ear)
}

fn evaluated(pack: &Conversation) -> Vec<usize> {
    let spent = pack.lockstep.spent().unwrap();
    spent.iter().map(|s| s.tokens).collect()
}

#[test]
fn the_one_that_is_left_answers_as_if_it_were_loaded_alone() {
    let (mut pack, mut ear) = knowing(Method::Auto);
    let messages = [Message::user(GERMAN)];
    read(&mut pack, &mut ear, &messages);
    assert_eq!(pack.lockstep.soloist(), Some(1));
    assert_eq!(pack.lockstep.lambda(), [0.0, 1.0, 0.0]);
    let said = stream(&mut pack, &greedy(20), "");
    let spent = evaluated(&pack);
    assert_eq!((spent[0], spent[2]), (0, 0), "they cost nothing");

    let lone = vec![member(NESTED, 8)];
    let (mut alone, mut ear) = super::pack_of(lone, PackOptions::default());
    read(&mut alone, &mut ear, &messages);
    assert_eq!(stream(&mut alone, &greedy(20), ""), said);
    assert_eq!(spent[1], evaluated(&alone)[0]);
}

#[test]
fn those_who_are_needed_again_read_what_they_missed() {
    let (mut pack, mut ear) = knowing(Method::Auto);
    let mut messages = vec![Message::user(GERMAN)];
    read(&mut pack, &mut ear, &messages);
    let said = stream(&mut pack, &greedy(8), "");
    messages.push(Message::assistant(said));
    // So much of it that the subject changes.
    messages.push(Message::user(CODE.repeat(8)));
    read(&mut pack, &mut ear, &messages);
    assert_eq!(pack.lockstep.soloist(), None);
    let lambda = pack.lockstep.lambda().to_vec();
    assert!(lambda[0] > 0.3 && lambda[1] > 0.3, "{lambda:?}");
    let spent = evaluated(&pack);
    assert!(spent[0] > 0);
    assert_eq!((lambda[2], spent[2]), (0.0, 0), "still at rest");
    let said = stream(&mut pack, &greedy(12), "");

    let (mut fresh, mut ear) = knowing(Method::Auto);
    read(&mut fresh, &mut ear, &messages);
    let again = fresh.lockstep.lambda().to_vec();
    // In the first conversation nothing was measured of the first message.
    let near = lambda.iter().zip(&again).all(|(a, b)| (a - b).abs() < 0.1);
    assert!(near, "{lambda:?} {again:?}");
    let weights = again.iter().map(|w| w.to_string());
    assert_eq!(weights.count(), 3);
    assert!(!said.is_empty());
}

#[test]
fn other_methods_and_plain_text_ask_everybody() {
    for method in [Method::Exact, Method::Uniform] {
        let (mut pack, mut ear) = knowing(method);
        read(&mut pack, &mut ear, &[Message::user(GERMAN)]);
        assert_eq!(pack.lockstep.soloist(), None);
        assert!(evaluated(&pack).iter().all(|&tokens| tokens > 0));
        assert!(pack.lockstep.outlook().is_none());
    }
}

#[test]
fn who_is_silenced_stays_silent() {
    let (mut pack, mut ear) = knowing(Method::Auto);
    pack.lockstep.silence(vec![false, true, false]).unwrap();
    read(&mut pack, &mut ear, &[Message::user(GERMAN)]);
    let lambda = pack.lockstep.lambda();
    assert_eq!(lambda[1], 0.0);
    assert_eq!(pack.lockstep.silent(), [false, true, false]);
    // The first is bad at German alone, the third at everything.
    assert_eq!(lambda, [1.0, 0.0, 0.0]);
    assert_eq!(pack.lockstep.soloist(), Some(0));
}

#[test]
fn a_member_is_measured_on_the_answers_in_its_own_tokens() {
    let mut ear = Ear::default();
    let pack = Pack::new(load_engine(fakes()), PackOptions::default(), &mut ear).unwrap();
    let mut told = Vec::new();
    let cancel = Arc::default();
    let measured = pack.measure(1, Default::default(), &cancel, &mut |n| told.push(n));
    let measured = measured.unwrap();
    assert_eq!(told, (1..=pairs().len()).collect::<Vec<_>>());
    assert_eq!(measured.answers.len(), pairs().len());
    // What a conversation reads of the same pair.
    let lone = Pack::new(
        load_engine(vec![member(NESTED, 8)]),
        PackOptions::default(),
        &mut ear,
    );
    let lone = lone
        .unwrap()
        .measure(0, Default::default(), &cancel, &mut |_| {});
    assert_eq!(lone.unwrap(), measured);
    assert_eq!(pack.engine().conversations(), 0);

    let cancel = Arc::new(AtomicBool::new(false));
    let stopped = pack.measure(0, Default::default(), &cancel, &mut |n| {
        if n == 3 {
            cancel.store(true, Ordering::Relaxed);
        }
    });
    assert!(
        matches!(stopped, Err(PackError::Engine(EngineError::Cancelled))),
        "{stopped:?}"
    );
}

#[test]
fn a_member_without_a_template_is_left_out_of_chats_that_others_can_hold() {
    let plain = || Fake::of(chat_vocab(LETTERS), 5);
    let two = || vec![plain(), member(NESTED, 6)];
    let (mut pack, mut ear) = super::pack_of(two(), PackOptions::default());
    assert_eq!(ear.heard(), [r#"LeftOut { member: "a" }"#]);
    let messages = [Message::user("abc ab ca")];
    read(&mut pack, &mut ear, &messages);
    assert_eq!(pack.lockstep.soloist(), Some(1));
    let said = stream(&mut pack, &greedy(12), "");
    let lone = vec![member(NESTED, 6)];
    let (mut alone, mut ear) = super::pack_of(lone, PackOptions::default());
    read(&mut alone, &mut ear, &messages);
    assert_eq!(stream(&mut alone, &greedy(12), ""), said);

    // Where it is asked to speak it does, and where nobody has a template nobody is left out.
    let options = PackOptions {
        fusion: uniform(),
        ..PackOptions::default()
    };
    let (mut pack, mut ear) = super::pack_of(two(), options);
    assert_eq!(ear.heard(), [r#"NoTemplate { member: "a" }"#]);
    read(&mut pack, &mut ear, &messages);
    assert_eq!(pack.lockstep.lambda(), [0.5, 0.5]);
    let (mut pack, mut ear) = super::pack_of(vec![plain(), plain()], PackOptions::default());
    read(&mut pack, &mut ear, &messages);
    assert_eq!(pack.lockstep.soloist(), None);
}
