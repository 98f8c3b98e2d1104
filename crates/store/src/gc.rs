//! What nobody needs any more: what stopped downloads left, and what the store remembers of files
//! that are gone.

use std::fs;
use std::path::{Path, PathBuf};

use super::disk::{file_names, open_lock, stamp};
use super::error::{StoreError, io_error};
use super::store::Store;
use super::trials::read_kept;

/// Something that can go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Garbage {
    /// What a stopped download left.
    Part {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// The index remembers a file that is gone.
    Gone {
        /// Its name in the store.
        file: String,
    },
    /// What came of the trial of a file that is gone.
    Verdict {
        /// Where that is kept.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The model's file; empty if that is not known.
        model: String,
    },
}

impl Store {
    /// Finds what can go, and unless it is only `looked` at removes it. Downloads that go on are left
    /// alone.
    pub fn collect(&self, looked: bool) -> Result<Vec<Garbage>, StoreError> {
        let mut found = self.parts()?;
        found.extend(incomplete(&self.hub_cache())?);
        found.extend(self.verdicts_on_nothing()?);
        if !looked {
            for one in &found {
                if let Garbage::Part { path, .. } | Garbage::Verdict { path, .. } = one {
                    fs::remove_file(path).map_err(io_error("delete", path))?;
                }
            }
        }
        for gone in self.list()?.into_iter().filter(|one| !one.present) {
            let file = gone.model.file;
            if !looked {
                self.remove(&file)?;
            }
            found.push(Garbage::Gone { file });
        }
        Ok(found)
    }

    fn parts(&self) -> Result<Vec<Garbage>, StoreError> {
        let mut found = Vec::new();
        for name in file_names(&self.model_path(""))? {
            let file = name.strip_suffix(".part.json");
            if let Some(file) = file.or_else(|| name.strip_suffix(".part"))
                && self.lock_file(file)?.try_lock().is_ok()
            {
                found.push(part(self.model_path(&name))?);
            }
        }
        Ok(found)
    }

    fn verdicts_on_nothing(&self) -> Result<Vec<Garbage>, StoreError> {
        let mut found = Vec::new();
        let names = file_names(&self.trials())?.into_iter();
        // Others are being written.
        for name in names.filter(|name| name.ends_with(".json")) {
            let path = self.trials().join(name);
            // What is no verdict is of no use either.
            let model = read_kept(&path).map_or_else(String::new, |kept| kept.model);
            if !Path::new(&model).is_file() {
                let (bytes, _) = stamp(&path)?;
                found.push(Garbage::Verdict { path, bytes, model });
            }
        }
        Ok(found)
    }
}

/// Blobs of the hub's cache that are not whole and that nobody is writing.
fn incomplete(cache: &Path) -> Result<Vec<Garbage>, StoreError> {
    let mut found = Vec::new();
    for repo in file_names(cache)? {
        let blobs = cache.join(&repo).join("blobs");
        let locks = cache.join(".locks").join(&repo);
        let names = if repo.starts_with("models--") && blobs.is_dir() {
            file_names(&blobs)?
        } else {
            Vec::new()
        };
        for name in names {
            // huggingface_hub may put a number before the ending.
            let Some((etag, _)) = name
                .split_once('.')
                .filter(|_| name.ends_with(".incomplete"))
            else {
                continue;
            };
            let lock = open_lock(&locks.join(format!("{etag}.lock")))?;
            if lock.try_lock().is_ok() {
                found.push(part(blobs.join(&name))?);
            }
        }
    }
    Ok(found)
}

fn part(path: PathBuf) -> Result<Garbage, StoreError> {
    let (bytes, _) = stamp(&path)?;
    Ok(Garbage::Part { path, bytes })
}
