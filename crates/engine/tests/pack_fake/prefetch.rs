//! What members read while others load.

use super::{member, read, stream};
use crate::rig::*;
use packllm_engine::chat::Message;
use packllm_engine::engine::{Engine, Fusion, PromptPrefetch};
use packllm_engine::pack::{Conversation, First, FirstPrompt, Pack, PackOptions};
use packllm_engine::vocab::Alphabet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The header of a model file with so many tokens, and nothing else in it.
fn header(path: &Path, tokens: u64) {
    let string = |text: &str| [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
    let mut bytes = b"GGUF".to_vec();
    bytes.extend(3u32.to_le_bytes());
    bytes.extend(0u64.to_le_bytes());
    bytes.extend(1u64.to_le_bytes());
    bytes.extend(string("tokenizer.ggml.tokens"));
    // An array of strings.
    bytes.extend(9u32.to_le_bytes());
    bytes.extend(8u32.to_le_bytes());
    bytes.extend(tokens.to_le_bytes());
    (0..tokens).for_each(|token| bytes.extend(string(&token.to_string())));
    bytes.resize(bytes.len().next_multiple_of(32), 0);
    std::fs::write(path, bytes).unwrap();
}

fn question() -> Vec<Message> {
    vec![Message::user("abc ab")]
}

fn first() -> Arc<FirstPrompt> {
    Arc::new(FirstPrompt {
        first: First::Chat {
            messages: question(),
            may_think: true,
        },
        now: Default::default,
    })
}

fn prefetch(fusion: &Fusion, other: &Path) -> Option<PromptPrefetch> {
    first().prefetch(fusion, None, vec![other.to_owned()])
}

/// A pack whose members prefetch if the other's file has so many tokens.
fn pack_with(other_tokens: u64) -> Conversation {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("other.gguf");
    header(&file, other_tokens);
    let mut specs = specs(super::pair());
    for spec in &mut specs {
        spec.prefetch = prefetch(&Fusion::default(), &file);
    }
    let engine = Engine::load(specs, Arc::default(), &mut |_| {}).unwrap();
    let pack = Pack::new(engine, PackOptions::default(), &mut ()).unwrap();
    pack.engine().catch_up(&mut |_| {}).unwrap();
    pack.conversation(Arc::default()).unwrap()
}

#[test]
fn what_was_read_ahead_is_what_would_have_been_read() {
    let mut ear = super::Ear::default();
    let (mut plain, _) = super::pack_of(super::pair(), PackOptions::default());
    let asked = read(&mut plain, &mut ear, &question());
    let said = stream(&mut plain, &greedy(10), "");
    assert!(!plain.lockstep.prefetched());
    let mut ahead = pack_with(1000);
    let same = read(&mut ahead, &mut ear, &question());
    assert!(ahead.lockstep.prefetched());
    assert_eq!(asked.new_tokens, same.new_tokens);
    assert_eq!(plain.lockstep.lambda(), ahead.lockstep.lambda());
    assert_eq!(stream(&mut ahead, &greedy(10), ""), said);
}

#[test]
fn nobody_reads_ahead_for_an_alphabet_of_tokens() {
    let mut ear = super::Ear::default();
    // Vocabularies of the same size may be the same.
    let tokens = chat_vocab(NESTED).len() as u64;
    assert_ne!(tokens, chat_vocab(LETTERS).len() as u64);
    let mut one_knows = pack_with(tokens);
    read(&mut one_knows, &mut ear, &question());
    assert!(!one_knows.lockstep.prefetched());
    for alphabet in [Alphabet::Tokens, Alphabet::Mapped] {
        let fusion = Fusion {
            alphabet: Some(alphabet),
            ..Fusion::default()
        };
        assert!(prefetch(&fusion, Path::new("other.gguf")).is_none());
    }
    let alone = first().prefetch(&Fusion::default(), None, Vec::<PathBuf>::new());
    assert!(alone.is_none());
}

#[test]
fn a_template_that_fails_or_hides_is_left_for_later() {
    let hides = TEMPLATE.replace("m.content", "m.content|upper");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("other.gguf");
    header(&file, 1000);
    for template in [hides.as_str(), "{{ raise_exception('no') }}"] {
        let mut specs = specs(vec![
            member(LETTERS, 1).with_template(template),
            member(NESTED, 2),
        ]);
        let info = try_load(specs.split_off(0), &Arc::default()).unwrap();
        let ask = |k: usize| prefetch(&Fusion::default(), &file).unwrap()(&info.members()[k]);
        assert!(ask(0).is_none());
        assert!(ask(1).is_some());
    }
}
