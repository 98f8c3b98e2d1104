//! `packllm completions`: what a shell needs to complete commands and flags.

use crate::cli::{Cli, CompletionsArgs};
use anyhow::{Context, Result};
use clap::CommandFactory;
use std::io::Write;
use std::process::ExitCode;

pub fn run(args: &CompletionsArgs) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "packllm", &mut script);
    std::io::stdout().write_all(&script).context("stdout")?;
    Ok(ExitCode::SUCCESS)
}
