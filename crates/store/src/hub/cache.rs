//! The cache of huggingface_hub on disk, which llama.cpp shares: what one program has downloaded
//! the others find.
//!
//! ```text
//! models--owner--repo/blobs/<etag>               the bytes: sha256, or git's hash of a small file
//! models--owner--repo/snapshots/<commit>/<file>  a link to them
//! models--owner--repo/refs/<branch>              the commit
//! .locks/models--owner--repo/<etag>.lock         held while a blob is written
//! ```
//!
//! A blob has its name only when it is whole; `<etag>.incomplete` is what a stopped download left.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::disk::{open_lock, write_atomically};
use crate::error::{StoreError, io_error};
use crate::source::{Named, Pick, inner_path};

use super::pick;

/// Marks a folder that backups may leave out, as huggingface_hub does.
const TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
                   # This file is a cache directory tag created by packllm, as huggingface_hub does.\n";

/// A repository's folder in one cache.
#[derive(Debug, Clone)]
pub(crate) struct Repository {
    root: PathBuf,
    name: String,
}

/// A commit of a repository, as far as it is in the cache.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    folder: PathBuf,
    pub commit: String,
}

impl Repository {
    /// The folder of `owner/repo`, which need not exist.
    pub fn of(root: &Path, repo: &str) -> Self {
        Self {
            root: root.to_owned(),
            name: format!("models--{}", repo.replace('/', "--")),
        }
    }

    fn folder(&self) -> PathBuf {
        self.root.join(&self.name)
    }

    /// The commit that `revision` was when somebody last asked, if any of it is here.
    pub fn snapshot(&self, revision: &str) -> Option<Snapshot> {
        let of = |commit: String| {
            let folder = self.folder().join("snapshots").join(&commit);
            (is_commit(&commit) && folder.is_dir()).then_some(Snapshot { folder, commit })
        };
        if is_commit(revision) {
            return of(revision.to_owned());
        }
        let text = fs::read_to_string(self.folder().join("refs").join(revision)).ok()?;
        of(text.trim().to_owned())
    }

    /// Where the bytes of this etag are, or would be.
    pub fn blob(&self, etag: &str) -> PathBuf {
        self.folder().join("blobs").join(etag)
    }

    /// What a stopped download of that blob leaves.
    pub fn incomplete(&self, etag: &str) -> PathBuf {
        self.folder()
            .join("blobs")
            .join(format!("{etag}.incomplete"))
    }

    /// The file whose lock is held while the blob is written, by huggingface_hub as well.
    pub fn lock_file(&self, etag: &str) -> Result<File, StoreError> {
        let folder = self.root.join(".locks").join(&self.name);
        open_lock(&folder.join(format!("{etag}.lock")))
    }

    /// Makes the folders.
    pub fn prepare(&self) -> Result<(), StoreError> {
        let blobs = self.folder().join("blobs");
        fs::create_dir_all(&blobs).map_err(io_error("make the folder", &blobs))?;
        let tag = self.root.join("CACHEDIR.TAG");
        if !tag.exists() {
            // It is of use to backups alone.
            let _ = fs::write(tag, TAG);
        }
        Ok(())
    }

    /// Remembers which commit a branch or tag is.
    pub fn note_commit(&self, revision: &str, commit: &str) -> Result<(), StoreError> {
        if revision == commit || !is_commit(commit) {
            return Ok(());
        }
        let path = self.folder().join("refs").join(revision);
        if fs::read_to_string(&path).is_ok_and(|known| known == commit) {
            return Ok(());
        }
        make_parent(&path)?;
        write_atomically(&path, commit.as_bytes())
    }

    /// Gives a blob its name in a commit, and returns the path.
    pub fn link(&self, commit: &str, file: &str, etag: &str) -> Result<PathBuf, StoreError> {
        let path = self.folder().join("snapshots").join(commit).join(file);
        make_parent(&path)?;
        let blob = self.blob(etag);
        if path.is_file() {
            return Ok(path);
        }
        // A link whose blob is gone, or an earlier version's.
        let _ = fs::remove_file(&path);
        let up = "../".repeat(file.split('/').count() + 1);
        symlink(Path::new(&format!("{up}blobs/{etag}")), &path)
            .or_else(|_| fs::rename(&blob, &path))
            .map_err(io_error("write", &path))?;
        Ok(path)
    }
}

