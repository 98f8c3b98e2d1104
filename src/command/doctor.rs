//! doctor
use crate::app::App;
use crate::cli::DoctorArgs;
use anyhow::Result;
use std::process::ExitCode;

pub fn run(_app: &App, _args: &DoctorArgs) -> Result<ExitCode> {
    anyhow::bail!("not wired")
}
