//! What a trial may take.

use std::ffi::OsString;
use std::process::ExitStatus;
use std::time::Duration;

/// What a process takes that loads nothing, and what a file of any size may take: generous, as a
/// good file on a busy machine must pass.
const MEMORY: u64 = 1 << 30;
const TIME: Duration = Duration::from_secs(60);

/// Bytes of a file that even a slow disk and a busy processor get through in a second.
const PACE: u64 = 8 << 20;

/// Limits of the trial of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Memory of its own: bytes. The files, which are mapped, do not count.
    pub memory: u64,
    /// Time on the clock; also the processor's, of all threads together.
    pub time: Duration,
}

impl Limits {
    /// As much as the size justifies, of all files of the model together.
    pub fn of(size: u64) -> Limits {
        Limits {
            memory: MEMORY.saturating_add(size),
            time: TIME + Duration::from_secs(size / PACE),
        }
    }

    /// As arguments of the child.
    pub fn arguments(&self) -> [String; 2] {
        [self.memory, self.time.as_secs()].map(|number| number.to_string())
    }

    /// Back from [`Limits::arguments`].
    pub fn read(memory: &OsString, seconds: &OsString) -> Option<Limits> {
        let number = |text: &OsString| text.to_str()?.parse().ok();
        Some(Limits {
            memory: number(memory)?,
            time: Duration::from_secs(number(seconds)?),
        })
    }

    /// Limits this process, as far as the system can. Where it cannot, the parent still watches the
    /// clock.
    pub fn hold_here(&self) {
        #[cfg(unix)]
        {
            use rustix::process::{Resource, Rlimit, setrlimit};
            let seconds = self.time.as_secs();
            // At the first limit of time a signal says why, at the second it is one that all send.
            let all = [
                (Resource::Data, self.memory, self.memory),
                (Resource::Cpu, seconds, seconds + 5),
                (Resource::Core, 0, 0),
            ];
            for (resource, current, maximum) in all {
                let limit = Rlimit {
                    current: Some(current),
                    maximum: Some(maximum),
                };
                // Refused only where a lower limit holds already.
                let _ = setrlimit(resource, limit);
            }
        }
        // Whoever wanted to know may have been killed.
        #[cfg(target_os = "linux")]
        {
            use rustix::process::{Signal, set_parent_process_death_signal};
            let _ = set_parent_process_death_signal(Some(Signal::KILL));
        }
    }
}

/// Whether somebody else ended the process: that says nothing about the file.
pub fn is_from_outside(status: ExitStatus) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt;
        // SIGHUP, SIGINT, SIGKILL, SIGTERM.
        matches!(status.signal(), Some(1 | 2 | 9 | 15))
    }
    #[cfg(not(unix))]
    {
        let _ = status;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_told_its_limits() {
        let limits = Limits::of(100 << 20);
        assert_eq!(limits.memory, (1 << 30) + (100 << 20));
        assert_eq!(limits.time, Duration::from_secs(72));
        let [memory, seconds] = limits.arguments().map(OsString::from);
        assert_eq!(Limits::read(&memory, &seconds), Some(limits));
        assert_eq!(Limits::read(&seconds, &"x".into()), None);
    }
}
