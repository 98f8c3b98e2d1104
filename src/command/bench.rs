//! bench
use crate::app::App;
use crate::cli::BenchArgs;
use anyhow::Result;
use std::process::ExitCode;

pub fn run(_app: &App, _args: &BenchArgs) -> Result<ExitCode> {
    anyhow::bail!("not wired")
}
