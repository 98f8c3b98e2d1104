use thiserror::Error;

/// Why there is no constraint for a form.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GrammarError {
    /// The text of a schema is no JSON.
    #[error("the schema is not JSON: {0}")]
    NotJson(String),
    /// A part of a schema cannot be held to.
    #[error("the schema is not supported at {path}: {why}")]
    Schema {
        /// Where: `#`, or `#/` and what is behind it, as in a `$ref`.
        path: String,
        /// In the parser's words.
        why: String,
    },
    /// A grammar cannot be read.
    #[error("the grammar is not supported: {0}")]
    Grammar(String),
    /// The beginning of an answer, which is given, leaves no way on.
    #[error("the answer's beginning, which is given, is not in the form that is asked for")]
    Begun,
    /// A vocabulary cannot be used.
    #[error("no grammar over this vocabulary: {0}")]
    Vocabulary(String),
}
