//! The terminal and the signals of a conversation. Keys that are typed during an answer are not
//! shown among its words. If the terminal closes, or the program is told to end, the answer stops
//! first and is saved. However the program ends or is suspended, the terminal is left as it was.

use anyhow::Result;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};

/// Watches the signals of a conversation.
pub struct Guard {
    /// Answers under way; 0: there is nothing to save.
    held: Arc<AtomicUsize>,
    /// The signal that told the program to end; 0: none.
    told: Arc<AtomicI32>,
}

/// An answer is under way until it is dropped.
pub struct Guarded {
    held: Arc<AtomicUsize>,
}

impl Guard {
    /// During an answer a signal raises `cancel`; at any other time, or a second time, it ends the
    /// program. With `edits`, lines come from the editor: it shows what is typed, so the terminal
    /// itself no longer does.
    ///
    /// # Errors
    /// The system refuses.
    pub fn new(cancel: &Arc<AtomicBool>, edits: bool) -> Result<Self> {
        let guard = Self {
            held: Arc::default(),
            told: Arc::default(),
        };
        if edits {
            terminal::hide();
        }
        #[cfg(unix)]
        guard.watch(Arc::clone(cancel), edits)?;
        #[cfg(not(unix))]
        let _ = cancel;
        Ok(guard)
    }

    #[cfg(unix)]
    fn watch(&self, cancel: Arc<AtomicBool>, edits: bool) -> Result<()> {
        use signal_hook::consts::{SIGHUP, SIGQUIT, SIGTERM, SIGTSTP};
        use signal_hook::iterator::Signals;
        use signal_hook::low_level::emulate_default_handler;
        // Without a terminal the others may be ignored on purpose (`nohup`).
        let mut signals = match edits {
            true => Signals::new([SIGTERM, SIGHUP, SIGQUIT, SIGTSTP])?,
            false => Signals::new([SIGTERM])?,
        };
        let (held, told) = (Arc::clone(&self.held), Arc::clone(&self.told));
        let watch = move || {
            for signal in signals.forever() {
                let again = told.load(Ordering::Relaxed) != 0;
                if signal == SIGTSTP {
                    suspend();
                } else if again || held.load(Ordering::Relaxed) == 0 {
                    terminal::restore();
                    // The editor may be setting the terminal at this moment.
                    std::thread::sleep(std::time::Duration::from_millis(10));
                    terminal::restore();
                    let _ = emulate_default_handler(signal);
                } else {
                    told.store(signal, Ordering::Relaxed);
                    cancel.store(true, Ordering::Relaxed);
                }
            }
        };
        std::thread::Builder::new()
            .name("signals".into())
            .spawn(watch)?;
        Ok(())
    }

    /// An answer is under way until the returned value is dropped; of several values, until the
    /// last.
    pub fn hold(&self) -> Guarded {
        self.held.fetch_add(1, Ordering::Relaxed);
        Guarded {
            held: Arc::clone(&self.held),
        }
    }

    /// The exit code, if the program was told to end.
    pub fn told_to_end(&self) -> Option<ExitCode> {
        let signal = u8::try_from(self.told.load(Ordering::Relaxed)).ok()?;
        (signal > 0).then(|| ExitCode::from(128 + signal))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        terminal::show();
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.held.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Restores the terminal before the program ends by itself.
pub fn let_go() {
    terminal::restore();
}

/// There is no editor any more: the terminal shows what is typed again.
pub fn show() {
    terminal::show();
}

/// Lends the terminal, in its first state, to another program; afterwards sets it as it was before.
pub fn lend<T>(work: impl FnOnce() -> T) -> T {
    let before = terminal::lend();
    let done = work();
    terminal::take_back(before);
    done
}

/// Ctrl-Z: returns when the program continues.
pub fn suspend() {
    #[cfg(unix)]
    lend(|| {
        let _ = signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGTSTP);
    });
}

#[cfg(unix)]
mod terminal {
    use rustix::process::getpgrp;
    use rustix::termios::{
        InputModes, LocalModes, OptionalActions, Termios, isatty, tcgetattr, tcgetpgrp, tcsetattr,
    };
    use std::io::{self, Write};
    use std::sync::{Mutex, PoisonError};

    /// How the terminal was before it was told to hide what is typed.
    static WAS: Mutex<Option<Termios>> = Mutex::new(None);

    fn was() -> Option<Termios> {
        WAS.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A failure is ignored. The terminal is left alone while another program has it: to set it
    /// then would stop this program.
    fn set(termios: &Termios) {
        if tcgetpgrp(io::stdin()).is_ok_and(|group| group == getpgrp()) {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, termios);
        }
    }

    /// Does nothing unless stdin and stdout are a terminal.
    pub fn hide() {
        let Ok(termios) = tcgetattr(io::stdin()) else {
            return;
        };
        if !isatty(io::stdout()) {
            return;
        }
        let mut hidden = termios.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        // For the editor Enter is a carriage return, not a line feed.
        hidden.input_modes.remove(InputModes::ICRNL);
        *WAS.lock().unwrap_or_else(PoisonError::into_inner) = Some(termios);
        set(&hidden);
    }

    pub fn show() {
        if let Some(termios) = was() {
            set(&termios);
        }
    }

    /// Sets the terminal to its first state and returns the present one.
    pub fn lend() -> Option<Termios> {
        let now = tcgetattr(io::stdin()).ok().filter(|_| was().is_some());
        show();
        now
    }

    pub fn take_back(before: Option<Termios>) {
        if let Some(before) = before {
            set(&before);
        }
    }

    /// Restores the terminal before the program ends, perhaps in the middle of a line, in raw mode
    /// with bracketed paste.
    pub fn restore() {
        let raw = |now: Termios| !now.local_modes.contains(LocalModes::ICANON);
        let raw = tcgetattr(io::stdin()).is_ok_and(raw);
        show();
        if raw && was().is_some() {
            let _ = io::stderr().write_all(b"\x1b[?2004l\n");
        }
    }
}

#[cfg(not(unix))]
mod terminal {
    pub fn hide() {}

    pub fn show() {}

    pub fn lend() {}

    pub fn take_back(_: ()) {}

    pub fn restore() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_rest_only_when_all_have_let_go() {
        let guard = Guard {
            held: Arc::default(),
            told: Arc::default(),
        };
        let at_rest = || guard.held.load(Ordering::Relaxed) == 0;
        assert!(at_rest());
        let outer = guard.hold();
        let inner = guard.hold();
        drop(outer);
        assert!(!at_rest());
        let again = guard.hold();
        drop(inner);
        assert!(!at_rest());
        drop(again);
        assert!(at_rest());
    }
}
