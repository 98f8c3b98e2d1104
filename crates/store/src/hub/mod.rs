//! The Hugging Face hub: what is in a repository, and its cache on disk.

pub(crate) mod api;
pub(crate) mod cache;
pub(crate) mod pick;
