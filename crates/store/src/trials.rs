//! What came of the first load of a model file: `<root>/trials/<hash>.json`.
//!
//! A verdict is kept under a hash of the file's content, and under one of its place, size and time
//! of change, so that a file that did not change is known without being read. Both go with the
//! build: another one has another llama.cpp, or other checks.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::disk::stamp;
use super::error::{StoreError, io_error};
use super::manifest::{Manifest, Origin};
use super::store::Store;
use packllm_engine::digest::hex;
use packllm_engine::engine::prompt_cache::fingerprint;
use packllm_engine::gguf::Header;

/// Bytes that are read at once.
const CHUNK: usize = 1 << 16;

/// What came of a trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// What happened, in words; none: it loads.
    pub fault: Option<String>,
}

/// A file, and what is known of its trial.
#[derive(Debug)]
pub struct Trial {
    /// What came of it, if there was one.
    pub verdict: Option<Verdict>,
    /// Where verdicts on it are kept.
    places: Vec<PathBuf>,
}

impl Trial {
    /// Keeps what came of it.
    ///
    /// # Errors
    /// A store that cannot be written.
    pub fn keep(&self, verdict: &Verdict) -> Result<(), StoreError> {
        self.places
            .iter()
            .try_for_each(|place| write(place, verdict))
    }
}

impl Store {
    /// What is known of the trial of this file by this build.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn trial(&self, path: &Path, build: &str) -> Result<Trial, StoreError> {
        let by_stamp = self.trial_path(&of_stamp(path, build)?);
        if let Some(verdict) = read(&by_stamp) {
            return Ok(Trial {
                verdict: Some(verdict),
                places: Vec::new(),
            });
        }
        let by_content = self.trial_path(&of_content(path, build)?);
        let verdict = read(&by_content);
        if let Some(verdict) = &verdict {
            // Found more slowly the next time if it cannot be written.
            let _ = write(&by_stamp, verdict);
        }
        let places = vec![by_content, by_stamp];
        Ok(Trial { verdict, places })
    }

    /// Whether the file is one of a shipped pack: its sha256 was computed, is the one that the pack
    /// names, and the file did not change since.
    #[must_use]
    pub fn is_shipped(&self, path: &Path) -> bool {
        let Ok(models) = self.list() else {
            return false;
        };
        let same = models.iter().filter(|listing| listing.path == path);
        let unchanged = same.filter(|listing| {
            stamp(path).is_ok_and(|now| now == (listing.model.size, listing.model.modified))
        });
        let mut hashes = unchanged.filter_map(|listing| listing.model.sha256.as_deref());
        hashes.any(|hash| self.ships(hash))
    }

    /// Whether a shipped pack names this sha256.
    fn ships(&self, sha256: &str) -> bool {
        let packs = self
            .shipped()
            .iter()
            .filter_map(|(name, text)| Manifest::parse(text, name, Origin::Shipped).ok());
        packs
            .flat_map(|pack| pack.members)
            .any(|member| member.sha256.as_deref() == Some(sha256))
    }

    fn trial_path(&self, name: &str) -> PathBuf {
        self.root().join("trials").join(format!("{name}.json"))
    }
}

fn read(path: &Path) -> Option<Verdict> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// In one piece, but not at once: a verdict that a crash loses is found again.
fn write(path: &Path, verdict: &Verdict) -> Result<(), StoreError> {
    let text = serde_json::to_vec(verdict).unwrap_or_default();
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(io_error("make the folder", folder))?;
    let new = || -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&text)?;
        file.persist(path)?;
        Ok(())
    };
    new().map_err(io_error("write", path))
}

/// By place, size and time of change.
fn of_stamp(path: &Path, build: &str) -> Result<String, StoreError> {
    let place = fs::canonicalize(path).map_err(io_error("read", path))?;
    let (size, modified) = stamp(path)?;
    let mut hasher = Sha256::new_with_prefix(build);
    hasher.update(size.to_le_bytes());
    hasher.update(modified.to_le_bytes());
    hasher.update(node(path).to_le_bytes());
    hasher.update(place.as_os_str().as_encoded_bytes());
    Ok(hex(hasher))
}

/// The file's number on its disk, where there is one: another file in its place has another.
fn node(path: &Path) -> u64 {
    #[cfg(unix)]
    return std::os::unix::fs::MetadataExt::ino(&match fs::metadata(path) {
        Ok(data) => data,
        Err(_) => return 0,
    });
    #[cfg(not(unix))]
    {
        let _ = path;
        0
    }
}

/// By the whole header, which is what a load goes by, and samples of the weights.
fn of_content(path: &Path, build: &str) -> Result<String, StoreError> {
    let unread = || io_error("read", path);
    let mut hasher = Sha256::new_with_prefix(build);
    hasher.update(fingerprint(path).map_err(unread())?);
    let header = Header::read(path).map_or(u64::MAX, |header| header.data_offset);
    let mut start = File::open(path).map_err(unread())?.take(header);
    let mut chunk = vec![0; CHUNK];
    loop {
        match start.read(&mut chunk).map_err(unread())? {
            0 => break,
            length => hasher.update(&chunk[..length]),
        }
    }
    Ok(hex(hasher))
}
