//! Where programs cannot be confined: nothing is run.

use crate::{Launcher, Limits, Outcome, SandboxError};
use std::convert::Infallible;
use std::ffi::OsString;
use std::path::Path;
use std::sync::atomic::AtomicBool;

/// A Python that runs programs confined: there is none on this system.
#[derive(Debug)]
pub struct Python(Infallible);

impl Python {
    /// Fails: programs can be confined on Linux alone.
    pub fn find(
        _interpreter: impl AsRef<Path>,
        _launcher: Launcher,
    ) -> Result<Python, SandboxError> {
        Err(SandboxError::Unsupported)
    }

    /// Never called, as there is no `Python`.
    pub fn run(
        &self,
        _program: &str,
        _limits: &Limits,
        _cancel: &AtomicBool,
    ) -> Result<Outcome, SandboxError> {
        match self.0 {}
    }
}

/// Fails: programs can be confined on Linux alone.
pub fn confine_and_exec(_arguments: impl IntoIterator<Item = OsString>) -> SandboxError {
    SandboxError::Unsupported
}
