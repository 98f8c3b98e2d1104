//! The command that serves.

use super::Given;
use super::parameters::Serving;
use clap::{Args, ValueEnum};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

const SERVE_HELP: &str = "Clients of OpenAI, Anthropic, Ollama and llama-server find what they know: docs/clients.md \
has the lines to type for many of them, http://ADDRESS/openapi.json the routes. At http://ADDRESS/ is a page for a \
browser, with the sessions of `packllm chat`. What is set of sampling and fusion \
holds where a request does not say. SIGTERM or Ctrl-C lets answers under way end, a second one ends at once.";

#[derive(Debug, Args)]
#[command(after_help = SERVE_HELP)]
pub struct ServeArgs {
    /// Address to listen on; another than this machine's own needs a key, or --no-auth
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1", value_parser = address)]
    pub host: IpAddr,
    /// Port to listen on; 0 takes a free one
    #[arg(long, value_name = "N", default_value_t = 8114)]
    pub port: u16,
    /// A key that requests must bring; repeat for several
    #[arg(
        long,
        value_name = "KEY",
        env = "PACKLLM_API_KEY",
        hide_env_values = true
    )]
    pub api_key: Vec<String>,
    /// A file of such keys, one a line
    #[arg(long, value_name = "FILE")]
    pub api_key_file: Option<PathBuf>,
    /// Let everybody ask who reaches the address
    #[arg(long, conflicts_with_all = ["api_key", "api_key_file"])]
    pub no_auth: bool,
    /// A name that requests may call this server by, besides its address and localhost; repeat for several
    #[arg(long, value_name = "NAME")]
    pub allow_host: Vec<String>,
    /// An origin whose pages may ask, as `https://chat.example`; repeat for several
    #[arg(long, value_name = "ORIGIN")]
    pub allow_origin: Vec<String>,
    /// Serve no page at the address, and none of the conversations that it keeps
    #[arg(long, visible_alias = "no-webui")]
    pub no_page: bool,
    /// What the pack is called in answers, instead of its name
    #[arg(long, value_name = "NAME")]
    pub alias: Option<String>,
    /// Answers at once; they share the context (-c)
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = at_least_one)]
    pub parallel: usize,
    /// Requests that may wait; more are told to come again
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub max_queue: usize,
    /// Most tokens of any answer [default: until the context is full]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub max_answer: Option<usize>,
    /// Unload the pack after so much time without a request (90s, 5m, 1h); the next one loads it [default: never]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub keep_alive: Option<Duration>,
    /// How the access log on stderr is written
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub log_format: Format,
    #[command(flatten)]
    pub given: Given<Serving>,
}

/// How the access log is written.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub enum Format {
    /// A line for people
    #[default]
    Text,
    /// A JSON object a line
    Json,
    /// No log
    Off,
}

pub(super) fn address(text: &str) -> Result<IpAddr, String> {
    match text {
        "localhost" => Ok(IpAddr::from([127, 0, 0, 1])),
        text => text
            .parse()
            .map_err(|_| "it must be an address of this machine, 0.0.0.0 for all of them".into()),
    }
}

pub(super) fn at_least_one(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|n| *n > 0);
    number.ok_or_else(|| "it must be a whole number, at least 1".into())
}

fn duration(text: &str) -> Result<Duration, String> {
    let split = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[split.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => 0,
    };
    let seconds = split.parse::<u64>().ok().and_then(|n| n.checked_mul(unit));
    let seconds = seconds.filter(|_| unit > 0);
    let wrong = || "it must be a whole number of s, m or h, as 90s or 5m".to_owned();
    seconds.map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::duration;
    use std::time::Duration;

    #[test]
    fn durations_have_a_unit_or_are_seconds() {
        for (text, seconds) in [("90", 90), ("90s", 90), ("5m", 300), ("1h", 3600), ("0", 0)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)));
        }
        for text in ["", "m", "-1", "1d", "1.5h", "999999999999999999h", "5 m"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
