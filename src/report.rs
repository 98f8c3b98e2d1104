//! Errors for people: one line, a hint, an exit code.

use crate::settings::Usage;
use packllm_engine::chat::TemplateError;
use packllm_engine::engine::EngineError;
use packllm_store::PackError;
use std::io::ErrorKind;
use std::process::ExitCode;

/// Exit code of a run that was interrupted.
pub const INTERRUPTED: u8 = 130;

/// Why something cannot be used as it is asked for, and what to do about it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{reason}")]
pub struct Unusable {
    pub reason: String,
    pub hint: Option<String>,
}

/// Prints the error and gives the exit code.
pub fn failure(error: &anyhow::Error) -> ExitCode {
    if is_closed_pipe(error) {
        // Whoever read our output has gone: nothing to say, and nobody to say it to.
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
    tell!("error: {}", message(error));
    if let Some(hint) = hint(error) {
        tell!("hint: {hint}");
    }
}

/// The error with its causes, each told once: many a message ends with its cause already.
pub fn message(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
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
        || matches!(error.downcast_ref(), Some(PackError::Cancelled))
}

fn hint(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(|e| {
        e.downcast_ref::<EngineError>()
            .and_then(EngineError::hint)
            .or_else(|| e.downcast_ref::<PackError>().and_then(PackError::hint))
            .or_else(|| e.downcast_ref::<Unusable>().and_then(|u| u.hint.clone()))
            .or_else(|| {
                e.downcast_ref::<TemplateError>()
                    .map(|t| t.hint().to_owned())
            })
    })
}
