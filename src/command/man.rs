//! `packllm man`: the manual, made at run time from the command that parses. A build script would
//! have to compile the command line a second time, and `cargo install` would not install what it
//! writes.

use crate::app::App;
use crate::cli::{Cli, ManArgs};
use crate::settings::usage;
use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_mangen::Man;
use std::io::Write;
use std::process::ExitCode;

pub fn run(app: &App, args: &ManArgs) -> Result<ExitCode> {
    let mut command = Cli::command();
    if let Some(folder) = &args.output {
        let context = || folder.display().to_string();
        std::fs::create_dir_all(folder).with_context(context)?;
        clap_mangen::generate_to(command, folder).with_context(context)?;
        app.dim(&format!(
            "written to {}: man -M or -l finds them there",
            folder.display()
        ));
        return Ok(ExitCode::SUCCESS);
    }
    command.build();
    let mut page = &command;
    for name in &args.command {
        let Some(found) = page.find_subcommand(name) else {
            let names = page.get_subcommands().map(clap::Command::get_name);
            let hint = packllm_engine::did_you_mean(packllm_engine::nearest(name, names));
            return usage(format!("there is no command {name}{hint}"));
        };
        page = found;
    }
    let mut text = Vec::new();
    Man::new(page.clone()).render(&mut text).context("manual")?;
    std::io::stdout().write_all(&text).context("stdout")?;
    Ok(ExitCode::SUCCESS)
}
