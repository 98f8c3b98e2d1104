//! Journals and examples of an evaluation.

use packllm_eval::{JournalError, ShotsError};
use std::error::Error;

/// See [`super::words`]; None: the library's own words are used.
pub fn words(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(ShotsError {
        wanted,
        found,
        line,
    }) = error.downcast_ref()
    {
        return Some(format!(
            "--few-shot {wanted}: there are {found} examples beside the question in line {line}; give more \
             in --shots-from"
        ));
    }
    match error.downcast_ref()? {
        JournalError::Exists { file } => Some(format!(
            "{} is there already: --resume goes on with that run, or choose another --output",
            file.display()
        )),
        error @ JournalError::Differs { .. } => Some(format!(
            "{error}; use the same settings, or another --output"
        )),
        _ => None,
    }
}
