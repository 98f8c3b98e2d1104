//! Members on a machine that lends: the program itself at both ends, over a port of this machine.

use super::{line, pack};
use crate::user::{Done, User, says};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, Instant};

/// A `packllm lend` that ends with this value.
struct Lender {
    child: Child,
    address: String,
}

impl Lender {
    fn at(user: &User, port: &str) -> Lender {
        let lend = ["lend", "--device", "CPU", "--threads", "1", "--port", port];
        let mut child = user.piped(&lend);
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        out.read_line(&mut first).unwrap();
        let address = first.strip_prefix("lending at ").unwrap();
        let address = address.split(' ').next().unwrap().to_owned();
        Lender { child, address }
    }

    fn new(user: &User) -> Lender {
        Lender::at(user, "0")
    }

    /// As `kill -9` does.
    fn end(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Lender {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const SHORT: [&str; 6] = ["-p", "The moon", "--temp", "0", "-n", "40"];

#[test]
fn an_answer_is_the_same_over_rpc() {
    let user = User::new();
    let pack = pack(&user);
    let here = user.run(&line("run", &pack, &SHORT));
    assert_eq!(here.code, 0, "{}", here.err);
    let (one, two) = (Lender::new(&user), Lender::new(&user));
    let both = format!("{},{}", one.address, two.address);
    for rpc in [
        vec!["--rpc", &one.address],
        vec!["--rpc", &both, "--device", "RPC1"],
        vec!["--rpc", &both, "--device", "RPC1,RPC0", "-ngl", "1"],
    ] {
        let there = user.run(&[&line("run", &pack, &SHORT)[..], &rpc].concat());
        assert_eq!(
            (there.code, &there.out),
            (0, &here.out),
            "{rpc:?}: {}",
            there.err
        );
    }
}

#[test]
fn a_member_alone_can_be_elsewhere() {
    let user = User::new();
    let (bpe, spm) = user.models();
    let lender = Lender::new(&user);
    let manifest = format!(
        "name = \"two\"\n[[member]]\nname = \"near\"\nfile = \"{bpe}\"\ndevice = \"none\"\n\
         [[member]]\nname = \"far\"\nfile = \"{spm}\"\ndevice = \"RPC0\"\n"
    );
    let path = user.path("two.toml");
    std::fs::write(&path, manifest).unwrap();
    let path = path.to_str().unwrap();
    let rpc = ["--rpc", &lender.address];
    let doctor = user.json(&[&["doctor", "--json", "--pack", path], &rpc[..]].concat());
    let at = |k: usize| {
        doctor["pack"]["members"][k]["placement"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(at(0), "CPU");
    assert_eq!(at(1), format!("RPC0 at {} (3 of 3 layers)", lender.address));
    assert_eq!(doctor["hosts"][0]["address"], lender.address.as_str());
    let pack = pack(&user);
    let here = user.run(&line("run", &pack, &SHORT));
    let there = user.run(&[&["run", "--pack", path], &SHORT[..], &rpc].concat());
    assert_eq!((there.code, there.out), (0, here.out), "{}", there.err);
}

/// A chat whose answers do not end by themselves.
struct Chat {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
}

impl Chat {
    fn with(user: &User, lender: &Lender, more: &[&str]) -> Chat {
        let model = user.endless();
        let mut args = vec!["chat", "-m", &model, "-c", "4000", "--temp", "0"];
        args.extend(["--repeat-stop", "off", "--rpc", &lender.address]);
        args.extend(more);
        let mut child = user.piped(&args);
        let input = child.stdin.take().unwrap();
        let output = child.stdout.take().unwrap();
        Chat {
            child,
            input,
            output,
        }
    }

    fn say(&mut self, text: &str) {
        self.input.write_all(text.as_bytes()).unwrap();
        self.input.flush().unwrap();
    }

    /// Waits until so many bytes were said.
    fn hears(&mut self, bytes: usize) {
        self.output.read_exact(&mut vec![0; bytes]).unwrap();
    }

    fn leave(self) -> Done {
        drop(self.input);
        drop(self.output);
        Done::of(self.child.wait_with_output().unwrap())
    }
}

#[test]
fn a_lender_that_is_killed_ends_the_answer_and_not_the_chat() {
    let user = User::new();
    let mut lender = Lender::new(&user);
    let port = lender.address.rsplit_once(':').unwrap().1.to_owned();
    let mut chat = Chat::with(&user, &lender, &[]);
    chat.say("The moon\n");
    for said in [1, 7, 40] {
        chat.hears(said);
        lender.end();
        let ended = Instant::now();
        // What was said until then; a line feed ends the answer.
        let mut byte = [0];
        while byte != *b"\n" {
            chat.output.read_exact(&mut byte).unwrap();
        }
        assert!(ended.elapsed() < Duration::from_secs(5));
        lender = Lender::at(&user, &port);
        chat.say("The sea\n");
    }
    // The fourth answer is under way.
    chat.hears(1);
    chat.child.kill().unwrap();
    let done = chat.leave();
    let told = done.err.matches("error: endless: lost 127.0.0.1:").count();
    assert_eq!(told, 3, "{}", done.err);
    says(&done.err, &["hint: once that machine lends again"]);
}

#[test]
fn the_others_go_on_if_that_is_wished() {
    let user = User::new();
    let (near, far) = (user.endless(), user.models().0);
    let mut lender = Lender::new(&user);
    let manifest = format!(
        "name = \"two\"\n[fusion]\nweights = \"uniform\"\n[[member]]\nname = \"near\"\nfile = \"{near}\"\ndevice = \"none\"\n\
         [[member]]\nname = \"far\"\nfile = \"{far}\"\ndevice = \"RPC0\"\n"
    );
    let path = user.path("two.toml");
    std::fs::write(&path, manifest).unwrap();
    let path = path.to_str().unwrap();
    let mut child = user
        .command(&[
            "run", "--pack", path, "-p", "The moon", "-n", "300", "--temp", "0",
        ])
        .args([
            "--repeat-stop",
            "off",
            "--on-loss",
            "drop",
            "--rpc",
            &lender.address,
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = child.stdout.take().unwrap();
    output.read_exact(&mut [0; 10]).unwrap();
    lender.end();
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    let done = Done::of(child.wait_with_output().unwrap());
    assert_eq!(done.code, 0, "{}", done.err);
    says(&done.err, &["far: lost 127.0.0.1:", "the others go on"]);
}

#[test]
fn machines_that_lend_nothing_are_told_apart() {
    let user = User::new();
    let pack = pack(&user);
    let told = |rpc: &str| user.fails(&[&line("run", &pack, &SHORT)[..], &["--rpc", rpc]].concat());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // It is in the queue of the system, and nobody takes it.
    let silent = told(&address);
    says(
        &silent,
        &[
            "takes the connection and says nothing",
            "hint: llama.cpp's own",
        ],
    );
    let answer = |reply: &'static [u8]| {
        let listener = listener.try_clone().unwrap();
        std::thread::spawn(move || {
            // The one that was left in the queue.
            let (_gone, _) = listener.accept().unwrap();
            let (mut stream, _): (TcpStream, _) = listener.accept().unwrap();
            stream.read_exact(&mut [0; 9 + 24]).unwrap();
            stream.write_all(reply).unwrap();
        })
    };
    let mut old = vec![28, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3];
    old.resize(8 + 28, 0);
    let server = answer(old.leak());
    let version = told(&address);
    server.join().unwrap();
    says(
        &version,
        &["speaks version 1.2.3 of llama.cpp's RPC protocol, this build 7.0"],
    );
    drop(listener);
    let nobody = told(&address);
    says(
        &nobody,
        &["cannot be reached", "hint: start `packllm lend` there"],
    );
    let name = user.misused(&[&line("run", &pack, &SHORT)[..], &["--rpc", "host"]].concat());
    says(&name, &["--rpc host: a machine is named as HOST:PORT"]);
}

#[test]
fn lending_to_others_needs_consent() {
    let user = User::new();
    let refused = user.misused(&["lend", "--host", "0.0.0.0"]);
    says(&refused, &["--no-auth", "asks for no key"]);
    let device = user.misused(&["lend", "--device", "CUDA9"]);
    says(
        &device,
        &["--device CUDA9: there is no such device; there is: CPU"],
    );
}
