//! How models are fetched: what huggingface_hub and its users set in the environment.

use super::usage;
use anyhow::Result;
use packllm_store::PullOptions;
use std::path::PathBuf;

/// Options for the network, from the environment.
pub fn network(offline: bool) -> Result<PullOptions> {
    let mut options = PullOptions {
        hub_token: given("HF_TOKEN").or_else(token_of_file),
        offline: offline || is_true("HF_HUB_OFFLINE") || is_true("TRANSFORMERS_OFFLINE"),
        ..PullOptions::default()
    };
    if let Some(endpoint) = given("HF_ENDPOINT") {
        if !endpoint.starts_with("https://") && !endpoint.starts_with("http://") {
            return usage(format!(
                "HF_ENDPOINT is `{endpoint}`: it has to start with https://"
            ));
        }
        options.hub_endpoint = endpoint;
    }
    if let Some(python) = std::env::var_os("PACKLLM_PYTHON").filter(|path| !path.is_empty()) {
        options.python = python.into();
    }
    Ok(options)
}

fn given(name: &str) -> Option<String> {
    let value = std::env::var(name).ok()?.trim().to_owned();
    (!value.is_empty()).then_some(value)
}

/// As huggingface_hub reads it.
fn is_true(name: &str) -> bool {
    let value = given(name).map(|value| value.to_uppercase());
    value.is_some_and(|value| ["1", "ON", "YES", "TRUE"].contains(&value.as_str()))
}

/// The token that `hf auth login` keeps.
fn token_of_file() -> Option<String> {
    if is_true("HF_HUB_DISABLE_IMPLICIT_TOKEN") {
        return None;
    }
    let home = || {
        let cache = given("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.or_else(|| Some(dirs::home_dir()?.join(".cache")))?;
        Some(cache.join("huggingface"))
    };
    let in_home = || {
        Some(
            given("HF_HOME")
                .map(PathBuf::from)
                .or_else(home)?
                .join("token"),
        )
    };
    let path = given("HF_TOKEN_PATH").map(PathBuf::from).or_else(in_home)?;
    let text = std::fs::read_to_string(path).ok()?;
    let token = text.trim();
    (!token.is_empty()).then(|| token.to_owned())
}
