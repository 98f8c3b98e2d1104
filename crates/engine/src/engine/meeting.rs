//! Where members wait for each other.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// A barrier that members reach again and again. One that has left is not waited for.
#[derive(Debug)]
pub(super) struct Meeting {
    round: Mutex<Round>,
    begun: Condvar,
}

#[derive(Debug)]
struct Round {
    number: u64,
    /// How many take part.
    members: usize,
    /// How many of them have arrived.
    here: usize,
}

/// A member's part in a meeting; it leaves when this is dropped, also after an error or a panic.
#[derive(Debug)]
pub(super) struct Attendance(Arc<Meeting>);

impl Meeting {
    /// A meeting of so many members: each has to be given its [`Attendance`].
    pub fn new(members: usize) -> Self {
        let (number, here) = (0, 0);
        Self {
            round: Mutex::new(Round {
                number,
                members,
                here,
            }),
            begun: Condvar::new(),
        }
    }

    /// The part of one of the members.
    pub fn attend(self: &Arc<Self>) -> Attendance {
        Attendance(Arc::clone(self))
    }

    fn lock(&self) -> MutexGuard<'_, Round> {
        self.round.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets all go on if all have arrived.
    fn begin(&self, round: &mut Round) {
        if round.here >= round.members {
            (round.number, round.here) = (round.number + 1, 0);
            self.begun.notify_all();
        }
    }
}

impl Attendance {
    /// Waits until all that take part are here.
    pub fn wait(&self) {
        let mut round = self.0.lock();
        let number = round.number;
        round.here += 1;
        self.0.begin(&mut round);
        let begun = &self.0.begun;
        let waited = begun.wait_while(round, |round| round.number == number);
        drop(waited);
    }
}

impl Drop for Attendance {
    fn drop(&mut self) {
        let mut round = self.0.lock();
        round.members -= 1;
        self.0.begin(&mut round);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn nobody_goes_on_before_all_are_here_and_nobody_waits_for_who_left() {
        let meeting = Arc::new(Meeting::new(4));
        let arrived = Arc::new(AtomicUsize::new(0));
        let attendances: Vec<Attendance> = (0..4).map(|_| meeting.attend()).collect();
        let rounds = 50;
        let threads = attendances.into_iter().enumerate().map(|(i, attendance)| {
            let arrived = Arc::clone(&arrived);
            std::thread::spawn(move || {
                // The first leaves early, the second in a panic.
                for round in 0..rounds {
                    if i == 0 && round == 10 {
                        return;
                    }
                    assert!(i != 1 || round < 20, "on purpose");
                    arrived.fetch_add(1, Ordering::SeqCst);
                    attendance.wait();
                    let others = 2 * (round + 1) + (round + 1).min(10) + (round + 1).min(20);
                    assert!(arrived.load(Ordering::SeqCst) >= others);
                }
            })
        });
        let threads: Vec<_> = threads.collect();
        let ended: Vec<bool> = threads.into_iter().map(|t| t.join().is_ok()).collect();
        assert_eq!(ended, [true, false, true, true]);
    }
}
