//! A server over a pack without weights, asked over real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests may panic; the exemption for tests does not reach them"
)]

mod anthropic;
mod client;
mod document;
#[path = "../fake/mod.rs"]
mod fake;
mod ollama;
mod openai;
mod own;
mod page;
mod programs;
mod queue;
mod responses;
mod safety;
mod sessions;
mod structured;

use client::{Client, Reply};
use fake::{FakeSource, options};
use packllm_server::{Handle, Options, ServeError, Server};
use serde_json::{Value, json};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A server that runs until it is dropped.
struct Running {
    client: Client,
    handle: Handle,
    source: FakeSource,
    thread: Option<JoinHandle<Result<(), ServeError>>>,
}

impl Running {
    fn new() -> Self {
        Self::with(FakeSource::default(), |_| {})
    }

    fn with(source: FakeSource, change: impl FnOnce(&mut Options)) -> Self {
        let mut options = options();
        change(&mut options);
        let server = Server::bind(options).unwrap();
        let (client, handle) = (Client(server.address()), server.handle());
        let (ready, is_ready) = mpsc::channel();
        let its = source.clone();
        let thread = std::thread::spawn(move || server.run(&its, &|| ready.send(()).unwrap()));
        is_ready.recv_timeout(Duration::from_secs(60)).unwrap();
        Self {
            client,
            handle,
            source,
            thread: Some(thread),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.stop();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !std::thread::panicking() {
                ended.unwrap().unwrap();
            }
        }
    }
}

/// Waits until something holds.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(20), "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A fake whose every step takes as long.
fn slow(millis: u64) -> FakeSource {
    FakeSource {
        delay: Duration::from_millis(millis),
        ..FakeSource::default()
    }
}

/// A conversation of one question, with more fields.
fn question(text: &str, more: Value) -> Value {
    let mut body = json!({ "messages": [{ "role": "user", "content": text }], "temperature": 0 });
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

const CHAT: &str = "/v1/chat/completions";

/// Asks, and expects an answer.
fn chat(server: &Running, more: Value) -> Value {
    let reply = server.client.post(CHAT, &question("Hello there", more));
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

/// Asks, and expects a refusal that names a field.
fn refused(server: &Running, path: &str, body: &Value) -> Reply {
    let reply = server.client.post(path, body);
    assert_eq!(reply.status, 400, "{body}: {}", reply.text());
    reply
}
