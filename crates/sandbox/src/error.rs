use std::io;
use std::path::PathBuf;

/// Why a program was not run to a verdict.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// Not Linux, or a processor whose system calls are not known here.
    #[error(
        "programs can be confined on Linux alone, on x86-64 or ARM64; nothing was run on this {}, {}",
        std::env::consts::OS,
        std::env::consts::ARCH
    )]
    Unsupported,
    /// The interpreter could not be started.
    #[error("`{interpreter}` cannot be run: {reason}", interpreter = interpreter.display())]
    PythonMissing {
        /// As it was named.
        interpreter: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// The interpreter did not say where it lives.
    #[error("`{interpreter}` does not work as Python 3: {said}", interpreter = interpreter.display())]
    PythonBroken {
        /// As it was named.
        interpreter: PathBuf,
        /// What it said instead.
        said: String,
    },
    /// A step of the confinement failed; the process that says so has run nothing.
    #[error("confinement failed at {step}: {reason}; nothing was run")]
    Confinement {
        /// What was tried.
        step: &'static str,
        /// What the system says.
        reason: String,
    },
    /// The hidden command was called with other arguments than ours.
    #[error("this command is for the program itself, which runs other programs by it")]
    Arguments,
    /// The confined process ended before the program began.
    #[error("a confined program did not begin: {said}")]
    NotStarted {
        /// What the process said, or how it ended.
        said: String,
    },
    /// A harmless program, run to see whether confinement works here, did not end as it should.
    #[error(
        "confinement does not work here: a program that tries it {outcome}; nothing else was run"
    )]
    Check {
        /// How it ended.
        outcome: crate::Outcome,
    },
    /// The program's folder or its input could not be made, watched or removed.
    #[error("the folder of a confined program: {0}")]
    Folder(#[source] io::Error),
    /// The confined process could not be started, watched or ended.
    #[error("the process of a confined program: {0}")]
    Process(#[source] io::Error),
    /// The cancel flag was raised; the program has been ended.
    #[error("cancelled")]
    Cancelled,
}
