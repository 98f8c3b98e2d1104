//! Several at once, those that wait, those that leave, and the end.

use super::*;
use crate::client::read;
use packllm_server::{Log, LogFormat};
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

/// An answer that lasts until it is stopped.
fn long() -> Value {
    let more = json!({ "max_tokens": 3000, "stream": true, "temperature": 1.0 });
    question("Tell me of the bread", more)
}

fn open(server: &Running, body: &Value) -> BufReader<TcpStream> {
    server
        .client
        .open("POST", CHAT, &[], body.to_string().as_bytes())
}

/// Reads until the answer has begun.
fn await_text(stream: &mut BufReader<TcpStream>) {
    let mut line = String::new();
    while !line.contains("\"content\":\"") {
        line.clear();
        assert_ne!(stream.read_line(&mut line).unwrap(), 0, "it ended before");
    }
}

fn metric(server: &Running, name: &str) -> f64 {
    let text = server.client.get("/metrics").text();
    let line = text
        .lines()
        .find(|line| line.starts_with(&format!("packllm:{name} ")));
    line.unwrap().rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn answers_are_made_at_once_and_each_is_its_own() {
    let ask = |server: &Running, i: usize| {
        let body = question(&format!("{i} asks of the sky"), json!({ "max_tokens": 12 }));
        let answer = server.client.post(CHAT, &body).json();
        answer["choices"][0]["message"]["content"].clone()
    };
    let server = Running::with(slow(1), |_| {});
    let alone: Vec<Value> = (0..4).map(|i| ask(&server, i)).collect();
    let server = Running::with(slow(1), |_| {});
    let together = std::thread::scope(|scope| {
        let server = &server;
        let threads = [0, 1, 2, 3].map(|i| scope.spawn(move || ask(server, i)));
        threads.map(|thread| thread.join().unwrap())
    });
    assert_eq!(alone, together);
}

#[test]
fn who_comes_too_late_is_told_to_come_again() {
    let server = Running::with(slow(5), |options| {
        options.parallel = 1;
        options.limits.queue = 1;
    });
    let mut first = open(&server, &long());
    await_text(&mut first);
    let second = open(&server, &long());
    until("the second waits", || {
        metric(&server, "requests_deferred") == 1.0
    });
    let third = server.client.post(CHAT, &long());
    assert_eq!(third.status, 503);
    assert!(third.header("retry-after").unwrap().parse::<u32>().unwrap() > 0);
    // Who waits leaves its place when it goes.
    drop(second);
    until("nobody waits", || {
        metric(&server, "requests_deferred") == 0.0
    });
    let fourth = open(&server, &question("And now?", json!({ "max_tokens": 1 })));
    until("the fourth waits", || {
        metric(&server, "requests_deferred") == 1.0
    });
    drop(first);
    let mut fourth = fourth;
    assert_eq!(read(&mut fourth).unwrap().status, 200);
}

#[test]
fn who_waits_is_served_in_turn() {
    let server = Running::with(slow(1), |options| options.parallel = 1);
    let mut first = open(&server, &long());
    await_text(&mut first);
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for i in 0..3 {
            let (server, done) = (&server, &done);
            let waiting = f64::from(i) + 1.0;
            scope.spawn(move || {
                let body = question("In turn", json!({ "max_tokens": 2 }));
                assert_eq!(server.client.post(CHAT, &body).status, 200);
                done.lock().unwrap().push(i);
            });
            until("it waits", || {
                metric(server, "requests_deferred") == waiting
            });
        }
        drop(first);
    });
    assert_eq!(done.into_inner().unwrap(), [0, 1, 2]);
}

