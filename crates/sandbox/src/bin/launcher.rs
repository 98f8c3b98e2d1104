//! Launches confined programs for the tests, as packllm does for its user: `confined …` is its
//! hidden command, `run PYTHON PROGRAM` confines a program and prints how it ended.

use packllm_sandbox::{Launcher, Limits, Outcome, Python, SandboxError};
use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let said = match arguments.next() {
        Some(command) if command == "confined" => Err(packllm_sandbox::confine_and_exec(arguments)),
        Some(command) if command == "run" => run(arguments),
        _ => Err(SandboxError::Arguments),
    };
    match said {
        Ok(outcome) => {
            println!("{outcome}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut arguments: impl Iterator<Item = OsString>) -> Result<Outcome, SandboxError> {
    let python = arguments.next().ok_or(SandboxError::Arguments)?;
    let program = arguments.next().ok_or(SandboxError::Arguments)?;
    let itself = Launcher::new("/proc/self/exe", ["confined"]);
    Python::find(python, itself)?.run(
        &program.to_string_lossy(),
        &Limits::default(),
        &AtomicBool::new(false),
    )
}
