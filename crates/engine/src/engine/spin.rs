//! Waiting begins with looking.

use crossbeam::channel::{Receiver, TryRecvError};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long a thread looks for a message, giving way to others, before it sleeps.
const PATIENCE: Duration = Duration::from_micros(200);

/// Threads of a pack that look for a message instead of sleeping: at most one a core, however many
/// conversations there are.
#[derive(Debug)]
pub(super) struct Spinners {
    looking: AtomicUsize,
    most: usize,
}

impl Default for Spinners {
    fn default() -> Self {
        Self {
            looking: AtomicUsize::new(0),
            most: num_cpus::get(),
        }
    }
}

impl Spinners {
    /// What comes soon. Most bytes need no evaluation and are answered in some ten microseconds,
    /// and to be put to sleep and woken up for each takes longer than that.
    pub fn soon<T>(&self, channel: &Receiver<T>) -> Option<T> {
        self.soon_while(channel, PATIENCE, &|| true)
    }

    /// What comes within `patience`, as long as that is `worth` looking for.
    pub fn soon_while<T>(
        &self,
        channel: &Receiver<T>,
        patience: Duration,
        worth: &dyn Fn() -> bool,
    ) -> Option<T> {
        let place = self.looking.fetch_add(1, Ordering::Relaxed);
        let found = match place < self.most {
            true => look(channel, patience, worth),
            false => channel.try_recv().ok(),
        };
        self.looking.fetch_sub(1, Ordering::Relaxed);
        found
    }
}

fn look<T>(channel: &Receiver<T>, patience: Duration, worth: &dyn Fn() -> bool) -> Option<T> {
    let start = Instant::now();
    loop {
        match channel.try_recv() {
            Ok(message) => return Some(message),
            Err(TryRecvError::Empty) if start.elapsed() < patience && worth() => {
                std::thread::yield_now();
            }
            Err(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_look_and_the_others_take_what_is_there() {
        let spinners = Spinners {
            looking: AtomicUsize::new(1),
            most: 1,
        };
        let (send, receive) = crossbeam::channel::bounded(1);
        let hour = Duration::from_secs(3600);
        assert_eq!(spinners.soon_while(&receive, hour, &|| true), None);
        send.send(7).unwrap();
        assert_eq!(spinners.soon_while(&receive, hour, &|| true), Some(7));
        assert_eq!(spinners.looking.load(Ordering::Relaxed), 1);
    }
}
