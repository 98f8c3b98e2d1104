//! Prompts that are kept in a file.

use super::{Ear, member, pack_of, read, stream};
use crate::rig::*;
use packllm_engine::chat::Message;
use packllm_engine::engine::prompt_cache::Loaded;
use packllm_engine::pack::{CacheNote, Conversation, Note, PackOptions, PromptCache, Read};
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

/// A folder with the files of two models, and a file for prompts.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a", "b"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        Self(folder)
    }

    fn kept(&self) -> PathBuf {
        self.0.path().join("kept")
    }

    fn pack(&self) -> (Conversation, Ear) {
        let fakes = vec![member(LETTERS, 3), member(NESTED, 4)];
        let (mut pack, ear) = pack_of(fakes, PackOptions::default());
        let loaded = ["a", "b"].map(|name| Loaded {
            path: self.0.path().join(name),
            settings: String::new(),
        });
        pack.use_prompt_cache(PromptCache::new(self.kept(), "fake 1", loaded.into()));
        (pack, ear)
    }
}

fn messages(question: &str) -> [Message; 2] {
    [
        Message::system("abc bc a cab abc abc ab ca"),
        Message::user(question),
    ]
}

/// Reads, answers and writes: what was read, the answer, and the notes on the cache.
fn turn(pack: &mut Conversation, ear: &mut Ear, question: &str) -> (Read, String, Vec<CacheNote>) {
    let asked = read(pack, ear, &messages(question));
    let said = stream(pack, &greedy(10), "");
    pack.write_prompt_cache(ear);
    let notes = std::mem::take(&mut ear.notes).into_iter();
    let notes = notes.map(|note| match note {
        Note::PromptCache { what, .. } => what,
        other => panic!("{other:?}"),
    });
    (asked, said, notes.collect())
}

#[test]
fn a_prompt_that_was_written_is_not_read_again() {
    let files = Files::new();
    let (mut pack, mut ear) = files.pack();
    let (first, said, notes) = turn(&mut pack, &mut ear, "ab");
    let [CacheNote::Written { tokens, bytes }] = notes[..] else {
        panic!("{notes:?}");
    };
    assert!(tokens > 0);
    assert_eq!(bytes, fs::metadata(files.kept()).unwrap().len());
    assert_eq!(first.cached_tokens, [0, 0]);

    let (mut pack, mut ear) = files.pack();
    let (again, same, notes) = turn(&mut pack, &mut ear, "ab");
    assert!(notes.is_empty(), "{notes:?}");
    assert_eq!(same, said);
    for k in 0..2 {
        assert!(again.cached_tokens[k] > 0);
        let all = again.cached_tokens[k] + again.new_tokens[k];
        assert_eq!(all, first.new_tokens[k]);
    }
    // Only the first prompt comes from the file.
    let (later, ..) = turn(&mut pack, &mut ear, "ca");
    assert_eq!(later.cached_tokens, [0, 0]);
}

#[test]
fn a_file_of_somebody_else_stays_and_a_useless_one_is_replaced() {
    let files = Files::new();
    fs::write(files.kept(), "my diary").unwrap();
    let (mut pack, mut ear) = files.pack();
    let (.., notes) = turn(&mut pack, &mut ear, "ab");
    assert!(matches!(notes[..], [CacheNote::LeftAlone(_)]), "{notes:?}");
    assert_eq!(fs::read(files.kept()).unwrap(), b"my diary");

    fs::remove_file(files.kept()).unwrap();
    let (mut pack, mut ear) = files.pack();
    turn(&mut pack, &mut ear, "ab");
    fs::write(files.0.path().join("a"), "another model").unwrap();
    let (mut pack, mut ear) = files.pack();
    let (asked, _, notes) = turn(&mut pack, &mut ear, "ab");
    assert_eq!(asked.cached_tokens, [0, 0]);
    assert!(
        matches!(
            notes[..],
            [CacheNote::Outdated(_), CacheNote::Written { .. }]
        ),
        "{notes:?}"
    );
}

#[test]
fn what_keeps_a_prompt_from_being_kept_is_told_once() {
    let files = Files::new();
    let (mut pack, mut ear) = files.pack();
    read(&mut pack, &mut ear, &[Message::user("abc")]);
    pack.write_prompt_cache(&mut ear);
    let [Note::PromptCache { path, what }] = &ear.notes[..] else {
        panic!("{:?}", ear.notes);
    };
    assert_eq!(*path, files.kept());
    assert!(matches!(what, CacheNote::NothingToKeep));
    ear.notes.clear();
    pack.write_prompt_cache(&mut ear);
    assert!(ear.heard().is_empty());

    fs::remove_file(files.0.path().join("b")).unwrap();
    let (mut pack, mut ear) = files.pack();
    let (.., notes) = turn(&mut pack, &mut ear, "ab");
    assert!(matches!(notes[..], [CacheNote::ModelFile(_)]), "{notes:?}");
}