#[test]
fn a_client_that_goes_stops_its_own_answer_alone() {
    let server = Running::with(slow(5), |options| options.parallel = 2);
    let mut gone = open(&server, &long());
    let mut stays = open(
        &server,
        &question("Stay", json!({ "max_tokens": 40, "stream": true })),
    );
    await_text(&mut gone);
    await_text(&mut stays);
    drop(gone);
    until("one is left", || {
        metric(&server, "requests_processing") <= 1.0
    });
    let mut rest = String::new();
    while stays.read_line(&mut rest).unwrap() > 0 {}
    assert!(rest.contains("data: [DONE]"));
    // The members stop at once: a batch or two may have been under way.
    let before = server.source.decodes.load(Ordering::SeqCst);
    std::thread::sleep(Duration::from_millis(100));
    assert!(server.source.decodes.load(Ordering::SeqCst) <= before + 4);
    // Also one that waits for its whole answer.
    let body = question("Whole", json!({ "max_tokens": 3000 }));
    let whole = open(&server, &body);
    until("it is answered", || {
        metric(&server, "requests_processing") == 1.0
    });
    drop(whole);
    until("nobody is", || {
        metric(&server, "requests_processing") == 0.0
    });
}

#[test]
fn a_client_that_does_not_read_is_not_waited_for_for_ever() {
    let server = Running::with(FakeSource::default(), |options| {
        options.parallel = 1;
        options.limits.write_time = Duration::from_millis(300);
    });
    // Choices of many words fill every buffer on the way.
    let more = json!({ "max_tokens": 3000, "n": 8, "stream": true, "logprobs": true, "top_logprobs": 20,
        "temperature": 1.0 });
    let silent = open(&server, &question("Much", more));
    until("it is answered", || {
        metric(&server, "requests_processing") == 1.0
    });
    until("it is given up", || {
        metric(&server, "requests_processing") == 0.0
    });
    drop(silent);
    chat(&server, json!({ "max_tokens": 2 }));
}

#[test]
fn an_idle_pack_is_unloaded_and_comes_back() {
    let server = Running::with(FakeSource::default(), |options| {
        options.keep_alive = Some(Duration::from_millis(50));
    });
    chat(&server, json!({ "max_tokens": 2 }));
    until("it is unloaded", || server.source.occupancy().is_none());
    assert_eq!(server.client.get("/health").status, 200);
    assert_eq!(server.client.get("/api/ps").json()["models"], json!([]));
    assert_eq!(server.client.get("/props").json()["is_sleeping"], true);
    chat(&server, json!({ "max_tokens": 2 }));
    assert_eq!(server.source.loads.load(Ordering::SeqCst), 2);
    until("it is unloaded", || server.source.occupancy().is_none());
    server.source.fails.store(true, Ordering::SeqCst);
    let body = question("Hello", json!({ "max_tokens": 2 }));
    let reply = server.client.post(CHAT, &body);
    assert_eq!(reply.status, 503);
    assert!(!reply.text().contains("told to fail"));
    server.source.fails.store(false, Ordering::SeqCst);
    chat(&server, json!({ "max_tokens": 2 }));
}

#[test]
fn nothing_is_held_when_nobody_is_there() {
    let server = Running::with(slow(1), |options| {
        options.keep_alive = None;
        options.parallel = 3;
    });
    std::thread::scope(|scope| {
        for i in 0..12 {
            let server = &server;
            scope.spawn(move || {
                let mut stream = open(server, &long());
                if i % 3 > 0 {
                    await_text(&mut stream);
                }
            });
        }
    });
    until("all is over", || {
        metric(&server, "requests_processing") + metric(&server, "requests_deferred") == 0.0
    });
    chat(&server, json!({ "max_tokens": 2 }));
    // What rests is at most a conversation a place.
    let occupancy = server.source.occupancy().unwrap();
    assert!(occupancy.iter().all(|member| member.cells < 3 * 200));
}

#[test]
fn a_member_that_fails_ends_the_answer_and_not_the_server() {
    for (trouble, loads) in [(fake::FAIL, 1), (fake::PANIC, 2)] {
        let server = Running::with(slow(2), |_| {});
        let mut under_way = open(&server, &long());
        await_text(&mut under_way);
        server.source.trouble.store(trouble, Ordering::SeqCst);
        let mut rest = String::new();
        while under_way.read_line(&mut rest).unwrap() > 0 {}
        let error = rest
            .lines()
            .find(|line| line.starts_with("data: {\"error\":"));
        assert!(error.is_some(), "{rest}");
        assert!(!rest.contains("[DONE]") && !rest.contains("/told"));
        server.source.trouble.store(0, Ordering::SeqCst);
        chat(&server, json!({ "max_tokens": 2 }));
        assert_eq!(server.source.loads.load(Ordering::SeqCst), loads);
    }
}

