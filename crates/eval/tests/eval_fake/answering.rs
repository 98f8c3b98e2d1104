//! Questions that contestants answer, against packs that are asked by hand.

use crate::rig::*;
use packllm_engine::engine::{Answer, Fusion};
use packllm_engine::pack::{Conversation, Pack, PackOptions};
use packllm_engine::weight::Method;
use packllm_eval::{
    Answers, Ask, Contestant, ContestantKind, Framing, Judge, Layout, Question, Script, Shots,
    decide_all,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn vocabs() -> [packllm_engine::backend::Vocab; 2] {
    let with_newline: Vec<&[u8]> = [NESTED, &[b"\n"]].concat();
    [chat_vocab(&with_newline), chat_vocab(LETTERS)]
}

fn fakes() -> Vec<Fake> {
    let [first, second] = vocabs();
    let member = |vocab, seed| {
        Fake::of(vocab, seed)
            .with_template(TEMPLATE)
            .with_spread(3.0)
    };
    vec![member(first, 1), member(second, 2)]
}

fn open(fakes: Vec<Fake>, fusion: Fusion) -> Conversation {
    let options = PackOptions {
        fusion,
        ..PackOptions::default()
    };
    let pack = Pack::new(load_engine(fakes), options, &mut ()).unwrap();
    pack.conversation(Arc::default()).unwrap()
}

fn judge() -> Judge {
    let methods = Method::named().map(|(name, method)| (name.to_owned(), method));
    Judge::new(
        &["a".into(), "b".into()],
        methods.collect(),
        Fusion::default(),
    )
}

fn script(query: &str, framing: Framing, shots: usize) -> Script {
    let question = |query: &str| Question {
        line: 1,
        query: query.into(),
        ask: Ask::Short {
            answers: vec!["ab".into()],
        },
    };
    let shots = Shots::draw(vec![question("cab"), question("b a")], shots, 0);
    let layout = Layout::default();
    Script::new(&question(query), &shots, &layout, framing, Some(12))
}

/// What a pack of these fakes says if it is asked for nothing else.
fn by_hand(fakes: Vec<Fake>, method: &Method, script: &Script) -> Answer {
    let fusion = Fusion {
        method: method.clone(),
        ..Fusion::default()
    };
    let mut conversation = open(fakes, fusion);
    let request = conversation.score_request();
    let mut options = greedy(script.limit);
    options.stops.clone_from(&script.stops);
    let lockstep = match script.framing {
        Framing::Chat => {
            let messages = script.messages();
            let new = messages.len() - 1;
            conversation
                .read_chat(&messages, new, "", request, &mut ())
                .unwrap();
            options.stops.extend(conversation.stops());
            &mut conversation.lockstep
        }
        Framing::Raw => {
            let lockstep = &mut conversation.lockstep;
            let prompts = vec![script.prompt(); lockstep.members().len()];
            lockstep.prepare(prompts).unwrap();
            lockstep.read(request).unwrap();
            lockstep.weigh().unwrap();
            lockstep
        }
    };
    answer(lockstep, &options)
}

#[test]
fn every_contestant_says_what_it_says_by_itself() {
    let mut judge = judge();
    for members in [vec![0, 1], vec![1]] {
        let name = format!("{members:?}");
        let kind = ContestantKind::Among(members);
        judge.contestants.push(Contestant { name, kind });
    }
    let mut together = open(fakes(), Fusion::default());
    let mut texts = Vec::new();
    for framing in [Framing::Chat, Framing::Raw] {
        for (query, shots) in [("abc a", 0), ("b", 2), ("cab b", 1)] {
            let script = script(query, framing, shots);
            let Answers { replies, .. } = judge.answer(1, &mut together, &script).unwrap();
            for (reply, contestant) in replies.iter().zip(&judge.contestants) {
                let said = match &contestant.kind {
                    ContestantKind::Mixture(method) => by_hand(fakes(), method, &script),
                    ContestantKind::Among(members) => {
                        let all = fakes().into_iter().enumerate();
                        let some = all.filter(|(k, _)| members.contains(k));
                        let some = some.map(|(_, fake)| fake).collect();
                        by_hand(some, &judge.fusion.method, &script)
                    }
                    ContestantKind::Member(k) | ContestantKind::Again(k, _) => {
                        let alone = fakes().swap_remove(*k);
                        by_hand(vec![alone], &Method::Uniform, &script)
                    }
                };
                assert_eq!(reply.text, said.text, "{framing:?} {query} {contestant:?}");
                assert_eq!((reply.tokens, reply.steps), (said.tokens, said.steps));
                texts.push(said.text);
            }
        }
    }
    texts.sort();
    texts.dedup();
    assert!(texts.len() > 8, "{texts:?}");
}

#[test]
fn mixtures_of_the_same_weights_answer_once() {
    let names = ["uniform", "top1"];
    let mut judge = judge();
    judge.contestants.retain(|c| names.contains(&&*c.name));
    let uniform = judge.contestants[0].clone();
    judge.contestants.push(uniform);
    let mut conversation = open(fakes(), Fusion::default());
    let script = script("abc a", Framing::Chat, 0);
    let twice = judge.answer(1, &mut conversation, &script).unwrap();
    assert_eq!(twice.replies[0], twice.replies[2]);
    judge.contestants.pop();
    let mut other = open(fakes(), Fusion::default());
    let once = judge.answer(1, &mut other, &script).unwrap();
    // The prompt is in the caches: its last token is read again, and no more.
    let more: usize = twice
        .tokens
        .iter()
        .zip(&once.tokens)
        .map(|(a, b)| a - b)
        .sum();
    assert!(more <= 2, "{more}");
}

#[test]
fn the_answer_most_like_the_others_is_taken() {
    let mut conversation = open(fakes(), Fusion::default());
    let script = script("abc a", Framing::Chat, 0);
    let judge = judge();
    let mut seen = Vec::new();
    let likeness = |a: &str, b: &str| f64::from(u8::from(a.len() == b.len()));
    let reply = judge
        .answer_again(1, &mut conversation, &script, 1, 7, &likeness)
        .unwrap();
    for seed in 1..=7 {
        let alone = fakes().swap_remove(1);
        let mut conversation = open(vec![alone], Fusion::default());
        let messages = script.messages();
        let request = conversation.score_request();
        conversation
            .read_chat(&messages, 0, "", request, &mut ())
            .unwrap();
        let mut options = greedy(script.limit);
        options.sampling.temperature = 0.7;
        options.sampling.seed = seed;
        seen.push(answer(&mut conversation.lockstep, &options).text);
    }
    let alike = |text: &String| {
        seen.iter()
            .filter(|other| other.len() == text.len())
            .count()
    };
    let most = seen.iter().map(alike).max().unwrap();
    let best = seen.iter().find(|text| alike(text) == most).unwrap();
    assert_eq!(&reply.text, best, "{seen:?}");
    assert!(most < 7, "{seen:?}");
}

#[test]
fn a_cancelled_answer_stops_those_of_others() {
    let endless = |vocab: Vec<&[u8]>, seed| Fake::without_end(&vocab, seed).with_context(100_000);
    let newline: &[u8] = b"\n";
    let fakes = [NESTED, MULTIBYTE].into_iter().zip(1..);
    let fakes = fakes.map(|(pieces, seed)| endless([pieces, &[newline]].concat(), seed));
    let pack = Pack::new(
        load_engine(fakes.collect()),
        PackOptions::default(),
        &mut (),
    )
    .unwrap();
    let cancel = Arc::new(AtomicBool::new(false));
    let open = |_| pack.conversation(Arc::clone(&cancel)).unwrap();
    let mut several: Vec<Conversation> = (0..3).map(open).collect();
    // One answer is short; the others would not end in this test.
    let script = |limit| {
        let mut script = script("abc a", Framing::Raw, 0);
        (script.limit, script.stops) = (limit, Vec::new());
        script
    };
    let scripts = [1, 90_000, 90_000].map(script);
    let judge = judge();
    let answer = |at_once: u32, conversation: &mut Conversation, script: &Script| {
        judge.answer(at_once, conversation, script)
    };
    let (mut kept, mut stopped) = (0, 0);
    let result = decide_all(&mut several, &scripts, false, &answer, &mut |_, answers| {
        match answers {
            Ok(_) => kept += 1,
            Err(error) => {
                stopped += 1;
                return Err(error);
            }
        }
        cancel.store(true, Ordering::Relaxed);
        Ok(())
    });
    assert!(result.is_err());
    assert_eq!((kept, stopped), (1, 2));
}
