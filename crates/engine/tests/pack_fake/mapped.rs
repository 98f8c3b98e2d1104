//! The reference of a mapped alphabet.

use super::{Ear, member, pack_of, read, stream};
use crate::rig::*;
use packllm_engine::chat::Message;
use packllm_engine::engine::Fusion;
use packllm_engine::pack::{Note, Pack, PackError, PackOptions, Reference};
use packllm_engine::vocab::Alphabet;
use std::sync::Arc;

fn options(reference: Option<Reference>) -> PackOptions {
    PackOptions {
        fusion: Fusion {
            alphabet: Some(Alphabet::Mapped),
            ..uniform()
        },
        reference,
        ..PackOptions::default()
    }
}

fn fakes() -> Vec<Fake> {
    vec![member(NESTED, 5), member(WHOLE, 6)]
}

#[test]
fn the_first_prompt_decides_unless_somebody_has() {
    let (mut pack, mut ear) = pack_of(fakes(), options(None));
    let messages = [Message::user("abc ab ca")];
    let sizes = pack.measure(&messages, "", &mut ear).unwrap();
    let Some(Note::ReferenceMeasured { member, losses }) = ear.notes.pop() else {
        panic!("{:?}", ear.notes);
    };
    let best = losses.iter().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
    assert_eq!(member, best.0);
    let reference = pack.lockstep.reference().unwrap();
    assert_eq!(pack.lockstep.names()[reference], member);
    // It stays.
    read(&mut pack, &mut ear, &messages);
    assert!(ear.heard().is_empty());
    assert_eq!(pack.lockstep.prompt_tokens(), sizes);
    stream(&mut pack, &greedy(6), "");
    // All read what one template writes.
    let now = Default::default();
    let texts = [0, 1].map(|k| pack.rendered(k, &messages, now).unwrap());
    assert_eq!(texts[0], texts[1]);

    let other = 1 - reference;
    let (mut pack, mut ear) = pack_of(fakes(), options(Some(Reference::Member(other))));
    read(&mut pack, &mut ear, &messages);
    let name = &pack.lockstep.names()[other];
    assert_eq!(
        ear.heard(),
        [format!("ReferenceChosen {{ member: {name:?} }}")]
    );
    assert_eq!(pack.lockstep.reference(), Some(other));
}

#[test]
fn a_host_without_maps_is_an_error_that_names_the_member() {
    let mut ear = Ear {
        no_map: Some("the disk is full"),
        ..Ear::default()
    };
    let reference = Some(Reference::Member(0));
    let pack = Pack::new(load_engine(fakes()), options(reference), &mut ear).unwrap();
    let mut pack = pack.conversation(Arc::default()).unwrap();
    let request = pack.score_request();
    let failed = pack.read_chat(&[Message::user("ab")], 0, "", request, &mut ear);
    let Err(error @ PackError::Map { .. }) = failed else {
        panic!("{failed:?}");
    };
    let text = error.to_string();
    assert!(
        text.starts_with("b: ") && text.ends_with("the disk is full"),
        "{text}"
    );
}
