//! Arguments that several commands take, beside the parameters.

use clap::Args;
use std::path::PathBuf;

/// What an answer has to look like.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Form of the answer")]
pub struct FormArgs {
    /// JSON that this JSON schema describes: a file, or the schema itself
    #[arg(long, value_name = "FILE|TEXT", conflicts_with = "grammar")]
    pub json_schema: Option<String>,
    /// A text of this grammar, in the notation of Lark
    #[arg(long, value_name = "FILE")]
    pub grammar: Option<PathBuf>,
}

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
