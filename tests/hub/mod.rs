//! A stand-in for the Hugging Face hub and its storage host, on this machine.
//!
//! Statuses and headers are those that huggingface_hub reads (`utils/_http.py`, `file_download.py`,
//! `hf_api.py`): a large file is a redirect to another host, with `X-Repo-Commit`, `X-Linked-Etag`
//! (its sha256) and `X-Linked-Size`; a refusal has `X-Error-Code` or `X-Error-Message`.

// Every test binary uses a part of this; tests may panic.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// The commit that `main` is in every repository here.
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// The token of somebody who has access to what is gated.
pub const TOKEN: &str = "hf_of_somebody_with_access";

/// A token that the hub knows, whose owner has no access.
pub const STRANGER: &str = "hf_of_a_stranger";

/// A repository.
#[derive(Clone, Default)]
pub struct Repo {
    pub name: String,
    pub files: Vec<(String, Vec<u8>)>,
    pub gated: bool,
    pub licence: String,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    #[default]
    None,
    /// Storage ends the connection after half of what was asked for, this many times.
    Truncated(usize),
    /// Storage ignores ranges.
    NoRanges,
    /// Storage serves other bytes than the hub says.
    Wrong,
    /// The hub's header and its list of files disagree.
    Changed,
    /// The hub answers 429 this many times, and asks for a pause of so many seconds.
    TooMany { times: usize, wait: u64 },
    /// Storage sends small pieces with pauses.
    Slow,
    /// Both take connections and close them.
    Closed,
    /// The hub answers 503.
    Down,
    /// The hub has taken the repository down.
    Disabled,
}

/// A request that was made.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    pub host: String,
    pub path: String,
    pub range: Option<usize>,
    pub token: Option<String>,
}

/// A hub with its storage host. They live as long as the tests.
pub struct Hub {
    pub url: String,
    state: Arc<State>,
}

struct State {
    repos: Mutex<Vec<Repo>>,
    fault: Mutex<Fault>,
    asked: Mutex<Vec<Asked>>,
    storage: String,
}

impl Repo {
    /// A repository with these files.
    pub fn new(name: &str, files: &[(&str, &[u8])]) -> Self {
        let files = files.iter();
        Self {
            name: name.to_owned(),
            files: files.map(|(f, b)| ((*f).to_owned(), b.to_vec())).collect(),
            licence: "apache-2.0".to_owned(),
            ..Self::default()
        }
    }
}

impl Hub {
    pub fn new(repos: Vec<Repo>) -> Self {
        let hub = TcpListener::bind("127.0.0.1:0").unwrap();
        // Another host to whoever compares names.
        let storage = TcpListener::bind("localhost:0").unwrap();
        let state = Arc::new(State {
            repos: Mutex::new(repos),
            fault: Mutex::default(),
            asked: Mutex::default(),
            storage: format!("http://localhost:{}", storage.local_addr().unwrap().port()),
        });
        let url = format!("http://{}", hub.local_addr().unwrap());
        serve(hub, state.clone(), State::hub);
        serve(storage, state.clone(), State::storage);
        Self { url, state }
    }

    /// From now on this goes wrong.
    pub fn fails(&self, fault: Fault) {
        *self.state.fault.lock().unwrap() = fault;
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.state.asked.lock().unwrap().clone()
    }

    /// How many requests storage had.
    pub fn downloads(&self) -> usize {
        let asked = self.asked();
        asked
            .iter()
            .filter(|one| one.path.starts_with("/xet/"))
            .count()
    }
}

type Serve = fn(&State, &Asked, &mut TcpStream);

fn serve(listener: TcpListener, state: Arc<State>, answer: Serve) {
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, state) = (stream.unwrap(), state.clone());
            thread::spawn(move || {
                let asked = read(&stream);
                state.asked.lock().unwrap().push(asked.clone());
                if *state.fault.lock().unwrap() != Fault::Closed {
                    answer(&state, &asked, &mut stream);
                }
            });
        }
    });
}

fn read(stream: &TcpStream) -> Asked {
    let lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let mut lines = lines.map_while(Result::ok);
    let first = lines.next().unwrap_or_default();
    let mut asked = Asked {
        path: first.split(' ').nth(1).unwrap_or_default().to_owned(),
        ..Asked::default()
    };
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ").unwrap_or_default();
        match name.to_ascii_lowercase().as_str() {
            "host" => asked.host = value.to_owned(),
            "authorization" => asked.token = value.strip_prefix("Bearer ").map(str::to_owned),
            "range" => {
                let digits = value.trim_matches(|c: char| !c.is_ascii_digit());
                asked.range = digits.parse().ok();
            }
            _ => (),
        }
    }
    asked
}

