//! Arguments that several commands take, beside the parameters.

use clap::Args;
use std::path::PathBuf;

/// The text to work on.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Prompt")]
pub struct PromptArgs {
    /// The prompt; `-` reads it from stdin
    #[arg(
        short,
        long,
        value_name = "TEXT",
        conflicts_with = "file",
        allow_hyphen_values = true
    )]
    pub prompt: Option<String>,
    /// Read the prompt from a file (one line feed at its end is cut off)
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// System prompt (-sys)
    #[arg(
        long,
        value_name = "TEXT",
        conflicts_with = "raw",
        allow_hyphen_values = true
    )]
    pub system_prompt: Option<String>,
    /// Take the prompt as plain text, without chat templates
    #[arg(long)]
    pub raw: bool,
}
