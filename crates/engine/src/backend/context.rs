//! How large a member's context is.

/// Context length when none is asked for: tokens.
pub const DEFAULT_CONTEXT: u32 = 4096;

/// More context was asked for than a model was trained with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a context of {asked} tokens was asked for, but it was trained with {trained}")]
pub struct ContextTooLong {
    /// What was asked for: tokens.
    pub asked: u32,
    /// What the model was trained with: tokens.
    pub trained: u32,
}

/// The context that a member gets: what was `asked` for, else [`DEFAULT_CONTEXT`] or what the model
/// was `trained` with, whichever is less.
///
/// # Errors
/// [`ContextTooLong`].
pub fn context_size(asked: Option<u32>, trained: u32) -> Result<u32, ContextTooLong> {
    match asked {
        Some(asked) if asked > trained => Err(ContextTooLong { asked, trained }),
        Some(asked) => Ok(asked),
        None => Ok(DEFAULT_CONTEXT.min(trained)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_context_is_larger_than_the_training_had() {
        assert_eq!(context_size(None, 2048), Ok(2048));
        assert_eq!(context_size(None, 32_768), Ok(4096));
        assert_eq!(context_size(Some(2048), 2048), Ok(2048));
        assert_eq!(context_size(Some(32_768), 32_768), Ok(32_768));
        let error = context_size(Some(2049), 2048).unwrap_err();
        assert_eq!((error.asked, error.trained), (2049, 2048));
    }
}
