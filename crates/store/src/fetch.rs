//! From a model's name to its files: on disk if they are there, else downloaded, several at once.
//!
//! What comes from the hub goes into the hub's own cache, where other programs find it; what a plain
//! URL gives goes into the store. The store's index remembers both, so that they are listed.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use super::disk::{plain_file_name, room};
use super::error::StoreError;
use super::hub::api::{self, Info};
use super::hub::cache::{self, Repository, Snapshot};
use super::hub::pick;
use super::job::{Job, Progress, PullOptions};
use super::manifest::Licence;
use super::source::{Named, Pick, Source};
use super::store::{Listing, Store, StoredModel};
use super::task::{Place, Task};

/// Downloads at a time.
const AT_ONCE: usize = 4;

/// Who watches downloads, which may go on side by side.
pub trait Watch: Sync {
    /// The watcher of one file.
    fn file(&self, file: &str) -> Box<dyn Progress + Send + '_>;
}

/// A named model on disk.
#[derive(Debug, Clone, PartialEq)]
pub struct Fetched {
    /// Its name in the store.
    pub file: String,
    /// The file, or the first of a split model.
    pub path: PathBuf,
    /// Its source, with the commit where it is from the hub.
    pub source: Source,
    /// Of that file, if it is known without reading it.
    pub sha256: Option<String>,
    /// Bytes of all its files.
    pub size: u64,
    /// Files that it is split into.
    pub parts: usize,
    /// What its repository says, if that was asked.
    pub licence: Option<Licence>,
    /// Whether anything was downloaded.
    pub fresh: bool,
}

/// A model of which it is known what has to be downloaded.
struct Planned {
    tasks: Vec<Task>,
    source: Source,
    sha256: Option<String>,
    licence: Option<Licence>,
    /// The files, once they are there.
    paths: Vec<PathBuf>,
}

/// Sees to it that named models are on disk.
///
/// # Errors
/// The first thing that goes wrong; what was downloaded by then is kept.
pub fn fetch(
    store: &Store,
    sources: &[Source],
    options: &PullOptions,
    watch: &dyn Watch,
    cancel: &AtomicBool,
) -> Result<Vec<Fetched>, StoreError> {
    let plan = |source| plan(store, source, options, watch, cancel);
    let mut plans: Vec<Planned> = sources.iter().map(plan).collect::<Result<_, _>>()?;
    let queue: VecDeque<(usize, Task)> = plans
        .iter_mut()
        .enumerate()
        .flat_map(|(index, plan)| plan.tasks.drain(..).map(move |task| (index, task)))
        .collect();
    refuse_if_full(&queue)?;
    let fresh: Vec<usize> = queue.iter().map(|(index, _)| *index).collect();
    for (index, (path, sha256)) in run(queue, options, watch, cancel)? {
        if let Some(plan) = plans.get_mut(index) {
            plan.paths.push(path);
            plan.sha256 = plan.sha256.take().or(sha256);
        }
    }
    let finished = plans.into_iter().enumerate();
    finished
        .map(|(index, plan)| finish(store, plan, fresh.contains(&index)))
        .collect()
}

impl Store {
    /// Where a named model is on disk; None if it would have to be downloaded.
    ///
    /// # Errors
    /// Another program's store that has no such model.
    pub fn on_disk(&self, source: &Source) -> Result<Option<PathBuf>, StoreError> {
        let caches = self.caches();
        match source {
            Source::Hub(named) => {
                let found = cache::find(&caches.hugging_face, named);
                Ok(found.and_then(|(snapshot, files)| Some(snapshot.path(files.first()?))))
            }
            Source::Url(url) => {
                let known = self.list()?.into_iter();
                let mut known = known.filter(|one| one.present);
                let same = known.find(|one| one.model.source.as_ref() == Some(url));
                Ok(same.map(|one| one.path))
            }
            Source::Ollama(_) | Source::LmStudio(_) => caches.locate(source).map(Some),
            Source::Wheels(_) => Ok(None),
        }
    }
}

