//! The command line. Only `settings` and the commands see these types.

use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;

mod lend;
mod manage;
mod measure;
mod parameters;
mod serve;
mod shared;

pub use lend::LendArgs;
pub use manage::{
    CompletionsArgs, ConfigArgs, ConfigCommand, DoctorArgs, ManArgs, ModelsCommand, PackCommand,
    TuneArgs,
};
pub use measure::{AlignArgs, BenchArgs, EvalArgs, ScoreArgs, ScoreName, SuiteName, WeighArgs};
pub use parameters::{Answers, Given, Loading, Packs, takes_config};
use parameters::{Keeping, Opening, Selection, spellings, takes_any_text};
pub use serve::{Format as ServeFormat, ServeArgs};
pub use shared::{FormArgs, PromptArgs};

/// Runs several small language models as one.
#[derive(Debug, Parser)]
#[command(
    name = "packllm",
    version,
    propagate_version = true,
    max_term_width = 100
)]
#[command(after_help = "Try: packllm run --pack starter -p \"Why is the sky blue?\"")]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
}

const CHAT_HELP: &str = "In the conversation /help lists its commands (/set, /weights, /members, /compare, /undo, /save, …), \
\"\"\" opens and closes several lines, Ctrl-O opens $EDITOR, Ctrl-C stops an answer, Ctrl-D leaves. Sessions and the history of \
lines are kept in packllm's state folder unless --no-history is given.";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Talk with a pack
    Chat(ChatArgs),
    /// Answer one prompt, streamed to stdout
    Run(RunArgs),
    /// Serve a pack to the clients of OpenAI, Anthropic, Ollama and llama-server
    Serve(ServeArgs),
    /// Lend this machine's devices to other machines
    Lend(LendArgs),
    /// Show how well each member predicts a text, and the weights that follow
    Weigh(WeighArgs),
    /// Show how far one vocabulary covers another, token by token
    Align(AlignArgs),
    /// Put questions to each member and to every mixture: choices, answers, last words, numbers, code
    Eval(EvalArgs),
    /// Bits per byte of members and mixtures on held-out text
    Score(ScoreArgs),
    /// Measure members and the pack on this machine
    Bench(BenchArgs),
    /// Pack manifests: list, show, new, check
    #[command(subcommand)]
    Pack(PackCommand),
    /// Models on disk: list, pull, import, show, remove, gc
    #[command(subcommand)]
    Models(ModelsCommand),
    /// Show devices, CPU and what a pack would take, before loading it
    Doctor(DoctorArgs),
    /// Show what is set, and where: by flag, environment, pack manifest, config file or default
    Config(ConfigArgs),
    /// Print the completions of a shell: bash, zsh, fish, …
    Completions(CompletionsArgs),
    /// Print a page of the manual: `packllm man run | man -l -`
    Man(ManArgs),
}

impl Command {
    /// Whether the command reads the config file.
    pub fn takes_settings(&self) -> bool {
        !matches!(
            self,
            Command::Completions(_)
                | Command::Man(_)
                | Command::Config(ConfigArgs {
                    action: Some(_),
                    ..
                })
        )
    }
}

#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub prompt: PromptArgs,
    #[command(flatten)]
    pub form: FormArgs,
    #[command(flatten)]
    pub given: Given<Answers>,
    /// Print one JSON document
    #[arg(long, help_heading = None)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = CHAT_HELP,
    mut_arg("no-history", |arg| arg.conflicts_with_all(["last", "session"])),
    mut_arg("connect", |arg| arg.conflicts_with_all(set_where_loaded()))
)]
pub struct ChatArgs {
    /// A pack by name or manifest file, as by --pack [default: that of the session]; with --connect, a model of
    /// the server
    #[arg(value_name = "PACK", conflicts_with_all = ["pack", "model", "hf-repo"])]
    pub name: Option<String>,
    #[command(flatten)]
    pub opening: Given<Opening>,
    /// Talk with a running `packllm serve` at this address, http://127.0.0.1:8114 say, and load nothing
    #[arg(long, value_name = "URL", value_hint = clap::ValueHint::Url)]
    pub connect: Option<String>,
    /// A file with the server's key in its first line [default: PACKLLM_API_KEY]
    #[arg(long, value_name = "FILE", requires = "connect")]
    pub api_key_file: Option<PathBuf>,
    /// Go on with the last session
    #[arg(long = "continue", conflicts_with = "session")]
    pub last: bool,
    /// Go on with the session of this name, or begin it
    #[arg(long, value_name = "NAME")]
    pub session: Option<String>,
    #[command(flatten)]
    pub keeping: Given<Keeping>,
    #[command(flatten)]
    pub given: Given<Answers>,
}

/// Flags of a chat that say how a pack is loaded: a server has its own.
fn set_where_loaded() -> Vec<&'static str> {
    let parameters = packllm_parameter::all().iter();
    let others = parameters.filter(|p| Answers::takes(p) && !p.is_asked());
    others.map(|parameter| &*parameter.name).collect()
}

/// Whether the flag takes the prompt, which is not in the table of parameters.
fn is_prompt(flag: &str) -> bool {
    matches!(flag, "-p" | "--prompt")
}

/// Replaces llama.cpp's spellings by the long flags, except where they are the value of a flag that
/// takes any text.
pub fn spell_out(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut out: Vec<OsString> = Vec::new();
    let mut value_follows = false;
    for arg in args {
        let text = arg.to_str().unwrap_or_default();
        let long = spellings().find(|(short, _)| *short == text && !value_follows);
        value_follows = !value_follows && (is_prompt(text) || takes_any_text(text));
        out.push(long.map_or_else(|| arg.clone(), |(_, long)| OsString::from(long)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use packllm_parameter::{FlashAttention, Layers};

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn llama_cpp_spellings_are_understood_but_not_in_texts() {
        let typed = [
            "packllm", "run", "-ngl", "3", "-dev", "none", "-p", "-ngl", "-sys", "-p", "-fa", "on",
        ];
        let cli = Cli::try_parse_from(spell_out(typed.map(OsString::from))).unwrap();
        let Some(Command::Run(run)) = cli.command else {
            panic!("not run")
        };
        assert_eq!(run.given.n_gpu_layers, Some(Layers::Some(3)));
        assert_eq!(run.given.device.as_deref(), Some(&["none".to_owned()][..]));
        assert_eq!(run.prompt.prompt.as_deref(), Some("-ngl"));
        assert_eq!(run.prompt.system_prompt.as_deref(), Some("-p"));
        assert_eq!(run.given.flash_attn(), FlashAttention::On);
    }
}
