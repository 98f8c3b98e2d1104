//! `--prompt-cache FILE`: what a session reads first, all but the last message, taken from a file as far as they
//! agree.

use crate::settings::PackPlan;
use indicatif::HumanBytes;
use packllm_engine::engine::prompt_cache::file::{self, BadPromptCache};
use packllm_engine::engine::prompt_cache::{CachedPrompt, Identity, Loaded};
use packllm_engine::engine::{Engine, EngineError, Prepared, ScoreRequest};
use packllm_llama::LoadOptions;
use std::path::PathBuf;

/// See the module.
pub struct PromptCache {
    path: PathBuf,
    loads: Vec<LoadOptions>,
    stage: Stage,
}

enum Stage {
    /// Nothing was read yet.
    Fresh,
    /// The prompt under way; it is kept for this identity if it is worth it.
    Reading(Identity),
    /// It is being kept.
    Keeping(Identity),
    /// Done with, or given up.
    Over,
}

/// What was found.
#[derive(Default)]
pub struct Recalled {
    /// Whether the members have what was kept.
    pub found: bool,
    /// What a user should know.
    pub trouble: Option<String>,
}

impl PromptCache {
    pub fn new(path: PathBuf, plan: &PackPlan) -> Self {
        Self {
            path,
            loads: plan.members.iter().map(|m| m.load.clone()).collect(),
            stage: Stage::Fresh,
        }
    }

    /// Before the first prompt is prepared: gives the members what the file holds. `all_read_along` is false
    /// where a member is scored on a prompt of its own, which its cache does not outlive.
    pub fn recall(
        &mut self,
        engine: &mut Engine,
        request: ScoreRequest,
        all_read_along: bool,
    ) -> Result<Recalled, EngineError> {
        if !matches!(self.stage, Stage::Fresh) {
            return Ok(Recalled::default());
        }
        self.stage = Stage::Over;
        if !all_read_along {
            return Ok(self.trouble("a member is measured on a prompt of its own: it is not used"));
        }
        let loaded: Vec<Loaded> = self.loaded(engine);
        let identity = match Identity::of(engine, packllm_llama::VERSION, &loaded, request) {
            Ok(identity) => identity,
            Err(error) => return Ok(self.trouble(&format!("not used: a model file: {error}"))),
        };
        let found = match file::read(&self.path, &identity) {
            Ok(found) => found,
            // What is there is not ours to replace, or cannot be.
            Err(bad @ (BadPromptCache::Foreign | BadPromptCache::Io(_))) => {
                return Ok(self.trouble(&format!("{bad}: it is left alone, and no prompt is kept")));
            }
            Err(bad) => {
                self.stage = Stage::Reading(identity);
                return Ok(self.trouble(&format!("{bad}: it is written anew")));
            }
        };
        self.stage = Stage::Reading(identity);
        let Some(kept) = found else {
            return Ok(Recalled::default());
        };
        match engine.restore(kept) {
            Ok(()) => Ok(Recalled {
                found: true,
                trouble: None,
            }),
            Err(EngineError::Cancelled) => Err(EngineError::Cancelled),
            Err(error) => Ok(self.trouble(&format!("{error}: it is written anew"))),
        }
    }

    /// Before that prompt is evaluated: it is to be kept where a member has to read more than half of it.
    pub fn keep(&mut self, engine: &mut Engine, prepared: &Prepared) -> Result<(), EngineError> {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Reading(identity) => {
                let mut members = prepared.tokens.iter().zip(&prepared.new_tokens);
                if members.any(|(&all, &new)| 2 * new > all) {
                    engine.cache_next_prompt()?;
                    self.stage = Stage::Keeping(identity);
                }
            }
            other => self.stage = other,
        }
        Ok(())
    }

    /// After the answer, which does not wait for it: writes what was kept. Returns what a user should know.
    pub fn write(&mut self, engine: &mut Engine) -> Option<String> {
        let Stage::Keeping(identity) = std::mem::replace(&mut self.stage, Stage::Over) else {
            return None;
        };
        let path = self.path.display();
        let kept = match engine.take_cached_prompt() {
            Ok(Some(kept)) => kept,
            Ok(None) if self.path.exists() => return None,
            Ok(None) => {
                return Some(format!(
                    "--prompt-cache {path}: nothing is kept: it keeps the messages before the last (a system prompt, say)"
                ));
            }
            Err(error) => return Some(format!("--prompt-cache {path}: not written: {error}")),
        };
        Some(match file::write(&self.path, &identity, &kept) {
            Ok(bytes) => {
                let tokens = kept.iter().map(CachedPrompt::tokens).max().unwrap_or(0);
                format!(
                    "a prompt of {tokens} tok is kept in {path} ({})",
                    HumanBytes(bytes)
                )
            }
            Err(error) => format!("--prompt-cache {path}: not written: {error}"),
        })
    }

    fn loaded(&self, engine: &Engine) -> Vec<Loaded> {
        let members = engine.members().iter().zip(&self.loads);
        let loaded = members.map(|(member, load)| Loaded {
            path: load.path.clone(),
            settings: load.signature(&member.description.placement),
        });
        loaded.collect()
    }

    fn trouble(&self, what: &str) -> Recalled {
        Recalled {
            found: false,
            trouble: Some(format!("--prompt-cache {}: {what}", self.path.display())),
        }
    }
}
