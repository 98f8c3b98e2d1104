//! The client against a server over a pack without weights, and against servers that say what they
//! should not.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests may panic; the exemption for tests does not reach them"
)]

#[path = "../../server/tests/fake/mod.rs"]
#[allow(dead_code, reason = "a part of it is for the server's own tests")]
mod fake;

mod scripted;

use fake::{FakeSource, options};
use packllm_client::{About, Address, Asked, Chunk, Client, ClientError, Message, Question};
use packllm_server::{Handle, Options, Server};
use scripted::saying;
use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A server that runs until it is dropped.
struct Running {
    address: SocketAddr,
    handle: Handle,
    source: FakeSource,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    fn with(source: FakeSource, change: impl FnOnce(&mut Options)) -> Self {
        let mut options = options();
        change(&mut options);
        let server = Server::bind(options).unwrap();
        let (address, handle) = (server.address(), server.handle());
        let (ready, is_ready) = mpsc::channel();
        let its = source.clone();
        let thread = std::thread::spawn(move || {
            server.run(&its, &|| ready.send(()).unwrap()).unwrap();
        });
        is_ready.recv_timeout(Duration::from_secs(60)).unwrap();
        Self {
            address,
            handle,
            source,
            thread: Some(thread),
        }
    }

    fn new() -> Self {
        Self::with(FakeSource::default(), |_| {})
    }

    fn client(&self) -> Client {
        client(self.address)
    }

