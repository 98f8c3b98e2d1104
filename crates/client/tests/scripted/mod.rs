//! A server that says what it is told to, whatever it is asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

/// A server that answers every request with the next of these texts, and closes the connection.
pub fn saying(texts: Vec<String>) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for text in texts {
            let (mut stream, _) = listener.accept().unwrap();
            hear(&stream);
            let _ = stream.write_all(text.as_bytes());
        }
    });
    address
}

/// Reads a request to its end.
fn hear(stream: &TcpStream) {
    let mut heard = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        heard.read_line(&mut line).unwrap();
        let line = line.trim().to_lowercase();
        if let Some(bytes) = line.strip_prefix("content-length:") {
            length = bytes.trim().parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    heard.read_exact(&mut vec![0; length]).unwrap();
}
