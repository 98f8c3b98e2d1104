//! A confined process, seen from outside: what it says, how long it takes, how it ends.

use crate::{Limits, Outcome, SandboxError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::fs;
use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// How often a process is looked at that says nothing.
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 10_000_000,
};

/// No time at all.
const NOW: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

/// Files that a program may have in its folder.
const FILES: usize = 256;

/// Bytes of stdout that are kept, more than the harness writes.
const REPORT: usize = 128;

/// How a process came to its end.
pub(super) enum Ending {
    /// By itself.
    Exited(ExitStatus),
    /// It was ended, for what it took.
    Stopped(Outcome),
}

/// A process that is no more.
pub(super) struct Finished {
    pub ending: Ending,
    /// The beginning of what came on stdout, where the harness speaks first.
    pub report: Vec<u8>,
    /// The end of what came on stderr.
    pub errors: Vec<u8>,
}

/// A process that runs. It does not outlive this value, and has no descendants.
pub(super) struct Process {
    child: Child,
    started: Instant,
    report: Pipe<ChildStdout>,
    errors: Pipe<ChildStderr>,
}

impl Process {
    /// Starts it in a process group of its own, out of reach of a terminal's Ctrl-C.
    ///
    /// The kernel ends it with the thread that started it, which therefore has to stay.
    pub fn start(mut command: Command, limits: &Limits) -> Result<Process, SandboxError> {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(SandboxError::Process)?;
        Ok(Process {
            started: Instant::now(),
            report: Pipe::new(child.stdout.take(), Part::First(REPORT)),
            errors: Pipe::new(child.stderr.take(), Part::Last(limits.output)),
            child,
        })
    }

    /// Waits for its end, or ends it when it takes more than it may.
    pub fn watch(
        mut self,
        limits: &Limits,
        folder: &Path,
        cancel: &AtomicBool,
    ) -> Result<Finished, SandboxError> {
        let ending = loop {
            self.listen(&LOOK).map_err(SandboxError::Process)?;
            if let Some(status) = self.child.try_wait().map_err(SandboxError::Process)? {
                break Ending::Exited(status);
            }
            if cancel.load(Ordering::Relaxed) {
                return Err(SandboxError::Cancelled);
            }
            if let Some(excess) = self.excess(limits, folder)? {
                self.end().map_err(SandboxError::Process)?;
                break Ending::Stopped(excess);
            }
        };
        while self.listen(&NOW).map_err(SandboxError::Process)? {}
        Ok(Finished {
            ending,
            report: std::mem::take(&mut self.report.kept),
            errors: std::mem::take(&mut self.errors.kept),
        })
    }

    /// Reads some of what has been said, or waits for it a moment; whether there was something.
    fn listen(&mut self, moment: &Timespec) -> io::Result<bool> {
        let mut fds = Vec::with_capacity(2);
        fds.extend(self.report.open.as_ref().map(|pipe| readable(pipe)));
        let first = fds.len();
        fds.extend(self.errors.open.as_ref().map(|pipe| readable(pipe)));
        match poll(&mut fds, Some(moment)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let speaks = |fds: &[PollFd<'_>]| fds.iter().any(|fd| !fd.revents().is_empty());
        let (report, errors) = (speaks(&fds[..first]), speaks(&fds[first..]));
        if report {
            self.report.read()?;
        }
        if errors {
            self.errors.read()?;
        }
        Ok(report || errors)
    }

    /// What it has taken too much of.
    fn excess(&self, limits: &Limits, folder: &Path) -> Result<Option<Outcome>, SandboxError> {
        let threads = threads(self.child.id()).map_err(SandboxError::Process)?;
        let (files, bytes) = contents(folder).map_err(SandboxError::Folder)?;
        Ok(if self.started.elapsed() >= limits.time {
            Some(Outcome::TimedOut)
        } else if threads > limits.threads {
            Some(Outcome::TooManyThreads)
        } else if files > FILES || bytes > limits.disk {
            Some(Outcome::TooMuchOnDisk)
        } else {
            None
        })
    }

    fn end(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Where nothing can be done about an error; of a process that has ended there is none.
        let _ = self.end();
    }
}

fn readable(pipe: &impl AsFd) -> PollFd<'_> {
    PollFd::new(pipe, PollFlags::IN)
}

/// How many threads the process has, which is ours and has not been waited for.
fn threads(process: u32) -> io::Result<usize> {
    // The name in it is the program's, any bytes but for ends of lines.
    let status = fs::read(format!("/proc/{process}/status"))?;
    let status = String::from_utf8_lossy(&status);
    let threads = status
        .lines()
        .find_map(|line| line.strip_prefix("Threads:"));
    threads
        .and_then(|count| count.trim().parse().ok())
        .ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "no threads in /proc"))
}

/// How many files the folder has, which has no folders, and how many bytes they are. Counts no
/// further than it takes to see that they are too many.
fn contents(folder: &Path) -> io::Result<(usize, u64)> {
    let (mut files, mut bytes) = (0, 0);
    for entry in fs::read_dir(folder)?.take(FILES + 1) {
        files += 1;
        match entry?.metadata() {
            Ok(metadata) => bytes += metadata.len(),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok((files, bytes))
}

/// What is kept of what comes through a pipe, in bytes.
enum Part {
    First(usize),
    Last(usize),
}

/// The reading end of a pipe, and what is kept of what came.
struct Pipe<P> {
    open: Option<P>,
    kept: Vec<u8>,
    part: Part,
}

impl<P: Read> Pipe<P> {
    fn new(open: Option<P>, part: Part) -> Pipe<P> {
        let kept = Vec::new();
        Pipe { open, kept, part }
    }

    /// Reads once, which does not wait where there is something to read.
    fn read(&mut self) -> io::Result<()> {
        let Some(pipe) = &mut self.open else {
            return Ok(());
        };
        let mut bytes = [0; 16 << 10];
        match pipe.read(&mut bytes) {
            Ok(0) => self.open = None,
            Ok(count) => self.keep(&bytes[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.kept.extend_from_slice(bytes);
        match self.part {
            Part::First(most) => self.kept.truncate(most),
            Part::Last(most) => {
                let surplus = self.kept.len().saturating_sub(most);
                self.kept.drain(..surplus);
            }
        }
    }
}
