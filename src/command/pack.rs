//! pack
use crate::app::App;
use crate::cli::PackCommand;
use anyhow::Result;
use std::process::ExitCode;

pub fn run(_app: &App, _args: &PackCommand) -> Result<ExitCode> {
    anyhow::bail!("not wired")
}
