//! What can go wrong with a pack that reads.

use crate::chat::SpeakerError;
use crate::engine::EngineError;
use std::error::Error;

/// Why a conversation or a text could not be read.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// A member's chat template fails.
    #[error(transparent)]
    Template(#[from] SpeakerError),
    /// The engine or one of its members failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The [`Host`](super::Host) has no map for a member.
    #[error("{member}: no map of its vocabulary to the reference: {source}")]
    Map {
        /// The member.
        member: String,
        /// What the host said.
        source: Box<dyn Error + Send + Sync>,
    },
}
