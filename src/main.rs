//! The program: parse the command line, derive the settings, run the command, give an exit code.
#![deny(unsafe_code, clippy::print_stdout, clippy::print_stderr)]

#[macro_use]
mod say;

mod app;
mod cli;
mod command;
mod cpu;
mod exit;
mod folders;
mod guard;
mod hints;
mod plain_progress;
mod plural;
mod remote;
mod report;
mod settings;
mod trial;

use anyhow::Result;
use clap::{CommandFactory, FromArgMatches};
use settings::Config;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let first = arguments.next();
    let first_is = |hidden: &str| first.as_ref().is_some_and(|first| first == hidden);
    if first_is(command::CONFINED) {
        return command::become_confined(arguments);
    }
    if first_is(trial::TRIAL) {
        return trial::become_trial(arguments);
    }
    if first_is(remote::MEMBER) {
        return remote::become_member();
    }
    if first_is(remote::SERVER) {
        return remote::become_server(arguments);
    }
    if let Err(missing) = cpu::check() {
        tell!("error: {missing}");
        return ExitCode::from(1);
    }
    let done = command::completions::answer().unwrap_or_else(run);
    done.unwrap_or_else(|error| report::failure(&error))
}

fn run() -> Result<ExitCode> {
    let config = folders::config_path().and_then(|path| Config::load(&path));
    let command = match &config {
        Ok(config) => config.as_defaults(cli::Cli::command()),
        Err(_) => cli::Cli::command(),
    };
    let matches = command.get_matches_from(cli::spell_out(std::env::args_os()));
    let cli = cli::Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let config = match (config, &cli.command) {
        (Err(error), Some(command)) if command.takes_settings() => return Err(error),
        (config, _) => config.unwrap_or_default(),
    };
    let app = app::App::new(config)?;
    command::run(&app, cli.command, &matches)
}
