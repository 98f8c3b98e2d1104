//! models
use crate::app::App;
use crate::cli::ModelsCommand;
use anyhow::Result;
use std::process::ExitCode;

pub fn run(_app: &App, _args: &ModelsCommand) -> Result<ExitCode> {
    anyhow::bail!("not wired")
}
