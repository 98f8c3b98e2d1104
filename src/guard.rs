//! While an answer is on its way: keys that are typed ahead are not shown between its words, and where the terminal
//! closes, or the program is told to end, the answer ends first and is kept.

use anyhow::Result;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Ends a conversation between two answers.
pub struct Guard {
    /// Whether there is nothing to be kept.
    at_rest: Arc<AtomicBool>,
    /// The signal that told the program to end; 0: none.
    told: Arc<AtomicUsize>,
}

/// Holds the guard up until it is dropped.
pub struct Guarded {
    at_rest: Arc<AtomicBool>,
}

impl Guard {
    /// A signal that comes while it is held raises `cancel`; at any other time it ends the program, as ever.
    ///
    /// # Errors
    /// From the system.
    pub fn new(cancel: &Arc<AtomicBool>) -> Result<Self> {
        let guard = Self {
            at_rest: Arc::new(AtomicBool::new(true)),
            told: Arc::default(),
        };
        #[cfg(unix)]
        for signal in [signal_hook::consts::SIGHUP, signal_hook::consts::SIGTERM] {
            use signal_hook::flag::{register, register_conditional_default, register_usize};
            register_conditional_default(signal, Arc::clone(&guard.at_rest))?;
            register(signal, Arc::clone(cancel))?;
            register_usize(signal, Arc::clone(&guard.told), signal as usize)?;
            // Once more ends it at once.
            register(signal, Arc::clone(&guard.at_rest))?;
        }
        #[cfg(not(unix))]
        let _ = cancel;
        Ok(guard)
    }

    /// Until what it returns is dropped.
    pub fn hold(&self) -> Guarded {
        self.at_rest.store(false, Ordering::Relaxed);
        echo::hide();
        Guarded {
            at_rest: Arc::clone(&self.at_rest),
        }
    }

    /// The exit code, if the program was told to end.
    pub fn told_to_end(&self) -> Option<ExitCode> {
        let signal = u8::try_from(self.told.load(Ordering::Relaxed)).ok()?;
        (signal > 0).then(|| ExitCode::from(128 + signal))
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        echo::show();
        self.at_rest.store(true, Ordering::Relaxed);
    }
}

/// Shows again what is typed, before the program ends by itself.
pub fn let_go() {
    echo::show();
}

#[cfg(unix)]
mod echo {
    use rustix::termios::{LocalModes, OptionalActions, Termios, isatty, tcgetattr, tcsetattr};
    use std::io;
    use std::sync::Mutex;

    /// How the terminal was, while it does not show what is typed.
    static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

    /// Where both ends are a terminal. One that refuses stays as it is.
    pub fn hide() {
        if !isatty(io::stdout()) {
            return;
        }
        let Ok(before) = tcgetattr(io::stdin()) else {
            return;
        };
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        if tcsetattr(io::stdin(), OptionalActions::Now, &hidden).is_ok()
            && let Ok(mut kept) = BEFORE.lock()
        {
            *kept = Some(before);
        }
    }

    pub fn show() {
        if let Ok(mut kept) = BEFORE.lock()
            && let Some(before) = kept.take()
        {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &before);
        }
    }
}

#[cfg(not(unix))]
mod echo {
    pub fn hide() {}

    pub fn show() {}
}
