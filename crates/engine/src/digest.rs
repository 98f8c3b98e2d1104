//! SHA-256 as people write it.

use sha2::{Digest, Sha256};

/// What was hashed, in hexadecimal.
pub fn hex(hasher: Sha256) -> String {
    let bytes = hasher.finalize();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
