//! Confinement by Linux: who asks for it, and who is confined.

mod calls;
mod confine;
mod files;
mod limits;
mod process;

pub use confine::confine_and_exec;

use crate::{Launcher, Limits, Outcome, SandboxError};
use confine::Confinement;
use process::{Ending, Finished, Process};
use rustix::process::Signal;
use rustix::rand::{GetRandomFlags, getrandom};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;

/// What the harness says before the program begins.
const BEGUN: &[u8] = b"begun\n";

/// Characters of a line that tells how a program failed.
const LINE: usize = 200;

/// A Python that runs programs confined.
#[derive(Debug)]
pub struct Python {
    launcher: Launcher,
    /// The interpreter's file, without links.
    interpreter: PathBuf,
    /// Folders and files that it reads.
    libraries: Vec<PathBuf>,
}

impl Python {
    /// The Python that `interpreter` leads to, a path or a name that is on the `PATH`, and whose
    /// libraries may be read. Runs a harmless program to see that it can be confined here.
    pub fn find(interpreter: impl AsRef<Path>, launcher: Launcher) -> Result<Python, SandboxError> {
        let python = Python::describe(interpreter.as_ref(), launcher)?;
        let limits = Limits::default();
        match python.run(include_str!("check.py"), &limits, &AtomicBool::new(false))? {
            Outcome::Passed => Ok(python),
            outcome => Err(SandboxError::Check { outcome }),
        }
    }

    /// Asks the interpreter, which is trusted, where it lives.
    fn describe(interpreter: &Path, launcher: Launcher) -> Result<Python, SandboxError> {
        let answer = Command::new(interpreter)
            .args(["-I", "-S", "-c", include_str!("describe.py")])
            .stdin(Stdio::null())
            .output()
            .map_err(|reason| SandboxError::PythonMissing {
                interpreter: interpreter.to_owned(),
                reason,
            })?;
        let mut paths = answer
            .stdout
            .split(|byte| *byte == 0)
            .map(|path| PathBuf::from(OsString::from_vec(path.to_vec())))
            .filter(|path| path.is_absolute() && path.parent().is_some());
        match paths.next() {
            Some(interpreter) if answer.status.success() => Ok(Python {
                launcher,
                interpreter,
                libraries: paths.collect(),
            }),
            _ => Err(SandboxError::PythonBroken {
                interpreter: interpreter.to_owned(),
                said: last_line(&answer.stderr).unwrap_or_else(|| answer.status.to_string()),
            }),
        }
    }

    /// Runs the program and says how it ended. While it runs `cancel` is looked at every few
    /// milliseconds; if it is raised, the program is ended.
    pub fn run(
        &self,
        program: &str,
        limits: &Limits,
        cancel: &AtomicBool,
    ) -> Result<Outcome, SandboxError> {
        let folder = tempfile::Builder::new()
            .prefix("packllm-run-")
            .tempdir()
            .map_err(SandboxError::Folder)?;
        let secret = secret().map_err(SandboxError::Process)?;
        let input = input(&secret, program).map_err(SandboxError::Folder)?;
        let mut command = self.command(limits);
        command.current_dir(folder.path()).stdin(input);
        let finished = Process::start(command, limits)?.watch(limits, folder.path(), cancel);
        folder.close().map_err(SandboxError::Folder)?;
        judge(&finished?, &secret)
    }

    /// This program again, which confines itself and becomes Python.
    fn command(&self, limits: &Limits) -> Command {
        let confinement = Confinement {
            parent: std::process::id(),
            cpu: limits.cpu.as_secs() + u64::from(limits.cpu.subsec_nanos() > 0),
            memory: limits.memory,
            disk: limits.disk,
            interpreter: self.interpreter.clone(),
            libraries: self.libraries.clone(),
        };
        let mut command = Command::new(&self.launcher.program);
        command
            .args(&self.launcher.arguments)
            .args(confinement.arguments())
            .env_clear();
        command
    }
}

/// 32 letters that nobody knows.
fn secret() -> io::Result<String> {
    let mut bytes = [0u8; 16];
    getrandom(&mut bytes, GetRandomFlags::empty())?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// What the harness reads, in a file that has no name.
fn input(secret: &str, program: &str) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    writeln!(file, "{secret}")?;
    file.write_all(program.as_bytes())?;
    file.rewind()?;
    Ok(file)
}

/// What a process that is no more says of the program.
fn judge(finished: &Finished, secret: &str) -> Result<Outcome, SandboxError> {
    let Some(report) = finished.report.strip_prefix(BEGUN) else {
        return Err(SandboxError::NotStarted {
            said: why_not_started(finished),
        });
    };
    let status = match finished.ending {
        Ending::Stopped(ref outcome) => return Ok(outcome.clone()),
        Ending::Exited(status) => status,
    };
    if let Some(signal) = status.signal() {
        let out_of_time = signal == Signal::XCPU.as_raw();
        return Ok(if out_of_time {
            Outcome::TimedOut
        } else {
            Outcome::Killed(signal)
        });
    }
    if status.success() {
        return Ok(if report == secret.as_bytes() {
            Outcome::Passed
        } else {
            Outcome::Failed("it ended before its last statement".to_owned())
        });
    }
    Ok(match last_line(&finished.errors) {
        Some(line) if line.starts_with("MemoryError") => Outcome::OutOfMemory,
        Some(line) => Outcome::Failed(line),
        None => Outcome::Failed(format!("it ended itself: {status}")),
    })
}

/// What the confined process said instead of beginning: an error of ours, or one of Python.
fn why_not_started(finished: &Finished) -> String {
    let text = String::from_utf8_lossy(&finished.errors);
    let ours = text.lines().find_map(|line| line.strip_prefix("error: "));
    ours.map(str::to_owned)
        .or_else(|| last_line(&finished.errors))
        .unwrap_or_else(|| match &finished.ending {
            Ending::Exited(status) => format!("its process ended before it: {status}"),
            Ending::Stopped(outcome) => format!("before it began, its process {outcome}"),
        })
}

/// The last line that is not empty, shortened. The text is the program's, so control characters,
/// which a terminal might obey, become spaces.
fn last_line(errors: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(errors);
    let line = text.lines().rfind(|line| !line.trim().is_empty())?.trim();
    let mut short: String = line
        .chars()
        .take(LINE)
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect();
    if line.chars().nth(LINE).is_some() {
        short.push('…');
    }
    Some(short)
}
