//! Runs Python programs that a language model wrote, where they can do no harm.
//!
//! A program has a folder of its own, which is empty at first and removed afterwards, a Python with
//! its standard library, and nothing else. Nobody has read it before it runs, so everything that is
//! not needed is refused:
//!
//! | what | by | so that |
//! | --- | --- | --- |
//! | files | Landlock | it reads what the interpreter needs (libraries, standard library, zones) and reads and writes files of its own folder; no folders, links or devices |
//! | system calls | seccomp, a list of those allowed | no sockets, no new processes (threads are allowed), no signals to others, no `chmod` (which Landlock does not see), no `ptrace`, namespaces, `io_uring`, `bpf`, keys, shared memory; what a kernel learns tomorrow is refused as well |
//! | resources | `setrlimit`, and a look at it every few milliseconds | limits of CPU and wall-clock time, memory, threads, bytes on disk |
//! | privileges | no capabilities, `no_new_privs` | root is no more than anybody |
//! | what it inherits | an empty environment, no open files | it knows nothing of who runs it |
//!
//! If a part cannot be had, nothing is run and [`SandboxError`] says what is missing. It takes
//! Linux 5.13 or newer with Landlock, on x86-64 or ARM64.
//!
//! **What is not protected.** That a path exists, how large and how old it is and where a link
//! leads can still be asked, of any file (`stat` is not Landlock's matter); contents cannot. The
//! processor's side channels and holes of the kernel behind the calls that are allowed are open to
//! it; this is no virtual machine. Limits hold for each program, not for many at a time, and are
//! looked at now and then: a program may have some thousand threads, or some ten megabytes on disk,
//! for a few milliseconds. And a verdict is for programs that are wrong, not for those that cheat:
//! whether a program came to its end is told by a secret in the very interpreter that runs it, and
//! one that searches its own memory finds it.
//!
//! Confinement is for the rest of a process's life, and the workspace has no `unsafe` for the
//! moment between `fork` and `exec`. So the program starts *itself* ([`Launcher`]), with a hidden
//! command that calls [`confine_and_exec`]: it confines its own process and then becomes Python.
//!
//! ```no_run
//! use packllm_sandbox::{Launcher, Limits, Outcome, Python};
//! use std::sync::atomic::AtomicBool;
//!
//! let launcher = Launcher::new("/usr/bin/packllm", ["confined"]);
//! let python = Python::find("python3", launcher)?;
//! let outcome = python.run("assert 1 + 1 == 2", &Limits::default(), &AtomicBool::new(false))?;
//! assert_eq!(outcome, Outcome::Passed);
//! # Ok::<(), packllm_sandbox::SandboxError>(())
//! ```

mod error;
mod launcher;
mod outcome;

#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
#[path = "linux/mod.rs"]
mod system;

#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
#[path = "elsewhere.rs"]
mod system;

pub use error::SandboxError;
pub use launcher::Launcher;
pub use outcome::Outcome;
pub use system::{Python, confine_and_exec};

use std::time::Duration;

/// What a program may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From its start to its end, with that of the interpreter.
    pub time: Duration,
    /// Of all its threads together, in whole seconds, rounded up.
    pub cpu: Duration,
    /// Bytes of address space, with those of the interpreter.
    pub memory: u64,
    /// Bytes of a file, and of all files in its folder.
    pub disk: u64,
    /// Threads, the first included.
    pub threads: usize,
    /// Bytes of stderr that are kept, the last ones. Nobody reads what it prints on stdout.
    pub output: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            time: Duration::from_secs(10),
            cpu: Duration::from_secs(10),
            memory: 512 << 20,
            disk: 1 << 20,
            threads: 32,
            output: 64 << 10,
        }
    }
}
