//! From facts to advice. The libraries say what happened; only this module knows which flag,
//! command or key helps.
//!
//! [`words`] is a library's error in this program's words, and [`hint`] what can be done about it.
//! There is one file for each library.

mod client;
mod engine;
mod eval;
mod gguf;
mod llama;
mod remote;
mod server;
mod store;
#[cfg(test)]
mod tests;

pub use llama::is_of_memory;
use std::error::Error;

/// The error in the words of the command line.
pub fn words(error: &(dyn Error + 'static)) -> String {
    engine::words(error)
        .or_else(|| gguf::words(error))
        .or_else(|| llama::words(error))
        .or_else(|| eval::words(error))
        .unwrap_or_else(|| error.to_string())
}

/// What can be done about the error, if anything is known to help.
pub fn hint(error: &(dyn Error + 'static)) -> Option<String> {
    engine::hint(error)
        .or_else(|| gguf::hint(error))
        .or_else(|| llama::hint(error))
        .or_else(|| remote::hint(error))
        .or_else(|| client::hint(error))
        .or_else(|| server::hint(error))
        .or_else(|| store::hint(error))
}
