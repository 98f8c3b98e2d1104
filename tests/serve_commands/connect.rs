//! `packllm chat --connect`: the chat on a server.

use super::*;
use crate::pty::Terminal;
use crate::scripted;
use crate::user::{Done, interrupt, says, wait_for_output};
use std::io::Write;

/// What the server is started with: answers are the same every time, and short.
const SHORT: [&str; 6] = ["--temp", "0", "-n", "8", "--weights", "uniform"];

impl Served {
    fn url(&self) -> String {
        format!("http://{}", self.client.0)
    }

    /// A chat with it, of these lines.
    fn talk(&self, user: &User, flags: &[&str], lines: &str) -> Done {
        let url = self.url();
        let line = [&["chat", "--connect", &url], flags].concat();
        user.run_with(&line, lines.as_bytes())
    }

    /// A number of `/metrics`.
    fn metric(&self, name: &str) -> String {
        let text = self.client.get("/metrics").text();
        let line = text
            .lines()
            .find_map(|l| l.strip_prefix(&format!("packllm:{name} ")));
        line.unwrap().to_owned()
    }
}

/// The address of a server that says these texts.
fn saying(texts: Vec<String>) -> String {
    format!("http://{}", scripted::saying(texts))
}

fn document(text: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{text}")
}

fn said(text: &str) -> String {
    let text = json!({ "choices": [{ "delta": { "content": text } }] });
    format!("data: {text}\n\n")
}

#[test]
fn a_chat_with_a_server_says_what_a_chat_with_the_pack_says() {
    let user = User::new();
    let (bpe, spm) = user.models();
    let lines = "The moon\nThe sea\n";
    let line = [&["chat", "-m", &*bpe, "-m", &*spm], &SHORT[..]].concat();
    let here = user.run_with(&line, lines.as_bytes());
    let served = Served::new(&user, &SHORT);
    let done = served.talk(&user, &["--session", "far"], lines);
    assert_eq!(done.code, 0, "{}", done.err);
    assert_eq!(done.out, here.out);
    assert_eq!(done.err.matches(" · context ").count(), 2, "{}", done.err);
    says(
        &done.err,
        &["weights bpe 0.50 · spm 0.50 (uniform", "length"],
    );
    // The session is one like every other: the pack that is loaded here goes on with it.
    let line = [
        &["chat", "--session", "far", "-m", &*bpe, "-m", &*spm],
        &SHORT[..],
    ]
    .concat();
    let gone_on = user.run_with(&line, b"/sessions\n/undo\n");
    assert_eq!(gone_on.code, 0, "{}", gone_on.err);
    says(&gone_on.out, &[">>> The moon", "4 messages"]);
}

#[test]
fn commands_do_what_they_do_here_or_say_where_it_is_done() {
    let user = User::new();
    let served = Served::new(&user, &SHORT);
    let done = served.talk(
        &user,
        &[],
        "/weights\n/members\nThe moon\n/weights\n/members off spm\nThe sea\n/members\n\
         /weights bpe=3,spm=1\n/members on\n/mix linear\nThe hill\n/mix\n/vocab\n/vocab tokens\n\
         /set repeat-stop off\n/set num_ctx 1\n/set temp 0.5\n/show\n/show prompt bpe\n/stats\n\
         /context\n/compare\n/regenerate\n/continue\n/undo\n/attribution on\nThe end\n",
    );
    let out = [
        "its weight comes with the answer",
        "weights by uniform on your last message:",
        "off: reads along",
        "linear\nbytes",
        concat!("packllm ", env!("CARGO_PKG_VERSION"), " · context "),
        "prompt ",
        "── bpe alone",
        "── spm alone",
    ];
    says(&done.out, &out);
    let err = [
        "not known before the next answer",
        "weights bpe 1.00 · spm off (uniform",
        "weights bpe 0.75 · spm 0.25 (bpe=0.75,spm=0.25",
        "it holds from the next message on",
        "the alphabet is the server's",
        "the server decides: `packllm serve --repeat-stop WHEN`",
        "contexts are the server's",
        "temp is 0.5",
        "the server does not tell it",
        "taken back; 4 messages left",
        "argued for by [1 bpe]",
    ];
    says(&done.err, &err);
    assert!(
        !done.err.contains("the answer before stands"),
        "{}",
        done.err
    );
}

