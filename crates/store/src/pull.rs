//! Getting a member's file into the store: sources in order, verified, written under its name only
//! when whole.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use super::adopt::{elsewhere, into_cache};
use super::disk::{plain_file_name, room, stamp};
use super::error::{SourceFailure, StoreError, io_error};
use super::fill::fill;
use super::hub::api;
use super::hub::pick;
use super::job::{Job, Progress, PullOptions};
use super::manifest::{Manifest, Member};
use super::part::{self, Part};
use super::source::{Pick, Source};
use super::store::{Store, StoredModel};
use super::wire::Linked;
use super::{http, pypi};

/// Where a member's file is after a pull.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// The file.
    pub path: PathBuf,
    /// The source that gave it; none if it was there.
    pub source: Option<String>,
}

/// Makes sure that a member's file is there and is what the manifest says, downloading it if it is
/// missing.
///
/// Two pulls of one file wait for each other. A stopped or killed one leaves a partial file that
/// the next goes on with. `cancel` is looked at all the time; once it is set the result is
/// [`StoreError::Cancelled`].
pub fn pull(
    store: &Store,
    manifest: &Manifest,
    member: &Member,
    options: &PullOptions,
    progress: &mut dyn Progress,
    cancel: &AtomicBool,
) -> Result<Pulled, StoreError> {
    let mut job = Job {
        options,
        progress,
        size: member.size,
        sha256: member.sha256.clone(),
        others: false,
        cancel,
    };
    if let Some(path) = present(store, manifest, member, &mut job)? {
        return Ok(Pulled { path, source: None });
    }
    let Some(expected) = member
        .sha256
        .as_deref()
        .filter(|_| plain_file_name(&member.file))
    else {
        return Err(StoreError::BadName {
            name: member.file.clone(),
        });
    };
    if let Some(path) = elsewhere(store, member, expected, &mut job)? {
        return Ok(Pulled { path, source: None });
    }
    if options.offline {
        return Err(StoreError::Offline {
            file: member.file.clone(),
        });
    }
    let models = store.folder("models")?;
    let lock = store.lock_file(&member.file)?;
    wait(&lock, &member.file, &mut job)?;
    // Another process held the lock and may have downloaded the file.
    if let Some(path) = present(store, manifest, member, &mut job)? {
        return Ok(Pulled { path, source: None });
    }
    if let Some(licence) = &member.licence
        && !job.progress.accept(&member.name, licence)
    {
        return Err(StoreError::LicenceRefused {
            member: member.name.clone(),
            licence: licence.id.clone(),
        });
    }
    let target = models.join(&member.file);
    let mut part = Part::open(&target, cancel)?;
    let folder = store.root().join("tmp").join(&member.file);
    let (source, linked) = match from_any(member, &folder, &mut part, &mut job) {
        Ok(got) => got,
        Err(error) => {
            // Bytes are left for the next pull; an empty file is of no use.
            if part.len() == 0 {
                part.discard();
            }
            return Err(error);
        }
    };
    let path = match into_cache(store, source, &linked, &part)? {
        Some(path) => path,
        None => {
            part.finish(&target)?;
            target.clone()
        }
    };
    let source = source.to_string();
    let mut model = StoredModel::of(&member.file, &path)?;
    model.sha256 = Some(expected.to_owned());
    model.source = Some(source.clone());
    model.fetched = path != target;
    model.reference = model.fetched.then(|| path.clone());
    store.record(model)?;
    Ok(Pulled {
        path,
        source: Some(source),
    })
}

impl Store {
    /// An error if the members of a pack that are missing cannot all be kept on the disk.
    pub fn room_for(&self, manifest: &Manifest) -> Result<(), StoreError> {
        let members = manifest.members.iter();
        let missing = members.filter(|member| self.resolve(manifest, member).is_err());
        let left = missing.map(|member| {
            let part = part::path_of(&self.model_path(&member.file));
            let had = stamp(&part).map_or(0, |(bytes, _)| bytes);
            member.size.unwrap_or(0).saturating_sub(had)
        });
        room(&self.model_path(""), left.sum())
    }
}

/// Checks a member's file, wherever it is, against the manifest's sha256 (if it has one), and
/// returns its path. A file of the store is read only if it has changed since the last time.
pub fn verify(
    store: &Store,
    manifest: &Manifest,
    member: &Member,
    progress: &mut dyn Progress,
    cancel: &AtomicBool,
) -> Result<PathBuf, StoreError> {
    let Some(expected) = &member.sha256 else {
        return store.resolve(manifest, member);
    };
    let (path, actual) = digest(store, manifest, member, progress, cancel)?;
    if actual == *expected {
        Ok(path)
    } else {
        Err(StoreError::FileDiffers {
            path,
            expected: expected.clone(),
            actual,
        })
    }
}

