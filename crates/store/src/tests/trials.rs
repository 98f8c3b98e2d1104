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
fn a_split_model_is_known_by_all_its_files() {
    let fixture = fixture();
    let (store, folder) = (&fixture.store, tempfile::tempdir().unwrap());
    let [first, second] = [1, 2].map(|n| folder.path().join(format!("m-0000{n}-of-00002.gguf")));
    let mut content = bytes(100_000);
    for path in [&first, &second] {
        fs::write(path, &content).unwrap();
    }
    keep(store, &first, &good());
    assert_eq!(verdict(store, &first, BUILD), Some(good()));
    content[99_999] ^= 1;
    fs::write(&second, &content).unwrap();
    assert_eq!(verdict(store, &first, BUILD), None);
    content[99_999] ^= 1;
    fs::write(&second, &content).unwrap();
    assert_eq!(verdict(store, &first, BUILD), Some(good()));
    fs::remove_file(&second).unwrap();
    assert_eq!(verdict(store, &first, BUILD), None);
}

#[test]
fn verdicts_on_files_that_are_gone_can_go() {
    let fixture = fixture();
    let (store, folder) = (&fixture.store, tempfile::tempdir().unwrap());
    let [stays, goes] = ["stays.gguf", "goes.gguf"].map(|name| folder.path().join(name));
    for (path, length) in [(&stays, 1000), (&goes, 2000)] {
        fs::write(path, bytes(length)).unwrap();
        keep(store, path, &good());
    }
    assert_eq!(store.collect(false).unwrap(), []);
    let gone = fs::canonicalize(&goes).unwrap();
    fs::remove_file(&goes).unwrap();
    fs::write(store.root().join("trials/torn.json"), "{").unwrap();
    for looked in [true, false] {
        let found = store.collect(looked).unwrap();
        let models = found.iter().map(|one| match one {
            Garbage::Verdict { model, .. } => model.as_str(),
            other => panic!("{other:?}"),
        });
        let mut models: Vec<&str> = models.collect();
        models.sort_unstable();
        let gone = gone.to_str().unwrap();
        assert_eq!(models, ["", gone, gone]);
    }
    assert_eq!(store.collect(true).unwrap(), []);
    assert_eq!(verdict(store, &stays, BUILD), Some(good()));
}

#[test]
fn a_fault_is_known_without_reading_the_file() {
    let fixture = fixture();
    let (store, folder) = (&fixture.store, tempfile::tempdir().unwrap());
    let path = folder.path().join("m.gguf");
    fs::write(&path, bytes(1000)).unwrap();
    assert_eq!(store.known_fault(&path, BUILD), None);
    let fault = Some("it aborts".to_owned());
    keep(
        store,
        &path,
        &Verdict {
            fault: fault.clone(),
        },
    );
    assert_eq!(store.known_fault(&path, BUILD), fault);
    assert_eq!(store.known_fault(&path, "another build"), None);
    fs::write(&path, bytes(1001)).unwrap();
    assert_eq!(store.known_fault(&path, BUILD), None);
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
