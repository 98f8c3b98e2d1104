//! Files on disk: names, times, locks, and writing so that nobody sees half a file.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use super::error::{StoreError, io_error};

/// Whether `file` can be a file of the store: one path component that no platform reads otherwise,
/// and not the name of a partial download.
pub(super) fn plain_file_name(file: &str) -> bool {
    !file.is_empty()
        && file.len() <= 200
        && !file.starts_with('.')
        && !file.ends_with(['.', ' '])
        && !file.ends_with(".part")
        && !file.ends_with(".part.json")
        && !file.contains(|char: char| char.is_control() || r#"/\:*?"<>|"#.contains(char))
}

/// Size in bytes and time of change in nanoseconds since 1970 of the file behind `path`.
pub(super) fn stamp(path: &Path) -> Result<(u64, u64), StoreError> {
    let data = fs::metadata(path).map_err(io_error("read", path))?;
    let since = data
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    Ok((
        data.len(),
        since.map_or(0, |age| u64::try_from(age.as_nanos()).unwrap_or(u64::MAX)),
    ))
}

/// Names in a folder, sorted; none if it does not exist. Names that are not Unicode are left out.
pub(super) fn file_names(folder: &Path) -> Result<Vec<String>, StoreError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io_error("read", folder)(error)),
    };
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    Ok(names)
}

/// Replaces `path` by `bytes`, on disk before it is visible.
pub(super) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    // Neither two processes nor two threads share a temporary file.
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.{count}.tmp", std::process::id()));
    let temporary = PathBuf::from(name);
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().map_err(|error| {
        // The write's error is the one to report; a leftover is harmless.
        let _ = fs::remove_file(&temporary);
        io_error("write", path)(error)
    })?;
    sync_folder(path);
    Ok(())
}

/// Makes a rename of `path` durable, where the platform can.
pub(super) fn sync_folder(path: &Path) {
    if let Some(folder) = path.parent().and_then(|folder| File::open(folder).ok()) {
        // Not every file system can sync a folder; the file itself is safe by now.
        let _ = folder.sync_all();
    }
}

/// An error if `needed` bytes more cannot be kept in the folder, or above it where it is not made
/// yet.
pub(super) fn room(folder: &Path, needed: u64) -> Result<(), StoreError> {
    let there = folder.ancestors().find(|folder| folder.is_dir());
    match there.and_then(free_space) {
        Some(free) if free < needed => Err(StoreError::NoRoom {
            path: folder.to_owned(),
            needed,
            free,
        }),
        _ => Ok(()),
    }
}

/// Bytes that may be written to the file system of `folder`; None where that is not known.
#[cfg(unix)]
fn free_space(folder: &Path) -> Option<u64> {
    let system = rustix::fs::statvfs(folder).ok()?;
    Some(system.f_bavail.saturating_mul(system.f_frsize))
}

#[cfg(not(unix))]
fn free_space(_folder: &Path) -> Option<u64> {
    None
}

/// Opens a file to lock it, and makes it first if it is not there.
pub(super) fn open_lock(path: &Path) -> Result<File, StoreError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(io_error("make the folder", folder))?;
    }
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(io_error("open", path))
}