#[test]
fn a_schema_holds_there_too_and_thoughts_are_kept_in_their_tags() {
    let user = User::new();
    let served = Served::new(&user, &["-n", "60"]);
    let lines = "/set schema {\"enum\": [\"rye\"]}\nBread?\n/set schema none\n";
    let done = served.talk(&user, &[], lines);
    assert_eq!(done.out, "\"rye\"\n", "{}", done.err);

    let thought = json!({ "choices": [{ "delta": { "reasoning_content": "Hm." } }] });
    let end = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let answer = document(&format!("data: {thought}\n\n{}{end}", said("Yes.")));
    let url = saying(vec![document(r#"{"data":[{"id":"other"}]}"#), answer]);
    let done = user.run_with(&["chat", "--connect", &url], b"Tea?\n");
    assert_eq!(done.code, 0, "{}", done.err);
    assert_eq!(done.out, "<think>\nHm.\n</think>\n\nYes.\n");
    says(&done.err, &["is no packllm: it answers as other"]);
}

#[test]
fn who_has_no_key_is_told_what_to_do() {
    let user = User::new();
    let file = user.path("key.txt");
    std::fs::write(&file, "secret\n").unwrap();
    let file = file.to_str().unwrap();
    let served = Served::new(&user, &["-n", "4", "--api-key-file", file]);
    let url = served.url();
    let err = user.fails(&["chat", "--connect", &url]);
    says(&err, &["401", "hint: set PACKLLM_API_KEY"]);
    let done = served.talk(&user, &["--api-key-file", file], "Hello\n");
    assert_eq!(done.code, 0, "{}", done.err);
    let mut command = user.command(&["chat", "--connect", &url]);
    command.env("PACKLLM_API_KEY", "secret");
    assert!(command.output().unwrap().status.success());
}

#[test]
fn what_cannot_be_meant_is_refused_by_name() {
    let user = User::new();
    for (flag, value) in [
        ("--model", "a.gguf"),
        ("--ctx-size", "512"),
        ("--pack", "tiny"),
        ("--vocab", "bytes"),
        ("--draft", "auto"),
        ("--prompt-cache", "file"),
    ] {
        let err = user.misused(&["chat", "--connect", "127.0.0.1:1", flag, value]);
        says(&err, &["--connect", flag]);
    }
    let err = user.misused(&["chat", "--connect", "ftp://a"]);
    says(&err, &["--connect: `ftp://a` is no address"]);
    let err = user.misused(&["chat", "--api-key-file", "a"]);
    says(&err, &["--connect"]);
    let err = user.fails(&["chat", "--connect", "127.0.0.1:1"]);
    says(
        &err,
        &[
            "http://127.0.0.1:1: no connection",
            "does `packllm serve` run there?",
        ],
    );
}

#[test]
fn a_server_that_goes_away_is_said_and_the_chat_goes_on() {
    let user = User::new();
    let models = document(r#"{"data":[{"id":"other"}]}"#);
    let end = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let url = saying(vec![
        models,
        document(&said("Half of")),
        document(&format!("{}{end}", said(" it."))),
        document(&format!("{}{end}", said("All."))),
    ]);
    let lines = "Well?\n/continue\nAgain?\nAnd now?\n/show prompt\n";
    let done = user.run_with(&["chat", "--connect", &url], lines.as_bytes());
    assert_eq!(done.code, 1, "{}", done.err);
    assert_eq!(done.out, "Half of\n it.\nAll.\n");
    let err = [
        "the answer broke off: the connection was closed",
        "what came stays",
        "no connection",
    ];
    says(&done.err, &err);
}

#[test]
fn ctrl_c_stops_the_server_as_well() {
    let user = User::new();
    let endless = user.endless();
    let mut line = vec!["serve", "-m", &endless, "--port", "0"];
    line.extend(["-c", "100000", "--temp", "0", "--repeat-stop", "off"]);
    let served = Served::of(user.piped(&line));
    let url = served.url();
    let mut child = user.piped(&["chat", "--connect", &url, "--session", "cut"]);
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"The moon\n").unwrap();
    wait_for_output(&mut child);
    interrupt(&child);
    let start = Instant::now();
    while served.metric("requests_processing") != "0" {
        assert!(start.elapsed() < Duration::from_secs(60), "it goes on");
        std::thread::sleep(Duration::from_millis(20));
    }
    input.write_all(b"/sessions\n").unwrap();
    drop(input);
    let done = Done::of(child.wait_with_output().unwrap());
    assert_eq!(done.code, 0, "{}", done.err);
    says(&done.err, &["cancelled"]);
    says(&done.out, &["2 messages"]);
}

#[test]
fn a_full_queue_is_waited_for_and_that_is_said() {
    let user = User::new();
    let endless = user.endless();
    let mut line = vec!["serve", "-m", &endless, "--port", "0"];
    line.extend(["-c", "100000", "--temp", "0", "--repeat-stop", "off"]);
    line.extend(["--parallel", "1", "--max-queue", "0"]);
    let served = Served::of(user.piped(&line));
    let url = served.url();
    let body = json!({ "messages": [{ "role": "user", "content": "Hello" }], "stream": true });
    let busy = served.answering(&body);
    let mut child = user.piped(&["chat", "--connect", &url, "-n", "4"]);
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"The moon\n")
        .unwrap();
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("no place now: waiting") {
        line.clear();
        assert_ne!(err.read_line(&mut line).unwrap(), 0);
    }
    drop(busy);
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success() && done.stdout.len() > 1);
}

#[test]
fn a_server_has_no_power_over_the_terminal() {
    let user = User::new();
    let evil = "\u{1b}]52;c;eA==\u{7}";
    let models = json!({ "data": [{ "id": format!("m{evil}") }] }).to_string();
    let failed = json!({ "error": { "message": format!("no{evil}") } });
    let url = saying(vec![
        document(&models),
        document(&format!("{}data: {failed}\n\n", said(&format!("a{evil}b")))),
    ]);
    let mut terminal = Terminal::new(&user, &["chat", "--connect", &url], &[]);
    let mut shown = terminal.waits_for(">>> ");
    terminal.types("Hello\r");
    shown += &terminal.waits_for("hint: what came stays");
    assert!(!shown.contains("\u{1b}]52"), "{shown:?}");
    says(&shown, &["a\u{fffd}]52;c;eA==\u{fffd}b", "no\u{fffd}]52"]);
}
