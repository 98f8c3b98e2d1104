//! A process confines itself and becomes Python.

use super::{calls, files, limits};
use crate::SandboxError;
use rustix::fs::Mode;
use rustix::process::{Signal, getppid, set_parent_process_death_signal, umask};
use std::ffi::OsString;
use std::fmt::Display;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::str::FromStr;

/// What of a process's confinement depends on the program, as it goes over a command line. Its
/// folder is the one that it is started in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Confinement {
    /// The process that asks for it.
    pub parent: u32,
    /// Seconds.
    pub cpu: u64,
    /// Bytes.
    pub memory: u64,
    /// Bytes.
    pub disk: u64,
    /// What the process becomes.
    pub interpreter: PathBuf,
    /// What may be read beside the system's libraries.
    pub libraries: Vec<PathBuf>,
}

impl Confinement {
    pub fn arguments(self) -> Vec<OsString> {
        let numbers = [u64::from(self.parent), self.cpu, self.memory, self.disk];
        let numbers = numbers.iter().map(|number| number.to_string().into());
        let paths = std::iter::once(self.interpreter).chain(self.libraries);
        numbers.chain(paths.map(OsString::from)).collect()
    }

    fn parse(arguments: impl IntoIterator<Item = OsString>) -> Option<Confinement> {
        let mut arguments = arguments.into_iter();
        Some(Confinement {
            parent: number(arguments.next())?,
            cpu: number(arguments.next())?,
            memory: number(arguments.next())?,
            disk: number(arguments.next())?,
            interpreter: arguments.next()?.into(),
            libraries: arguments.map(PathBuf::from).collect(),
        })
    }

    /// Takes from this process all that it does not need. The order matters: what comes late
    /// forbids what comes early.
    fn apply(&self) -> Result<(), SandboxError> {
        let filter = calls::filter(std::process::id())
            .map_err(|reason| failed("listing system calls", reason))?;
        umask(Mode::from_raw_mode(0o077));
        set_parent_process_death_signal(Some(Signal::KILL))
            .map_err(|reason| failed("tying it to its parent", reason))?;
        if getppid().map(|parent| parent.as_raw_pid().cast_unsigned()) != Some(self.parent) {
            return Err(failed("tying it to its parent", "the parent has gone"));
        }
        limits::drop_capabilities().map_err(|reason| failed("dropping capabilities", reason))?;
        files::restrict(&self.interpreter, &self.libraries)
            .map_err(|reason| failed("closing files", reason))?;
        limits::limit(self.cpu, self.memory, self.disk)
            .map_err(|reason| failed("setting limits", reason))?;
        seccompiler::apply_filter(&filter).map_err(|reason| failed("closing system calls", reason))
    }
}

/// Confines this process for good and makes it a Python that runs the program on stdin. Returns
/// only if that fails, in a process that may be half confined and is to end: no program has been
/// run.
///
/// `arguments` are those that [`Python::run`](crate::Python::run) gave to its launcher. The process
/// should have one thread.
pub fn confine_and_exec(arguments: impl IntoIterator<Item = OsString>) -> SandboxError {
    let Some(confinement) = Confinement::parse(arguments) else {
        return SandboxError::Arguments;
    };
    // No site packages and no .pyc files; `-I` would ignore the seed, by which a program's sets
    // have the same order in every run.
    let mut python = Command::new(&confinement.interpreter);
    python
        .args([
            "-s",
            "-S",
            "-B",
            "-X",
            "utf8",
            "-c",
            include_str!("harness.py"),
        ])
        .env_clear()
        .env("PYTHONHASHSEED", "0")
        .env("MALLOC_ARENA_MAX", "1");
    if let Err(error) = confinement.apply() {
        return error;
    }
    failed("becoming Python", python.exec())
}

fn failed(step: &'static str, reason: impl Display) -> SandboxError {
    let reason = reason.to_string();
    SandboxError::Confinement { step, reason }
}

fn number<N: FromStr>(argument: Option<OsString>) -> Option<N> {
    argument?.to_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_say_the_confinement() {
        let confinement = || Confinement {
            parent: 7,
            cpu: 1,
            memory: 2 << 40,
            disk: 3,
            interpreter: "/usr/bin/python3".into(),
            libraries: vec!["/usr/lib".into(), "/with space".into()],
        };
        assert_eq!(
            Confinement::parse(confinement().arguments()),
            Some(confinement())
        );
    }

    #[test]
    fn other_arguments_are_refused() {
        let refused = |arguments: &[&str]| {
            let error = confine_and_exec(arguments.iter().map(OsString::from));
            assert!(matches!(error, SandboxError::Arguments), "{error}");
        };
        refused(&[]);
        refused(&["1", "2", "3", "4"]);
        refused(&["1", "2", "3", "much", "/usr/bin/python3"]);
    }
}
