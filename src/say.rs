//! Lines on stdout and stderr. If the stream is closed or full, `say!` returns an error and `tell!`
//! does nothing; the macros of the standard library would panic.

use std::fmt::Arguments;
use std::io::{self, Write};

/// Prints a line on stdout: `io::Result<()>`.
macro_rules! say {
    ($($format:tt)*) => { $crate::say::line(format_args!($($format)*)) };
}

/// Prints a line on stderr. A failure is ignored.
macro_rules! tell {
    ($($format:tt)*) => { $crate::say::aside(format_args!("{}\n", format_args!($($format)*))) };
}

/// See [`say!`].
pub fn line(text: Arguments<'_>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// Prints text on stderr without a line feed; see [`tell!`].
pub fn aside(text: Arguments<'_>) {
    let _ = io::stderr().lock().write_fmt(text);
}

/// The text without control characters. Names of files, texts of manifests and model files may come
/// from anywhere, and control characters would act on the terminal.
pub fn printable(text: &str) -> String {
    let safe = |char: char| if char.is_control() { '\u{fffd}' } else { char };
    text.chars().map(safe).collect()
}

/// As [`printable`], for a text of several lines.
pub fn printable_lines(text: &str) -> String {
    let lines = text.split('\n').map(printable);
    lines.collect::<Vec<_>>().join("\n")
}
