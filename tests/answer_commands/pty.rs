//! The program on a pseudo-terminal, which the tests read and type into.

use crate::user::User;
use portable_pty::{Child, CommandBuilder, PtySize, native_pty_system};
use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Longest wait for a text to appear; the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The program on a terminal of its own.
pub struct Terminal {
    pub child: Box<dyn Child + Send + Sync>,
    keys: Box<dyn Write + Send>,
    shown: Receiver<Vec<u8>>,
    seen: String,
    /// The beginning of a character whose other bytes have not come yet.
    begun: Vec<u8>,
    pty: Box<dyn portable_pty::MasterPty + Send>,
}

impl Terminal {
    pub fn new(user: &User, args: &[&str], env: &[(&str, &str)]) -> Terminal {
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
            begun: Vec::new(),
            pty: pty.master,
        }
    }

    /// The settings of the terminal: the names of those that are on.
    #[cfg(unix)]
    pub fn modes(&self) -> String {
        let termios = self.pty.get_termios().unwrap();
        format!("{:?} {:?} ", termios.local_flags, termios.input_flags)
    }

    pub fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Waits until `text` is shown; returns everything up to it and drops that. Answers when the
    /// program asks for the cursor's position, as a terminal does.
    pub fn waits_for(&mut self, text: &str) -> String {
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
                Ok(bytes) => self.take(&bytes),
                Err(_) => panic!("no {text:?} in: {:?}", self.seen),
            }
        }
    }

    /// Everything that is shown until the program ends.
    pub fn rest(&mut self) -> String {
        loop {
            match self.shown.recv_timeout(PATIENCE) {
                Ok(bytes) => self.take(&bytes),
                Err(RecvTimeoutError::Disconnected) => return std::mem::take(&mut self.seen),
                Err(RecvTimeoutError::Timeout) => panic!("it does not end: {:?}", self.seen),
            }
        }
    }

    /// The text that was shown; a character may come in parts.
    fn take(&mut self, bytes: &[u8]) {
        self.begun.extend_from_slice(bytes);
        let whole = match std::str::from_utf8(&self.begun) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => self.begun.len(),
        };
        let whole: Vec<u8> = self.begun.drain(..whole).collect();
        self.seen.push_str(&String::from_utf8_lossy(&whole));
    }

    pub fn code(&mut self) -> u32 {
        let until = Instant::now() + PATIENCE;
        loop {
            while let Ok(bytes) = self.shown.try_recv() {
                self.take(&bytes);
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.exit_code();
            }
            assert!(Instant::now() < until, "it does not end: {:?}", self.seen);
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
