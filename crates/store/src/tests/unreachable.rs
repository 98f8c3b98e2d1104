//! A server that is out of reach: it is given up soon if there is another source.

use std::time::Instant;

use super::server::{Answer, Server, ranged, status, whole};
use super::*;

/// Options as they are by default, with this hub.
fn patient(hub: &str) -> PullOptions {
    PullOptions {
        hub_endpoint: hub.to_owned(),
        ..PullOptions::default()
    }
}

/// Pulls from the hub and, if that fails, from a server; says how long that took and what was said.
fn pull_past(hub: &str) -> (Duration, Vec<String>) {
    let (fixture, content) = (fixture(), bytes(5_000));
    let body = content.clone();
    let server = Server::new(move |_, _| whole(&body));
    let next = format!("{}/m", server.url);
    let member = member(&content, &["hf:o/r/m".to_owned(), next.clone()]);
    let (mut watcher, began) = (Watcher::default(), Instant::now());
    let pulled = watcher.pull(&fixture.store, &member, &patient(hub));
    assert_eq!(pulled.unwrap().source, Some(next));
    (began.elapsed(), watcher.notes)
}

fn is_one_line(notes: &[String], hub: &str) {
    let [note] = notes else {
        panic!("{notes:?}");
    };
    assert!(note.starts_with(&format!("hf:o/r/m: {hub}/o/r/")), "{note}");
    assert!(note.ends_with("; trying the next source"), "{note}");
    assert!(!note.contains('\n'), "{note}");
}

#[test]
fn a_hub_that_refuses_is_passed_over_in_one_line() {
    let hub = "http://127.0.0.1:1";
    let (took, notes) = pull_past(hub);
    is_one_line(&notes, hub);
    assert!(took < Duration::from_secs(2), "{took:?}");
}

/// Its queue is full, so Linux drops what asks for a connection, as a firewall would.
#[cfg(target_os = "linux")]
#[test]
fn a_hub_that_is_silent_is_given_up_within_five_seconds() {
    use std::net::{TcpListener, TcpStream};
    let full = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = full.local_addr().unwrap();
    let mut queue = Vec::new();
    while let Ok(waiting) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        queue.push(waiting);
        assert!(queue.len() < 10_000, "the queue never fills");
    }
    let hub = format!("http://{address}");
    let (took, notes) = pull_past(&hub);
    is_one_line(&notes, &hub);
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn a_hub_that_has_answered_is_asked_again() {
    let (fixture, content) = (fixture(), bytes(400_000));
    let body = content.clone();
    let hub = Server::new(move |count, asked| match count {
        0 => status(503),
        1 => Answer {
            cut: Some(200_000),
            ..ranged(&body, "\"a\"", asked)
        },
        _ => ranged(&body, "\"a\"", asked),
    });
    let sources = ["hf:o/r/m", "http://127.0.0.1:1/m"].map(str::to_owned);
    let options = PullOptions {
        hub_endpoint: hub.url.clone(),
        ..options()
    };
    let pulled = Watcher::default().pull(&fixture.store, &member(&content, &sources), &options);
    assert_eq!(pulled.unwrap().source.as_deref(), Some("hf:o/r/m"));
    assert_eq!(hub.asked().len(), 3);
}

#[test]
fn the_last_source_is_asked_again() {
    let (fixture, content) = (fixture(), bytes(50));
    let gone = member(&content, &["http://127.0.0.1:1/m".to_owned()]);
    let mut watcher = Watcher::default();
    let pulled = watcher.pull(&fixture.store, &gone, &options());
    assert!(matches!(pulled, Err(StoreError::AllSourcesFailed { .. })));
    let again = |note: &&String| note.ends_with("; trying again");
    assert_eq!(watcher.notes.iter().filter(again).count(), 2);
}
