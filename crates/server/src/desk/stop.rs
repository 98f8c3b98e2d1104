//! Why an answer does not come to its end.

use crate::error::Refusal;
use packllm_engine::engine::EngineError;
use packllm_engine::pack::PackError;

/// Why an answer does not come to its end.
pub enum Stop {
    /// Nobody waits for it any more.
    Gone,
    /// Nor for an answer that was begun: the conversation is as before it, and may go on.
    Left,
    Refused(Refusal),
    /// A member's thread has ended.
    Broken(Refusal),
}

impl<E: Into<Refusal> + MayBreak> From<E> for Stop {
    fn from(error: E) -> Self {
        match error.breaks() {
            true => Stop::Broken(error.into()),
            false => Stop::Refused(error.into()),
        }
    }
}

/// Whether the pack is of no use after an error.
pub trait MayBreak {
    fn breaks(&self) -> bool;
}

impl MayBreak for Refusal {
    fn breaks(&self) -> bool {
        false
    }
}

impl MayBreak for EngineError {
    fn breaks(&self) -> bool {
        matches!(self, EngineError::Died(_) | EngineError::Panicked { .. })
    }
}

impl MayBreak for PackError {
    fn breaks(&self) -> bool {
        matches!(self, PackError::Engine(error) if error.breaks())
    }
}
