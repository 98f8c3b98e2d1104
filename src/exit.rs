//! Exit codes, and errors of usage.

use anyhow::Result;

/// Exit code of a run that was interrupted.
pub const INTERRUPTED: u8 = 130;

/// A mistake in what was typed: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// Shorthand for a usage error.
pub fn usage<T>(message: impl Into<String>) -> Result<T> {
    Err(Usage(message.into()).into())
}
