//! Keys of servers: never on the command line, where every program sees them.

use super::usage;
use anyhow::{Context, Result};
use std::path::Path;

/// The variable that holds a key.
const VARIABLE: &str = "PACKLLM_API_KEY";

/// The keys of a file, one a line; at least one.
pub fn keys_of(path: &Path) -> Result<Vec<String>> {
    let file = path.display();
    let text = std::fs::read_to_string(path).with_context(|| file.to_string())?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let keys: Vec<String> = lines.map(str::to_owned).collect();
    if keys.is_empty() {
        return usage(format!("{file}: there is no key in it, one a line"));
    }
    plain(keys)
}

/// The key of `PACKLLM_API_KEY`, if it is set.
pub fn key_of_environment() -> Result<Option<String>> {
    let key = std::env::var(VARIABLE).ok().filter(|key| !key.is_empty());
    Ok(plain(key.into_iter().collect())?.pop())
}

/// The keys, all of them of letters that a header may have.
pub fn plain(keys: Vec<String>) -> Result<Vec<String>> {
    let is_plain = |key: &String| !key.is_empty() && key.bytes().all(|b| b.is_ascii_graphic());
    match keys.iter().all(is_plain) {
        true => Ok(keys),
        false => usage("a key must be of ASCII letters, digits and signs, without spaces"),
    }
}
