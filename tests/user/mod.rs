//! A user at the command line: the program itself, a store in a temporary folder, tiny models.

// Every test binary uses a part of this; tests may panic.
#![allow(dead_code, unreachable_pub)]

use crate::tiny::TinyModel;
use serde_json::Value;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// A user with an empty home folder and store.
pub struct User {
    folder: tempfile::TempDir,
}

/// The result of a command.
pub struct Done {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl User {
    pub fn new() -> User {
        let folder = tempfile::tempdir().unwrap();
        User { folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        // Without links, as the program shows paths.
        fs::canonicalize(self.folder.path()).unwrap().join(name)
    }

    /// The program with this user's folders, and no other environment variable that it reads.
    pub fn command(&self, args: &[&str]) -> Command {
        self.command_of(env!("CARGO_BIN_EXE_packllm"), args)
    }

    /// Another program, with the user's environment.
    pub fn command_of(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            let heard = [
                "PACKLLM_",
                "HF_",
                "HUGGINGFACE_",
                "TRANSFORMERS_",
                "XDG_",
                "OLLAMA_",
                "LLAMA_",
            ];
            if heard.iter().any(|start| name.starts_with(start)) {
                command.env_remove(name);
            }
        }
        command
            .args(args)
            .current_dir(self.path(""))
            .env("HOME", self.path("home"))
            .env("PACKLLM_HOME", self.path("store"))
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> Done {
        Done::of(self.command(args).output().unwrap())
    }

    /// Runs a command that has to succeed and returns its stdout.
    pub fn ok(&self, args: &[&str]) -> String {
        let done = self.run(args);
        assert_eq!(done.code, 0, "{args:?}: {}{}", done.out, done.err);
        done.out
    }

    /// Runs a command that has to fail with exit code 1 and returns its stderr.
    pub fn fails(&self, args: &[&str]) -> String {
        let done = self.run(args);
        assert_eq!(done.code, 1, "{args:?}: {}{}", done.out, done.err);
        done.err
    }

    pub fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.ok(args)).unwrap()
    }

    /// Runs the program with `input` on its standard input.
    pub fn run_with(&self, args: &[&str], input: &[u8]) -> Done {
        let mut child = self.piped(args);
        // A program that needs no input may have ended already.
        let _ = child.stdin.take().unwrap().write_all(input);
        Done::of(child.wait_with_output().unwrap())
    }

    /// The program started with pipes for all three streams.
    pub fn piped(&self, args: &[&str]) -> Child {
        let mut command = self.command(args);
        command.stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// Runs a command that has to fail as wrong usage and returns its stderr.
    pub fn misused(&self, args: &[&str]) -> String {
        let done = self.run(args);
        assert_eq!(done.code, 2, "{args:?}: {}{}", done.out, done.err);
        done.err
    }

    /// A member that never ends, so that an answer lasts until it is stopped. With random draws its
    /// text may contain anything, even codes that move the cursor: use it with `--temp 0`, and, as
    /// it may go in circles then, with `--repeat-stop off`.
    pub fn endless(&self) -> String {
        let model = TinyModel::bpe(3).with_end_bias(-30.0).with_context(200_000);
        text(&model.write(self.path("files/endless.gguf")))
    }

    /// A member that answers with these pieces and ends, whatever it is asked. It reads
    /// conversations by `template`.
    pub fn saying(&self, template: &str, pieces: &[&str]) -> String {
        let model = TinyModel::bpe(1).with_template(template).saying(pieces);
        text(&model.write(self.path("files/saying.gguf")))
    }

    /// Writes two tiny models of different vocabularies.
    pub fn models(&self) -> (String, String) {
        let bpe = TinyModel::bpe(1).write(self.path("files/bpe.gguf"));
        let spm = TinyModel::spm(2).write(self.path("files/spm.gguf"));
        (text(&bpe), text(&spm))
    }
}

impl Done {
    pub fn of(output: Output) -> Done {
        let done = Done {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        };
        assert!(!done.err.contains("panicked"), "{}", done.err);
        for stream in [&done.out, &done.err] {
            assert!(
                !stream.contains('\x1b'),
                "escape codes off a terminal: {stream:?}"
            );
        }
        done
    }
}

pub fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// Waits for output on stdout and reads one character of it: a whole one, so that the rest of the
/// output is still valid text.
pub fn wait_for_output(child: &mut Child) {
    let out = child.stdout.as_mut().unwrap();
    let mut first = [0];
    out.read_exact(&mut first).unwrap();
    let others = first[0].leading_ones().saturating_sub(1);
    io::copy(&mut out.take(u64::from(others)), &mut io::sink()).unwrap();
}

/// Sends Ctrl-C.
pub fn interrupt(child: &Child) {
    signal(child.id(), "-INT");
}

/// Sends a process a signal, `-TERM` for example.
pub fn signal(id: u32, name: &str) {
    let sent = Command::new("kill").args([name, &id.to_string()]).status();
    assert!(sent.unwrap().success());
}

/// Fails unless `text` contains all of `parts`.
pub fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in: {text}");
    }
}
