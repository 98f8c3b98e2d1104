//! Loading a pack: all members at the same time.

use super::spec::MemberSpec;
use super::worker::Worker;
use super::{Engine, EngineError, Pulse, Scheduler, Spinners};
use crate::backend::MemberInfo;
use crate::vocab::sorted::SortedVocab;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How often progress is reported.
const TICK: Duration = Duration::from_millis(50);

impl Engine {
    /// Loads all members in parallel. `progress` is called often with every member's progress in
    /// thousandths. Raising `cancel` stops the load.
    ///
    /// # Errors
    /// The member that failed first; the others are stopped and freed.
    pub fn load(
        specs: Vec<MemberSpec>,
        cancel: Arc<AtomicBool>,
        progress: &mut dyn FnMut(&[u32]),
    ) -> Result<Arc<Self>, EngineError> {
        if specs.is_empty() {
            return Err(EngineError::NoMembers);
        }
        let names: Vec<String> = specs.iter().map(|s| s.name.clone()).collect();
        let (pulse, spinners) = (Arc::new(Pulse::default()), Arc::new(Spinners::default()));
        let mut workers = Vec::new();
        for (spec, name) in specs.into_iter().zip(&names) {
            match Worker::start(spec, &cancel, &pulse, &spinners) {
                Ok(worker) => workers.push(worker),
                Err(error) => {
                    let error = EngineError::Thread(name.clone(), error);
                    return Err(stop_loading(workers, &cancel, error));
                }
            }
        }
        let mut loaded: Vec<Option<(MemberInfo, Arc<SortedVocab>)>> =
            workers.iter().map(|_| None).collect();
        while loaded.iter().any(Option::is_none) {
            // The caller waits for the first member alone and looks at the others in between, so
            // that a failure of one is noticed even if the first takes long.
            let mut patience = TICK;
            for k in 0..workers.len() {
                if loaded[k].is_some() {
                    continue;
                }
                match workers[k].wait_loaded(std::mem::take(&mut patience)) {
                    Some(Ok(said)) => loaded[k] = Some(said),
                    Some(Err(gone)) => {
                        let error = EngineError::of(&names[k], gone);
                        return Err(stop_loading(workers, &cancel, error));
                    }
                    None => {}
                }
            }
            let done = |(w, l): (&Worker, &Option<_>)| {
                if l.is_some() {
                    1000
                } else {
                    w.watch.progress.load(Ordering::Relaxed).min(999)
                }
            };
            progress(&workers.iter().zip(&loaded).map(done).collect::<Vec<u32>>());
        }
        for worker in &workers {
            worker.watch.complete.store(true, Ordering::Relaxed);
        }
        let (members, sorted) = loaded.into_iter().flatten().unzip();
        Ok(Arc::new(Self {
            workers,
            members,
            sorted,
            utf8: Mutex::new(None),
            pulse,
            names: AtomicU64::new(0),
            open: AtomicUsize::new(0),
        }))
    }

    /// Waits for the prompts that members [prefetch](MemberSpec::prefetch) for the first
    /// conversation. `progress` is called now and then with the number of tokens that each has
    /// read.
    ///
    /// # Errors
    /// [`EngineError::Panicked`]. Other errors are returned when the prompt is asked for.
    pub fn catch_up(&self, progress: &mut dyn FnMut(&[usize])) -> Result<(), EngineError> {
        let idle = |_| |_: &mut Scheduler| Ok(());
        self.ask_all_watched(idle, &mut || {
            let read: Vec<usize> = self.workers.iter().map(Worker::tokens_prefetched).collect();
            progress(&read);
        })?;
        Ok(())
    }
}

/// Stops the loads that still run, waits for their threads, and leaves the flag as it was.
fn stop_loading(workers: Vec<Worker>, cancel: &AtomicBool, error: EngineError) -> EngineError {
    let was = cancel.swap(true, Ordering::Relaxed);
    drop(workers);
    cancel.store(was, Ordering::Relaxed);
    error
}
