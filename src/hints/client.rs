//! A server that is asked.

use packllm_client::ClientError;
use std::error::Error;

const BROKEN: &str = "what came stays, and /continue goes on with it once the server is back";

pub fn hint(error: &(dyn Error + 'static)) -> Option<String> {
    let hint = match error.downcast_ref::<ClientError>()? {
        ClientError::Unreachable { .. } => {
            "does `packllm serve` run there? It prints its address when it has started"
        }
        ClientError::Strange { .. } => "the address is that of `packllm serve`, without a path",
        ClientError::Broken { .. } => BROKEN,
        ClientError::Refused { refused, .. } => match refused.status {
            // In the middle of an answer.
            0 => BROKEN,
            401 => "set PACKLLM_API_KEY to the server's key, or give --api-key-file FILE",
            403 => "the server may not know itself by this name: `packllm serve --allow-host NAME`",
            404 => "the address is that of `packllm serve`, without a path",
            _ => return None,
        },
        ClientError::Cancelled => return None,
    };
    Some(hint.into())
}
