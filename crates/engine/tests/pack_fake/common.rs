//! What conversations have in common is read and held once.

use super::{member, pair, stream};
use crate::rig::*;
use packllm_engine::chat::Message;
use packllm_engine::engine::Fusion;
use packllm_engine::pack::{Conversation, Pack, PackOptions};
use packllm_engine::vocab::Alphabet;
use std::sync::Arc;

/// Packs over bytes and over tokens.
fn packs() -> impl Iterator<Item = Pack> {
    let alike = || vec![member(NESTED, 5), member(NESTED, 6)];
    let cases = [(pair(), Alphabet::Bytes), (alike(), Alphabet::Tokens)];
    cases.into_iter().map(|(fakes, alphabet)| {
        let fusion = Fusion {
            alphabet: Some(alphabet),
            ..Fusion::default()
        };
        let options = PackOptions {
            fusion,
            ..PackOptions::default()
        };
        Pack::new(load_engine(fakes), options, &mut ()).unwrap()
    })
}

fn open(pack: &Pack) -> Conversation {
    pack.conversation(Arc::default()).unwrap()
}

/// What a conversation makes of messages, of which those from number `new` on are new: the tokens
/// that it read, its weights, and its answer.
fn go_on(
    talk: &mut Conversation,
    messages: &[Message],
    new: usize,
) -> (Vec<usize>, Vec<f64>, String) {
    let request = talk.score_request();
    let read = talk.read_chat(messages, new, "", request, &mut ());
    let read = read.unwrap();
    let lambda = talk.lockstep.lambda().to_vec();
    (read.new_tokens, lambda, stream(talk, &greedy(12), ""))
}

fn ask(talk: &mut Conversation, messages: &[Message]) -> (Vec<usize>, Vec<f64>, String) {
    go_on(talk, messages, 0)
}

fn cells(pack: &Pack) -> Vec<usize> {
    let occupancy = pack.engine().occupancy().unwrap();
    occupancy.iter().map(|o| o.cells).collect()
}

const SYSTEM: &str = "abc ab ca bc abc abc ca b a c";

#[test]
fn a_system_prompt_is_read_and_held_once() {
    for pack in packs() {
        let asked = |question: &str| [Message::system(SYSTEM), Message::user(question)];
        let mut alone = open(&pack);
        let want = ask(&mut alone, &asked("a b"));
        let of_one = cells(&pack);
        drop(alone);
        assert_eq!(cells(&pack), [0, 0]);

        let mut first = open(&pack);
        ask(&mut first, &asked("ca"));
        let held = cells(&pack);
        let mut second = open(&pack);
        let got = ask(&mut second, &asked("a b"));
        assert_eq!((&got.1, &got.2), (&want.1, &want.2));
        for k in 0..2 {
            assert!(got.0[k] + 8 < want.0[k], "{:?} of {:?}", got.0, want.0);
            assert!(cells(&pack)[k] + 8 < held[k] + of_one[k]);
        }
        // The second goes on when the first is gone, and says what it would have said.
        drop(first);
        let mut turns = asked("a b").to_vec();
        turns.extend([Message::assistant(&got.2), Message::user("c")]);
        let more = go_on(&mut second, &turns, 3);
        drop(second);
        let mut alone = open(&pack);
        ask(&mut alone, &asked("a b"));
        assert_eq!(go_on(&mut alone, &turns, 3), more);
        drop(alone);
        assert_eq!(cells(&pack), [0, 0]);
    }
}

#[test]
fn what_was_scored_for_another_method_is_not_shared() {
    for pack in packs() {
        let asked = [Message::system(SYSTEM), Message::user("a b")];
        let mut plain = open(&pack);
        let fusion = plain.lockstep.fusion().clone();
        plain
            .fuse_by(Fusion {
                method: packllm_engine::weight::Method::Sim,
                ..fusion
            })
            .unwrap();
        ask(&mut plain, &asked);
        let mut other = open(&pack);
        let got = ask(&mut other, &asked);
        drop((plain, other));
        assert_eq!(ask(&mut open(&pack), &asked).1, got.1);
    }
}

#[test]
fn a_fork_goes_on_by_itself_and_holds_what_was_read_once() {
    for pack in packs() {
        let mut messages = vec![Message::system(SYSTEM), Message::user("a b")];
        let mut talk = open(&pack);
        let (.., said) = ask(&mut talk, &messages);
        let before = cells(&pack);
        let lockstep = talk.lockstep.fork(Arc::default()).unwrap();
        assert_eq!(lockstep.lambda(), talk.lockstep.lambda());
        assert_eq!(cells(&pack), before);
        let mut fork = talk.fork(Arc::default()).unwrap();
        drop(lockstep);
        messages.push(Message::assistant(&said));
        let branch = |question: &str| [&messages[..], &[Message::user(question)]].concat();
        let side = go_on(&mut fork, &branch("ca"), 3);
        let main = go_on(&mut talk, &branch("bc"), 3);
        // Each said what it would have said alone.
        for (question, want) in [("ca", side), ("bc", main)] {
            let mut alone = open(&pack);
            ask(&mut alone, &messages[..2]);
            assert_eq!(go_on(&mut alone, &branch(question), 3), want);
        }
        drop((talk, fork));
        assert_eq!(cells(&pack), [0, 0]);
        assert_eq!(pack.engine().conversations(), 0);
    }
}
