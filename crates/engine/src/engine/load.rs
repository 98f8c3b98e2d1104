//! Loading a pack: all members at the same time.

use super::chain::Scores;
use super::fusion::Fusion;
use super::spec::MemberSpec;
use super::worker::Worker;
use super::{Engine, EngineError};
use crate::backend::MemberInfo;
use crate::backend::Watch;
use crate::vocab::Alphabet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
    ) -> Result<Self, EngineError> {
        if specs.is_empty() {
            return Err(EngineError::NoMembers);
        }
        let names: Vec<String> = specs.iter().map(|s| s.name.clone()).collect();
        let mut workers = Vec::new();
        for (spec, name) in specs.into_iter().zip(&names) {
            let watch = Arc::new(Watch {
                cancel: Arc::clone(&cancel),
                ..Watch::default()
            });
            match Worker::start(spec, watch) {
                Ok(worker) => workers.push(worker),
                Err(error) => {
                    let error = EngineError::Thread(name.clone(), error);
                    return Err(stop_loading(workers, &cancel, error));
                }
            }
        }
        let mut loaded: Vec<Option<MemberInfo>> = workers.iter().map(|_| None).collect();
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
            let done = |(w, l): (&Worker, &Option<MemberInfo>)| {
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
        let members: Vec<MemberInfo> = loaded.into_iter().flatten().collect();
        let n = members.len();
        let mut engine = Self {
            workers,
            members,
            fusion: Fusion::default(),
            alphabet: Alphabet::Bytes,
            can_end: vec![true; n],
            silent: vec![false; n],
            ending_members: vec![true; n],
            reference: None,
            lambda: vec![1.0 / n as f64; n],
            scores: vec![Scores::default(); n],
            prompt_tokens: vec![0; n],
            prompt_text: Vec::new(),
            drafter: None,
            prefetched: false,
            cancel,
        };
        engine.fuse(Fusion::default(), vec![true; n])?;
        // Runtimes begin with bytes, and may have prefetched a prompt.
        if engine.alphabet != Alphabet::Bytes {
            engine.configure_runtimes()?;
        }
        Ok(engine)
    }

    /// Waits for the prompts that members [prefetch](MemberSpec::prefetch). `progress` is called
    /// now and then with the number of tokens that each has read.
    ///
    /// # Errors
    /// [`EngineError::Cancelled`], [`EngineError::Panicked`]. Other errors are returned when the
    /// prompt is asked for.
    pub fn catch_up(&self, progress: &mut dyn FnMut(&[usize])) -> Result<(), EngineError> {
        self.all_watched(|_| |_| Ok(()), progress)?;
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
