//! Template, tokens, weights, answer.

use super::{member, pack_of, pair, read, stream};
use crate::rig::*;
use packllm_engine::chat::{Message, Speakers};
use packllm_engine::engine::{AnswerOptions, Ending};
use packllm_engine::pack::{PackError, PackOptions};
use std::sync::atomic::Ordering;

#[test]
fn a_pack_reads_weighs_and_answers_as_its_parts_do() {
    let messages = [Message::user("abc ab ca")];
    let mut engine = load(pair());
    let speakers = Speakers::new(engine.members(), &[]).unwrap();
    engine
        .configure(Default::default(), speakers.can_end(engine.members()))
        .unwrap();
    let prompts = speakers.read(&messages, 0, Default::default()).unwrap();
    engine.prepare(prompts.prompts).unwrap();
    let request = engine.score_request_for(&engine.fusion().method);
    engine.read(request).unwrap();
    engine.weigh().unwrap();

    let (mut pack, mut ear) = pack_of(pair(), PackOptions::default());
    let asked = read(&mut pack, &mut ear, &messages);
    assert_eq!(pack.lockstep.lambda(), engine.lambda());
    assert_eq!(
        pack.lockstep.evidence().unwrap(),
        engine.evidence().unwrap()
    );
    assert_eq!(asked.new_tokens, pack.lockstep.prompt_tokens());
    assert_eq!(asked.cached_tokens, [0, 0]);
    assert_eq!(asked.opening, "");
    let streamed = stream(&mut pack, &greedy(20), "");
    assert_eq!(streamed, answer(&mut engine, &greedy(20)).text);
    assert_eq!(pack.stops(), speakers.stops(engine.members(), &[true; 2]));
    assert!(ear.heard().is_empty());
}

#[test]
fn plain_text_goes_on() {
    let options = PackOptions {
        fusion: uniform(),
        raw: true,
        ..PackOptions::default()
    };
    let (mut pack, mut ear) = pack_of(pair(), options);
    let request = pack.score_request();
    let text = "abc a";
    pack.read_text(text, Ending::Continue, request, &mut ear)
        .unwrap();
    let mut engine = load(pair());
    set(&mut engine, uniform());
    let expected = ask(&mut engine, text, &greedy(12)).text;
    assert_eq!(stream(&mut pack, &greedy(12), ""), expected);
    assert_eq!(pack.stops(), ["<end>"]);
}

#[test]
fn an_answer_goes_on_from_where_it_was() {
    let fakes = |seed| vec![member(LETTERS, seed), member(LETTERS_MOVED, seed + 1)];
    let options = || PackOptions {
        fusion: uniform(),
        ..PackOptions::default()
    };
    let messages = [Message::user("abc")];
    let mut answers = (0..100).map(|seed| {
        let (mut pack, mut ear) = pack_of(fakes(seed), options());
        read(&mut pack, &mut ear, &messages);
        (seed, stream(&mut pack, &greedy(8), ""))
    });
    let long = answers.find(|(_, whole)| whole.len() == 8);
    let (seed, whole) = long.expect("a long answer");

    let (mut pack, mut ear) = pack_of(fakes(seed), options());
    read(&mut pack, &mut ear, &messages);
    let begun = stream(&mut pack, &greedy(3), "");
    let request = pack.score_request();
    let more = pack
        .read_chat(&messages, 1, &begun, request, &mut ear)
        .unwrap();
    assert!(more.new_tokens.iter().all(|&new| new <= 1), "{more:?}");
    let rest = stream(&mut pack, &greedy(5), "");
    assert_eq!(format!("{begun}{rest}"), whole);
}

#[test]
fn an_opened_thought_comes_before_the_answer() {
    let template = format!("{TEMPLATE}<think>");
    let pieces: Vec<&[u8]> = [LETTERS, &[b"<think>"]].concat();
    let (mut pack, mut ear) = pack_of(
        vec![member(&pieces, 9).with_template(&template)],
        PackOptions::default(),
    );
    let asked = read(&mut pack, &mut ear, &[Message::user("ab")]);
    assert_eq!(asked.opening, "<think>");
    let generation = AnswerOptions {
        attribution: true,
        ..greedy(9)
    };
    let (mut text, mut pieces) = (String::new(), 0);
    let streamed = pack.stream(&generation, &asked.opening, &mut |more| {
        text.push_str(more.text);
        let whole = more.attribution.unwrap().pieces();
        assert!(whole.len() >= pieces);
        pieces = whole.len();
    });
    let attribution = streamed.unwrap().attribution.unwrap();
    // The sink has seen them all, the last one too.
    assert_eq!(attribution.pieces().len(), pieces);
    let said: String = attribution
        .pieces()
        .iter()
        .map(|p| p.text.as_str())
        .collect();
    assert_eq!(said, text);
    assert!(said.starts_with("<think>"));
}

#[test]
fn sizes_are_known_before_anything_is_read() {
    let (mut pack, mut ear) = pack_of(pair(), PackOptions::default());
    let messages = [Message::user("abc ab")];
    let measured = pack.measure(&messages, "", &mut ear).unwrap();
    let sizes = pack.size(&messages, "", Default::default()).unwrap();
    assert_eq!(measured, sizes);
    assert_eq!(spent(&pack.lockstep), [0, 0]);
    read(&mut pack, &mut ear, &messages);
    assert_eq!(pack.lockstep.prompt_tokens(), measured);
    let now = Default::default();
    assert_eq!(
        pack.rendered(1, &messages, now).unwrap(),
        "<user>abc ab<end><reply>"
    );
    let begun = pack.size(&messages, "ab", now).unwrap();
    assert!(begun.iter().zip(&sizes).all(|(more, less)| more > less));
}

#[test]
fn what_cannot_be_read_is_an_error_that_names_the_member() {
    let refuses = member(LETTERS, 1).with_template("{{ raise_exception('not this') }}");
    let (mut pack, mut ear) = pack_of(vec![refuses], PackOptions::default());
    let messages = [Message::user("ab")];
    let request = pack.score_request();
    let failed = pack.read_chat(&messages, 0, "", request, &mut ear);
    assert!(matches!(failed, Err(PackError::Template(error)) if error.member == "a"));

    let (mut pack, mut ear) = pack_of(pair(), PackOptions::default());
    pack.lockstep.cancel_flag().store(true, Ordering::Relaxed);
    let failed = pack.read_chat(&messages, 0, "", request, &mut ear);
    assert!(matches!(failed, Err(PackError::Engine(_))));
    assert!(!ear.busy);

    let broken = Fake::new(LETTERS, 1).with_template("{% if %}");
    let failed =
        packllm_engine::pack::Pack::new(load_engine(vec![broken]), PackOptions::default(), &mut ());
    assert!(matches!(failed, Err(PackError::Template(_))));
}
