//! One file for each subcommand, and what several of them share: `loaded`, `facts`, `question`,
//! `screen`, `table`, `transfer`.

mod align;
mod bench;
mod chat;
pub mod completions;
mod config;
mod doctor;
mod eval;
mod facts;
mod lend;
mod loaded;
mod man;
mod models;
mod outlook;
mod pack;
mod question;
mod run;
mod score;
mod screen;
mod serve;
mod table;
mod transfer;
mod weigh;
mod welcome;

pub use eval::code::{CONFINED, become_confined};

use crate::app::App;
use crate::cli::Command;
use anyhow::Result;
use clap::ArgMatches;
use std::process::ExitCode;

/// Runs the command; `matches` tell where its values come from.
pub fn run(app: &App, command: Option<Command>, matches: &ArgMatches) -> Result<ExitCode> {
    let Some(command) = command else {
        return welcome::run(app);
    };
    match command {
        Command::Chat(args) => chat::run(app, &args),
        Command::Run(args) => run::run(app, &args),
        Command::Serve(args) => serve::run(app, &args),
        Command::Lend(args) => lend::run(app, &args),
        Command::Weigh(args) => weigh::run(app, &args),
        Command::Align(args) => align::run(app, &args),
        Command::Eval(args) => eval::run(app, &args),
        Command::Score(args) => score::run(app, &args),
        Command::Bench(args) => bench::run(app, &args),
        Command::Pack(args) => pack::run(app, &args),
        Command::Models(args) => models::run(app, &args),
        Command::Doctor(args) => doctor::run(app, &args),
        Command::Config(args) => config::run(app, &args, matches),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(app, &args),
    }
}
