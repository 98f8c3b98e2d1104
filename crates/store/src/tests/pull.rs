//! Downloads by HTTP: resumed, refused, cut, wrong; and what is left behind.

use std::fs;
use std::io::ErrorKind;
use std::thread;

use super::server::{Answer, Server, ranged, status, whole};
use super::*;

#[test]
fn a_file_is_pulled_once() {
    let (fixture, content) = (fixture(), bytes(700_000));
    let body = content.clone();
    let server = Server::new(move |_, asked| ranged(&body, "\"a\"", asked));
    let member = Member {
        size: Some(content.len() as u64),
        ..member(&content, &[format!("{}/m", server.url)])
    };
    let mut watcher = Watcher::default();
    let pulled = watcher.pull(&fixture.store, &member, &options()).unwrap();
    assert_eq!(fs::read(&pulled.path).unwrap(), content);
    assert_eq!(pulled.source, Some(format!("{}/m", server.url)));
    assert_eq!(
        (watcher.bytes, watcher.starts.as_slice()),
        (700_000, &[(Some(700_000), 0)][..])
    );
    assert_eq!(models(&fixture.store), ["m.gguf"]);

    let mut again = Watcher::default();
    let pulled = again.pull(&fixture.store, &member, &options()).unwrap();
    assert_eq!((pulled.source, server.asked().len()), (None, 1));
    assert_eq!(again.bytes, 0, "the index remembers the hash");
    assert_eq!(fixture.store.list().unwrap()[0].model.sha256, member.sha256);
}

#[test]
fn a_stopped_pull_goes_on_where_it_stood() {
    let (fixture, content) = (fixture(), bytes(900_000));
    let body = content.clone();
    let server = Server::new(move |_, asked| ranged(&body, "\"a\"", asked));
    let member = member(&content, &[format!("{}/m", server.url)]);
    let mut watcher = Watcher {
        stop_after: Some(200_000),
        ..Watcher::default()
    };
    assert!(matches!(
        watcher.pull(&fixture.store, &member, &options()),
        Err(StoreError::Cancelled)
    ));
    assert_eq!(
        models(&fixture.store),
        ["m.gguf.part", "m.gguf.part.json"],
        "nothing looks complete"
    );
    assert!(fixture.store.find("m.gguf").unwrap().is_none());

    let mut watcher = Watcher::default();
    let path = watcher
        .pull(&fixture.store, &member, &options())
        .unwrap()
        .path;
    assert_eq!(fs::read(path).unwrap(), content);
    let asked = server.asked();
    assert!(asked[1].from.unwrap() >= 200_000);
    assert_eq!(asked[1].if_range.as_deref(), Some("\"a\""));
    assert_eq!(
        watcher.bytes as usize,
        content.len() - asked[1].from.unwrap()
    );
    assert_eq!(models(&fixture.store), ["m.gguf"]);
}

#[test]
fn a_file_that_changed_is_not_spliced() {
    let (fixture, old, new) = (fixture(), bytes(500_000), bytes(500_001)[1..].to_vec());
    let (first, second) = (old.clone(), new.clone());
    let server = Server::new(move |count, asked| match count {
        0 => Answer {
            cut: Some(300_000),
            ..ranged(&first, "\"old\"", asked)
        },
        _ => ranged(&second, "\"new\"", asked),
    });
    let path = Watcher::default().pull(
        &fixture.store,
        &member(&new, &[format!("{}/m", server.url)]),
        &options(),
    );
    assert_eq!(fs::read(path.unwrap().path).unwrap(), new);
    assert_eq!(server.asked()[1].if_range.as_deref(), Some("\"old\""));
}

#[test]
fn leftovers_are_checked_by_the_hash() {
    let content = bytes(300_000);
    // (what an earlier pull left, whether it is of use)
    let longer = [&content[..], b"x"].concat();
    for (left, useful) in [
        (&content[..100_000], true),
        (&content[..], true),
        (&bytes(9)[..], true),
        (b"rubbish", false),
        (&longer, false),
    ] {
        let (fixture, body) = (fixture(), content.clone());
        let server = Server::new(move |_, asked| {
            Answer {
                headers: vec![],
                ..ranged(&body, "", asked)
            }
            .with_range(asked.from, body.len())
        });
        let member = member(&content, &[format!("{}/m", server.url)]);
        fs::create_dir_all(fixture.store.root().join("models")).unwrap();
        fs::write(fixture.store.model_path("m.gguf.part"), left).unwrap();
        let pulled = Watcher::default()
            .pull(&fixture.store, &member, &options())
            .unwrap();
        assert_eq!(fs::read(pulled.path).unwrap(), content);
        let restarted = server.asked().iter().any(|asked| asked.from.is_none());
        assert_eq!(restarted, !useful, "{} bytes left", left.len());
    }
}

