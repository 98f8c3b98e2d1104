//! Verdicts on model files.

use std::fs;
use std::path::Path;

use super::*;

const BUILD: &str = "this build";

fn verdict(store: &Store, path: &Path, build: &str) -> Option<Verdict> {
    store.trial(path, build).unwrap().verdict
}

fn keep(store: &Store, path: &Path, verdict: &Verdict) {
    store.trial(path, BUILD).unwrap().keep(verdict).unwrap();
}

fn good() -> Verdict {
    Verdict { fault: None }
}

#[test]
fn a_verdict_goes_with_the_content_and_the_build() {
    let fixture = fixture();
    let (store, folder) = (&fixture.store, tempfile::tempdir().unwrap());
    let path = folder.path().join("m.gguf");
    fs::write(&path, bytes(100_000)).unwrap();
    assert_eq!(verdict(store, &path, BUILD), None);
    let bad = Verdict {
        fault: Some("it aborts".into()),
    };
    keep(store, &path, &bad);
    assert_eq!(verdict(store, &path, BUILD), Some(bad.clone()));
    assert_eq!(verdict(store, &path, "another build"), None);

    let copy = folder.path().join("copy.gguf");
    fs::copy(&path, &copy).unwrap();
    assert_eq!(verdict(store, &copy, BUILD), Some(bad.clone()));
    // Known by its place now, too.
    assert_eq!(models_tried(store), 3);

    let mut other = bytes(100_000);
    other[99_999] ^= 1;
    fs::write(&path, other).unwrap();
    assert_eq!(verdict(store, &path, BUILD), None);
    keep(store, &path, &good());
    assert_eq!(verdict(store, &path, BUILD), Some(good()));
    assert_eq!(verdict(store, &copy, BUILD), Some(bad));
    fs::remove_file(&path).unwrap();
    assert!(store.trial(&path, BUILD).is_err());
}

fn models_tried(store: &Store) -> usize {
    fs::read_dir(store.root().join("trials")).unwrap().count()
}

#[test]
fn what_is_no_verdict_is_none() {
    let fixture = fixture();
    let (store, folder) = (&fixture.store, tempfile::tempdir().unwrap());
    let path = folder.path().join("m.gguf");
    fs::write(&path, bytes(1000)).unwrap();
    keep(store, &path, &good());
    for file in fs::read_dir(store.root().join("trials")).unwrap() {
        fs::write(file.unwrap().path(), "{}x").unwrap();
    }
    assert_eq!(verdict(store, &path, BUILD), None);
}

#[test]
fn a_file_of_a_shipped_pack_is_known_by_its_hash() {
    const SHIPPED: &[Shipped] = &[("mine", include_str!("mine.toml"))];
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path().join("home"), SHIPPED);
    let content = b"what mine.toml names";
    assert!(
        SHIPPED[0].1.contains(&sha256(content)),
        "{}",
        sha256(content)
    );
    fs::create_dir_all(store.root().join("models")).unwrap();
    let path = store.model_path("m.gguf");
    fs::write(&path, content).unwrap();
    assert!(!store.is_shipped(&path), "nobody has looked yet");
    let member = store.pack("mine").unwrap().members.remove(0);
    Watcher::default()
        .pull(&store, &member, &options())
        .unwrap();
    assert!(store.is_shipped(&path));
    assert!(!store.is_shipped(&folder.path().join("other.gguf")));
    fs::write(&path, b"what mine.toml Names").unwrap();
    assert!(!store.is_shipped(&path), "it has changed");
}
