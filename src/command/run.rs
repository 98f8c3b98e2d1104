//! run
use crate::app::App;
use crate::cli::RunArgs;
use anyhow::Result;
use std::process::ExitCode;

pub fn run(_app: &App, _args: &RunArgs) -> Result<ExitCode> {
    anyhow::bail!("not wired")
}
