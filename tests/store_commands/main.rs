//! `packllm models`, `pack` and `doctor`, driven as a user would: the program itself, a store in a temporary
//! folder, tiny models, no network but this machine's own.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bad_homes;
mod doctor;
mod models;
mod packs;
mod pulls;
#[path = "../tiny/mod.rs"]
mod tiny;

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tiny::TinyModel;

/// A user with an empty home folder and store.
struct User {
    folder: tempfile::TempDir,
}

/// What a command did.
struct Done {
    code: i32,
    out: String,
    err: String,
}

impl User {
    fn new() -> User {
        let folder = tempfile::tempdir().unwrap();
        User { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        // Without links, as the program shows paths.
        fs::canonicalize(self.folder.path()).unwrap().join(name)
    }

    /// The program with this user's folders and nothing else of the environment that it listens to.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_packllm"));
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            let heard = ["PACKLLM_", "HF_", "HUGGINGFACE_", "XDG_", "OLLAMA_"];
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

    fn run(&self, args: &[&str]) -> Done {
        Done::of(self.command(args).output().unwrap())
    }

    /// Runs what has to succeed and returns its stdout.
    fn ok(&self, args: &[&str]) -> String {
        let done = self.run(args);
        assert_eq!(done.code, 0, "{args:?}: {}{}", done.out, done.err);
        done.out
    }

    /// Runs what has to fail with exit code 1 and returns its stderr.
    fn fails(&self, args: &[&str]) -> String {
        let done = self.run(args);
        assert_eq!(done.code, 1, "{args:?}: {}{}", done.out, done.err);
        done.err
    }

    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.ok(args)).unwrap()
    }

    /// Writes two tiny models of different vocabularies.
    fn models(&self) -> (String, String) {
        let bpe = TinyModel::bpe(1).write(self.path("files/bpe.gguf"));
        let spm = TinyModel::spm(2).write(self.path("files/spm.gguf"));
        (text(&bpe), text(&spm))
    }
}

impl Done {
    fn of(output: Output) -> Done {
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

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// Fails unless `text` contains all of `parts`.
fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in: {text}");
    }
}
