//! What came of the first load of a model file: `<root>/trials/<hash>.json`.
//!
//! A verdict is kept under a hash of the content, and under one of place, size and time of change,
//! so that a file that did not change is known without being read. Both go with the build: another
//! one has another llama.cpp, or other checks. A split model is one model: all its files count.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::disk::stamp;
use super::error::{StoreError, io_error};
use super::manifest::{Manifest, Origin};
use super::store::{Store, parts_on_disk};
use packllm_engine::digest::hex;
use packllm_engine::engine::prompt_cache::fingerprint;
use packllm_engine::gguf::Header;

/// Bytes that are read at once.
const CHUNK: usize = 1 << 16;

/// What came of a trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What happened, in words; none: it loads.
    pub fault: Option<String>,
}

/// A verdict on disk.
#[derive(Serialize, Deserialize)]
pub(super) struct Kept {
    fault: Option<String>,
    /// The model's file, without links, by which it is known whether it is still there.
    #[serde(default)]
    pub model: String,
}

/// A file, and what is known of its trial.
#[derive(Debug)]
pub struct Trial {
    /// What came of it, if there was one.
    pub verdict: Option<Verdict>,
    /// What the file says of itself, if it had to be read and can be.
    pub header: Option<Header>,
    model: PathBuf,
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
            .try_for_each(|place| write(place, &self.model, verdict))
    }
}

impl Store {
    /// What is known of the trial of this file by this build; of the first of a split model, of all.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn trial(&self, path: &Path, build: &str) -> Result<Trial, StoreError> {
        let model = fs::canonicalize(path).map_err(io_error("read", path))?;
        let files = files_of(path);
        let by_stamp = self.trial_path(&of_stamps(&files, build)?);
        if let Some(verdict) = read(&by_stamp) {
            return Ok(Trial {
                verdict: Some(verdict),
                header: None,
                model,
                places: Vec::new(),
            });
        }
        let header = Header::read(path).ok();
        let by_content = self.trial_path(&of_contents(&files, header.as_ref(), build)?);
        let verdict = read(&by_content);
        if let Some(verdict) = &verdict {
            // Found more slowly the next time if it cannot be written.
            let _ = write(&by_stamp, &model, verdict);
        }
        Ok(Trial {
            verdict,
            header,
            model,
            places: vec![by_content, by_stamp],
        })
    }

    /// What is known to be wrong with this file, as far as that is known without reading it.
    #[must_use]
    pub fn known_fault(&self, path: &Path, build: &str) -> Option<String> {
        let stamps = of_stamps(&files_of(path), build).ok()?;
        read(&self.trial_path(&stamps))?.fault
    }

    /// Whether the file is one of a shipped pack: its sha256 was computed, is the one that the pack
    /// names, and the file did not change since.
    #[must_use]
    pub fn is_shipped(&self, path: &Path) -> bool {
        let Ok(models) = self.list() else {
            return false;
        };
        if files_of(path).len() > 1 {
            // The hash is of one file.
            return false;
        }
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
        self.trials().join(format!("{name}.json"))
    }

    /// The folder of verdicts.
    pub(super) fn trials(&self) -> PathBuf {
        self.root().join("trials")
    }
}

/// The file, and those that belong to it.
fn files_of(path: &Path) -> Vec<PathBuf> {
    let mut files = parts_on_disk(path);
    if files.is_empty() {
        // To say that it is gone.
        files.push(path.to_owned());
    }
    files
}

/// A verdict file; none if it is not there, or no verdict.
pub(super) fn read_kept(path: &Path) -> Option<Kept> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

fn read(path: &Path) -> Option<Verdict> {
    let fault = read_kept(path)?.fault;
    Some(Verdict { fault })
}

/// In one piece, but not at once: a verdict that a crash loses is found again.
fn write(path: &Path, model: &Path, verdict: &Verdict) -> Result<(), StoreError> {
    let kept = Kept {
        fault: verdict.fault.clone(),
        model: model.to_string_lossy().into_owned(),
    };
    let text = serde_json::to_vec(&kept).unwrap_or_default();
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

/// By places, sizes and times of change.
fn of_stamps(files: &[PathBuf], build: &str) -> Result<String, StoreError> {
    let mut hasher = Sha256::new_with_prefix(build);
    for path in files {
        let place = fs::canonicalize(path).map_err(io_error("read", path))?;
        let (size, modified) = stamp(path)?;
        let place = place.as_os_str().as_encoded_bytes();
        for number in [size, modified, node(path), place.len() as u64] {
            hasher.update(number.to_le_bytes());
        }
        hasher.update(place);
    }
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

/// By whole headers, which are what a load goes by, and samples of the weights. `first` is the
/// first file's.
fn of_contents(
    files: &[PathBuf],
    first: Option<&Header>,
    build: &str,
) -> Result<String, StoreError> {
    let mut hasher = Sha256::new_with_prefix(build);
    for (number, path) in files.iter().enumerate() {
        let header = match number {
            0 => first.map(|header| header.data_offset),
            _ => Header::read(path).ok().map(|header| header.data_offset),
        };
        let header = header.unwrap_or(u64::MAX);
        add_content(&mut hasher, path, header).map_err(io_error("read", path))?;
    }
    Ok(hex(hasher))
}

fn add_content(hasher: &mut Sha256, path: &Path, header: u64) -> std::io::Result<()> {
    hasher.update(fingerprint(path)?);
    let mut start = File::open(path)?.take(header);
    let mut chunk = vec![0; CHUNK];
    loop {
        match start.read(&mut chunk)? {
            0 => return Ok(()),
            length => hasher.update(&chunk[..length]),
        }
    }
}
