//! A model file that this build never loaded is loaded by a child first: the program itself, with
//! limits. llama.cpp ends a process on some files, and then it is the child's. What came of it is
//! kept in the store, so it costs once.

use crate::app::App;
use crate::report::Unusable;
use anyhow::Result;
use packllm_engine::engine::EngineError;
use packllm_store::Verdict;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

mod limits;
mod words;

use limits::Limits;

/// The hidden command by which the program starts itself for a trial.
pub const TRIAL: &str = "try-file";

/// How the child ends where llama.cpp refused the file in an orderly way, and said why.
const REFUSED: u8 = 3;

/// How often a child is looked at.
const LOOK: Duration = Duration::from_millis(2);

/// This process, just started by [`of_files`], limits itself and loads a file.
pub fn become_trial(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let [path, memory, seconds] = arguments.as_slice() else {
        return ExitCode::FAILURE;
    };
    let Some(limits) = Limits::read(memory, seconds) else {
        return ExitCode::FAILURE;
    };
    limits.hold_here();
    match packllm_llama::try_file(Path::new(path)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody listens any more if this fails.
            let _ = say!("{}", crate::hints::words(&error));
            ExitCode::from(REFUSED)
        }
    }
}

/// Tries the files that are new to this build, all at the same time.
///
/// # Errors
/// One file that does not load, or ends the process that loads it.
pub fn of_files<'a>(app: &App, paths: impl Iterator<Item = &'a Path>) -> Result<()> {
    let build = build();
    let paths: BTreeSet<&Path> = paths.collect();
    let outcomes: Vec<Result<()>> = thread::scope(|threads| {
        let tried = paths
            .into_iter()
            .map(|path| threads.spawn(|| of_file(app, path, &build)));
        let tried: Vec<_> = tried.collect();
        let joined = tried.into_iter().map(|thread| match thread.join() {
            Ok(outcome) => outcome,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.collect()
    });
    outcomes.into_iter().collect()
}

/// What an earlier trial by this build found wrong with the file.
pub fn known_fault(app: &App, path: &Path) -> Option<String> {
    app.store.known_fault(path, &build())
}

fn of_file(app: &App, path: &Path, build: &str) -> Result<()> {
    // A file that cannot be read is an error of the load.
    let Ok(trial) = app.store.trial(path, build) else {
        return Ok(());
    };
    if let Some(verdict) = &trial.verdict {
        return heed(path, verdict.fault.clone());
    }
    // What our own reader refuses, the load refuses in better words.
    let sound = trial.header.as_ref().filter(|one| one.member().is_ok());
    let Some(header) = sound else {
        return Ok(());
    };
    let limits = Limits::of(header.file_bytes);
    // What a shipped pack names by its hash was loaded by those who made the pack.
    let ending = match app.store.is_shipped(path) {
        true => Ending::Loads,
        false => watch(&mut trial_of(path, &limits)?, limits.time, &app.cancel)?,
    };
    let fault = match ending {
        Ending::Loads => None,
        Ending::Refused(reason) => return Err(Unusable { reason, hint: None }.into()),
        Ending::Stopped(status, errors) if limits::is_from_outside(status) => {
            return heed(path, Some(words::of_end(status, &errors)));
        }
        Ending::Stopped(status, errors) => Some(words::of_end(status, &errors)),
        Ending::Hangs(time) => Some(words::of_hang(time)),
    };
    let verdict = Verdict { fault };
    if let Err(error) = trial.keep(&verdict) {
        app.dim(&format!(
            "note: that {} loads is not remembered: {error}",
            path.display()
        ));
    }
    heed(path, verdict.fault)
}

/// An error if there is a fault.
fn heed(path: &Path, fault: Option<String>) -> Result<()> {
    let Some(fault) = fault else {
        return Ok(());
    };
    let reason = format!("{}: {fault}", path.display());
    let hint = "the file is damaged, or made to do harm: get it from another source; --trust-file \
                loads it without this trial";
    let hint = Some(hint.into());
    Err(Unusable { reason, hint }.into())
}

/// How a trial came to its end.
enum Ending {
    /// The file loads.
    Loads,
    /// llama.cpp refused it, for this reason.
    Refused(String),
    /// The process ended otherwise, with this on stderr.
    Stopped(ExitStatus, String),
    /// It took longer than this.
    Hangs(Duration),
}

/// Runs a child to its end, or for so long.
fn watch(command: &mut Command, limit: Duration, cancel: &AtomicBool) -> Result<Ending> {
    let mut child = Trial(
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?,
    );
    let (out, errors) = (child.0.stdout.take(), child.0.stderr.take());
    let out = thread::spawn(move || beginning(out));
    let errors = thread::spawn(move || beginning(errors));
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.0.try_wait()? {
            break status;
        }
        if cancel.load(Ordering::Relaxed) {
            return Err(EngineError::Cancelled.into());
        }
        if started.elapsed() > limit {
            return Ok(Ending::Hangs(limit));
        }
        thread::sleep(LOOK);
    };
    let text = |said: thread::JoinHandle<String>| said.join().unwrap_or_default();
    let (said, errors) = (text(out), text(errors));
    if cancel.load(Ordering::Relaxed) {
        return Err(EngineError::Cancelled.into());
    }
    Ok(match status.code() {
        Some(0) => Ending::Loads,
        Some(code) if code == i32::from(REFUSED) => Ending::Refused(said.trim().to_owned()),
        _ => Ending::Stopped(status, errors),
    })
}

/// A child that does not outlive this value.
struct Trial(Child);

impl Drop for Trial {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The child that loads the file.
fn trial_of(path: &Path, limits: &Limits) -> io::Result<Command> {
    let mut command = Command::new(this_program()?);
    command.arg(TRIAL).arg(path).args(limits.arguments());
    // Else ggml starts a debugger, if there is one, to print where it was.
    command.env("GGML_NO_BACKTRACE", "1");
    Ok(command)
}

/// The very file that runs, where that can be said, also if another was put in its place meanwhile.
pub fn this_program() -> io::Result<PathBuf> {
    match cfg!(target_os = "linux") {
        true => Ok("/proc/self/exe".into()),
        false => std::env::current_exe(),
    }
}

/// The beginning of what a child says.
fn beginning(stream: Option<impl Read>) -> String {
    const KEPT: u64 = 4096;
    let Some(mut stream) = stream else {
        return String::new();
    };
    let mut bytes = Vec::new();
    // What was read until an error is all there is.
    let _ = (&mut stream).take(KEPT).read_to_end(&mut bytes);
    let _ = io::copy(&mut stream, &mut io::sink());
    String::from_utf8_lossy(&bytes).into_owned()
}

/// This build: its version, that of llama.cpp, and the program's file.
fn build() -> String {
    let data = std::env::current_exe().and_then(std::fs::metadata);
    let made = data.ok().and_then(|data| {
        let time = data.modified().ok()?;
        let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
        Some((data.len(), since.as_nanos()))
    });
    let (version, llama) = (env!("CARGO_PKG_VERSION"), packllm_llama::VERSION);
    format!("packllm {version}, {llama}, {made:?}\n")
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    /// A shell in the child's place.
    fn watched(script: &str, limit: Duration, cancelled: bool) -> Result<Ending> {
        let mut shell = Command::new("sh");
        watch(
            shell.args(["-c", script]),
            limit,
            &AtomicBool::new(cancelled),
        )
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_child_that_hangs_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let script = format!("echo $$ > {}; exec sleep 600", pid.display());
        let started = Instant::now();
        let limit = Duration::from_secs(2);
        let ending = watched(&script, limit, false).unwrap();
        assert!(matches!(ending, Ending::Hangs(time) if time == limit));
        assert!(started.elapsed() < LONG);
        assert_eq!(words::of_hang(limit), "loading it takes more than 2 s");
        let pid = std::fs::read_to_string(pid).unwrap();
        assert!(!Path::new("/proc").join(pid.trim()).exists());
    }

    #[test]
    fn each_end_is_told_apart() {
        assert!(matches!(watched("exit 0", LONG, false), Ok(Ending::Loads)));
        let refused = watched("echo too wide; exit 3", LONG, false);
        assert!(matches!(refused, Ok(Ending::Refused(said)) if said == "too wide"));
        let aborted = watched("echo GGML_ASSERT >&2; kill -ABRT $$", LONG, false).unwrap();
        let Ending::Stopped(status, errors) = aborted else {
            panic!("it ends otherwise");
        };
        let line = words::of_end(status, &errors);
        assert_eq!(line, "loading it ends the process (SIGABRT): GGML_ASSERT");
        assert!(!limits::is_from_outside(status));
        let killed = watched("kill -KILL $$", LONG, false);
        assert!(
            matches!(killed, Ok(Ending::Stopped(status, _)) if limits::is_from_outside(status))
        );
        assert!(watched("exec sleep 600", LONG, true).is_err());
    }
}
