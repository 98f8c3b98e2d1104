//! What the tests share: a store in a temporary folder, a watcher, members.

mod hub;
mod import;
mod manifest;
mod maps;
mod pull;
mod server;
mod shipped;
mod source;
mod store;
mod trials;
mod unreachable;
#[cfg(unix)]
mod wheels;

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::*;

/// A store in a folder that goes with the value.
struct Fixture {
    store: Store,
    _folder: tempfile::TempDir,
}

fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    Fixture {
        store: Store::new(
            folder.path().join("home"),
            &[("tiny", include_str!("../../../../models/tiny.toml"))],
        ),
        _folder: folder,
    }
}

/// Writes down what it is told, and stops the pull after `stop_after` bytes.
#[derive(Default)]
struct Watcher {
    notes: Vec<String>,
    starts: Vec<(Option<u64>, u64)>,
    bytes: u64,
    licences: Vec<String>,
    refuse: bool,
    stop_after: Option<u64>,
    cancel: AtomicBool,
}

impl Watcher {
    fn pull(
        &mut self,
        store: &Store,
        member: &Member,
        options: &PullOptions,
    ) -> Result<Pulled, StoreError> {
        let cancel = std::sync::Arc::new(AtomicBool::new(*self.cancel.get_mut()));
        let mut linked = Linked {
            watcher: self,
            cancel: cancel.clone(),
        };
        pull(store, &pack(member), member, options, &mut linked, &cancel)
    }
}

struct Linked<'a> {
    watcher: &'a mut Watcher,
    cancel: std::sync::Arc<AtomicBool>,
}

impl Progress for Linked<'_> {
    fn start(&mut self, total: Option<u64>, already: u64) {
        self.watcher.starts.push((total, already));
    }
    fn advance(&mut self, bytes: u64) {
        self.watcher.bytes += bytes;
        if self
            .watcher
            .stop_after
            .is_some_and(|limit| self.watcher.bytes >= limit)
        {
            self.cancel
                .store(true, std::sync::atomic::Ordering::Relaxed);
        }
    }
    fn note(&mut self, text: &str) {
        self.watcher.notes.push(text.to_owned());
        if text.contains("pip: slow") {
            self.cancel
                .store(true, std::sync::atomic::Ordering::Relaxed);
        }
    }
    fn accept(&mut self, member: &str, licence: &Licence) -> bool {
        self.watcher
            .licences
            .push(format!("{member}: {}", licence.id));
        !self.watcher.refuse
    }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Bytes without repetitions, long enough for several chunks.
fn bytes(count: usize) -> Vec<u8> {
    (0..count as u32)
        .map(|index| (index.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect()
}

fn member(content: &[u8], sources: &[String]) -> Member {
    Member {
        name: "m".into(),
        file: "m.gguf".into(),
        sha256: Some(sha256(content)),
        sources: sources
            .iter()
            .map(|source| source.parse().unwrap())
            .collect(),
        ..Member::default()
    }
}

fn pack(member: &Member) -> Manifest {
    Manifest {
        name: "p".into(),
        members: vec![member.clone()],
        ..Manifest::default()
    }
}

/// Options that never wait long nor leave the machine.
fn options() -> PullOptions {
    PullOptions {
        backoff: Duration::from_millis(5),
        retries: 2,
        ..PullOptions::default()
    }
}

/// Names in the store's `models` folder.
fn models(store: &Store) -> Vec<String> {
    super::disk::file_names(&store.root().join("models")).unwrap()
}
