//! Locks of files.

use std::fs::{File, TryLockError};
use std::time::Duration;

/// Locks a file, giving others half a second: a process that another thread has just started holds
/// a copy of its open files until it begins its own program.
pub fn patiently(file: &File) -> Result<(), TryLockError> {
    for _ in 0..25 {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(20)),
            other => return other,
        }
    }
    file.try_lock()
}
