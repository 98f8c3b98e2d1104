//! Errors for people: one line, a hint, an exit code.

use crate::settings::Usage;
use packllm::backend::BackendError;
use packllm::chat::TemplateError;
use packllm::engine::EngineError;
use packllm::pack::PackError;
use std::io::ErrorKind;
use std::process::ExitCode;

/// Exit code of a run that was interrupted.
pub const INTERRUPTED: u8 = 130;

/// Prints the error and gives the exit code.
pub fn failure(error: &anyhow::Error) -> ExitCode {
    if is_closed_pipe(error) {
        // Whoever read our output has gone: nothing to say, and nobody to say it to.
        return ExitCode::from(1);
    }
    if is_cancelled(error) {
        eprintln!("interrupted");
        return ExitCode::from(INTERRUPTED);
    }
    eprintln!("error: {error:#}");
    if let Some(hint) = hint(error) {
        eprintln!("hint: {hint}");
    }
    ExitCode::from(if error.is::<Usage>() { 2 } else { 1 })
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
            .or_else(|| match e.downcast_ref() {
                Some(BackendError::Load { hint, .. }) => hint.clone(),
                _ => None,
            })
            .or_else(|| e.downcast_ref::<TemplateError>().map(|t| t.hint().to_owned()))
    })
}
