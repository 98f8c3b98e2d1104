//! A conversation on a terminal: keys through a pseudo-terminal.

use super::{line, pack};
use crate::user::User;
use portable_pty::{Child, CommandBuilder, PtySize, native_pty_system};
use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Longest wait for something to appear; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program on a terminal of its own.
struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    keys: Box<dyn Write + Send>,
    shown: Receiver<Vec<u8>>,
    seen: String,
    _pty: Box<dyn portable_pty::MasterPty + Send>,
}

impl Terminal {
    fn new(user: &User, args: &[&str], env: &[(&str, &str)]) -> Terminal {
        let pty = native_pty_system()
            .openpty(PtySize {
                rows: 30,
                cols: 100,
                ..PtySize::default()
            })
            .unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_packllm"));
        command.env_clear();
        command.args(args);
        command.cwd(user.path(""));
        command.env("HOME", user.path("home"));
        command.env("PACKLLM_HOME", user.path("store"));
        command.env("PATH", std::env::var("PATH").unwrap());
        command.env("TERM", "xterm");
        for (name, value) in env {
            command.env(name, value);
        }
        let child = pty.slave.spawn_command(command).unwrap();
        let mut out = pty.master.try_clone_reader().unwrap();
        let keys = pty.master.take_writer().unwrap();
        let (send, shown) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n @ 1..) = out.read(&mut bytes) {
                if send.send(bytes[..n].to_vec()).is_err() {
                    break;
                }
            }
        });
        Terminal {
            child,
            keys,
            shown,
            seen: String::new(),
            _pty: pty.master,
        }
    }

    fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Waits until `text` is shown, forgets what came up to there and returns it. Answers a terminal's
    /// question for the cursor, as a terminal does.
    fn waits_for(&mut self, text: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.seen.find("\x1b[6n") {
                self.seen.replace_range(at..at + 4, "");
                self.types("\x1b[1;1R");
            }
            if let Some(at) = self.seen.find(text) {
                return self.seen.drain(..at + text.len()).collect();
            }
            let left = until.saturating_duration_since(Instant::now());
            match self.shown.recv_timeout(left) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(_) => panic!("no {text:?} in: {:?}", self.seen),
            }
        }
    }

    fn code(&mut self) -> u32 {
        let until = Instant::now() + PATIENCE;
        loop {
            while let Ok(bytes) = self.shown.try_recv() {
                self.seen.push_str(&String::from_utf8_lossy(&bytes));
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.exit_code();
            }
            assert!(Instant::now() < until, "it does not end: {:?}", self.seen);
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn keys_edit_complete_and_leave() {
    let user = User::new();
    let pack = pack(&user);
    let args = line("chat", &pack, &["--temp", "0", "-n", "8"]);
    let mut terminal = Terminal::new(&user, &args, &[]);
    terminal.waits_for(">>> ");
    terminal.types("/wei\t\r");
    terminal.waits_for("weights by exact");
    terminal.waits_for(">>> ");
    // A pasted text of two lines is one message.
    terminal.types("\x1b[200~The moon\nand the sea\x1b[201~\r");
    terminal.waits_for("context");
    terminal.waits_for(">>> ");
    terminal.types("/show prompt\r");
    terminal.waits_for("The moon\r\nand the sea");
    terminal.waits_for(">>> ");
    terminal.types("\x04");
    assert_eq!(terminal.code(), 0);
    let history = std::fs::read_to_string(user.path("store/state/history")).unwrap();
    assert!(history.contains("/show prompt"), "{history}");
}

#[test]
fn ctrl_c_stops_an_answer_then_hints_then_leaves() {
    let user = User::new();
    let model = user.endless();
    // Two, so that the line of weights tells when the prompt is read.
    let args = ["chat", "-m", &model, "-m", &model, "-c", "100000"];
    let mut terminal = Terminal::new(&user, &args, &[]);
    terminal.waits_for(">>> ");
    terminal.types("Go on\r");
    terminal.waits_for("weights ");
    let start = Instant::now();
    terminal.types("\x03");
    terminal.waits_for("cancelled");
    assert!(start.elapsed() < Duration::from_secs(10));
    terminal.waits_for(">>> ");
    terminal.types("\x03");
    terminal.waits_for("once more");
    terminal.waits_for(">>> ");
    terminal.types("\x03");
    assert_eq!(terminal.code(), 130);
}

#[test]
fn a_dumb_terminal_gets_plain_lines_without_escapes() {
    let user = User::new();
    let pack = pack(&user);
    let args = line("chat", &pack, &["--temp", "0", "-n", "8"]);
    let mut terminal = Terminal::new(&user, &args, &[("TERM", "dumb"), ("NO_COLOR", "1")]);
    let mut all = terminal.waits_for("leave");
    all += &terminal.waits_for(">>> ");
    terminal.types("\"\"\"The moon\n");
    all += &terminal.waits_for("... ");
    terminal.types("and the sea\"\"\"\n");
    all += &terminal.waits_for("context");
    terminal.waits_for(">>> ");
    terminal.types("/exit\n");
    assert_eq!(terminal.code(), 0);
    assert!(!all.contains("\x1b[2m"), "{all:?}");
}

#[test]
fn a_text_from_the_editor_is_sent() {
    let user = User::new();
    let pack = pack(&user);
    let script = user.path("write");
    std::fs::write(&script, "#!/bin/sh\necho from the editor > \"$1\"\n").unwrap();
    let command = format!("sh {}", script.display());
    let args = line("chat", &pack, &["--temp", "0", "-n", "8"]);
    let mut terminal = Terminal::new(&user, &args, &[("EDITOR", &command)]);
    terminal.waits_for(">>> ");
    terminal.types("/edit\r");
    terminal.waits_for("from the editor");
    terminal.waits_for("context");
    terminal.waits_for(">>> ");
    terminal.types("/bye\r");
    assert_eq!(terminal.code(), 0);
}

#[test]
#[cfg(unix)]
fn a_terminal_that_is_closed_ends_the_program() {
    let user = User::new();
    let pack = pack(&user);
    let mut terminal = Terminal::new(&user, &line("chat", &pack, &[]), &[]);
    terminal.waits_for(">>> ");
    let id = terminal.child.process_id().unwrap().to_string();
    let kill = std::process::Command::new("kill")
        .args(["-HUP", &id])
        .status();
    assert!(kill.unwrap().success());
    assert_ne!(terminal.code(), 0);
}
