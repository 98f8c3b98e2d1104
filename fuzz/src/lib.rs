//! Damaged files for everything of packllm that reads files.
//!
//! cargo-fuzz needs a nightly compiler; this needs none, nor coverage: it damages whole good files,
//! seeded, so that a find is a number that anybody can repeat. [`readers`] are run in this process
//! and must neither panic nor take long; [`models`] go the whole way through llama.cpp, in child
//! processes that may end as they like, which is counted; [`mod@program`] gives them to packllm itself,
//! which must answer or say one line.
//!
//! ```text
//! packllm-fuzz READER SECONDS [SEED]
//! packllm-fuzz models FILES [SEED]
//! packllm-fuzz program PACKLLM FILES [SEED]
//! ```

pub mod damage;
pub mod models;
pub mod program;
pub mod readers;

// The writer of tiny models, shared with the tests.
#[path = "../../tests/tiny/mod.rs"]
mod tiny;
