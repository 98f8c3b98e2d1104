//! The prompt, and how it is answered.

use super::usage;
use crate::cli::PromptArgs;
use anyhow::{Context, Result, bail};
use packllm_engine::backend::MemberInfo;
use packllm_engine::engine::{AnswerOptions, Drafter, Fusion, Lookup};
use packllm_engine::sample::Params;
use packllm_engine::vocab::Alphabet;
use packllm_parameter::{Draft, Values};
use std::path::PathBuf;

/// How an answer is drawn. A missing seed is drawn here, so that it can be shown.
pub fn generation(held: &Values) -> Result<AnswerOptions> {
    let stops = held.stop.clone().unwrap_or_default();
    if stops.iter().any(String::is_empty) {
        return usage("--stop: a stop string is empty");
    }
    let sampling = Params {
        temperature: held.temp(),
        top_k: held.top_k(),
        top_p: held.top_p(),
        min_p: held.min_p(),
        repeat_penalty: held.repeat_penalty(),
        repeat_last_n: window(held.repeat_last_n()),
        repeat_stop: held.repeat_stop().ends(false),
        seed: held.seed.unwrap_or_else(random_seed),
    };
    Ok(AnswerOptions {
        limit: usize::try_from(held.predict()).ok(),
        sampling,
        stops,
        attribution: false,
    })
}

/// How many tokens the repetition penalty looks at; a negative number means the whole answer.
fn window(tokens: i64) -> usize {
    usize::try_from(tokens).unwrap_or(1 << 20)
}

/// The drafter of these members' answers, if drafts are on.
pub fn drafter(draft: Draft, members: &[MemberInfo]) -> Option<Box<dyn Drafter>> {
    match draft {
        Draft::Auto => Some(Box::new(Lookup::of(members))),
        Draft::Off => None,
    }
}

/// A random seed, short enough to be typed again.
pub fn random_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::time::SystemTime::now()) % 1_000_000_000
}

/// Reads the prompt; None if none was given and stdin is a terminal.
pub fn read_prompt(typed: &PromptArgs) -> Result<Option<String>> {
    use std::io::{IsTerminal, Read};
    let from_stdin = || -> Result<String> {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).context("stdin")?;
        text_of(bytes, "stdin")
    };
    match (&typed.prompt, &typed.file) {
        (Some(text), _) if text == "-" => Ok(Some(from_stdin()?)),
        (Some(text), _) => Ok(Some(text.clone())),
        (None, Some(path)) => {
            let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
            Ok(Some(text_of(bytes, &path.display().to_string())?))
        }
        (None, None) if std::io::stdin().is_terminal() => Ok(None),
        (None, None) => Ok(Some(from_stdin()?)),
    }
}

fn text_of(bytes: Vec<u8>, name: &str) -> Result<String> {
    match String::from_utf8(bytes) {
        Ok(mut text) => {
            if text.ends_with('\n') {
                text.pop();
                if text.ends_with('\r') {
                    text.pop();
                }
            }
            Ok(text)
        }
        Err(e) => bail!(
            "{name}: not valid UTF-8 at byte {}",
            e.utf8_error().valid_up_to()
        ),
    }
}

/// The file of `--prompt-cache`; an error if it cannot be used.
pub fn prompt_cache(held: &Values, fusion: &Fusion, raw: bool) -> Result<Option<PathBuf>> {
    let refuse = |why: &str| usage(format!("--prompt-cache {why}"));
    match &held.prompt_cache {
        None => Ok(None),
        Some(_) if raw => refuse("keeps whole messages, and with --raw there are none"),
        Some(_) if fusion.alphabet == Some(Alphabet::Mapped) => {
            refuse("and --vocab mined do not go together: the published mode keeps no prompt")
        }
        Some(path) => Ok(Some(path.clone())),
    }
}
