//! An HTTP server on the loopback interface whose every answer a test scripts.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;

/// What a request asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    pub path: String,
    pub from: Option<usize>,
    pub if_range: Option<String>,
    pub token: Option<String>,
}

/// A scripted answer.
pub(super) struct Answer {
    pub status: u16,
    pub headers: Vec<String>,
    pub body: Vec<u8>,
    /// The connection is closed after that many bytes of the body.
    pub cut: Option<usize>,
}

pub(super) struct Server {
    pub url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// Answers the n-th request (from 0) by `answer`. The thread lives as long as the tests.
    pub fn new(answer: impl Fn(usize, &Asked) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        thread::spawn(move || {
            for (count, stream) in listener.incoming().enumerate() {
                let mut stream = stream.unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap())
                    .lines()
                    .map_while(Result::ok);
                let first = lines.next().unwrap_or_default();
                let mut one = Asked {
                    path: first.split(' ').nth(1).unwrap_or_default().into(),
                    ..Asked::default()
                };
                for line in lines.take_while(|line| !line.is_empty()) {
                    let (name, value) = line.split_once(": ").unwrap_or_default();
                    match name.to_ascii_lowercase().as_str() {
                        "range" => {
                            one.from = value
                                .trim_matches(|c: char| !c.is_ascii_digit())
                                .parse()
                                .ok()
                        }
                        "if-range" => one.if_range = Some(value.into()),
                        "authorization" => one.token = Some(value.into()),
                        _ => (),
                    }
                }
                log.lock().unwrap().push(one.clone());
                let Answer {
                    status,
                    headers,
                    body,
                    cut,
                } = answer(count, &one);
                let mut head = format!(
                    "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n",
                    body.len()
                );
                headers
                    .iter()
                    .for_each(|header| head.push_str(&format!("{header}\r\n")));
                // The client may be gone already.
                let _ = stream.write_all(format!("{head}\r\n").as_bytes());
                let _ = stream.write_all(&body[..cut.unwrap_or(body.len())]);
            }
        });
        Self { url, asked }
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

/// The whole body, whatever was asked.
pub(super) fn whole(body: &[u8]) -> Answer {
    Answer {
        status: 200,
        headers: vec![],
        body: body.to_vec(),
        cut: None,
    }
}

/// What a server that knows ranges and entity tags answers.
pub(super) fn ranged(body: &[u8], etag: &str, asked: &Asked) -> Answer {
    let headers = vec![format!("ETag: {etag}")];
    match asked.from {
        Some(from) if from >= body.len() => status(416),
        Some(from) if asked.if_range.as_deref().is_none_or(|tag| tag == etag) => {
            let range = format!(
                "Content-Range: bytes {from}-{}/{}",
                body.len() - 1,
                body.len()
            );
            Answer {
                status: 206,
                headers: [headers, vec![range]].concat(),
                body: body[from..].to_vec(),
                cut: None,
            }
        }
        _ => Answer {
            headers,
            ..whole(body)
        },
    }
}

pub(super) fn status(status: u16) -> Answer {
    Answer {
        status,
        ..whole(b"no")
    }
}
