//! Packs: their manifests, the model store, and how models get into it.
//!
//! - [`Manifest`]: a pack's TOML file, read strictly: an unknown key is an error with its line.
//! - [`Store`]: the folder of models and manifests under a root that the caller names.
//! - [`fetch()`]: sees to it that a model is there that is named by its [`Source`].
//! - [`pull()`]: fetches a member from its [`Source`]s in order, resumed, verified, written
//!   atomically.
//! - [`Store::map`]: keeps the maps between vocabularies.
//! - [`import`]: finds GGUF files that other programs hold and references them in place.
//!
//! Invariants: a file under its final name in the store is complete, and has the manifest's sha256
//! if it was pulled; a file elsewhere is never changed or deleted. Nothing here prints, nor reads
//! the environment or the home folder; the two things that are started or asked for (pip, an HTTP
//! proxy) read their own settings.
#![deny(unsafe_code)]

mod adopt;
mod catalog;
mod disk;
mod error;
mod fetch;
mod fill;
mod gc;
mod http;
mod hub;
pub mod import;
mod job;
mod manifest;
mod maps;
mod measurements;
mod part;
mod plan;
mod pull;
mod pypi;
mod refusal;
pub mod section;
mod source;
mod store;
mod task;
mod trials;
mod wire;

pub use catalog::PackListing;
pub use error::{Refused, SourceFailure, StoreError};
pub use fetch::{Fetched, Watch, fetch};
pub use gc::Garbage;
pub use job::{Progress, PullOptions};
pub use manifest::{Licence, Manifest, Member, Origin, VALID_NAME, valid_name};
pub use maps::KeptMap;
pub use pull::{Pulled, digest, pull, verify};
pub use source::{Named, Pick, Source, Wheel};
pub use store::{Listing, Removed, Shipped, Store, StoredModel};
pub use trials::{Trial, Verdict};

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]
mod tests;