/// A member's file, wherever it is, and its sha256. A file of the store is read only if it has
/// changed since the last time.
pub fn digest(
    store: &Store,
    manifest: &Manifest,
    member: &Member,
    progress: &mut dyn Progress,
    cancel: &AtomicBool,
) -> Result<(PathBuf, String), StoreError> {
    let path = store.resolve(manifest, member)?;
    let (size, modified) = stamp(&path)?;
    let record = store.recorded(&member.file)?;
    let record = record.filter(|model| {
        model
            .reference
            .as_ref()
            .unwrap_or(&store.model_path(&model.file))
            == &path
    });
    let unchanged = record
        .clone()
        .filter(|model| (model.size, model.modified) == (size, modified));
    if let Some(known) = unchanged.and_then(|model| model.sha256) {
        return Ok((path, known));
    }
    progress.note(&format!("checking {}", member.file));
    progress.start(Some(size), 0);
    let actual = part::sha256(&path, &mut |bytes| progress.advance(bytes), cancel)?;
    if record.is_some() || path == store.model_path(&member.file) {
        let fresh = StoredModel::of(&member.file, &path)?;
        let base = record.unwrap_or(fresh);
        // Where the store is read-only the file is as good; it is only read again the next time.
        let _ = store.record(StoredModel {
            size,
            modified,
            sha256: Some(actual.clone()),
            ..base
        });
    }
    Ok((path, actual))
}

/// The verified path of a file that is there; none if it can be pulled.
fn present(
    store: &Store,
    manifest: &Manifest,
    member: &Member,
    job: &mut Job,
) -> Result<Option<PathBuf>, StoreError> {
    match verify(store, manifest, member, job.progress, job.cancel) {
        Ok(path) => Ok(Some(path)),
        Err(StoreError::ModelMissing { .. } | StoreError::ReferenceGone { .. })
            if !member.sources.is_empty() =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

pub(super) fn wait(lock: &File, file: &str, job: &mut Job) -> Result<(), StoreError> {
    let mut told = false;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(io_error("lock", file)(error)),
            Err(TryLockError::WouldBlock) => {
                if !told {
                    job.progress
                        .note(&format!("waiting for another process that pulls {file}"));
                    told = true;
                }
                job.check()?;
                thread::sleep(Duration::from_millis(50));
            }
        }
    }
}

/// Fills `part` from the first source that gives the right bytes, and returns that source.
fn from_any<'a>(
    member: &'a Member,
    folder: &Path,
    part: &mut Part,
    job: &mut Job,
) -> Result<(&'a Source, Linked), StoreError> {
    let mut failures = Vec::new();
    for (index, source) in member.sources.iter().enumerate() {
        job.others = index + 1 < member.sources.len();
        match from(source, folder, part, job) {
            Ok(linked) => return Ok((source, linked)),
            // No other source can help here.
            Err(error @ (StoreError::Cancelled | StoreError::Io { .. })) => return Err(error),
            Err(error) => {
                let next = match job.others {
                    true => "; trying the next source",
                    false => "",
                };
                let source = source.brief();
                job.progress.note(&format!("{source}: {error}{next}"));
                failures.push(SourceFailure {
                    source,
                    error: Box::new(error),
                });
            }
        }
    }
    Err(StoreError::AllSourcesFailed {
        file: member.file.clone(),
        failures,
    })
}

/// The address of a source that HTTP serves; empty for wheels.
fn address(source: &Source, job: &mut Job) -> Result<String, StoreError> {
    let endpoint = job.options.hub_endpoint.clone();
    match source {
        Source::Hub(named) if !matches!(named.pick, Pick::File(_)) => {
            let info = api::info(named, job)?;
            let paths: Vec<&str> = info.files.iter().map(|file| file.path.as_str()).collect();
            match pick::choose(&paths, &named.pick) {
                Some(file) => Ok(named.url(&endpoint, file)),
                None => Err(StoreError::NoSuchFile {
                    wanted: source.to_string(),
                    had: pick::names(&paths),
                }),
            }
        }
        Source::Ollama(_) | Source::LmStudio(_) => Err(StoreError::NotHere {
            name: source.to_string(),
        }),
        _ => Ok(source.url(&endpoint).unwrap_or_default()),
    }
}

fn from(
    source: &Source,
    folder: &Path,
    part: &mut Part,
    job: &mut Job,
) -> Result<Linked, StoreError> {
    let url = address(source, job)?;
    let token = job.token(source);
    fill(part, job, &mut |part, job| match source {
        Source::Wheels(wheels) => {
            pypi::download(wheels, folder, part, job).map(|()| Linked::default())
        }
        _ => http::download(&url, token.as_deref(), part, job),
    })
}