impl Answer {
    fn with_range(mut self, from: Option<usize>, total: usize) -> Self {
        if let (206, Some(from)) = (self.status, from) {
            self.headers
                .push(format!("Content-Range: bytes {from}-{}/{total}", total - 1));
        }
        self
    }
}

#[test]
fn cut_connections_are_resumed_and_ranges_are_not_needed() {
    for knows_ranges in [true, false] {
        let (fixture, content) = (fixture(), bytes(400_000));
        let body = content.clone();
        let server = Server::new(move |count, asked| {
            let answer = if knows_ranges {
                ranged(&body, "\"a\"", asked)
            } else {
                whole(&body)
            };
            Answer {
                cut: (count < 2).then_some(answer.body.len() / 2),
                ..answer
            }
        });
        let member = member(&content, &[format!("{}/m", server.url)]);
        let path = Watcher::default()
            .pull(&fixture.store, &member, &options())
            .unwrap()
            .path;
        assert_eq!(fs::read(path).unwrap(), content);
        assert_eq!(server.asked().len(), 3);
    }
}

#[test]
fn a_wrong_range_is_not_written() {
    let (fixture, content) = (fixture(), bytes(400_000));
    let body = content.clone();
    let server = Server::new(move |count, asked| match count {
        0 => Answer {
            cut: Some(200_000),
            ..whole(&body)
        },
        1 => Answer {
            status: 206,
            headers: vec![format!(
                "Content-Range: bytes 7-{}/{}",
                body.len() - 1,
                body.len()
            )],
            ..whole(&body[7..])
        },
        _ => ranged(&body, "\"a\"", asked),
    });
    let path = Watcher::default().pull(
        &fixture.store,
        &member(&content, &[format!("{}/m", server.url)]),
        &options(),
    );
    assert_eq!(fs::read(path.unwrap().path).unwrap(), content);
}

#[test]
fn sources_are_tried_in_order_and_all_named_when_they_fail() {
    let (fixture, content) = (fixture(), bytes(5_000));
    let body = content.clone();
    let server = Server::new(move |_, asked| match asked.path.as_str() {
        "/wrong" => whole(&bytes(5_001)[1..]),
        "/o/gated/resolve/v1/dir/a%20b.gguf" => status(403),
        "/busy" => status(503),
        "/good" => whole(&body),
        _ => status(404),
    });
    let url = |path: &str| format!("{}/{path}", server.url);
    let bad = [
        url("none"),
        url("wrong"),
        "hf:o/gated@v1/dir/a b.gguf".to_owned(),
        url("busy"),
    ];
    let options = PullOptions {
        hub_endpoint: server.url.clone(),
        hub_token: Some("t0k".into()),
        ..options()
    };
    let error = Watcher::default()
        .pull(&fixture.store, &member(&content, &bad), &options)
        .unwrap_err();
    let text = error.to_string();
    for (source, reason) in bad.iter().zip([
        "404 (not found)",
        "sha256 of the download is",
        "403 (access denied)",
        "HTTP status 503",
    ]) {
        let at = text
            .find(&format!("{source}: "))
            .unwrap_or_else(|| panic!("{source} in {text}"));
        assert!(text[at..].contains(reason), "{text}");
    }
    assert!(matches!(error, StoreError::AllSourcesFailed { .. }));
    assert!(!text.contains('\n') && !text.contains("t0k"));
    assert_eq!(models(&fixture.store), [""; 0], "nothing is left");
    let with_token: Vec<_> = server
        .asked()
        .into_iter()
        .filter(|asked| asked.token.is_some())
        .collect();
    assert!(with_token.iter().all(|asked| asked.path.contains("gated")) && with_token.len() == 1);

    let sources = [&bad[..], &[url("good")]].concat();
    let pulled = Watcher::default()
        .pull(&fixture.store, &member(&content, &sources), &options)
        .unwrap();
    assert_eq!(pulled.source, Some(url("good")));
}

