//! Packs of members without weights: from what is said to an answer, and what is told on the way.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests may panic; the exemption for tests does not reach them"
)]

mod casting;
mod common;
mod mapped;
mod notes;
mod prefetch;
mod prompt_cache;
mod reading;
#[path = "../engine_fake/rig.rs"]
#[allow(dead_code, reason = "each test binary uses a part of it")]
mod rig;

use packllm_engine::backend::Vocab;
use packllm_engine::chat::Message;
use packllm_engine::engine::AnswerOptions;
use packllm_engine::pack::{Conversation, Host, Note, Pack, PackOptions, Progress, Read};
use packllm_engine::vocab::mapped::Map;
use rig::*;
use std::error::Error;
use std::sync::Arc;

/// Hears everything.
#[derive(Default)]
struct Ear {
    notes: Vec<Note>,
    /// Whether something that took time has not ended.
    busy: bool,
    /// What it says instead of a map.
    no_map: Option<&'static str>,
}

impl Ear {
    fn heard(&mut self) -> Vec<String> {
        let notes = std::mem::take(&mut self.notes);
        notes.iter().map(|note| format!("{note:?}")).collect()
    }
}

impl Host for Ear {
    fn note(&mut self, note: Note) {
        assert!(!self.busy, "a note amid progress");
        self.notes.push(note);
    }

    fn progress(&mut self, progress: Progress<'_>) {
        if let Progress::Reading { read, of } = progress {
            assert!(read.iter().zip(of).all(|(read, of)| read <= of));
        }
        self.busy = progress != Progress::Done;
    }

    fn map(
        &mut self,
        reference: &Vocab,
        member: &Vocab,
    ) -> Result<Map, Box<dyn Error + Send + Sync>> {
        match self.no_map {
            Some(why) => Err(why.into()),
            None => ().map(reference, member),
        }
    }
}

/// A member that reads chats.
fn member(pieces: &[&[u8]], seed: u64) -> Fake {
    Fake::of(chat_vocab(pieces), seed).with_template(TEMPLATE)
}

/// Two of them that split no text alike.
fn pair() -> Vec<Fake> {
    vec![member(LETTERS, 5), member(NESTED, 6)]
}

fn pack_of(fakes: Vec<Fake>, options: PackOptions) -> (Conversation, Ear) {
    let mut ear = Ear::default();
    let pack = Pack::new(load_engine(fakes), options, &mut ear).unwrap();
    (pack.conversation(Arc::default()).unwrap(), ear)
}

fn read(pack: &mut Conversation, ear: &mut Ear, messages: &[Message]) -> Read {
    let request = pack.score_request();
    let read = pack.read_chat(messages, 0, "", request, ear).unwrap();
    assert!(!ear.busy);
    read
}

/// The text as it was streamed.
fn stream(pack: &mut Conversation, generation: &AnswerOptions, opening: &str) -> String {
    let mut text = String::new();
    let streamed = pack.stream(generation, opening, &mut |more| text.push_str(more.text));
    let said = streamed.unwrap().answer.text;
    let opening = if said.is_empty() { "" } else { opening };
    assert_eq!(text, format!("{opening}{said}"));
    text
}
