//! A client that sends exactly what it is told.

use serde_json::Value;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Where the server is.
#[derive(Clone, Copy)]
pub struct Client(pub SocketAddr);

/// What it said.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(key, _)| key == name);
        found.next().map(|(_, value)| value.as_str())
    }

    /// The data of server-sent events, with their names.
    pub fn events(&self) -> Vec<(Option<String>, String)> {
        let text = self.text();
        let frames = text.split("\n\n").filter(|frame| !frame.is_empty());
        let frames = frames.filter(|frame| !frame.starts_with(':'));
        let parsed = frames.map(|frame| {
            let (mut name, mut data) = (None, None);
            for line in frame.lines() {
                match line.split_once(": ") {
                    Some(("event", value)) => name = Some(value.to_owned()),
                    Some(("data", value)) => data = Some(value.to_owned()),
                    _ => panic!("a line of no event: {line:?}"),
                }
            }
            (name, data.unwrap())
        });
        parsed.collect()
    }

    /// The data of chat chunks; the last is `[DONE]`.
    pub fn chunks(&self) -> Vec<Value> {
        let mut events = self.events();
        assert_eq!(
            events.pop(),
            Some((None, "[DONE]".into())),
            "{}",
            self.text()
        );
        let chunk = |(name, data): (Option<String>, String)| {
            assert_eq!(name, None);
            serde_json::from_str(&data).unwrap()
        };
        events.into_iter().map(chunk).collect()
    }
}

impl Client {
    pub fn get(self, path: &str) -> Reply {
        self.send("GET", path, &[], b"")
    }

    pub fn post(self, path: &str, body: &Value) -> Reply {
        self.send("POST", path, &[], body.to_string().as_bytes())
    }

    /// A request with these headers besides `Host`.
    pub fn send(self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let mut stream = self.open(method, path, headers, body);
        read(&mut stream).expect("no reply")
    }

    /// Sends a request, and leaves the reply to be read.
    pub fn open(
        self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> BufReader<TcpStream> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            head += &format!("Host: {}\r\n", self.0);
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += &format!("Content-Length: {}\r\n\r\n", body.len());
        let mut stream = self.raw(head.as_bytes());
        // A server that refuses does not read the rest.
        let _ = stream.get_mut().write_all(body);
        stream
    }

    /// A connection on which these bytes were sent.
    pub fn raw(self, bytes: &[u8]) -> BufReader<TcpStream> {
        let mut stream = TcpStream::connect(self.0).unwrap();
        let patience = Some(Duration::from_secs(30));
        stream.set_read_timeout(patience).unwrap();
        stream.write_all(bytes).unwrap();
        BufReader::new(stream)
    }
}

/// Reads a reply; None if the server closes without one.
pub fn read(stream: &mut BufReader<TcpStream>) -> Option<Reply> {
    let mut line = String::new();
    match stream.read_line(&mut line) {
        Ok(0) => return None,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
        read => read.unwrap(),
    };
    let status = line.split(' ').nth(1).unwrap().parse().unwrap();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.push((name.to_lowercase(), value.to_owned()));
    }
    let mut reply = Reply {
        status,
        headers,
        body: Vec::new(),
    };
    if reply.header("transfer-encoding") == Some("chunked") {
        while let Some(chunk) = chunk(stream) {
            reply.body.extend(chunk);
        }
    } else if let Some(length) = reply.header("content-length") {
        let mut body = vec![0; length.parse().unwrap()];
        stream.read_exact(&mut body).unwrap();
        reply.body = body;
    }
    Some(reply)
}

/// The next chunk; None at the end.
fn chunk(stream: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    let length = usize::from_str_radix(line.trim_end(), 16).ok()?;
    let mut bytes = vec![0; length + 2];
    stream.read_exact(&mut bytes).unwrap();
    bytes.truncate(length);
    (length > 0).then_some(bytes)
}