#[test]
fn a_server_that_is_not_there_and_one_of_another_size() {
    let (fixture, content) = (fixture(), bytes(100));
    let gone = member(&content, &["http://127.0.0.1:1/m".to_owned()]);
    let error = Watcher::default()
        .pull(&fixture.store, &gone, &options())
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("cannot get `m.gguf`: http://127.0.0.1:1/m: "),
        "{error}"
    );

    let server = Server::new(move |_, _| whole(&bytes(100)));
    let member = Member {
        size: Some(99),
        ..member(&content, &[format!("{}/m", server.url)])
    };
    let error = Watcher::default()
        .pull(&fixture.store, &member, &options())
        .unwrap_err();
    assert!(
        error.to_string().contains("has 100 bytes, expected 99"),
        "{error}"
    );
}

#[test]
fn pulls_of_one_file_wait_for_each_other() {
    let (fixture, content) = (fixture(), bytes(600_000));
    let body = content.clone();
    let server = Server::new(move |_, asked| {
        thread::sleep(Duration::from_millis(100));
        ranged(&body, "\"a\"", asked)
    });
    let member = member(&content, &[format!("{}/m", server.url)]);
    thread::scope(|scope| {
        let pulls: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    Watcher::default()
                        .pull(&fixture.store, &member, &options())
                        .unwrap()
                })
            })
            .collect();
        let pulled: Vec<_> = pulls.into_iter().map(|pull| pull.join().unwrap()).collect();
        assert_eq!(
            pulled
                .iter()
                .filter(|pulled| pulled.source.is_some())
                .count(),
            1
        );
    });
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn licence_offline_and_files_that_are_there() {
    let (fixture, content) = (fixture(), bytes(50));
    let server = Server::new(move |_, _| whole(&bytes(50)));
    let mut member = member(&content, &[format!("{}/m", server.url)]);
    member.licence = Some(Licence {
        id: "Strict".into(),
        url: None,
    });
    let mut watcher = Watcher {
        refuse: true,
        ..Watcher::default()
    };
    let error = watcher
        .pull(&fixture.store, &member, &options())
        .unwrap_err();
    assert!(matches!(error, StoreError::LicenceRefused { .. }));
    assert_eq!(
        (watcher.licences, server.asked().len()),
        (vec!["m: Strict".to_owned()], 0)
    );
    let offline = PullOptions {
        offline: true,
        ..options()
    };
    let error = Watcher::default()
        .pull(&fixture.store, &member, &offline)
        .unwrap_err();
    assert!(matches!(error, StoreError::Offline { .. }));

    // A file put there by hand is checked, taken into the index, and never replaced.
    fs::write(fixture.store.model_path("m.gguf"), b"other").unwrap();
    let error = Watcher::default()
        .pull(&fixture.store, &member, &options())
        .unwrap_err();
    assert!(matches!(error, StoreError::FileDiffers { .. }), "{error}");
    fs::write(fixture.store.model_path("m.gguf"), &content).unwrap();
    assert_eq!(
        Watcher::default()
            .pull(&fixture.store, &member, &offline)
            .unwrap()
            .source,
        None
    );
    assert_eq!(
        fixture.store.recorded("m.gguf").unwrap().unwrap().sha256,
        member.sha256
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_says_so_and_ends_the_pull() {
    let (fixture, content) = (fixture(), bytes(50_000));
    let server = Server::new(move |_, _| whole(&bytes(50_000)));
    let member = member(
        &content,
        &[format!("{}/m", server.url), format!("{}/n", server.url)],
    );
    fs::create_dir_all(fixture.store.root().join("models")).unwrap();
    std::os::unix::fs::symlink("/dev/full", fixture.store.model_path("m.gguf.part")).unwrap();
    let error = Watcher::default()
        .pull(&fixture.store, &member, &options())
        .unwrap_err();
    assert!(error.to_string().starts_with("cannot write "), "{error}");
    let full = |error: &StoreError| matches!(error, StoreError::Io { source, .. } if source.kind() == ErrorKind::StorageFull);
    assert!(full(&error), "{error:?}");
    assert_eq!(server.asked().len(), 1);
}
