//! `packllm completions`: what a shell needs to complete commands, flags and their values.
//!
//! The shell's script asks the program itself whenever Tab is pressed, with [`VARIABLE`] set. So
//! completions agree with what is parsed, and names are those that exist. The protocol is clap's,
//! except for bash.

use crate::cli::{Cli, CompletionsArgs, spell_out};
use crate::command::chat::sessions;
use crate::folders;
use anyhow::{Context, Result};
use clap::{Arg, Command, CommandFactory};
use clap_complete::engine::{
    ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter,
};
use clap_complete::env::{Elvish, EnvCompleter, Fish, Powershell, Zsh};
use std::ffi::OsStr;
use std::io::Write;
use std::process::ExitCode;

mod bash;

/// Set, to the name of the shell, when a shell asks for completions of the words after `--`.
const VARIABLE: &str = "PACKLLM_COMPLETE";

const SHELLS: [&dyn EnvCompleter; 5] = [&bash::Bash, &Elvish, &Fish, &Powershell, &Zsh];

/// Prints a shell's script.
pub fn run(args: &CompletionsArgs) -> Result<ExitCode> {
    let mut script = Vec::new();
    completer(&args.shell.to_string())?.write_registration(
        VARIABLE,
        "packllm",
        "packllm",
        "packllm",
        &mut script,
    )?;
    print(&script)
}

/// Answers the shell, if one asks.
pub fn answer() -> Option<Result<ExitCode>> {
    let shell = std::env::var(VARIABLE).ok().filter(|s| !s.is_empty())?;
    Some(answer_to(&shell))
}

fn answer_to(shell: &str) -> Result<ExitCode> {
    let words = std::env::args_os().skip_while(|word| word != "--").skip(1);
    let folder = std::env::current_dir().ok();
    let mut names = Vec::new();
    completer(shell)?.write_complete(
        &mut with_names(Cli::command()),
        spell_out(words),
        folder.as_deref(),
        &mut names,
    )?;
    print(&names)
}

fn completer(shell: &str) -> Result<&'static dyn EnvCompleter> {
    let found = SHELLS.into_iter().find(|completer| completer.is(shell));
    found.with_context(|| format!("{VARIABLE}={shell}: no such shell"))
}

fn print(text: &[u8]) -> Result<ExitCode> {
    std::io::stdout().write_all(text).context("stdout")?;
    Ok(ExitCode::SUCCESS)
}

/// The commands, with completions for arguments that name packs, models and sessions.
fn with_names(command: Command) -> Command {
    named(command).mut_subcommand("chat", |chat| {
        chat.mut_arg("name", |arg| arg.add(completed(packs, true)))
    })
}

/// By the name of the argument, which means the same in all commands.
fn named(command: Command) -> Command {
    let add = |arg: Arg| match arg.get_id().as_str() {
        "pack" => arg.add(completed(packs, true)),
        "model" => arg.add(completed(models, true)),
        "hf-repo" => arg.add(completed(repositories, false)),
        "session" => arg.add(completed(talks, false)),
        _ => arg,
    };
    command.mut_args(add).mut_subcommands(named)
}

/// Completes names that begin with the typed text, and also paths if `paths`. An error gives no
/// names.
fn completed(names: fn() -> Result<Vec<String>>, paths: bool) -> ArgValueCompleter {
    ArgValueCompleter::new(move |typed: &OsStr| {
        let begin = typed.to_string_lossy();
        let names = names().unwrap_or_default().into_iter();
        let fitting = names.filter(|name| name.starts_with(&*begin));
        let mut found: Vec<_> = fitting.map(CompletionCandidate::new).collect();
        if paths {
            found.extend(PathCompleter::any().complete(typed));
        }
        found
    })
}

fn packs() -> Result<Vec<String>> {
    let packs = folders::store()?.packs()?.into_iter();
    Ok(packs.map(|pack| pack.name).collect())
}

fn models() -> Result<Vec<String>> {
    let present = folders::store()?
        .list()?
        .into_iter()
        .filter(|one| one.present);
    Ok(present.map(|one| one.model.file).collect())
}

/// Repositories of the hub's cache that have models.
fn repositories() -> Result<Vec<String>> {
    let found = folders::store()?.caches().scan().into_iter();
    let mut names: Vec<String> = found
        .filter_map(|one| one.origin.strip_prefix("hf:").map(str::to_owned))
        .collect();
    names.dedup();
    Ok(names)
}

fn talks() -> Result<Vec<String>> {
    Ok(sessions::names(&folders::state()?.join("sessions")))
}
