use super::*;

fn header() -> SessionHeader {
    SessionHeader::new("p", vec!["a".into(), "b".into()], "2026-01-02 03:04")
}

fn written(path: &Path) -> SessionLog {
    let mut log = SessionLog::create(path, &header()).unwrap();
    for entry in [
        LogEntry::System(Some("s".into())),
        LogEntry::Message(Message::user("one\n\"two\"")),
        LogEntry::Message(Message::assistant("three")),
        LogEntry::Message(Message::user("four")),
        LogEntry::Keep(2),
        LogEntry::Message(Message::user("five")),
        LogEntry::Left(2),
    ] {
        log.write(&entry).unwrap();
    }
    log
}

#[test]
fn what_was_written_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.jsonl");
    drop(written(&path));
    let (_log, kept) = SessionLog::resume(&path).unwrap();
    assert_eq!(kept.header, header());
    let talk = kept.conversation;
    assert_eq!((talk.system(), talk.left(), talk.read()), (Some("s"), 2, 0));
    let contents: Vec<&str> = talk.messages().iter().map(|m| m.content.as_str()).collect();
    assert_eq!(contents, ["one\n\"two\"", "three", "five"]);
}

#[test]
fn every_torn_end_loses_its_line_alone_and_more_can_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.jsonl");
    drop(written(&path));
    let bytes = std::fs::read(&path).unwrap();
    let first = bytes.iter().position(|&b| b == b'\n').unwrap() + 1;
    for end in first..bytes.len() {
        std::fs::write(&path, &bytes[..end]).unwrap();
        let (mut log, before) = SessionLog::resume(&path).unwrap();
        log.write(&LogEntry::Message(Message::user("more")))
            .unwrap();
        drop(log);
        let after = read(&path).unwrap().conversation;
        let n = before.conversation.messages().len();
        assert_eq!(after.messages().len(), n + 1);
        assert_eq!(after.messages()[n].content, "more");
    }
}

#[test]
fn what_is_no_session_is_refused_by_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.jsonl");
    let message = r#"{"message":{"role":"user","content":"x"}}"#;
    let head = r#"{"session":{"format":1,"pack":"p","members":[]}}"#;
    let future = r#"{"session":{"format":2,"pack":"p","members":[]}}"#;
    for (text, said) in [
        (String::new(), ":1: "),
        (
            format!("{message}\n"),
            ":1: not a line of a session: the first line",
        ),
        (format!("{head}\nnonsense\n"), ":2: "),
        (format!("{head}\n{{\"what\":1}}\n"), ":2: "),
        (format!("{future}\n"), "format 2"),
    ] {
        std::fs::write(&path, &text).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(
            error.contains(said) && error.contains("s.jsonl"),
            "{text}: {error}"
        );
    }
}

#[test]
fn a_session_is_open_once_and_private() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.jsonl");
    let _log = written(&path);
    assert!(matches!(SessionLog::resume(&path), Err(LogError::Busy(_))));
    assert!(SessionLog::create(&path, &header()).is_err());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
