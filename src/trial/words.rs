//! How a trial ended, in a line.

use crate::say::printable;
#[cfg(unix)]
use rustix::process::Signal;
use std::process::ExitStatus;
use std::time::Duration;

/// Longest line that is quoted: characters.
const QUOTED: usize = 200;

/// The process ended with this status and these errors.
pub fn of_end(status: ExitStatus, errors: &str) -> String {
    let how = format!("loading it ends the process ({})", name(status));
    match complaint(errors) {
        Some(line) => format!("{how}: {line}"),
        None => how,
    }
}

/// The process did not end.
pub fn of_hang(time: Duration) -> String {
    format!("loading it takes more than {} s", time.as_secs())
}

/// The first line of what the process said that looks like a reason.
fn complaint(errors: &str) -> Option<String> {
    let lines: Vec<&str> = errors.lines().map(str::trim).collect();
    let telling = |line: &&str| {
        ["GGML_", "what():", "error"]
            .iter()
            .any(|w| line.contains(w))
    };
    // What a panic says stands behind the place.
    let panic = lines.iter().position(|line| line.contains("panicked at"));
    let panic = panic.and_then(|at| lines.get(at + 1));
    let line = panic
        .or_else(|| lines.iter().find(|line| telling(line)))
        .or_else(|| lines.iter().find(|line| !line.is_empty()))?;
    // Without the folder in which llama.cpp was built.
    let line = match line.split_once(".cpp:") {
        Some((path, rest)) => {
            let file = path.rsplit(['/', '\\']).next().unwrap_or(path);
            format!("{file}.cpp:{rest}")
        }
        None => (*line).to_owned(),
    };
    Some(printable(&line).chars().take(QUOTED).collect())
}

/// Signals by their names; their numbers are not everywhere the same.
#[cfg(unix)]
const KNOWN: [(Signal, &str); 7] = [
    (Signal::ILL, "SIGILL"),
    (Signal::ABORT, "SIGABRT"),
    (Signal::BUS, "SIGBUS"),
    (Signal::FPE, "SIGFPE"),
    (Signal::KILL, "SIGKILL"),
    (Signal::SEGV, "SIGSEGV"),
    (Signal::XCPU, "out of time: SIGXCPU"),
];

fn name(status: ExitStatus) -> String {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt;
        if let Some(signal) = status.signal() {
            let known = KNOWN.iter().find(|(known, _)| known.as_raw() == signal);
            return known.map_or_else(
                || format!("signal {signal}"),
                |(_, name)| (*name).to_owned(),
            );
        }
    }
    match status.code() {
        Some(code) => format!("exit code {code}"),
        None => "no exit code".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_quoted_without_paths_and_codes() {
        let said =
            "warming up\n/home/me/llama.cpp/src/llama-vocab.cpp:2578: GGML_ASSERT(a == b) failed\n";
        let line = complaint(said).unwrap();
        assert_eq!(line, "llama-vocab.cpp:2578: GGML_ASSERT(a == b) failed");
        let said = "terminate called after throwing an instance of 'std::out_of_range'\n  what():  _Map_base::at\n";
        assert_eq!(complaint(said).unwrap(), "what():  _Map_base::at");
        assert_eq!(complaint("\x1b[31mred").unwrap(), "\u{fffd}[31mred");
        let said = "\nthread 'main' (7) panicked at model.rs:140:36:\ntoo many\nstack backtrace:\n";
        assert_eq!(complaint(said).unwrap(), "too many");
        assert_eq!(complaint("\n \n"), None);
        assert_eq!(complaint(&"x".repeat(1000)).unwrap().len(), QUOTED);
    }
}
