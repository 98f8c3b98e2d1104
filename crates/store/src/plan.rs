//! What has to be downloaded for a model that is named, if anything.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use super::disk::plain_file_name;
use super::error::StoreError;
use super::fetch::Watch;
use super::hub::api::{self, Info};
use super::hub::cache::{self, Repository, Snapshot};
use super::hub::pick;
use super::job::{Job, PullOptions};
use super::manifest::Licence;
use super::source::{Named, Pick, Source};
use super::store::Store;
use super::task::{Place, Task};

/// A model of which it is known what has to be downloaded.
pub(super) struct Planned {
    pub tasks: Vec<Task>,
    pub source: Source,
    pub sha256: Option<String>,
    pub licence: Option<Licence>,
    /// The files, once they are there.
    pub paths: Vec<PathBuf>,
}

/// Finds out about one model.
pub(super) fn plan(
    store: &Store,
    source: &Source,
    options: &PullOptions,
    watch: &dyn Watch,
    cancel: &AtomicBool,
) -> Result<Planned, StoreError> {
    let offline = || StoreError::Offline {
        file: source.to_string(),
    };
    if let Source::Hub(named) = source {
        return plan_hub(store, named, options, watch, cancel)?.ok_or_else(offline);
    }
    if let Some(path) = store.on_disk(source)? {
        return Ok(Planned::there(source.clone(), vec![path]));
    }
    match source {
        Source::Url(_) if options.offline => Err(offline()),
        Source::Url(url) => {
            let file = store.free_name(&url_file(url)?, None)?;
            let task = Task {
                source: source.clone(),
                size: None,
                sha256: None,
                place: Place::Store {
                    target: store.folder("models")?.join(&file),
                    lock: store.lock_file(&file)?,
                },
            };
            Ok(Planned {
                tasks: vec![task],
                ..Planned::there(source.clone(), Vec::new())
            })
        }
        other => Err(StoreError::BadSource {
            text: other.to_string(),
            reason: "a source of a manifest, with a sha256, not the name of a model",
        }),
    }
}

/// None: offline, and it is not on disk. What is on disk is taken without asking if it is what was
/// named exactly, or what would be taken anyway; or if the hub does not answer.
fn plan_hub(
    store: &Store,
    named: &Named,
    options: &PullOptions,
    watch: &dyn Watch,
    cancel: &AtomicBool,
) -> Result<Option<Planned>, StoreError> {
    let known = cache::find(&store.caches().hugging_face, named);
    let exact = |files: &[String]| match &named.pick {
        Pick::Usual => files.first().is_some_and(|first| {
            let usual = Pick::Quant(pick::USUAL[0].to_owned());
            pick::choose(&[first], &usual).is_some()
        }),
        Pick::Quant(_) | Pick::File(_) => true,
    };
    let certain = known.as_ref().is_some_and(|(_, files)| exact(files));
    if options.offline || (certain && !options.refresh) {
        return Ok(known.map(|(snapshot, files)| Planned::cached(named, &snapshot, &files)));
    }
    let mut progress = watch.file(&named.to_string());
    let mut job = Job {
        options,
        progress: &mut *progress,
        size: None,
        sha256: None,
        others: false,
        cancel,
    };
    match (api::info(named, &mut job), known) {
        (Ok(info), _) => planned_from(store, named, info).map(Some),
        (Err(StoreError::Cancelled), _) => Err(StoreError::Cancelled),
        (Err(error), Some((snapshot, files))) => {
            let note = format!("hf:{named}: {error}; using what is on disk");
            job.progress.note(&note);
            Ok(Some(Planned::cached(named, &snapshot, &files)))
        }
        (Err(error), None) => Err(error),
    }
}

