//! Lines on stdout and stderr. A stream that was closed or is full is an error of the former and
//! nothing of the latter, where the macros of the standard library panic.

use std::fmt::Arguments;
use std::io::{self, Write};

/// Formats a line onto stdout: `io::Result<()>`.
macro_rules! say {
    ($($format:tt)*) => { $crate::say::line(format_args!($($format)*)) };
}

/// Formats a line onto stderr. Where nobody can read it there is nobody to tell.
macro_rules! tell {
    ($($format:tt)*) => { $crate::say::aside(format_args!("{}\n", format_args!($($format)*))) };
}

/// See [`say!`].
pub fn line(text: Arguments<'_>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// Text on stderr as it is, see [`tell!`].
pub fn aside(text: Arguments<'_>) {
    let _ = io::stderr().lock().write_fmt(text);
}
