//! The program: parse, settle, run, map to an exit code.
#![deny(unsafe_code)]

mod app;
mod cli;
mod command;
mod cpu;
mod report;
mod settings;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    if let Err(missing) = cpu::check() {
        eprintln!("error: {missing}");
        return ExitCode::from(1);
    }
    let cli = cli::Cli::parse_from(cli::spell_out(std::env::args_os()));
    match app::App::new().and_then(|app| command::run(&app, cli.command)) {
        Ok(code) => code,
        Err(error) => report::failure(&error),
    }
}
