//! One file to download: from where, and its place on disk.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use super::error::StoreError;
use super::fill::fill;
use super::http;
use super::hub::cache::Repository;
use super::job::{Job, Progress, PullOptions};
use super::part::{self, Part};
use super::pull::wait;
use super::source::Source;

/// A file that has to be downloaded.
pub(super) struct Task {
    pub source: Source,
    pub size: Option<u64>,
    pub sha256: Option<String>,
    pub place: Place,
}

/// Where it goes.
pub(super) enum Place {
    /// Into the hub's cache.
    Hub {
        repository: Repository,
        revision: String,
        commit: String,
        file: String,
        /// Its name among the blobs.
        etag: String,
    },
    /// Into the store.
    Store {
        target: PathBuf,
        /// Held while it is downloaded.
        lock: File,
    },
}

impl Place {
    /// The file's name.
    pub fn name(&self) -> &str {
        let path = match self {
            Self::Hub { file, .. } => Path::new(file),
            Self::Store { target, .. } => target,
        };
        let name = path.file_name().and_then(|name| name.to_str());
        name.unwrap_or_default()
    }

    /// What an earlier download left.
    fn part(&self) -> PathBuf {
        match self {
            Self::Hub {
                repository, etag, ..
            } => repository.incomplete(etag),
            Self::Store { target, .. } => part::path_of(target),
        }
    }

    /// The folder that the bytes go into.
    pub fn folder(&self) -> PathBuf {
        let part = self.part();
        part.parent().unwrap_or(Path::new(".")).to_owned()
    }
}

impl Task {
    /// Bytes that are still to come; 0 if the size is not known.
    pub fn left(&self) -> u64 {
        let had = fs::metadata(self.place.part()).map_or(0, |data| data.len());
        self.size.unwrap_or(0).saturating_sub(had)
    }

    /// Downloads the file, checks it, and returns where it is and its sha256, if that is known.
    pub fn run(
        &self,
        options: &PullOptions,
        progress: &mut dyn Progress,
        cancel: &AtomicBool,
    ) -> Result<(PathBuf, Option<String>), StoreError> {
        let mut job = Job {
            options,
            progress,
            size: self.size,
            sha256: self.sha256.clone(),
            others: false,
            cancel,
        };
        match &self.place {
            Place::Store { target, lock } => {
                wait(lock, self.place.name(), &mut job)?;
                if target.is_file() {
                    return Ok((target.clone(), None));
                }
                let mut part = Part::open(target, cancel)?;
                self.fill(&mut part, &mut job)?;
                part.finish(target)?;
                Ok((target.clone(), Some(part.digest())))
            }
            Place::Hub {
                repository,
                revision,
                commit,
                file,
                etag,
            } => {
                repository.prepare()?;
                let lock = repository.lock_file(etag)?;
                wait(&lock, self.place.name(), &mut job)?;
                // Another program may have downloaded it meanwhile, or another revision has it.
                let blob = repository.blob(etag);
                if !blob.is_file() {
                    let mut part = Part::of_cache(repository.incomplete(etag), cancel)?;
                    self.fill(&mut part, &mut job)?;
                    part.finish(&blob)?;
                }
                let path = repository.link(commit, file, etag)?;
                repository.note_commit(revision, commit)?;
                Ok((path, self.sha256.clone()))
            }
        }
    }

    /// Fills the part with the right bytes.
    fn fill(&self, part: &mut Part, job: &mut Job) -> Result<(), StoreError> {
        let token = job.token(&self.source);
        let url = self.source.url(&job.options.hub_endpoint);
        let url = url.unwrap_or_default();
        let filled = fill(part, job, &mut |part, job| {
            http::download(&url, token.as_deref(), part, job)
        });
        // Bytes are left for the next time; an empty file is of no use.
        if filled.is_err() && part.len() == 0 {
            part.discard();
        }
        filled.map(drop)
    }
}
