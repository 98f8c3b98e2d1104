//! Damaged model files through the program itself, each in a process of its own as its users start
//! it: with a trial first, then the load, then an answer.

use crate::models::{damaged, seeds};
use anyhow::Result;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Longer than the program lets a trial take, and the load after it.
const PATIENCE: Duration = Duration::from_secs(180);

/// How often the program is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// What came of many files.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Files by what the program did: answered, or said one line of error, and exit code 1.
    pub counts: BTreeMap<&'static str, u64>,
    /// Seeds of files with which it did anything else, with what that was.
    pub finds: Vec<(u64, String)>,
}

/// Runs the program with `files` damaged files, of this seed and those that follow. Finds are
/// written to `finds`.
///
/// # Errors
/// A file or process that cannot be made.
pub fn run(program: &Path, files: u64, seed: u64, finds: &Path) -> Result<Outcome> {
    let folder = tempfile::tempdir()?;
    let seeds = seeds(folder.path())?;
    let mut outcome = Outcome::default();
    for number in seed..seed + files {
        let file = folder.path().join("damaged.gguf");
        fs::write(&file, damaged(&seeds, number))?;
        match answer(program, folder.path(), &file)? {
            Ok(what) => *outcome.counts.entry(what).or_default() += 1,
            Err(how) => {
                fs::create_dir_all(finds)?;
                fs::copy(&file, finds.join(format!("{number}.gguf")))?;
                outcome.finds.push((number, how));
            }
        }
    }
    Ok(outcome)
}

/// Asks the file for an answer: what is as it should be, or what is not.
fn answer(program: &Path, folder: &Path, file: &Path) -> Result<Result<&'static str, String>> {
    let [out, errors] = ["out", "errors"].map(|name| folder.join(name));
    let mut child = Command::new(program)
        .args(["run", "-p", "Hello", "--temp", "0", "-n", "4", "-m"])
        .arg(file)
        .env("HOME", folder)
        .env("PACKLLM_HOME", folder.join("home"))
        .env("GGML_NO_BACKTRACE", "1")
        .stdin(Stdio::null())
        .stdout(File::create(&out)?)
        .stderr(File::create(&errors)?)
        .spawn()?;
    let Some(status) = wait(&mut child)? else {
        return Ok(Err("hangs".to_owned()));
    };
    let errors = fs::read(&errors)?;
    Ok(judge(status, &String::from_utf8_lossy(&errors)))
}

/// None if it does not end.
fn wait(child: &mut Child) -> Result<Option<ExitStatus>> {
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        std::thread::sleep(LOOK);
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}

fn judge(status: ExitStatus, errors: &str) -> Result<&'static str, String> {
    let lines: Vec<&str> = errors.lines().collect();
    let told: Vec<&str> = lines
        .iter()
        .copied()
        .filter(|line| line.starts_with("error: "))
        .collect();
    let advice = ["error: ", "hint: ", "note: "];
    let only_ours = lines
        .iter()
        .all(|line| advice.iter().any(|start| line.starts_with(start)));
    match (status.code(), told.as_slice()) {
        (Some(0), []) => Ok("an answer, exit code 0"),
        (Some(1), [line]) if only_ours && line.contains("ends the process") => {
            Ok("one line after a trial that ended badly, exit code 1")
        }
        (Some(1), [_]) if only_ours => Ok("one line, exit code 1"),
        _ => Err(format!("{status}: {errors:?}")),
    }
}
