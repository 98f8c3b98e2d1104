//! Who takes part in an answer, where it is known what members are good at.

use super::{Ear, member, read, stream};
use crate::rig::*;
use packllm_engine::chat::Message;
use packllm_engine::competence::{Competence, DOMAINS, Frame, Loss, Standings, pairs};
use packllm_engine::engine::{Ending, EngineError, Fusion, Place, ScoreRequest};
use packllm_engine::pack::{Conversation, Pack, PackError, PackOptions};
use packllm_engine::weight::{DEFAULT_DROP, Method};
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

/// A member that can read anything.
fn reader(seed: u64) -> Fake {
    let bytes: Vec<[u8; 1]> = (0..=255).map(|byte| [byte]).collect();
    let pieces: Vec<&[u8]> = bytes.iter().map(|byte| &byte[..]).collect();
    member(&pieces, seed)
}

fn pack_that_reads(fakes: Vec<Fake>) -> Pack {
    Pack::new(
        load_engine(fakes),
        PackOptions::default(),
        &mut Ear::default(),
    )
    .unwrap()
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
    for frame in [Frame::Chat, Frame::Plain] {
        pack.know(frame, Standings::of(&members).unwrap());
    }
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
    let pack = pack_that_reads(vec![member(LETTERS, 7), reader(8)]);
    let mut told = Vec::new();
    let cancel = Arc::default();
    let measured = pack.measure(1, Frame::Chat, Default::default(), &cancel, &mut |n| {
        told.push(n)
    });
    let measured = measured.unwrap();
    assert_eq!(told, (1..=pairs().len()).collect::<Vec<_>>());
    assert_eq!(measured.answers.len(), pairs().len());
    assert!(measured.is_whole());
    // What a conversation reads of the same pair.
    let lone = pack_that_reads(vec![reader(8)]);
    let lone = lone.measure(0, Frame::Chat, Default::default(), &cancel, &mut |_| {});
    assert_eq!(lone.unwrap(), measured);
    assert_eq!(pack.engine().conversations(), 0);

    let cancel = Arc::new(AtomicBool::new(false));
    let stopped = pack.measure(0, Frame::Chat, Default::default(), &cancel, &mut |n| {
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
fn plain_text_leans_to_who_is_good_at_it() {
    let text = format!("{GERMAN} Wie heißt sie?");
    let plain = |method| {
        let (mut pack, mut ear) = knowing(method);
        let request = pack.score_request();
        let read = pack.read_text(&text, Ending::Continue, request, &mut ear);
        read.unwrap();
        pack
    };
    let exact = plain(Method::Exact).lockstep.lambda().to_vec();
    let pack = plain(Method::Auto);
    let leaning = pack.lockstep.lambda().to_vec();
    // By hand: λ ∝ e · exp(−3 · 500/(500 + n) · ρ).
    let outlook = pack
        .lockstep
        .text_outlook(&pack.lockstep.evidence().unwrap());
    let rho = outlook.unwrap().answers;
    assert!(rho[0] > rho[1] && rho[2] > 1.0 + rho[1], "{rho:?}");
    let bytes = pack.lockstep.evidence().unwrap().bytes;
    let strength = 3.0 * 500.0 / (500.0 + bytes as f64);
    let known = exact.iter().zip(&rho);
    let known: Vec<f64> = known.map(|(e, r)| e * (-strength * r).exp()).collect();
    let total: f64 = known.iter().sum();
    let known: Vec<f64> = known.iter().map(|k| k / total).collect();
    // Who is under the drop threshold then is left out.
    let kept = known.iter().filter(|&&k| k >= DEFAULT_DROP).sum::<f64>();
    for (got, want) in leaning.iter().zip(&known) {
        let want = if *want < DEFAULT_DROP {
            0.0
        } else {
            want / kept
        };
        assert!((got - want).abs() < 1e-9, "{leaning:?} {known:?}");
    }
    assert!(leaning[2] < exact[2] / 2.0, "{leaning:?} {exact:?}");

    // A chat before it, of which others were left out, changes nothing.
    let (mut pack, mut ear) = knowing(Method::Auto);
    read(&mut pack, &mut ear, &[Message::user(GERMAN)]);
    assert_eq!(pack.lockstep.soloist(), Some(1));
    pack.lockstep.clear().unwrap();
    let request = pack.score_request();
    let after = pack.read_text(&text, Ending::Continue, request, &mut ear);
    after.unwrap();
    assert_eq!(pack.lockstep.lambda(), leaning);
}

#[test]
fn plain_text_is_measured_as_plain_text() {
    let pack = pack_that_reads(vec![member(LETTERS, 7), reader(8)]);
    let cancel = Arc::default();
    let measure = |frame| pack.measure(1, frame, Default::default(), &cancel, &mut |_| {});
    let (chat, plain) = (
        measure(Frame::Chat).unwrap(),
        measure(Frame::Plain).unwrap(),
    );
    assert_ne!(chat.answers, plain.answers);
    // Read by hand.
    let (mut alone, mut ear) = super::pack_of(vec![reader(8)], PackOptions::default());
    alone.lockstep.solo(0).unwrap();
    let request = ScoreRequest {
        scores: true,
        ..ScoreRequest::NOTHING
    };
    let mut predicted = [0, 0];
    for (i, pair) in pairs().iter().enumerate() {
        let (before, answer) = pair.plain();
        assert_eq!(before, format!("Question: {}\nAnswer:", pair.question));
        alone.lockstep.forget_evidence();
        let text = before + &answer;
        let read = alone.read_text(&text, Ending::Closed, request, &mut ear);
        read.unwrap();
        let all = Place::default()..Place::default().plus(text.len());
        let (nats, bytes) = alone.lockstep.loss_in(0, &all);
        let (question, answer) = (plain.questions[i], plain.answers[i]);
        assert!((nats - question.nats - answer.nats).abs() < 1e-9);
        assert_eq!(bytes, question.bytes + answer.bytes);
        predicted = [predicted[0] + question.bytes, predicted[1] + answer.bytes];
    }
    assert!(
        predicted[1] > 0 && predicted[0] > predicted[1],
        "{predicted:?}"
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