/// A status, headers, a body.
fn send(stream: &mut TcpStream, status: u16, headers: &[(&str, &str)], body: &[u8]) {
    let mut head = format!("HTTP/1.1 {status} X\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    // Whoever asked may be gone.
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(body);
}

fn refuse(stream: &mut TcpStream, status: u16, code: &str, message: &str) {
    let mut headers = vec![("X-Error-Message", message)];
    headers.extend((!code.is_empty()).then_some(("X-Error-Code", code)));
    let body = json!({ "error": message }).to_string();
    send(stream, status, &headers, body.as_bytes());
}

impl State {
    fn hub(&self, asked: &Asked, stream: &mut TcpStream) {
        if self.hub_fails(stream) {
            return;
        }
        if asked
            .token
            .as_deref()
            .is_some_and(|token| token != TOKEN && token != STRANGER)
        {
            return refuse(
                stream,
                401,
                "",
                "Invalid credentials in Authorization header",
            );
        }
        let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
        if path == "/api/models" {
            return self.search(query, stream);
        }
        if let Some(rest) = path.strip_prefix("/api/models/") {
            return match rest.split_once("/revision/") {
                Some((name, revision)) => self.info(asked, name, revision, stream),
                None => self.info(asked, rest, "main", stream),
            };
        }
        match path
            .strip_prefix('/')
            .and_then(|path| path.split_once("/resolve/"))
        {
            Some((name, rest)) => {
                let (revision, file) = rest.split_once('/').unwrap_or((rest, ""));
                self.resolve(asked, (name, revision, file), stream);
            }
            None => refuse(stream, 404, "", "Not Found"),
        }
    }

    fn hub_fails(&self, stream: &mut TcpStream) -> bool {
        let mut fault = self.fault.lock().unwrap();
        match *fault {
            Fault::TooMany { times, wait } if times > 0 => {
                *fault = Fault::TooMany {
                    times: times - 1,
                    wait,
                };
                let (after, limit) = (wait.to_string(), format!("\"api\";r=0;t={wait}"));
                let headers = [("Retry-After", &*after), ("RateLimit", &*limit)];
                send(stream, 429, &headers, b"");
            }
            Fault::Down => send(stream, 503, &[], b"Service Unavailable"),
            Fault::Disabled => refuse(stream, 403, "", "Access to this resource is disabled."),
            _ => return false,
        }
        true
    }

    fn search(&self, query: &str, stream: &mut TcpStream) {
        let value = |key: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs
                .find(|(name, _)| *name == key)
                .map(|(_, value)| value.to_lowercase())
        };
        let (search, author) = (value("search"), value("author"));
        let repos = self.repos.lock().unwrap();
        let hits = repos.iter().filter(|repo| {
            let name = repo.name.to_lowercase();
            search.as_ref().is_none_or(|text| name.contains(text))
                && author
                    .as_ref()
                    .is_none_or(|text| name.starts_with(&format!("{text}/")))
        });
        let hits: Vec<Value> = hits.map(|repo| json!({"id": repo.name})).collect();
        send(stream, 200, &[], Value::from(hits).to_string().as_bytes());
    }

    /// The repository, if it is there; else the hub's answer. Nobody is told whether it is private.
    fn find(
        &self,
        asked: &Asked,
        name: &str,
        revision: &str,
        stream: &mut TcpStream,
    ) -> Option<Repo> {
        let repos = self.repos.lock().unwrap();
        let Some(repo) = repos.iter().find(|repo| repo.name == name) else {
            match asked.token {
                Some(_) => refuse(stream, 404, "RepoNotFound", "Repository not found"),
                None => refuse(stream, 401, "", "Invalid username or password."),
            }
            return None;
        };
        if revision != "main" && revision != COMMIT {
            let message = format!("Invalid rev id: {revision}");
            refuse(stream, 404, "RevisionNotFound", &message);
            return None;
        }
        Some(repo.clone())
    }

    fn info(&self, asked: &Asked, name: &str, revision: &str, stream: &mut TcpStream) {
        let Some(repo) = self.find(asked, name, revision, stream) else {
            return;
        };
        let changed = *self.fault.lock().unwrap() == Fault::Changed;
        let siblings = repo.files.iter().map(|(file, bytes)| {
            let mut sha256 = hash(bytes);
            if changed {
                sha256 = hash(b"what it was before");
            }
            json!({
                "rfilename": file,
                "size": bytes.len(),
                "blobId": &hash(file.as_bytes())[..40],
                "lfs": {"sha256": sha256, "size": bytes.len(), "pointerSize": 135},
            })
        });
        let body = json!({
            "id": repo.name, "modelId": repo.name, "sha": COMMIT, "private": false,
            "gated": if repo.gated { json!("manual") } else { json!(false) },
            "tags": ["gguf", format!("license:{}", repo.licence)],
            "cardData": {"license": repo.licence},
            "siblings": siblings.collect::<Vec<Value>>(),
        });
        let headers = [("Content-Type", "application/json; charset=utf-8")];
        send(stream, 200, &headers, body.to_string().as_bytes());
    }

    fn resolve(&self, asked: &Asked, place: (&str, &str, &str), stream: &mut TcpStream) {
        let (name, revision, file) = place;
        let Some(repo) = self.find(asked, name, revision, stream) else {
            return;
        };
        if repo.gated && asked.token.as_deref() != Some(TOKEN) {
            let status = if asked.token.is_none() { 401 } else { 403 };
            let message = format!("Access to model {name} is restricted.");
            return refuse(stream, status, "GatedRepo", &message);
        }
        let Some((_, bytes)) = repo.files.iter().find(|(path, _)| path == file) else {
            return refuse(stream, 404, "EntryNotFound", "Entry not found");
        };
        let location = format!("{}/xet/{name}/{file}", self.storage);
        let (etag, size) = (format!("\"{}\"", hash(bytes)), bytes.len().to_string());
        let headers = [
            ("Location", &*location),
            ("X-Repo-Commit", COMMIT),
            ("X-Linked-Etag", &*etag),
            ("X-Linked-Size", &*size),
            ("Accept-Ranges", "bytes"),
        ];
        let body = format!("Found. Redirecting to {location}");
        send(stream, 302, &headers, body.as_bytes());
    }

    fn storage(&self, asked: &Asked, stream: &mut TcpStream) {
        if asked.token.is_some() {
            // As the real one does where its own signature and a token meet.
            return send(stream, 400, &[], b"Only one auth mechanism allowed");
        }
        let repos = self.repos.lock().unwrap().clone();
        let file = repos.iter().find_map(|repo| {
            let rest = asked.path.strip_prefix(&format!("/xet/{}/", repo.name))?;
            repo.files.iter().find(|(path, _)| path == rest)
        });
        let Some((_, bytes)) = file else {
            return send(stream, 404, &[], b"");
        };
        let fault = *self.fault.lock().unwrap();
        let mut bytes = bytes.clone();
        if fault == Fault::Wrong {
            bytes.iter_mut().for_each(|byte| *byte = !*byte);
        }
        let etag = format!("\"{}\"", hash(&bytes));
        let from = asked
            .range
            .filter(|_| fault != Fault::NoRanges)
            .unwrap_or(0);
        let body = bytes.get(from..).unwrap_or_default();
        if from > 0 && body.is_empty() {
            return send(stream, 416, &[], b"");
        }
        let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
        let mut headers = vec![("ETag", &*etag), ("Accept-Ranges", "bytes")];
        headers.extend((from > 0).then_some(("Content-Range", &*range)));
        let status = if from > 0 { 206 } else { 200 };
        self.send_body(stream, status, &headers, body, fault);
    }

    fn send_body(
        &self,
        stream: &mut TcpStream,
        status: u16,
        headers: &[(&str, &str)],
        body: &[u8],
        fault: Fault,
    ) {
        match fault {
            Fault::Truncated(times) if times > 0 => {
                *self.fault.lock().unwrap() = Fault::Truncated(times - 1);
                let length = body.len().to_string();
                let mut headers = headers.to_vec();
                headers.push(("Content-Length", &length));
                let mut head = format!("HTTP/1.1 {status} X\r\nConnection: close\r\n");
                for (name, value) in headers {
                    head.push_str(&format!("{name}: {value}\r\n"));
                }
                let _ = stream.write_all(format!("{head}\r\n").as_bytes());
                let _ = stream.write_all(&body[..body.len() / 2]);
            }
            Fault::Slow => {
                let mut head = format!("HTTP/1.1 {status} X\r\nConnection: close\r\n");
                for (name, value) in headers {
                    head.push_str(&format!("{name}: {value}\r\n"));
                }
                head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
                let _ = stream.write_all(head.as_bytes());
                for piece in body.chunks(body.len() / 40 + 1) {
                    if stream.write_all(piece).is_err() {
                        return;
                    }
                    thread::sleep(Duration::from_millis(50));
                }
            }
            _ => send(stream, status, headers, body),
        }
    }
}

/// SHA-256 in hexadecimal digits.
pub fn hash(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
