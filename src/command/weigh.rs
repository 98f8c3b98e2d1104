//! weigh
use crate::app::App;
use crate::cli::WeighArgs;
use anyhow::Result;
use std::process::ExitCode;

pub fn run(_app: &App, _args: &WeighArgs) -> Result<ExitCode> {
    anyhow::bail!("not wired")
}
