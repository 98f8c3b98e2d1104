//! packllm runs several small language models as one: see `README.md` for what it does and
//! `ARCHITECTURE.md` for where things are.
//!
//! The library prints nothing, never exits, and reads neither the environment nor the home folder.
#![deny(unsafe_code)]

pub mod backend;
pub mod chat;
mod digest;
pub mod engine;
pub mod eval;
mod lock;
pub mod mix;
mod nearest;
pub mod pack;
pub mod parameter;
pub mod sample;
mod vector;
pub mod vocab;
pub mod weight;

pub use nearest::{did_you_mean, nearest};
