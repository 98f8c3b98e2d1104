//! A member to load.

use super::prompt_prefetch::PromptPrefetch;
use crate::backend::{BackendError, Member, Pace, Watch};
use std::sync::Arc;

/// Loads a member on the thread that will own it.
pub type Loader = Box<dyn FnOnce(&Arc<Watch>) -> Result<Box<dyn Member>, BackendError> + Send>;

/// A member to load.
pub struct MemberSpec {
    /// Its name, unique in the pack.
    pub name: String,
    /// How it is loaded.
    pub loader: Loader,
    /// The prompt that it may prefetch while others load.
    pub prefetch: Option<PromptPrefetch>,
    /// How its batches are shaped.
    pub pace: Pace,
}
