//! What a member at work shares with the threads that wait for it.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Between a loading or evaluating member and the rest of the program.
#[derive(Debug, Default)]
pub struct Watch {
    /// The cancel flags of those who wait for what is under way.
    waiting: Mutex<Vec<Arc<AtomicBool>>>,
    /// Progress of the load: thousandths.
    pub progress: AtomicU32,
    /// Raised once all members have loaded: until then each load needs a core.
    pub complete: AtomicBool,
}

impl Watch {
    /// For a load that one waits for, who raises the flag to stop it.
    #[must_use]
    pub fn new(cancel: Arc<AtomicBool>) -> Self {
        Self {
            waiting: Mutex::new(vec![cancel]),
            ..Self::default()
        }
    }

    /// From now on these wait for what is under way.
    pub fn is_for<'a>(&self, waiting: impl Iterator<Item = &'a Arc<AtomicBool>>) {
        let mut flags = self.flags();
        flags.clear();
        flags.extend(waiting.map(Arc::clone));
    }

    /// Whether nobody wants what is under way any more: all who wait for it have raised their
    /// flags. What nobody waits for goes on.
    pub fn is_cancelled(&self) -> bool {
        let flags = self.flags();
        !flags.is_empty() && flags.iter().all(|flag| flag.load(Ordering::Relaxed))
    }

    fn flags(&self) -> std::sync::MutexGuard<'_, Vec<Arc<AtomicBool>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_cancelled_once_all_who_wait_want_it_no_more() {
        let flags: [Arc<AtomicBool>; 3] = Default::default();
        let watch = Watch::new(Arc::clone(&flags[0]));
        assert!(!watch.is_cancelled());
        flags[0].store(true, Ordering::Relaxed);
        assert!(watch.is_cancelled());
        watch.is_for(flags.iter());
        assert!(!watch.is_cancelled());
        flags[1].store(true, Ordering::Relaxed);
        assert!(!watch.is_cancelled());
        flags[2].store(true, Ordering::Relaxed);
        assert!(watch.is_cancelled());
        watch.is_for(std::iter::empty());
        assert!(!watch.is_cancelled());
    }
}
