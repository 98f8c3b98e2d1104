//! The store: names, references, removal, the index, packs by name.

use std::fs;
use std::thread;

use super::super::disk::plain_file_name;
use super::super::import::at_path;
use super::*;

fn put(store: &Store, file: &str, content: &[u8]) {
    fs::create_dir_all(store.root().join("models")).unwrap();
    fs::write(store.model_path(file), content).unwrap();
}

#[test]
fn a_member_is_looked_for_beside_its_manifest_then_in_the_store() {
    let fixture = fixture();
    let (store, beside) = (&fixture.store, tempfile::tempdir().unwrap());
    let member = member(b"", &[]);
    let manifest = Manifest {
        origin: Origin::File(beside.path().join("p.toml")),
        ..pack(&member)
    };
    let error = store.resolve(&manifest, &member).unwrap_err();
    assert!(
        matches!(&error, StoreError::ModelMissing { looked, .. } if looked.len() == 2),
        "{error}"
    );
    put(store, "m.gguf", b"store");
    assert_eq!(
        store.resolve(&manifest, &member).unwrap(),
        store.model_path("m.gguf")
    );
    fs::write(beside.path().join("m.gguf"), b"beside").unwrap();
    assert_eq!(
        store.resolve(&manifest, &member).unwrap(),
        beside.path().join("m.gguf")
    );
}

#[test]
fn removing_deletes_files_of_the_store_and_nothing_else() {
    let fixture = fixture();
    let (store, elsewhere) = (&fixture.store, tempfile::tempdir().unwrap());
    let outside = elsewhere.path().join("x.gguf");
    fs::write(&outside, b"GGUF....").unwrap();
    let found = at_path(&outside).unwrap().remove(0);
    store.import(&found, None).unwrap();
    store.import(&found, None).unwrap();
    assert_eq!(store.find("x.gguf").unwrap(), Some(found.path.clone()));
    put(store, "own.gguf", b"GGUF");
    put(store, "half.gguf.part", b"GG");
    assert_eq!(
        store
            .list()
            .unwrap()
            .iter()
            .map(|one| one.model.file.as_str())
            .collect::<Vec<_>>(),
        ["own.gguf", "x.gguf"]
    );

    assert_eq!(
        store.remove("x.gguf").unwrap(),
        Removed::Reference {
            path: found.path.clone()
        }
    );
    assert!(outside.is_file());
    assert!(matches!(
        store.remove("own.gguf").unwrap(),
        Removed::File { bytes: 4, .. }
    ));
    assert!(matches!(
        store.remove("half.gguf").unwrap(),
        Removed::File { bytes: 2, .. }
    ));
    assert_eq!((models(store), store.list().unwrap().len()), (vec![], 0));
    for name in ["x.gguf", "../x", "", "index.json"] {
        assert!(
            matches!(store.remove(name), Err(StoreError::UnknownModel { .. })),
            "{name}"
        );
    }
    // An imported file that its owner deleted is told apart from one that never was.
    store.import(&found, None).unwrap();
    fs::remove_file(&outside).unwrap();
    assert!(matches!(
        store.find("x.gguf"),
        Err(StoreError::ReferenceGone { .. })
    ));
    assert!(!store.list().unwrap()[0].present);
}

#[test]
fn a_damaged_index_is_an_error_that_files_survive() {
    let fixture = fixture();
    let store = &fixture.store;
    put(store, "m.gguf", b"GGUF");
    for text in ["", "{", "[]", "{\"version\":9,\"models\":[]}", "\u{0}"] {
        fs::write(store.root().join("index.json"), text).unwrap();
        let error = store.list().unwrap_err();
        assert!(
            error.to_string().contains("index.json")
                && matches!(error, StoreError::BadIndex { .. }),
            "{error}"
        );
        assert!(
            store
                .record(StoredModel::of("m.gguf", &store.model_path("m.gguf")).unwrap())
                .is_err()
        );
        assert_eq!(
            fs::read_to_string(store.root().join("index.json")).unwrap(),
            text,
            "not overwritten"
        );
        assert!(store.find("m.gguf").unwrap().is_some());
    }
}

#[test]
fn records_of_many_threads_are_all_kept() {
    let fixture = fixture();
    let store = &fixture.store;
    put(store, "seed", b"GGUF");
    let model = StoredModel::of("seed", &store.model_path("seed")).unwrap();
    thread::scope(|scope| {
        for index in 0..8 {
            let model = StoredModel {
                file: format!("{index}"),
                reference: Some("/x".into()),
                ..model.clone()
            };
            scope.spawn(move || store.record(model).unwrap());
        }
    });
    assert_eq!(store.list().unwrap().len(), 9);
}

#[test]
fn packs_are_found_by_name_and_path() {
    let fixture = fixture();
    let store = &fixture.store;
    let tiny = store.pack("tiny").unwrap();
    assert_eq!((tiny.members.len(), &tiny.origin), (2, &Origin::Shipped));
    assert!(
        tiny.members
            .iter()
            .all(|member| matches!(member.sources[0], Source::Wheels(_)) && member.size.is_some())
    );
    assert!(!tiny.members[1].licence.as_ref().unwrap().is_permissive());

    let error = store.pack("tinny").unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown pack `tinny`, did you mean `tiny`?; known packs: tiny"
    );
    assert!(matches!(
        store.pack("../packs/tiny.toml"),
        Err(StoreError::Io { .. })
    ));

    let mine = Manifest {
        name: "tiny".into(),
        ..pack(&member(b"", &[]))
    };
    let path = store.save_pack(&mine, false).unwrap();
    assert!(matches!(
        store.save_pack(&mine, false),
        Err(StoreError::PackExists { .. })
    ));
    store.save_pack(&mine, true).unwrap();
    assert_eq!(store.pack("tiny").unwrap().members, mine.members);
    assert_eq!(
        Manifest {
            origin: Origin::default(),
            ..store.pack(path.to_str().unwrap()).unwrap()
        },
        mine
    );
    fs::write(store.pack_path("bad"), "name = 3").unwrap();
    let packs = store.packs().unwrap();
    assert_eq!(
        packs
            .iter()
            .map(|pack| (pack.name.as_str(), pack.manifest.is_ok()))
            .collect::<Vec<_>>(),
        [("bad", false), ("tiny", true)]
    );
    assert!(
        store
            .save_pack(
                &Manifest {
                    name: "../x".into(),
                    ..mine
                },
                true
            )
            .is_err()
    );
}

#[test]
fn names_that_are_no_file_names() {
    for name in [
        "",
        ".",
        "..",
        "a/b",
        "a\\b",
        "C:x",
        "a\0",
        "x.part",
        "x.part.json",
        ".hidden",
        "a\n",
        "a.",
        &"x".repeat(300),
    ] {
        assert!(!plain_file_name(name), "{name:?}");
    }
    assert!(plain_file_name("SmolLM2 (1).Q4_1.gguf"));
}
