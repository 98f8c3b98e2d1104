//! The server's errors.

use packllm_server::ServeError;
use std::error::Error;
use std::io::ErrorKind;

pub fn hint(error: &(dyn Error + 'static)) -> Option<String> {
    let ServeError::Address { source, .. } = error.downcast_ref()? else {
        return None;
    };
    let hint = match source.kind() {
        ErrorKind::AddrInUse => {
            "another program listens there: --port takes another port, 0 a free one"
        }
        ErrorKind::PermissionDenied => {
            "ports below 1024 are not for everybody: --port takes another"
        }
        ErrorKind::AddrNotAvailable => {
            "this machine has no such address: --host 0.0.0.0 means all that it has"
        }
        _ => return None,
    };
    Some(hint.into())
}
