//! A pack's files and those of other programs: what they have is used, and what we download from the
//! hub they find.

use std::path::PathBuf;

use super::disk::stamp;
use super::error::StoreError;
use super::hub::cache::{self, Repository};
use super::job::Job;
use super::manifest::Member;
use super::part::{self, Part};
use super::source::{Pick, Source};
use super::store::{Store, StoredModel};
use super::wire::Linked;

/// The file if another program has it: in the hub's cache, in Ollama's or LM Studio's store. It is
/// read once, for its hash, and referenced where it is.
pub(super) fn elsewhere(
    store: &Store,
    member: &Member,
    expected: &str,
    job: &mut Job,
) -> Result<Option<PathBuf>, StoreError> {
    for source in &member.sources {
        let found = match source {
            Source::Hub(named) => cache::blob(&store.caches().hugging_face, &named.repo, expected),
            Source::Ollama(_) | Source::LmStudio(_) => store.on_disk(source).ok().flatten(),
            Source::Url(_) | Source::Wheels(_) => None,
        };
        let Some(path) = found else { continue };
        job.progress.note(&format!("checking {}", path.display()));
        job.progress.start(Some(stamp(&path)?.0), 0);
        let progress = &mut *job.progress;
        let actual = part::sha256(&path, &mut |bytes| progress.advance(bytes), job.cancel)?;
        if actual == expected {
            let mut model = StoredModel::of(&member.file, &path)?;
            model.sha256 = Some(actual);
            model.source = Some(source.to_string());
            model.reference = Some(path.clone());
            store.record(model)?;
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Moves a file of the hub into its cache, so that other programs find it; None if it belongs, or
/// has to stay, in the store.
pub(super) fn into_cache(
    store: &Store,
    source: &Source,
    linked: &Linked,
    part: &Part,
) -> Result<Option<PathBuf>, StoreError> {
    let (Source::Hub(named), Some(commit)) = (source, &linked.commit) else {
        return Ok(None);
    };
    let Pick::File(file) = &named.pick else {
        return Ok(None);
    };
    let etag = part.digest();
    if linked.etag.as_ref() != Some(&etag) || !cache::is_commit(commit) {
        return Ok(None);
    }
    let repository = Repository::of(&store.hub_cache(), &named.repo);
    let moved = repository.prepare().is_ok() && part.finish(&repository.blob(&etag)).is_ok();
    // On another file system, or in a folder of somebody else's.
    if !moved {
        return Ok(None);
    }
    repository.note_commit(named.revision(), commit)?;
    repository.link(commit, file, &etag).map(Some)
}
