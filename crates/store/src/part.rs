//! A download that is not whole yet: `<file>.part`, hashed as it grows.
//!
//! Every source has to give bytes with the manifest's sha256, so a part may be continued by any
//! source. Beside it, `<file>.part.json` holds the entity tag under which one source served it, so
//! that the server refuses to continue a file that has changed; where there is none, the final hash
//! decides.

use packllm_engine::digest::hex;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::disk::{sync_folder, write_atomically};
use super::error::{StoreError, io_error};

/// An open `.part` file. `len` bytes of it are written and hashed.
pub(super) struct Part {
    path: PathBuf,
    /// Whether the entity tag is remembered: in the hub's cache there is no place for it.
    tagged: bool,
    file: File,
    hasher: Sha256,
    len: u64,
    resumed: bool,
}

#[derive(Serialize, Deserialize)]
struct Tag {
    url: String,
    etag: String,
}

impl Part {
    /// Opens the part of the file that will be at `target`, and hashes what an earlier pull left.
    pub fn open(target: &Path, cancel: &AtomicBool) -> Result<Self, StoreError> {
        Self::at(path_of(target), true, cancel)
    }

    /// Opens a part of a file of the hub's cache, whose name is its hash.
    pub fn of_cache(path: PathBuf, cancel: &AtomicBool) -> Result<Self, StoreError> {
        Self::at(path, false, cancel)
    }

    fn at(path: PathBuf, tagged: bool, cancel: &AtomicBool) -> Result<Self, StoreError> {
        let mut options = OpenOptions::new();
        let opened = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path);
        let mut file = opened.map_err(io_error("write", &path))?;
        let mut hasher = Sha256::new();
        let length = file.metadata().map_err(io_error("read", &path))?.len();
        let len = hash(
            &mut (&mut file).take(length),
            &path,
            &mut hasher,
            &mut |_| (),
            cancel,
        )?;
        Ok(Self {
            path,
            tagged,
            file,
            hasher,
            len,
            resumed: len > 0,
        })
    }

    /// Bytes so far.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether bytes of an earlier pull are in it.
    pub fn resumed(&self) -> bool {
        self.resumed
    }

    /// SHA-256 of the bytes so far.
    pub fn digest(&self) -> String {
        hex(self.hasher.clone())
    }

    /// The entity tag under which `url` served these bytes.
    pub fn tag(&self, url: &str) -> Option<String> {
        let text = fs::read(tag_path(&self.path)).ok()?;
        // A damaged tag counts as none.
        serde_json::from_slice::<Tag>(&text)
            .ok()
            .filter(|tag| tag.url == url)
            .map(|tag| tag.etag)
    }

    /// Remembers the entity tag of what is being written.
    pub fn set_tag(&self, url: &str, etag: Option<&str>) -> Result<(), StoreError> {
        if !self.tagged {
            return Ok(());
        }
        let path = tag_path(&self.path);
        let text = etag.and_then(|etag| {
            serde_json::to_vec(&Tag {
                url: url.to_owned(),
                etag: etag.to_owned(),
            })
            .ok()
        });
        match text {
            Some(text) => write_atomically(&path, &text),
            None => {
                // Nothing to delete is the usual case.
                let _ = fs::remove_file(path);
                Ok(())
            }
        }
    }

    /// Throws the bytes away.
    pub fn restart(&mut self) -> Result<(), StoreError> {
        if self.len > 0 {
            self.file
                .set_len(0)
                .map_err(io_error("write", &self.path))?;
            self.file
                .seek(SeekFrom::Start(0))
                .map_err(io_error("write", &self.path))?;
        }
        self.hasher = Sha256::new();
        self.len = 0;
        self.resumed = false;
        self.set_tag("", None)
    }

    /// Appends.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file
            .write_all(bytes)
            .map_err(io_error("write", &self.path))?;
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Deletes the file, of which there is nothing to keep.
    pub fn discard(&self) {
        remove(&self.path);
    }

    /// Puts the bytes on disk and gives them their final name.
    pub fn finish(&self, target: &Path) -> Result<(), StoreError> {
        self.file
            .sync_all()
            .map_err(io_error("write", &self.path))?;
        fs::rename(&self.path, target).map_err(io_error("write", target))?;
        sync_folder(target);
        let _ = fs::remove_file(tag_path(&self.path));
        Ok(())
    }
}

/// The partial download of the file at `target`.
pub(super) fn path_of(target: &Path) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

/// Deletes the partial download of the file at `target`, if there is one.
pub(super) fn delete(target: &Path) {
    remove(&path_of(target));
}

/// Removes a part with its tag; that there is none is as good.
fn remove(part: &Path) {
    let _ = fs::remove_file(tag_path(part));
    let _ = fs::remove_file(part);
}

/// SHA-256 of a file, `advance` called with the bytes of each chunk.
pub(super) fn sha256(
    path: &Path,
    advance: &mut dyn FnMut(u64),
    cancel: &AtomicBool,
) -> Result<String, StoreError> {
    let mut file = File::open(path).map_err(io_error("read", path))?;
    let mut hasher = Sha256::new();
    hash(&mut file, path, &mut hasher, advance, cancel)?;
    Ok(hex(hasher))
}

fn tag_path(part: &Path) -> PathBuf {
    let mut name = part.as_os_str().to_owned();
    name.push(".json");
    PathBuf::from(name)
}

fn hash(
    reader: &mut dyn Read,
    path: &Path,
    hasher: &mut Sha256,
    advance: &mut dyn FnMut(u64),
    cancel: &AtomicBool,
) -> Result<u64, StoreError> {
    let mut buffer = vec![0; 1 << 18];
    let mut total = 0;
    loop {
        if cancel.load(Ordering::Relaxed) {
            return Err(StoreError::Cancelled);
        }
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(total),
            Ok(count) => {
                hasher.update(buffer.get(..count).unwrap_or_default());
                advance(count as u64);
                total += count as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => (),
            Err(error) => return Err(io_error("read", path)(error)),
        }
    }
}
