//! How errors are reported: one line, a hint, an exit code.

use crate::exit::{INTERRUPTED, Usage};
use crate::hints;
use crate::say::printable_lines;
use packllm_client::ClientError;
use packllm_engine::engine::EngineError;
use packllm_store::StoreError;
use std::error::Error;
use std::io::ErrorKind;
use std::process::ExitCode;

/// Why something cannot be used as it was asked for, and what to do about it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{reason}")]
pub struct Unusable {
    pub reason: String,
    pub hint: Option<String>,
}

impl Unusable {
    /// From an error of a library.
    pub fn of(error: &(dyn Error + 'static)) -> Self {
        Self {
            reason: hints::words(error),
            hint: hints::hint(error),
        }
    }
}

/// Prints the error and gives the exit code.
pub fn failure(error: &anyhow::Error) -> ExitCode {
    if is_closed_pipe(error) {
        // The reader of our output has gone, and that is no error to report.
        return ExitCode::from(1);
    }
    if is_cancelled(error) {
        tell!("interrupted");
        return ExitCode::from(INTERRUPTED);
    }
    tell(error);
    ExitCode::from(if error.is::<Usage>() { 2 } else { 1 })
}

/// Prints the error, and what can be done about it.
pub fn tell(error: &anyhow::Error) {
    tell!("error: {}", printable_lines(&message(error)));
    if let Some(hint) = hint(error) {
        tell!("hint: {}", printable_lines(&hint));
    }
}

/// The error with its causes, each told once: many messages already end with their cause.
pub fn message(error: &anyhow::Error) -> String {
    let mut causes = error.chain().map(hints::words);
    let mut text = causes.next().unwrap_or_default();
    for cause in causes {
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|e| e.downcast_ref::<std::io::Error>())
        .any(|e| e.kind() == ErrorKind::BrokenPipe)
}

fn is_cancelled(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(EngineError::Cancelled))
        || matches!(error.downcast_ref(), Some(StoreError::Cancelled))
        || matches!(error.downcast_ref(), Some(ClientError::Cancelled))
}

fn hint(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(|cause| match cause.downcast_ref() {
        Some(Unusable { hint, .. }) => hint.clone(),
        None => hints::hint(cause),
    })
}
