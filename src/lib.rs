//! packllm runs several small language models as one: see `README.md` for what it does and
//! `ARCHITECTURE.md` for where things are.
#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod backend;
pub mod engine;
pub mod vocab;
