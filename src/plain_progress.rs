//! Progress on a terminal that cannot move its cursor: now and then a plain line.

use indicatif::TermLike;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// When the first line comes; each later one comes after twice the time of the one before.
const FIRST: Duration = Duration::from_secs(1);

/// A terminal for one progress bar, which is drawn as a line of text instead of in place.
#[derive(Debug)]
pub struct PlainProgress {
    start: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// What is being drawn.
    drawn: String,
    /// Time from the start to the next line.
    due: Duration,
}

impl PlainProgress {
    /// Of work that begins now.
    pub fn new() -> Self {
        let (drawn, due) = (String::new(), FIRST);
        Self {
            start: Instant::now(),
            state: Mutex::new(State { drawn, due }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The line that was drawn, if one is due after so much time. Nothing is drawn any more.
    fn line(&mut self, elapsed: Duration) -> Option<String> {
        let drawn = std::mem::take(&mut self.drawn);
        let line = drawn.trim();
        if line.is_empty() || elapsed < self.due {
            return None;
        }
        self.due = 2 * elapsed;
        Some(line.to_owned())
    }
}

impl TermLike for PlainProgress {
    fn width(&self) -> u16 {
        80
    }

    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.state().drawn.push_str(text);
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.state().drawn.clear();
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        let line = self.state().line(self.start.elapsed());
        if let Some(line) = line {
            tell!("{line}");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_comes_after_a_second_and_then_ever_more_seldom() {
        let mut state = PlainProgress::new().state.into_inner().unwrap();
        let mut line = |text: &str, seconds: f64| {
            state.drawn.push_str(text);
            state.line(Duration::from_secs_f64(seconds))
        };
        assert_eq!(line("loading 10%   ", 0.5), None);
        assert_eq!(line("loading 40%   ", 1.5).as_deref(), Some("loading 40%"));
        assert_eq!(line("loading 60%   ", 2.9), None);
        assert_eq!(line("", 3.5), None);
        assert_eq!(line("loading 80%", 3.6).as_deref(), Some("loading 80%"));
        assert_eq!(line("loading 90%", 7.1), None);
    }
}