fn plan(
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

/// An error before anything is downloaded if all of it cannot be kept.
fn refuse_if_full(queue: &VecDeque<(usize, Task)>) -> Result<(), StoreError> {
    let needed: u64 = queue.iter().map(|(_, task)| task.left()).sum();
    match queue.front() {
        Some((_, first)) => room(&first.place.folder(), needed),
        None => Ok(()),
    }
}

/// Where a file is, and its sha256.
type Done = (PathBuf, Option<String>);

/// Works through the queue, and returns the paths in its order.
fn run(
    queue: VecDeque<(usize, Task)>,
    options: &PullOptions,
    watch: &dyn Watch,
    cancel: &AtomicBool,
) -> Result<Vec<(usize, Done)>, StoreError> {
    let workers = AT_ONCE.min(queue.len());
    let queue = Mutex::new(queue.into_iter().enumerate().collect::<VecDeque<_>>());
    let next = || queue.lock().ok()?.pop_front();
    let work = || {
        let mut done = Vec::new();
        while let Some((order, (index, task))) = next() {
            let mut progress = watch.file(task.place.name());
            let path = task.run(options, &mut *progress, cancel);
            // Whoever fails takes the rest away, so that the others end with what they have begun.
            let path = path.inspect_err(|_| {
                if let Ok(mut queue) = queue.lock() {
                    queue.clear();
                }
            })?;
            done.push((order, (index, path)));
        }
        Ok(done)
    };
    let mut done = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let mut done = Vec::new();
        for thread in threads {
            // A panic goes on in the caller.
            let part: Result<Vec<_>, StoreError> = match thread.join() {
                Ok(part) => part,
                Err(panic) => std::panic::resume_unwind(panic),
            };
            done.extend(part?);
        }
        Ok::<_, StoreError>(done)
    })?;
    done.sort_by_key(|(order, _)| *order);
    Ok(done.into_iter().map(|(_, path)| path).collect())
}

/// What is known of a model whose files are all there, and a line in the index.
fn finish(store: &Store, plan: Planned, fresh: bool) -> Result<Fetched, StoreError> {
    let mut paths = plan.paths.clone();
    paths.sort();
    let missing = || StoreError::BadName {
        name: plan.source.to_string(),
    };
    let path = paths.first().ok_or_else(missing)?.clone();
    let size = |path: &PathBuf| std::fs::metadata(path).map_or(0, |data| data.len());
    let size = paths.iter().map(size).sum();
    let file = record(store, &plan, &path, fresh)?;
    Ok(Fetched {
        file,
        path,
        source: plan.source,
        sha256: plan.sha256,
        size,
        parts: paths.len(),
        licence: plan.licence,
        fresh,
    })
}

/// Writes the model into the index, unless it is there, and returns its name in it.
fn record(store: &Store, plan: &Planned, path: &Path, fresh: bool) -> Result<String, StoreError> {
    let source = &plan.source;
    let known = |one: &Listing| one.path == path && one.model.source.is_some();
    if let Some(known) = store.list()?.into_iter().find(known) {
        return Ok(known.model.file);
    }
    let name = path.file_name().map(|name| name.to_string_lossy());
    let wanted = match source {
        Source::Ollama(name) => format!("{}.gguf", name.replace(['/', ':'], "-")),
        _ => name.unwrap_or_default().into_owned(),
    };
    let file = match path == store.model_path(&wanted) {
        true => wanted,
        false => store.free_name(&wanted, Some(source))?,
    };
    let mut model = StoredModel::of(&file, path)?;
    model.sha256.clone_from(&plan.sha256);
    model.licence.clone_from(&plan.licence);
    model.source = Some(source.to_string());
    model.fetched = fresh;
    model.reference = (path != store.model_path(&file)).then(|| path.to_owned());
    // Where the store is read-only the model is as good; it is only not listed.
    let _ = store.record(model);
    Ok(file)
}

impl Store {
    /// A name that no other model of the store has: the file's own, else one with its owner.
    fn free_name(&self, wanted: &str, source: Option<&Source>) -> Result<String, StoreError> {
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
