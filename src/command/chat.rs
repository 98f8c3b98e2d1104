//! chat
use crate::app::App;
use crate::cli::ChatArgs;
use anyhow::Result;
use std::process::ExitCode;

pub fn run(_app: &App, _args: &ChatArgs) -> Result<ExitCode> {
    anyhow::bail!("not wired")
}
