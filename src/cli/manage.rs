//! Arguments of the commands around packs, models and the program itself.

use super::parameters::{Models, Network};
use super::{ChatArgs, Given, Packs};
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Flags are those of `packllm chat`: it shows what chat would take with them."
)]
pub struct ConfigArgs {
    #[command(subcommand)]
    pub action: Option<ConfigCommand>,
    #[command(flatten)]
    pub chat: ChatArgs,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, Copy, Subcommand)]
pub enum ConfigCommand {
    /// Print where the config file is, or would be
    Path,
    /// Write a config file with every key in it, commented out
    Init,
}

#[derive(Debug, Args)]
pub struct ManArgs {
    /// The page of this command, as `models pull` [default: the page of packllm itself]
    #[arg(value_name = "COMMAND")]
    pub command: Vec<String>,
    /// Write all pages into a folder
    #[arg(short, long, value_name = "DIR", conflicts_with = "command")]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

#[derive(Debug, Subcommand)]
pub enum PackCommand {
    /// List the packs: your own and the shipped ones
    List {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Print a pack's manifest
    Show {
        /// Name or manifest file
        pack: String,
    },
    /// Make a pack of models, with the sha256 of each; on a terminal, where no model is named, it
    /// proposes some of those on disk
    #[command(mut_args(|arg| arg.help_heading(None::<&str>)))]
    New {
        /// Name of the new pack; asked for where there is none
        name: Option<String>,
        #[command(flatten)]
        models: Given<Models>,
        /// Replace a pack of that name, or hide a shipped one
        #[arg(long)]
        replace: bool,
    },
    /// Check a manifest and its files: present, unharmed, usable together
    Check {
        /// Name or manifest file
        pack: String,
    },
    /// Find out whether a pack answers better than its best member, and write the one that does
    Tune(TuneArgs),
}

#[derive(Debug, Args)]
pub struct TuneArgs {
    /// Name or manifest file [default: starter] [env: PACKLLM_PACK=]
    pub pack: Option<String>,
    /// Files of your own questions, as for `eval` [default: a hundred of ours in ten domains]
    #[arg(value_name = "TASK.jsonl")]
    pub tasks: Vec<PathBuf>,
    /// Only the first questions of each file or domain [default: 10 of ours]
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Name of the pack that is written [default: the pack's, with -tuned]
    #[arg(long = "as", value_name = "NAME")]
    pub name: Option<String>,
    /// Replace a pack of that name
    #[arg(long)]
    pub replace: bool,
    /// Folder of the run, which goes on with what is there [default: one for this pack in the store]
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum ModelsCommand {
    /// List the models in the store
    List {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Download the models of a pack, or models by name; a stopped download goes on the next time
    #[command(mut_arg("offline", |arg| {
        arg.help("Never use the network: only check what is there").help_heading(None)
    }))]
    Pull {
        /// Name or manifest file of a pack; starter is 1.6 GB, tiny (for a quick trial) 0.35 GB. Or a
        /// model: hf:OWNER/REPO[:QUANT|/FILE], a URL, ollama:NAME, lmstudio:NAME
        /// [default: starter] [env: PACKLLM_PACK=]
        #[arg(value_name = "PACK|MODEL")]
        pack: Vec<String>,
        /// Accept licences that restrict use without being asked; needed where there is no terminal
        #[arg(short, long)]
        yes: bool,
        #[command(flatten)]
        network: Given<Network>,
    },
    /// Use GGUF files where they are: the caches of Hugging Face, Ollama and LM Studio, or a path
    Import {
        /// Files, folders, or numbers and names of the list; without any, the caches are searched
        /// and listed
        #[arg(value_name = "PATH|NUMBER|NAME")]
        paths: Vec<PathBuf>,
        /// Import everything found in the caches
        #[arg(long, conflicts_with = "paths")]
        all: bool,
        /// Name in the store, for a single file
        #[arg(long, value_name = "FILE", requires = "paths")]
        name: Option<String>,
    },
    /// Show what a model file says of itself: metadata, chat template, vocabulary
    Show {
        /// Its name in the store, a path, or hf:OWNER/REPO[:QUANT|/FILE] that is on disk
        model: PathBuf,
    },
    /// Remove a model (an imported file itself stays)
    Remove {
        /// Its file name in the store
        model: String,
    },
    /// Remove what stopped downloads left, and forget files that are gone
    Gc {
        /// Only say what would be removed
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Args)]
pub struct DoctorArgs {
    #[command(flatten)]
    pub given: Given<Packs>,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}
