//! llama.cpp as a member of a pack: the only crate with `unsafe`.
//!
//! The model comes from `llama-cpp-2`; the context is a thin one of our own over `llama-cpp-sys-2`,
//! for what the safe crate lacks: the abort callback, `n_outputs_max` (without it the compute
//! buffer holds a row of logits per batch token) and tensor splits. Every call that could abort the
//! process is checked by the [`Ledger`](packllm_engine::backend::Ledger) first.
//!
//! [`LoadOptions`] say how a file is loaded, [`LlamaMember::load`] does it, [`LoadError`] says why
//! it could not, and [`offload`] which device runs what. [`rpc`] adds devices of other machines and
//! lends this one's. [`try_file`] is for a process of its own: some files end it.
#![allow(unsafe_code, reason = "llama.cpp is called here, and nowhere else")]

mod context;
mod error;
mod library;
mod load;
mod member;
pub mod offload;
mod options;
pub mod rpc;
mod trial;

pub use error::LoadError;
pub use library::{Module, backends, cpu_features, init, modules, threads_give_way};
pub use member::LlamaMember;
pub use options::{CacheType, LoadOptions, OUTPUTS, WIDE, threads_batch};
pub use trial::try_file;

/// The llama.cpp of this build, by the crate that brings it.
pub const VERSION: &str = "llama-cpp-sys-2 0.1.161";

#[cfg(test)]
mod tests {
    #[test]
    fn the_version_is_that_of_the_manifest() {
        let (_, number) = super::VERSION.split_once(' ').unwrap();
        let line = format!("llama-cpp-sys-2 = {{ version = \"={number}\"");
        assert!(
            include_str!("../../../Cargo.toml").contains(&line),
            "{line}"
        );
    }
}
