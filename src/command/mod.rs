//! One file a subcommand; beside them what several of them show: `facts`, `table`, `transfer`.

mod align;
mod bench;
mod chat;
mod completions;
mod doctor;
mod eval;
mod facts;
mod models;
mod pack;
mod prompt_cache;
mod run;
mod score;
mod session;
mod table;
mod transfer;
mod weigh;

use crate::app::App;
use crate::cli::Command;
use anyhow::Result;
use std::process::ExitCode;

/// Runs what was typed.
pub fn run(app: &App, command: Command) -> Result<ExitCode> {
    match command {
        Command::Chat(args) => chat::run(app, &args),
        Command::Run(args) => run::run(app, &args),
        Command::Weigh(args) => weigh::run(app, &args),
        Command::Align(args) => align::run(app, &args),
        Command::Eval(args) => eval::run(app, &args),
        Command::Score(args) => score::run(app, &args),
        Command::Bench(args) => bench::run(app, &args),
        Command::Pack(args) => pack::run(app, &args),
        Command::Models(args) => models::run(app, &args),
        Command::Doctor(args) => doctor::run(app, &args),
        Command::Completions(args) => completions::run(&args),
    }
}
