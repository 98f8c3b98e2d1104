//! What `auto` goes by, in words.

pub use packllm_engine::competence::words::{expected, line};
