//! Packs of tiny models of random weights that llama.cpp really runs: the way from a file to an
//! answer, compared with llama.cpp's own loop and with plain computations.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests may panic; the exemption for tests does not reach them"
)]

mod alike;
mod continuations;
mod cover;
mod prompt_cache;
mod rig;
mod spelling;
#[path = "../../../../tests/tiny/mod.rs"]
mod tiny;
mod turns;
mod vocabulary;