#[test]
fn a_drain_ends_what_was_begun_and_takes_no_more() {
    let mut server = Running::with(slow(2), |_| {});
    let body = question("To the end", json!({ "max_tokens": 30, "stream": true }));
    let mut under_way = open(&server, &body);
    await_text(&mut under_way);
    server.handle.drain();
    let mut rest = String::new();
    while under_way.read_line(&mut rest).unwrap() > 0 {}
    assert!(rest.contains("data: [DONE]"), "{rest}");
    server.thread.take().unwrap().join().unwrap().unwrap();
    assert!(TcpStream::connect(server.client.0).is_err());
}

#[test]
fn a_second_signal_ends_answers_under_way() {
    let mut server = Running::with(slow(5), |_| {});
    let mut under_way = open(&server, &long());
    await_text(&mut under_way);
    server.handle.drain();
    server.handle.stop();
    let start = Instant::now();
    server.thread.take().unwrap().join().unwrap().unwrap();
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn health_is_told_while_all_are_busy() {
    let server = Running::with(slow(20), |options| {
        options.parallel = 1;
        options.limits.stall = Duration::from_secs(30);
    });
    let mut busy = open(&server, &long());
    await_text(&mut busy);
    let start = Instant::now();
    assert_eq!(server.client.get("/health").status, 200);
    assert!(start.elapsed() < Duration::from_secs(2));
    let slots = server.client.get("/slots").json();
    assert_eq!(slots[0]["is_processing"], true);
}

#[test]
fn a_slot_is_that_of_its_request_until_it_ends() {
    let server = Running::with(slow(5), |options| options.parallel = 3);
    let open = |_| {
        let mut stream = open(&server, &long());
        await_text(&mut stream);
        stream
    };
    let slots = || server.client.get("/slots").json();
    let busy = |slots: &Value| {
        let slots = slots.as_array().unwrap().iter();
        slots
            .map(|s| s["is_processing"].as_bool().unwrap())
            .collect::<Vec<_>>()
    };
    let mut streams: Vec<_> = (0..2).map(open).collect();
    let both = slots();
    assert_eq!(busy(&both), [true, true, false]);
    assert_ne!(both[0]["id_task"], both[1]["id_task"]);
    drop(streams.remove(0));
    until("the first is free", || !busy(&slots())[0]);
    assert_eq!(slots()[1], both[1]);
    streams.push(open(0));
    assert_eq!(busy(&slots()), [true, true, false]);
}

#[test]
fn health_says_where_nobody_makes_a_step() {
    let server = Running::with(slow(1500), |options| {
        options.limits.stall = Duration::from_millis(200);
    });
    let busy = open(&server, &long());
    until("it is told", || server.client.get("/health").status == 503);
    drop(busy);
}

#[test]
fn silence_is_broken_by_comments() {
    let server = Running::with(slow(400), |options| {
        options.limits.silence = Duration::from_millis(100);
    });
    let body = question("Slow", json!({ "max_tokens": 2, "stream": true }));
    let reply = server.client.post(CHAT, &body);
    assert!(reply.text().contains(": \n\n"));
    reply.chunks();
}

#[test]
fn the_log_has_a_line_a_request_and_no_text() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&lines);
    let server = Running::with(FakeSource::default(), |options| {
        options.log = Log {
            format: LogFormat::Json,
            sink: Arc::new(move |line| sink.lock().unwrap().push(line.to_owned())),
        };
    });
    chat(&server, json!({ "max_tokens": 3 }));
    server.client.get("/secret/path?key=abc");
    until("both are logged", || lines.lock().unwrap().len() == 2);
    let lines = lines.lock().unwrap();
    let first: Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(first["route"], CHAT);
    assert_eq!(first["status"], 200);
    assert!(first["completion_tokens"].as_u64().unwrap() > 0);
    assert!(!lines.concat().contains("Hello") && !lines.concat().contains("secret"));
}