impl Snapshot {
    /// Paths of its GGUF files whose bytes are there.
    pub fn files(&self) -> Vec<String> {
        let mut found = Vec::new();
        collect(&self.folder, "", 4, &mut found);
        found.sort();
        found
    }

    /// The files of the model that is meant, the first first; None if not all of them are there.
    pub fn model(&self, pick: &Pick) -> Option<Vec<String>> {
        let files = self.files();
        let paths: Vec<&str> = files.iter().map(String::as_str).collect();
        let first = pick::choose(&paths, pick)?;
        let parts = pick::parts(first);
        let whole = parts.iter().all(|part| files.contains(part));
        whole.then_some(parts)
    }

    /// Where a file of it is.
    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }
}

/// The snapshot, in any of the caches, that has the model whole.
pub(crate) fn find(roots: &[PathBuf], named: &Named) -> Option<(Snapshot, Vec<String>)> {
    roots.iter().find_map(|root| {
        let snapshot = Repository::of(root, &named.repo).snapshot(named.revision())?;
        let model = snapshot.model(&named.pick)?;
        Some((snapshot, model))
    })
}

/// The blob of that hash in any of the caches.
pub(crate) fn blob(roots: &[PathBuf], repo: &str, sha256: &str) -> Option<PathBuf> {
    let mut blobs = roots
        .iter()
        .map(|root| Repository::of(root, repo).blob(sha256));
    blobs.find(|blob| blob.is_file())
}

/// Deletes a file of a snapshot, and its blob unless another snapshot has it; the bytes that are
/// free now. A path that is no file of a cache is left alone.
pub(crate) fn remove(path: &Path) -> Result<Option<u64>, StoreError> {
    let Some(repository) = path.ancestors().find(|folder| {
        let name = folder.file_name().map(|name| name.to_string_lossy());
        name.is_some_and(|name| name.starts_with("models--"))
    }) else {
        return Ok(None);
    };
    let blob = fs::canonicalize(path).map_err(io_error("read", path))?;
    fs::remove_file(path).map_err(io_error("delete", path))?;
    if blob == path || is_linked(&repository.join("snapshots"), &blob, 6) {
        return Ok(Some(0).filter(|_| blob != path));
    }
    let bytes = fs::metadata(&blob).map_or(0, |data| data.len());
    fs::remove_file(&blob).map_err(io_error("delete", &blob))?;
    Ok(Some(bytes))
}

fn is_linked(folder: &Path, blob: &Path, depth: u32) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).any(|path| {
        let real = path.is_dir() && !path.is_symlink();
        (real && depth > 0 && is_linked(&path, blob, depth - 1))
            || (!real && fs::canonicalize(&path).is_ok_and(|target| target == blob))
    })
}

pub(crate) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn collect(folder: &Path, below: &str, depth: u32, found: &mut Vec<String>) {
    for name in crate::disk::file_names(folder).unwrap_or_default() {
        let path = folder.join(&name);
        if path.is_dir() && depth > 0 {
            collect(&path, &format!("{below}{name}/"), depth - 1, found);
        } else if name.ends_with(".gguf") && path.is_file() {
            let file = format!("{below}{name}");
            found.extend(inner_path(&file).map(str::to_owned));
        }
    }
}

fn make_parent(path: &Path) -> Result<(), StoreError> {
    match path.parent() {
        Some(folder) => fs::create_dir_all(folder).map_err(io_error("make the folder", folder)),
        None => Ok(()),
    }
}

#[cfg(unix)]
fn symlink(target: &Path, path: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

/// Links need a privilege there; huggingface_hub then moves the file, too.
#[cfg(not(unix))]
fn symlink(_target: &Path, _path: &Path) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}
