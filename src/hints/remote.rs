//! Machines that were to lend their devices.

use packllm_remote::probe::ProbeError;
use std::error::Error;

/// See [`super::hint`].
pub fn hint(error: &(dyn Error + 'static)) -> Option<String> {
    let hint = match error.downcast_ref()? {
        ProbeError::Unreachable { .. } => {
            "start `packllm lend` there; it listens on 127.0.0.1 alone, so come by ssh (see `packllm lend --help`)"
        }
        ProbeError::Silent { .. } => {
            "llama.cpp's own rpc-server takes one client at a time; `packllm lend` takes several"
        }
        ProbeError::Foreign { .. } => {
            "name the port of `packllm lend` there, 50052 if it was not set"
        }
        ProbeError::Version { .. } => "use the same version of packllm on both machines",
        _ => return None,
    };
    Some(hint.into())
}
