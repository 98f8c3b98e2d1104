//! `/packllm/sessions`: the conversations of `packllm chat`.

use super::*;
use packllm_engine::chat::Message;
use packllm_engine::chat::log::{LogEntry, SessionHeader, SessionLog, read};
use std::path::Path;

const SESSIONS: &str = "/packllm/sessions";

/// A server with a folder of sessions.
struct Kept {
    folder: tempfile::TempDir,
    server: Running,
}

impl Kept {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Running::with(FakeSource::default(), |options| {
            options.sessions = Some(folder.path().join("sessions"));
        });
        Self { folder, server }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder
            .path()
            .join("sessions")
            .join(format!("{name}.jsonl"))
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = body.to_string();
        let reply = self.server.client.send(method, path, &[], body.as_bytes());
        (reply.status, reply.json())
    }

    /// Begins a session; returns its name and revision.
    fn begin(&self, texts: &[&str]) -> (String, Value) {
        let (status, begun) = self.ask("POST", SESSIONS, &json!({ "messages": said(texts) }));
        assert_eq!(status, 200, "{begun}");
        (
            begun["id"].as_str().unwrap().to_owned(),
            begun["revision"].clone(),
        )
    }

    fn open(&self, name: &str) -> Value {
        let (status, opened) = self.ask("GET", &format!("{SESSIONS}/{name}"), &Value::Null);
        assert_eq!(status, 200, "{opened}");
        opened
    }

    fn change(&self, name: &str, change: &Value) -> (u16, Value) {
        self.ask("POST", &format!("{SESSIONS}/{name}"), change)
    }

    fn list(&self, query: &str) -> Vec<Value> {
        let (status, list) = self.ask("GET", &format!("{SESSIONS}{query}"), &Value::Null);
        assert_eq!(status, 200, "{list}");
        list.as_array().unwrap().clone()
    }
}

/// Messages of a user and the pack in turns.
fn said(texts: &[&str]) -> Value {
    let roles = ["user", "assistant"].iter().cycle();
    let messages = roles.zip(texts);
    messages
        .map(|(role, text)| json!({ "role": role, "content": text }))
        .collect()
}

fn contents(path: &Path) -> Vec<String> {
    let kept = read(path).unwrap();
    let messages = kept.conversation.messages().iter();
    messages.map(|message| message.content.clone()).collect()
}