/// What is left to download of the model that `named` means, by the hub's list of files.
fn planned_from(store: &Store, named: &Named, info: Info) -> Result<Planned, StoreError> {
    let paths: Vec<&str> = info.files.iter().map(|file| file.path.as_str()).collect();
    let first = pick::choose(&paths, &named.pick).ok_or_else(|| StoreError::NoSuchFile {
        wanted: format!("hf:{named}"),
        had: nearest_first(&named.pick, pick::names(&paths)),
    })?;
    let parts = pick::parts(first);
    let mut files = Vec::new();
    for part in &parts {
        files.extend(info.files.iter().find(|file| file.path == *part));
    }
    if files.len() < parts.len() {
        return Err(StoreError::PartsMissing {
            file: first.to_owned(),
            of: parts.len() as u32,
            found: files.len(),
        });
    }
    let repository = Repository::of(&store.hub_cache(), &named.repo);
    let pinned = Named {
        revision: Some(info.commit.clone()),
        pick: Pick::File(first.to_owned()),
        ..named.clone()
    };
    let mut plan = Planned {
        sha256: files.first().and_then(|file| file.sha256.clone()),
        licence: info.licence,
        ..Planned::there(Source::Hub(pinned.clone()), Vec::new())
    };
    for file in files {
        let there = |snapshot: &Snapshot| snapshot.files().contains(&file.path);
        let snapshot = repository.snapshot(&info.commit).filter(there);
        if let Some(snapshot) = snapshot {
            plan.paths.push(snapshot.path(&file.path));
            continue;
        }
        let etag = file.etag.clone().ok_or_else(|| StoreError::BadAnswer {
            url: format!("hf:{}", named.repo),
            reason: format!("no hash of {}", file.path),
        })?;
        plan.tasks.push(Task {
            source: Source::Hub(Named {
                pick: Pick::File(file.path.clone()),
                ..pinned.clone()
            }),
            size: file.size,
            sha256: file.sha256.clone(),
            place: Place::Hub {
                repository: repository.clone(),
                revision: named.revision().to_owned(),
                commit: info.commit.clone(),
                file: file.path.clone(),
                etag,
            },
        });
    }
    repository.note_commit(named.revision(), &info.commit)?;
    Ok(plan)
}

/// The names of what there is, the likest first, and not too many of them.
fn nearest_first(pick: &Pick, mut names: Vec<String>) -> Vec<String> {
    let wanted = match pick {
        Pick::Usual => "",
        Pick::Quant(text) | Pick::File(text) => text,
    };
    if let Some(best) = packllm_engine::nearest(wanted, &names) {
        names.retain(|name| *name != best);
        names.insert(0, best);
    }
    names.truncate(12);
    names
}

impl Planned {
    fn there(source: Source, paths: Vec<PathBuf>) -> Self {
        Self {
            tasks: Vec::new(),
            source,
            sha256: None,
            licence: None,
            paths,
        }
    }

    fn cached(named: &Named, snapshot: &Snapshot, files: &[String]) -> Self {
        let pinned = Named {
            repo: named.repo.clone(),
            revision: Some(snapshot.commit.clone()),
            pick: files
                .first()
                .map_or(Pick::Usual, |first| Pick::File(first.clone())),
        };
        let paths: Vec<PathBuf> = files.iter().map(|file| snapshot.path(file)).collect();
        // A blob is named by its hash.
        let sha256 = paths.first().and_then(|path| {
            let blob = std::fs::canonicalize(path).ok()?;
            let name = blob.file_name()?.to_str()?.to_owned();
            Some(name).filter(|name| name.len() == 64)
        });
        Self {
            sha256,
            ..Self::there(Source::Hub(pinned), paths)
        }
    }
}

/// The store's name for what a URL gives.
fn url_file(url: &str) -> Result<String, StoreError> {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    match plain_file_name(name) {
        true => Ok(name.to_owned()),
        false => Err(StoreError::BadName {
            name: name.to_owned(),
        }),
    }
}

impl Store {
    /// A name that no other model of the store has: the file's own, else one with its owner.
    pub(super) fn free_name(
        &self,
        wanted: &str,
        source: Option<&Source>,
    ) -> Result<String, StoreError> {
        let listed = self.list()?;
        let taken = |name: &str| listed.iter().any(|one| one.model.file == name);
        let owned = match source {
            Some(Source::Hub(named) | Source::LmStudio(named)) => {
                format!("{}-{wanted}", named.repo.replace('/', "-"))
            }
            _ => format!("other-{wanted}"),
        };
        let numbered = (2..).map(|number| format!("{number}-{owned}"));
        let mut names = [wanted.to_owned(), owned.clone()]
            .into_iter()
            .chain(numbered);
        let free = names.find(|name| !taken(name)).unwrap_or(owned);
        match plain_file_name(&free) {
            true => Ok(free),
            false => Err(StoreError::BadName { name: free }),
        }
    }
}
