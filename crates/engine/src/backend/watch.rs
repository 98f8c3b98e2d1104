//! What a member at work shares with the thread that waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32};

/// Flags between a loading or evaluating member and the rest of the program.
#[derive(Debug, Default)]
pub struct Watch {
    /// Raised to stop a load or a decode.
    pub cancel: Arc<AtomicBool>,
    /// Progress of the load: thousandths.
    pub progress: AtomicU32,
    /// Raised once all members have loaded: until then each load needs a core.
    pub complete: AtomicBool,
}