#[test]
fn a_session_is_that_of_the_terminal() {
    let kept = Kept::new();
    let body = json!({ "system": "Be brief.", "messages": said(&["Hello", "Hi"]) });
    let (_, begun) = kept.ask("POST", SESSIONS, &body);
    let name = begun["id"].as_str().unwrap();
    let file = read(&kept.path(name)).unwrap();
    assert_eq!(file.header.pack, "fake");
    assert_eq!(file.header.members, ["left", "right"]);
    assert_eq!(file.conversation.system(), Some("Be brief."));
    assert_eq!(contents(&kept.path(name)), ["Hello", "Hi"]);

    // What the terminal adds is read, and what it took back is a version.
    let (mut log, _) = SessionLog::resume(&kept.path(name)).unwrap();
    log.write(&LogEntry::Keep(1)).unwrap();
    log.write(&LogEntry::Message(Message::assistant("Good day")))
        .unwrap();
    drop(log);
    let opened = kept.open(name);
    assert_eq!(opened["system"], "Be brief.");
    assert_eq!(opened["standing"], json!([0, 2]));
    let messages = opened["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 3);
    assert_eq!(
        messages[1],
        json!({ "follows": 0, "role": "assistant", "content": "Hi" })
    );
    assert_eq!(messages[2]["follows"], 0);
    assert_eq!(messages[0]["follows"], Value::Null);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(kept.path(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn a_session_goes_on_and_branches() {
    let kept = Kept::new();
    let (name, revision) = kept.begin(&["one", "two"]);
    let more = json!({ "revision": revision, "messages": said(&["three", "four"]) });
    let (status, revised) = kept.change(&name, &more);
    assert_eq!(status, 200, "{revised}");
    assert_eq!(contents(&kept.path(&name)), ["one", "two", "three", "four"]);
    let branch = json!({
        "revision": revised["revision"], "keep": 2, "messages": said(&["five"]), "system": "New.", "left": 2,
    });
    let (status, revised) = kept.change(&name, &branch);
    assert_eq!(status, 200, "{revised}");
    assert_eq!(contents(&kept.path(&name)), ["one", "two", "five"]);
    let opened = kept.open(&name);
    assert_eq!(opened["revision"], revised["revision"]);
    assert_eq!(
        (&opened["system"], &opened["left"]),
        (&json!("New."), &json!(2))
    );
    assert_eq!(opened["standing"], json!([0, 1, 4]));
    // Nothing is written for nothing.
    let same = json!({ "revision": revised["revision"], "keep": 3, "system": "New.", "left": 2 });
    assert_eq!(kept.change(&name, &same), (200, revised));
}

#[test]
fn what_has_changed_is_not_written_over() {
    let kept = Kept::new();
    let (name, revision) = kept.begin(&["one"]);
    let add = |text: &str| json!({ "revision": revision, "messages": said(&[text]) });
    assert_eq!(kept.change(&name, &add("first")).0, 200);
    let (status, error) = kept.change(&name, &add("second"));
    assert_eq!(
        (status, &error["error"]["code"]),
        (409, &json!("session_changed"))
    );
    assert_eq!(contents(&kept.path(&name)), ["one", "first"]);
}

#[test]
fn a_session_that_a_chat_has_open_is_let_alone() {
    let kept = Kept::new();
    let (name, revision) = kept.begin(&["one"]);
    let (log, _) = SessionLog::resume(&kept.path(&name)).unwrap();
    let path = format!("{SESSIONS}/{name}");
    let change = json!({ "revision": revision, "messages": said(&["two"]) });
    for (method, body) in [
        ("POST", change.clone()),
        ("PATCH", json!({ "name": "other" })),
        ("DELETE", Value::Null),
    ] {
        let (status, error) = kept.ask(method, &path, &body);
        assert_eq!(
            (status, &error["error"]["code"]),
            (409, &json!("session_busy")),
            "{method}"
        );
        let message = error["error"]["message"].as_str().unwrap();
        assert!(message.contains("open in another packllm"), "{message}");
        assert!(!message.contains("jsonl"), "{message}");
    }
    // It is shown all the same.
    assert_eq!(kept.open(&name)["standing"], json!([0]));
    assert_eq!(kept.list("").len(), 1);
    drop(log);
    assert_eq!(kept.change(&name, &change).0, 200);
}

#[test]
fn sessions_are_listed_found_renamed_and_removed() {
    let kept = Kept::new();
    let (sky, _) = kept.begin(&["Why is the sky blue?", "Because of Rayleigh."]);
    let (bread, _) = kept.begin(&["Bread\nrises"]);
    let list = kept.list("");
    let ids: Vec<&Value> = list.iter().map(|line| &line["id"]).collect();
    assert!(
        ids.contains(&&json!(sky)) && ids.contains(&&json!(bread)),
        "{ids:?}"
    );
    let line = list.iter().find(|line| line["id"] == *bread).unwrap();
    assert_eq!(
        (&line["title"], &line["messages"]),
        (&json!("Bread"), &json!(1))
    );
    let found = kept.list("?search=RAYLEIGH");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["id"], *sky);
    assert!(
        found[0]["found"]
            .as_str()
            .unwrap()
            .contains("Because of Rayleigh")
    );
    assert_eq!(kept.list("?search=nowhere"), [] as [Value; 0]);
    assert_eq!(kept.list("?search=bread%20rises").len(), 0);

    let path = |name: &str| format!("{SESSIONS}/{name}");
    let (status, renamed) = kept.ask("PATCH", &path(&sky), &json!({ "name": "the sky" }));
    assert_eq!((status, &renamed["id"]), (200, &json!("the sky")));
    assert!(!kept.path(&sky).exists());
    assert_eq!(kept.open("the%20sky")["id"], "the sky");
    let (status, taken) = kept.ask("PATCH", &path(&bread), &json!({ "name": "the sky" }));
    assert_eq!(
        (status, &taken["error"]["code"]),
        (409, &json!("session_taken"))
    );
    for name in ["", "..", "../out", "a/b", "-x", ".hidden", "a\0b"] {
        let (status, error) = kept.ask("PATCH", &path(&bread), &json!({ "name": name }));
        assert_eq!(
            (status, &error["error"]["param"]),
            (400, &json!("name")),
            "{name:?}"
        );
    }
    assert_eq!(kept.ask("DELETE", &path(&bread), &Value::Null).0, 200);
    assert_eq!(kept.list("").len(), 1);
}

#[test]
fn no_path_of_a_request_is_opened() {
    let kept = Kept::new();
    kept.begin(&["one"]);
    let outside = kept.folder.path().join("outside.jsonl");
    let mut log = SessionLog::create(&outside, &SessionHeader::new("p", Vec::new(), "")).unwrap();
    log.write(&LogEntry::Message(Message::user("secret")))
        .unwrap();
    drop(log);
    #[cfg(unix)]
    std::os::unix::fs::symlink(&outside, kept.path("link")).unwrap();
    std::fs::create_dir(kept.path("folder")).unwrap();
    for name in [
        "outside",
        "..%2foutside",
        "%2e%2e%2foutside",
        "..%2foutside.jsonl",
        "..",
        "%2e",
        ".",
        "link",
        "folder",
        "%00",
        "%ff%fe",
        "a%0ab",
    ] {
        for (method, body) in [
            ("GET", Value::Null),
            ("POST", json!({ "revision": 0 })),
            ("PATCH", json!({ "name": "x" })),
            ("DELETE", Value::Null),
        ] {
            let path = format!("{SESSIONS}/{name}");
            let body = body.to_string();
            let reply = kept.server.client.send(method, &path, &[], body.as_bytes());
            assert!(
                [404, 405].contains(&reply.status),
                "{method} {name}: {}",
                reply.text()
            );
            assert!(!reply.text().contains("secret"));
        }
    }
    assert!(outside.exists());
    assert_eq!(kept.list("").len(), 1);
}

#[test]
fn what_is_too_large_or_wrong_is_refused() {
    let kept = Kept::new();
    let (name, revision) = kept.begin(&["one"]);
    let path = format!("{SESSIONS}/{name}");
    for (change, param) in [
        (json!({ "revision": revision, "keep": 2 }), "keep"),
        (json!({ "revision": revision, "left": 2 }), "left"),
        (json!({ "revision": -1 }), "revision"),
        (
            json!({ "revision": revision, "messages": [{ "role": "king", "content": "a" }] }),
            "messages[0].role",
        ),
    ] {
        let (status, error) = kept.change(&name, &change);
        assert_eq!(
            (status, &error["error"]["param"]),
            (400, &json!(param)),
            "{change}"
        );
    }
    let (status, error) = kept.ask("POST", SESSIONS, &json!({ "messages": [] }));
    assert_eq!(
        (status, &error["error"]["param"]),
        (400, &json!("messages"))
    );
    let large = json!({ "revision": revision, "messages": said(&[&"a".repeat(9 << 20)]) });
    assert_eq!(kept.server.client.post(&path, &large).status, 413);
    assert_eq!(contents(&kept.path(&name)), ["one"]);

    let file = std::fs::File::create(kept.path("huge")).unwrap();
    file.set_len((32 << 20) + 1).unwrap();
    assert_eq!(
        kept.ask("GET", &format!("{SESSIONS}/huge"), &Value::Null).0,
        413
    );
    std::fs::write(kept.path("broken"), "nonsense\n").unwrap();
    let (status, error) = kept.ask("GET", &format!("{SESSIONS}/broken"), &Value::Null);
    assert_eq!(status, 500);
    let message = error["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("line 1") && !message.contains("broken.jsonl"),
        "{message}"
    );
    let list = kept.list("");
    let broken = list.iter().find(|line| line["id"] == "broken").unwrap();
    assert!(broken["unreadable"].as_str().unwrap().starts_with("line 1"));
}

#[test]
fn where_none_are_kept_none_are_told() {
    let server = Running::new();
    for (method, path) in [
        ("GET", SESSIONS),
        ("GET", "/packllm/sessions/x"),
        ("DELETE", "/packllm/sessions/x"),
    ] {
        assert_eq!(
            server.client.send(method, path, &[], b"").status,
            404,
            "{method} {path}"
        );
    }
    let body = json!({ "messages": said(&["one"]) });
    let reply = server.client.post(SESSIONS, &body);
    assert_eq!(reply.status, 404);
    assert_eq!(
        reply.json()["error"]["message"],
        "no conversations are kept here"
    );
}