    fn is_idle(&self) -> bool {
        let held = self.source.occupancy().unwrap();
        held.iter().all(|member| member.conversations == 0)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.stop();
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn client(address: SocketAddr) -> Client {
    let address: Address = address.to_string().parse().unwrap();
    Client::new(address, None, Arc::default())
}

fn streamed(events: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n{events}"
    )
}

fn question(text: &str) -> Question {
    Question {
        messages: vec![Message::new("user", text)],
        temperature: Some(0.0),
        max_tokens: Some(12),
        packllm: Some(Asked::default()),
        ..Question::default()
    }
}

fn gather(client: &Client, question: &Question) -> Result<Vec<Chunk>, ClientError> {
    let mut stream = client.ask(question)?;
    let mut chunks = Vec::new();
    while let Some(chunk) = stream.next()? {
        chunks.push(chunk);
    }
    Ok(chunks)
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(20), "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_server_says_what_it_is() {
    let server = Running::new();
    let about = server.client().about().unwrap();
    assert_eq!(about.model, "fake");
    assert_eq!(about.version.as_deref(), Some(env!("CARGO_PKG_VERSION")));
    assert_eq!(about.members, ["left", "right"]);
    assert_eq!(about.context, Some(4096));
}

#[test]
fn another_server_is_asked_as_well() {
    let models = r#"{"data":[{"id":"a","owned_by":"me"},{"id":"b"}]}"#;
    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
    let about = client(saying(vec![format!("{head}{models}")]))
        .about()
        .unwrap();
    let want = About {
        model: "a".into(),
        models: vec!["a".into(), "b".into()],
        ..About::default()
    };
    assert_eq!(about, want);
    let asked = serde_json::to_value(Question::to(&about)).unwrap();
    assert_eq!(asked["packllm"], serde_json::Value::Null);
}

#[test]
fn an_answer_comes_with_its_members_words_and_counts() {
    let server = Running::new();
    let mut question = question("Why is bread brown?");
    question.packllm = Some(Asked {
        weights: Some("uniform".into()),
        attribution: true,
        ..Asked::default()
    });
    let chunks = gather(&server.client(), &question).unwrap();
    let first = chunks[0].packllm.as_ref().unwrap();
    let members = first.members.as_ref().unwrap();
    assert_eq!(members.len(), 2);
    assert!(
        members
            .iter()
            .all(|m| m.weight == 0.5 && m.takes_part && m.prompt_tokens > 0)
    );
    assert_eq!(first.fusion.as_ref().unwrap().weights, "uniform");
    let text: String = chunks.iter().map(Chunk::text).collect();
    let words = chunks
        .iter()
        .filter_map(|c| c.packllm.as_ref()?.attribution.as_ref());
    let words: String = words.flatten().map(|word| word.text.as_str()).collect();
    assert!(!text.is_empty());
    assert_eq!(words, text);
    let usage = chunks.iter().find_map(|c| c.usage).unwrap();
    assert!((1..=12).contains(&usage.completion_tokens));
    let reason = chunks
        .iter()
        .find_map(|c| c.choice()?.finish_reason.clone());
    assert_eq!(reason.as_deref(), Some("length"));
}

#[test]
fn members_are_left_out_and_answers_go_on() {
    let server = Running::new();
    let mut alone = question("Hello");
    alone.packllm = Some(Asked {
        members: Some(vec!["right".into()]),
        ..Asked::default()
    });
    let chunks = gather(&server.client(), &alone).unwrap();
    let own = chunks[0].packllm.as_ref().unwrap();
    let part: Vec<bool> = own.members.iter().flatten().map(|m| m.takes_part).collect();
    assert_eq!(part, [false, true]);
    let text: String = chunks.iter().map(Chunk::text).collect();
    alone.messages.push(Message::new("assistant", &*text));
    let rest = gather(&server.client(), &alone).unwrap();
    alone.messages.pop();
    alone.max_tokens = Some(24);
    let whole: String = gather(&server.client(), &alone)
        .unwrap()
        .iter()
        .map(Chunk::text)
        .collect();
    let rest: String = rest.iter().map(Chunk::text).collect();
    assert!(whole.starts_with(&text) && !rest.is_empty());
}

#[test]
fn a_key_is_sent_and_a_wrong_one_refused() {
    let server = Running::with(FakeSource::default(), |options| {
        options.safety.keys = vec!["secret".into()];
    });
    let with = |key: Option<&str>| {
        let address = server.address.to_string().parse().unwrap();
        Client::new(address, key.map(str::to_owned), Arc::default()).about()
    };
    assert!(with(Some("secret")).is_ok());
    for key in [None, Some("wrong")] {
        let error = with(key).unwrap_err();
        assert_eq!(error.refusal().unwrap().status, 401);
        assert!(!error.to_string().contains("wrong"), "{error}");
    }
}

#[test]
fn a_prompt_that_does_not_fit_is_told_with_its_sizes() {
    let server = Running::new();
    let error = gather(&server.client(), &question(&"a ".repeat(10_000))).unwrap_err();
    let (tokens, context) = error.sizes().unwrap();
    assert!(tokens > 10_000 && context == 4096, "{error}");
    assert!(error.to_string().contains("4096"), "{error}");
}

#[test]
fn a_full_queue_says_when_to_come_again() {
    let source = FakeSource {
        delay: Duration::from_millis(20),
        ..FakeSource::default()
    };
    let server = Running::with(source, |options| {
        options.parallel = 1;
        options.limits.queue = 0;
    });
    let mut long = question("Hello");
    long.max_tokens = Some(2000);
    let mut busy = server.client().ask(&long).unwrap();
    busy.next().unwrap();
    let error = gather(&server.client(), &question("Hello")).unwrap_err();
    let refused = error.refusal().unwrap();
    assert_eq!(
        (refused.status, refused.again),
        (503, Some(Duration::from_secs(2)))
    );
}

#[test]
fn what_is_dropped_or_cancelled_is_given_up_by_the_server() {
    let source = FakeSource {
        delay: Duration::from_millis(5),
        ..FakeSource::default()
    };
    let server = Running::with(source, |_| {});
    let mut long = question("Hello");
    long.max_tokens = Some(3000);
    let mut stream = server.client().ask(&long).unwrap();
    assert!(stream.next().unwrap().is_some());
    assert!(!server.is_idle());
    let decodes = || server.source.decodes.load(Ordering::SeqCst);
    let rests = || {
        let before = decodes();
        std::thread::sleep(Duration::from_millis(100));
        decodes() == before
    };
    drop(stream);
    until("the server stops", rests);

    let cancel = Arc::new(AtomicBool::new(false));
    let address = server.address.to_string().parse().unwrap();
    let client = Client::new(address, None, Arc::clone(&cancel));
    let mut stream = client.ask(&long).unwrap();
    stream.next().unwrap();
    cancel.store(true, Ordering::Relaxed);
    assert!(matches!(stream.next(), Err(ClientError::Cancelled)));
    drop(stream);
    until("the server stops again", rests);
}

#[test]
fn silence_is_no_reason_not_to_stop() {
    // It accepts and says nothing.
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string().parse().unwrap();
    let cancel = Arc::new(AtomicBool::new(false));
    let client = Client::new(address, None, Arc::clone(&cancel));
    let asking = std::thread::spawn(move || client.about());
    let (mut heard, _) = listener.accept().unwrap();
    cancel.store(true, Ordering::Relaxed);
    assert!(matches!(
        asking.join().unwrap(),
        Err(ClientError::Cancelled)
    ));
    // The connection is closed, not only left alone.
    heard
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let mut rest = Vec::new();
    heard.read_to_end(&mut rest).unwrap();
}

#[test]
fn nobody_there_and_no_server_of_chats_are_different_errors() {
    let free = TcpListener::bind(("127.0.0.1", 0))
        .unwrap()
        .local_addr()
        .unwrap();
    let error = client(free).about().unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
    let unknown: Address = "http://nobody.invalid".parse().unwrap();
    let error = Client::new(unknown, None, Arc::default())
        .about()
        .unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
    let page = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<html>";
    let error = client(saying(vec![page.into()])).about().unwrap_err();
    assert!(matches!(error, ClientError::Strange { .. }), "{error}");
    let away = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
    let error = client(saying(vec![away.into()])).about().unwrap_err();
    assert_eq!(error.refusal().unwrap().status, 302);
}

#[test]
fn an_answer_that_breaks_off_is_an_error_after_what_came() {
    let begin = "data: {\"choices\":[{\"delta\":{\"content\":\"Half\"}}]}\n\n";
    let told = "data: {\"error\":{\"message\":\"it failed\",\"type\":\"server_error\"}}\n\n";
    for (events, why) in [
        (begin.to_owned(), "closed"),
        (format!("{begin}{told}"), "it failed"),
        (format!("{begin}data: {{\n\n"), "EOF"),
        (
            format!("{begin}data: {}\n\n", "a".repeat(5 << 20)),
            "more than",
        ),
    ] {
        let client = client(saying(vec![streamed(&events)]));
        let mut stream = client.ask(&question("Hello")).unwrap();
        assert_eq!(stream.next().unwrap().unwrap().text(), "Half");
        let error = stream.next().unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn what_is_not_known_is_left_out() {
    let events = "data: {\"choices\":[{\"delta\":{\"reasoning\":\"Hm\"},\"new\":1}],\"packllm\":{\"news\":[]}}\n\n\
                  data: {\"choices\":[]}\n\ndata: [DONE]\n\ndata: no more\n\n";
    let client = client(saying(vec![streamed(events)]));
    let chunks = gather(&client, &question("Hello")).unwrap();
    assert_eq!(chunks.len(), 2);
    assert_eq!(chunks[0].thought(), "Hm");
}
