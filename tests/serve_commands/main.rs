//! `packllm serve` as a user runs it: the program itself on tiny models that llama.cpp runs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests may panic; the exemption for tests does not reach them"
)]

#[path = "../../crates/server/tests/server_fake/client.rs"]
#[allow(dead_code, reason = "each test binary uses a part of it")]
mod client;
mod connect;
mod options;
#[path = "../answer_commands/pty.rs"]
#[allow(dead_code, reason = "each test binary uses a part of it")]
mod pty;
#[path = "../../crates/client/tests/scripted/mod.rs"]
mod scripted;
#[path = "../tiny/mod.rs"]
mod tiny;
#[path = "../user/mod.rs"]
mod user;

use client::Client;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Child, ChildStdout};
use std::time::{Duration, Instant};
use user::User;

/// A server that was started, and is ended when it is dropped.
struct Served {
    child: Child,
    client: Client,
    /// The line to try it.
    curl: String,
    _out: BufReader<ChildStdout>,
}

impl Served {
    /// With two tiny models, and more flags.
    fn new(user: &User, flags: &[&str]) -> Self {
        let (bpe, spm) = user.models();
        let mut line = vec!["serve", "-m", &bpe, "-m", &spm, "--port", "0"];
        line.extend(flags);
        Self::of(user.piped(&line))
    }

    /// One that was started.
    fn of(mut child: Child) -> Self {
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let (mut address, mut curl) = (String::new(), String::new());
        out.read_line(&mut address).unwrap();
        out.read_line(&mut curl).unwrap();
        let address = address.trim().strip_prefix("http://");
        let client = Client(address.expect("no address was said").parse().unwrap());
        Self {
            child,
            client,
            curl,
            _out: out,
        }
    }

    fn chat(&self, more: Value) -> Value {
        let mut body = json!({ "messages": [{ "role": "user", "content": "Hello" }] });
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        let reply = self.client.post("/v1/chat/completions", &body);
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()
    }

    /// A stream of an answer that has begun.
    fn answering(&self, body: &Value) -> BufReader<TcpStream> {
        let body = body.to_string();
        let path = "/v1/chat/completions";
        let mut stream = self.client.open("POST", path, &[], body.as_bytes());
        let mut line = String::new();
        while !line.contains("\"role\":\"assistant\"") {
            line.clear();
            assert_ne!(stream.read_line(&mut line).unwrap(), 0);
        }
        stream
    }

    /// Sends a signal to the program.
    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let kill = std::process::Command::new("kill")
            .args(["-s", name, &id])
            .status();
        assert!(kill.unwrap().success());
    }

    /// The exit code, once it has ended.
    fn ended(&mut self) -> i32 {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            assert!(start.elapsed() < Duration::from_secs(60), "it goes on");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_pack_is_served_until_it_is_told_to_end() {
    let user = User::new();
    let mut served = Served::new(&user, &["-n", "6", "--temp", "0", "--seed", "5"]);
    assert!(served.curl.starts_with("curl http://127.0.0.1:"));
    let answer = served.chat(json!({ "packllm": {} }));
    assert_eq!(answer["packllm"]["seed"], 5);
    assert_eq!(answer["packllm"]["members"].as_array().unwrap().len(), 2);
    let tokens = answer["usage"]["completion_tokens"].as_u64().unwrap();
    assert!(tokens <= 7, "{answer}");
    let again = served.chat(json!({}));
    assert_eq!(again["choices"], answer["choices"]);
    served.signal("TERM");
    assert_eq!(served.ended(), 0);
}

#[test]
fn an_answer_is_that_of_run() {
    let user = User::new();
    let (bpe, spm) = user.models();
    let flags = [
        "--temp",
        "0",
        "-n",
        "12",
        "--weights",
        "uniform",
        "--repeat-stop",
        "off",
    ];
    let mut line = vec!["run", "-m", &bpe, "-m", &spm, "-p", "Hello", "--json"];
    line.extend(flags);
    let run = user.json(&line);
    let served = Served::new(&user, &flags);
    let answer = served.chat(json!({}));
    let message = &answer["choices"][0]["message"];
    assert_eq!(message["content"], run["text"]);
}

#[test]
fn a_signal_lets_an_answer_under_way_end() {
    let user = User::new();
    let mut served = Served::new(&user, &["--temp", "0", "--repeat-stop", "off"]);
    let body = json!({
        "messages": [{ "role": "user", "content": "Hello" }], "stream": true, "max_tokens": 40,
    });
    let mut stream = served.answering(&body);
    served.signal("TERM");
    let mut rest = String::new();
    while stream.read_line(&mut rest).unwrap() > 0 {}
    assert!(rest.contains("data: [DONE]"));
    assert_eq!(served.ended(), 0);
}

#[test]
fn a_second_signal_ends_the_program_at_once() {
    let user = User::new();
    let mut served = Served::new(&user, &["--temp", "1", "--repeat-stop", "off"]);
    let body = json!({
        "messages": [{ "role": "user", "content": "Hello" }], "stream": true, "n": 8,
        "max_tokens": 200,
    });
    let mut stream = served.answering(&body);
    served.signal("TERM");
    // The first is heard once nobody is let in any more.
    let start = Instant::now();
    while TcpStream::connect(served.client.0).is_ok() {
        assert!(start.elapsed() < Duration::from_secs(10), "it takes more");
        std::thread::sleep(Duration::from_millis(2));
    }
    served.signal("TERM");
    assert_eq!(served.ended(), 128 + 15);
    let mut rest = String::new();
    while stream.read_line(&mut rest).is_ok_and(|read| read > 0) {}
    assert!(!rest.contains("data: [DONE]"));
}
