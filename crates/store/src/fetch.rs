//! From a model's name to its files: on disk if they are there, else downloaded, several at once.
//!
//! What comes from the hub goes into the hub's own cache, where other programs find it; what a plain
//! URL gives goes into the store. The store's index remembers both, so that they are listed.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use super::disk::room;
use super::error::StoreError;
use super::hub::cache;
use super::job::{Progress, PullOptions};
use super::manifest::Licence;
use super::plan::{Planned, plan};
use super::source::Source;
use super::store::{Listing, Store, StoredModel};
use super::task::Task;

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
