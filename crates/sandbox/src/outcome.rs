use std::fmt;

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It ran through its last statement.
    Passed,
    /// It did not: the last line that Python wrote on stderr, shortened, or how else it ended.
    Failed(String),
    /// It took more than its time, on the clock or of the processor.
    TimedOut,
    /// Python ran out of the memory that it may have.
    OutOfMemory,
    /// It had more threads than it may.
    TooManyThreads,
    /// It had more in its folder than it may.
    TooMuchOnDisk,
    /// A signal ended it: a crash of the interpreter, say.
    Killed(i32),
}

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Passed => write!(out, "passed"),
            Outcome::Failed(line) => write!(out, "failed: {line}"),
            Outcome::TimedOut => write!(out, "took too long"),
            Outcome::OutOfMemory => write!(out, "took too much memory"),
            Outcome::TooManyThreads => write!(out, "had too many threads"),
            Outcome::TooMuchOnDisk => write!(out, "wrote too much on disk"),
            Outcome::Killed(signal) => write!(out, "ended by signal {signal}"),
        }
    }
}
