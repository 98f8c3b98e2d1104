//! What a pack tells, and when.

use super::{member, pack_of, pair, read};
use crate::rig::*;
use packllm_engine::chat::Message;
use packllm_engine::pack::{Note, PackOptions};

#[test]
fn who_has_no_template_or_no_end_is_told_at_once() {
    let fakes = || vec![Fake::new(LETTERS, 1), Fake::without_end(NESTED, 2)];
    let (_, mut ear) = pack_of(fakes(), PackOptions::default());
    assert_eq!(
        ear.heard(),
        [
            r#"NoTemplate { member: "a" }"#,
            r#"NoTemplate { member: "b" }"#,
            "NobodyEnds { raw: false }"
        ]
    );
    let raw = || PackOptions {
        raw: true,
        ..PackOptions::default()
    };
    let (_, mut ear) = pack_of(fakes(), raw());
    assert!(ear.heard().is_empty(), "a has an end token");
    let (_, mut ear) = pack_of(vec![Fake::without_end(NESTED, 2)], raw());
    assert_eq!(ear.heard(), ["NobodyEnds { raw: true }"]);
    let given = PackOptions {
        templates: vec![Some(TEMPLATE.into()), Some(TEMPLATE.into())],
        ..PackOptions::default()
    };
    let (_, mut ear) = pack_of(fakes(), given);
    assert!(ear.heard().is_empty());
}

#[test]
fn a_template_that_changes_a_message_is_measured_apart_and_told_every_time() {
    let shouts = TEMPLATE.replace("m.content", "m.content|replace('a', 'b')");
    let fakes = vec![
        member(LETTERS, 1),
        member(LETTERS, 2).with_template(&shouts),
    ];
    let (mut pack, mut ear) = pack_of(fakes, PackOptions::default());
    let mut messages = vec![Message::user("abca")];
    read(&mut pack, &mut ear, &messages);
    assert_eq!(ear.heard(), [r#"Hidden { member: "b" }"#]);
    let evidence = pack.lockstep.evidence().unwrap();
    assert_eq!(evidence.bytes, 4);
    assert!(evidence.members.iter().all(|m| m.nats.len() >= 4));
    messages.extend([Message::assistant("c"), Message::user("aa")]);
    let request = pack.score_request();
    pack.read_chat(&messages, 1, "", request, &mut ear).unwrap();
    assert_eq!(ear.heard(), [r#"Hidden { member: "b" }"#]);
}

#[test]
fn a_system_message_without_a_place_is_told() {
    let strict = format!(
        "{{% if messages[0].role == 'system' %}}{{{{ raise_exception('no') }}}}{{% endif %}}{TEMPLATE}"
    );
    let fakes = vec![
        member(LETTERS, 1),
        member(LETTERS, 2).with_template(&strict),
    ];
    let (mut pack, mut ear) = pack_of(fakes, PackOptions::default());
    let messages = [Message::system("abc"), Message::user("ab")];
    read(&mut pack, &mut ear, &messages);
    // The fold puts a line feed between them, and both know it.
    assert_eq!(ear.heard(), [r#"SystemFolded { member: "b" }"#]);
}

#[test]
fn bytes_that_nobody_sees_are_counted() {
    let (mut pack, mut ear) = pack_of(pair(), PackOptions::default());
    read(&mut pack, &mut ear, &[Message::user("aXb\nY")]);
    assert_eq!(
        ear.heard(),
        [
            r#"LostBytes { member: "a", bytes: 2, first: 88 }"#,
            r#"LostBytes { member: "b", bytes: 3, first: 88 }"#,
            "NoEvidence"
        ]
    );
}

#[test]
fn weights_without_evidence_are_told() {
    let (mut pack, mut ear) = pack_of(pair(), PackOptions::default());
    let messages = [Message::user("ab")];
    let request = pack.score_request();
    pack.read_chat(&messages, 1, "", request, &mut ear).unwrap();
    assert!(matches!(ear.notes[..], [Note::NoEvidence]));
    let (mut alone, mut ear) = pack_of(vec![member(LETTERS, 1)], PackOptions::default());
    alone
        .read_chat(&messages, 1, "", request, &mut ear)
        .unwrap();
    assert!(ear.heard().is_empty());
}
