//! Programs that are right, wrong and hostile. A hostile one does harm and then ends well: so it
//! passes where nothing confines it, and its test fails.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests may panic; the exemption for tests does not reach them"
)]

mod closed;
mod ends;
mod excess;
mod files;
mod outside;
mod processes;

use packllm_sandbox::{Launcher, Limits, Outcome, Python, SandboxError};
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

const LAUNCHER: &str = env!("CARGO_BIN_EXE_packllm-sandbox-launcher");

/// Where confinement does not work, the tests fail.
fn python() -> &'static Python {
    static PYTHON: OnceLock<Python> = OnceLock::new();
    PYTHON.get_or_init(|| Python::find("python3", launcher()).expect("confinement works here"))
}

fn launcher() -> Launcher {
    Launcher::new(LAUNCHER, ["confined"])
}

/// Less than the defaults, and the time that a program has whose test waits for it to be over.
fn limits() -> Limits {
    Limits {
        memory: 256 << 20,
        threads: 20,
        ..Limits::default()
    }
}

fn hasty() -> Limits {
    Limits {
        time: Duration::from_secs(1),
        ..limits()
    }
}

fn run(program: &str) -> Outcome {
    run_with(program, &limits())
}

fn run_with(program: &str, limits: &Limits) -> Outcome {
    try_with(program, limits).unwrap()
}

fn try_with(program: &str, limits: &Limits) -> Result<Outcome, SandboxError> {
    python().run(program, limits, &AtomicBool::new(false))
}

/// The line by which the program failed.
fn failure(program: &str) -> String {
    match run(program) {
        Outcome::Failed(line) => line,
        outcome => panic!("not a failure: {outcome}"),
    }
}

/// Each of these programs fails by an error of the system: it may not do what it tries.
#[track_caller]
fn assert_refused<P: AsRef<str>>(programs: impl IntoIterator<Item = P>) {
    let list: Vec<String> = programs
        .into_iter()
        .map(|program| format!("{:?}", program.as_ref()))
        .collect();
    let all = format!("programs = [{}]\n{TRY}", list.join(", "));
    assert_eq!(run(&all), Outcome::Passed);
}

/// Names the programs that did what they tried, or failed by something else.
const TRY: &str = r#"
import errno
wrong = []
for program in programs:
    try:
        exec(program, {})
        wrong.append((program, "done"))
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.ENOSYS):
            wrong.append((program, repr(error)))
    except BaseException as error:
        wrong.append((program, repr(error)))
assert not wrong, wrong
"#;
