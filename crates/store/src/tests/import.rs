//! What is found in the caches of other programs.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use super::super::import::{Caches, at_path, check_gguf};
use super::*;

fn write(path: &Path, content: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

#[test]
fn caches_are_scanned_by_their_layouts() {
    let home = tempfile::tempdir().unwrap();
    let caches = Caches::usual(home.path(), &|_| None);
    let (hub, ollama, studio) = (
        &caches.hugging_face[0],
        &caches.ollama[0],
        &caches.lm_studio[0],
    );
    let repo = hub.join("models--owner--re--po");
    write(&repo.join("blobs/abc"), "GGUFx");
    write(&repo.join("snapshots/1/readme.gguf"), "not");
    write(&hub.join("datasets--o--d/snapshots/1/no.gguf"), "GGUF");
    #[cfg(unix)]
    for snapshot in ["1", "2"] {
        fs::create_dir_all(repo.join("snapshots").join(snapshot)).unwrap();
        std::os::unix::fs::symlink(
            "../../blobs/abc",
            repo.join("snapshots").join(snapshot).join("hub.gguf"),
        )
        .unwrap();
    }
    #[cfg(not(unix))]
    write(&repo.join("snapshots/2/hub.gguf"), "GGUFx");
    let layer = r#"{"layers":[{"mediaType":"text","digest":"sha256:00"},
        {"mediaType":"application/vnd.ollama.image.model","digest":"sha256:0a1b"}]}"#;
    write(
        &ollama.join("manifests/host.example/library/gemma3/270m"),
        layer,
    );
    write(&ollama.join("manifests/host.example/me/tiny/latest"), layer);
    write(
        &ollama.join("manifests/host.example/me/bad/latest"),
        layer.replace("0a1b", "../../x"),
    );
    write(&ollama.join("manifests/host.example/me/worse/latest"), "{");
    write(&ollama.join("blobs/sha256-0a1b"), "GGUF");
    write(&studio.join("publisher/repo/s.gguf"), "GGUF");

    let found: Vec<_> = caches
        .scan()
        .into_iter()
        .map(|one| (one.origin, one.file, one.size))
        .collect();
    let expected = [
        ("hf:owner/re--po", "hub.gguf", 5),
        ("ollama:gemma3:270m", "gemma3-270m.gguf", 4),
        ("ollama:me/tiny:latest", "me-tiny-latest.gguf", 4),
        (
            &format!("lmstudio:{}", Path::new("publisher").join("repo").display()),
            "s.gguf",
            4,
        ),
    ];
    assert_eq!(
        found,
        expected.map(|(origin, file, size)| (origin.to_owned(), file.to_owned(), size))
    );
}

#[test]
fn the_environment_moves_the_caches() {
    let env =
        |name: &str| (name == "HF_HOME" || name == "OLLAMA_MODELS").then(|| OsString::from("/d"));
    let caches = Caches::usual(Path::new("/home/me"), &env);
    assert_eq!(
        (caches.hugging_face, caches.ollama),
        (vec!["/d/hub".into()], vec!["/d".into()])
    );
    assert_eq!(
        Caches::usual(Path::new("/h"), &|_| None).hugging_face,
        [Path::new("/h/.cache/huggingface/hub")]
    );
}

#[test]
fn files_that_cannot_be_imported_say_why() {
    let (fixture, folder) = (fixture(), tempfile::tempdir().unwrap());
    let path = |name: &str| folder.path().join(name);
    write(&path("empty.gguf"), "");
    write(&path("zip.gguf"), "PK\u{3}\u{4}");
    write(&path("big-00001-of-00003.gguf"), "GGUF");
    write(&path("other/a.gguf"), "GGUF2");
    write(&path("a.gguf"), "GGUF");
    for (name, reason) in [
        ("empty.gguf", "it is empty"),
        ("zip.gguf", "it starts with"),
        (".", "a folder"),
        ("none", "cannot read"),
    ] {
        let error = check_gguf(&path(name)).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
    let split = at_path(&path("big-00001-of-00003.gguf")).unwrap().remove(0);
    let error = fixture.store.import(&split, None).unwrap_err();
    assert!(
        error.to_string().contains("part 1 of 3") && matches!(error, StoreError::Split { .. }),
        "{error}"
    );

    fixture
        .store
        .import(&at_path(&path("a.gguf")).unwrap()[0], None)
        .unwrap();
    let other = at_path(&path("other")).unwrap().remove(0);
    assert!(matches!(
        fixture.store.import(&other, None),
        Err(StoreError::NameTaken { .. })
    ));
    assert!(matches!(
        fixture.store.import(&other, Some("../b")),
        Err(StoreError::BadName { .. })
    ));
    fixture.store.import(&other, Some("b.gguf")).unwrap();
    assert_eq!(fixture.store.list().unwrap().len(), 2);
}
