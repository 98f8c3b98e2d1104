//! The terminal and the signals of a conversation. What is typed ahead, outside the line editor, is not shown between the
//! words of an answer; where the terminal closes, or the program is told to end, an answer ends first and is kept. However
//! the program ends or is suspended, the terminal is left as it was.

use anyhow::Result;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

/// Watches the signals of a conversation.
pub struct Guard {
    /// Whether there is nothing to be kept.
    at_rest: Arc<AtomicBool>,
    /// The signal that told the program to end; 0: none.
    told: Arc<AtomicI32>,
}

/// An answer is under way until it is dropped.
pub struct Guarded {
    at_rest: Arc<AtomicBool>,
}

impl Guard {
    /// A signal that comes while an answer is under way raises `cancel`; at any other time, or once more, it ends the
    /// program. What is typed is hidden from now on if lines come from an editor, which shows it.
    ///
    /// # Errors
    /// From the system.
    pub fn new(cancel: &Arc<AtomicBool>, edits: bool) -> Result<Self> {
        let guard = Self {
            at_rest: Arc::new(AtomicBool::new(true)),
            told: Arc::default(),
        };
        if edits {
            terminal::hide();
        }
        #[cfg(unix)]
        guard.watch(Arc::clone(cancel))?;
        #[cfg(not(unix))]
        let _ = cancel;
        Ok(guard)
    }

    #[cfg(unix)]
    fn watch(&self, cancel: Arc<AtomicBool>) -> Result<()> {
        use signal_hook::consts::{SIGCONT, SIGHUP, SIGQUIT, SIGTERM, SIGTSTP};
        use signal_hook::iterator::Signals;
        use signal_hook::low_level::emulate_default_handler;
        let mut signals = Signals::new([SIGHUP, SIGTERM, SIGQUIT, SIGTSTP, SIGCONT])?;
        let (at_rest, told) = (Arc::clone(&self.at_rest), Arc::clone(&self.told));
        let watch = move || {
            for signal in signals.forever() {
                let again = told.load(Ordering::Relaxed) != 0;
                match signal {
                    SIGCONT => terminal::resume(),
                    SIGTSTP => {
                        terminal::pause();
                        let _ = emulate_default_handler(SIGTSTP);
                    }
                    _ if again || at_rest.load(Ordering::Relaxed) => {
                        terminal::restore();
                        let _ = emulate_default_handler(signal);
                    }
                    _ => {
                        told.store(signal, Ordering::Relaxed);
                        cancel.store(true, Ordering::Relaxed);
                    }
                }
            }
        };
        std::thread::Builder::new()
            .name("signals".into())
            .spawn(watch)?;
        Ok(())
    }

    /// An answer is under way until what it returns is dropped.
    pub fn hold(&self) -> Guarded {
        self.at_rest.store(false, Ordering::Relaxed);
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

impl Drop for Guard {
    fn drop(&mut self) {
        terminal::show();
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.at_rest.store(true, Ordering::Relaxed);
    }
}

/// Leaves the terminal as it was, before the program ends by itself.
pub fn let_go() {
    terminal::restore();
}

/// There is no editor any more: the terminal shows what is typed.
pub fn show() {
    terminal::show();
}

/// Lets another program have the terminal as it was.
pub fn lend<T>(work: impl FnOnce() -> T) -> T {
    terminal::pause();
    let done = work();
    terminal::resume();
    done
}

/// Ctrl-Z in an editor, where the terminal itself does not see it.
pub fn suspend() {
    #[cfg(unix)]
    lend(|| {
        let _ = signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGTSTP);
    });
}

#[cfg(unix)]
mod terminal {
    use rustix::termios::{
        InputModes, LocalModes, OptionalActions, Termios, isatty, tcgetattr, tcsetattr,
    };
    use std::io::{self, Write};
    use std::sync::Mutex;

    /// How the terminal was at first, where both ends are one, and whether it hides what is typed now.
    static WAS: Mutex<Option<(Termios, bool)>> = Mutex::new(None);

    /// Does something with it. A terminal that refuses stays as it is.
    fn with(work: impl FnOnce(&Termios, &mut bool)) {
        if let Ok(mut was) = WAS.lock()
            && let Some((termios, hides)) = &mut *was
        {
            work(termios, hides);
        }
    }

    fn set(termios: &Termios) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, termios);
    }

    fn set_hidden(termios: &Termios) {
        let mut hidden = termios.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        // The editor takes a carriage return for Enter, and what comes before a line feed for all there is.
        hidden.input_modes.remove(InputModes::ICRNL);
        set(&hidden);
    }

    /// Where both ends are a terminal.
    pub fn hide() {
        if isatty(io::stdout())
            && let Ok(termios) = tcgetattr(io::stdin())
            && let Ok(mut was) = WAS.lock()
        {
            was.get_or_insert((termios, true));
        }
        resume();
    }

    pub fn show() {
        with(|termios, hides| {
            if std::mem::take(hides) {
                set(termios);
            }
        });
    }

    /// Somebody else takes the terminal.
    pub fn pause() {
        with(|termios, hides| {
            if *hides {
                set(termios);
            }
        });
    }

    /// It is ours again.
    pub fn resume() {
        with(|termios, hides| {
            if *hides {
                set_hidden(termios);
            }
        });
    }

    /// The program is about to end, perhaps in the middle of a line, in raw mode with bracketed paste.
    pub fn restore() {
        with(|termios, _| {
            let raw = tcgetattr(io::stdin())
                .is_ok_and(|now| !now.local_modes.contains(LocalModes::ICANON));
            set(termios);
            if raw {
                let mut out = io::stderr();
                let _ = out.write_all(b"\x1b[?2004l\n");
            }
        });
    }
}

#[cfg(not(unix))]
mod terminal {
    pub fn hide() {}

    pub fn show() {}

    pub fn pause() {}

    pub fn resume() {}

    pub fn restore() {}
}
