//! The prompt cache of a pack. Its first prompt, all but the last message, is taken from a file as
//! far as the two agree, or written there.

use super::{CacheNote, Host, Note};
use crate::engine::prompt_cache::file::{self, BadPromptCache};
use crate::engine::prompt_cache::{CachedPrompt, Identity, Loaded};
use crate::engine::{EngineError, Lockstep, Prepared, ScoreRequest};
use std::path::PathBuf;

/// See the module.
#[derive(Debug)]
pub struct PromptCache {
    path: PathBuf,
    backend: String,
    loaded: Vec<Loaded>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// Nothing was read yet.
    Fresh,
    /// The first prompt is under way; it is cached for this identity if it is worth it.
    Reading(Identity),
    /// The prompt is being cached.
    Keeping(Identity),
    /// Finished, or given up.
    Over,
}

impl PromptCache {
    /// A cache in this file. `backend` is the version of what evaluates, and `loaded` says where
    /// each member comes from.
    #[must_use]
    pub fn new(path: PathBuf, backend: &str, loaded: Vec<Loaded>) -> Self {
        Self {
            path,
            backend: backend.to_owned(),
            loaded,
            stage: Stage::Fresh,
        }
    }

    /// Before the first prompt is prepared: gives the members what the file holds; returns whether
    /// they have it. `all_read_along` is false where a member is scored on a prompt of its own,
    /// which empties its cache.
    pub(super) fn recall(
        &mut self,
        engine: &mut Lockstep,
        request: ScoreRequest,
        all_read_along: bool,
        host: &mut dyn Host,
    ) -> Result<bool, EngineError> {
        if !matches!(self.stage, Stage::Fresh) {
            return Ok(false);
        }
        self.stage = Stage::Over;
        let kept = match self.found(engine, request, all_read_along) {
            Ok(None) => return Ok(false),
            Ok(Some(kept)) => kept,
            Err(what) => {
                self.tell(what, host);
                return Ok(false);
            }
        };
        match engine.restore(kept) {
            Ok(()) => Ok(true),
            Err(EngineError::Cancelled) => Err(EngineError::Cancelled),
            Err(error) => {
                self.tell(CacheNote::NotRestored(error), host);
                Ok(false)
            }
        }
    }

    /// What the file holds for these members.
    fn found(
        &mut self,
        engine: &Lockstep,
        request: ScoreRequest,
        all_read_along: bool,
    ) -> Result<Option<Vec<CachedPrompt>>, CacheNote> {
        if !all_read_along {
            return Err(CacheNote::ReadApart);
        }
        let identity = Identity::of(engine, &self.backend, &self.loaded, request)
            .map_err(CacheNote::ModelFile)?;
        let found = file::read(&self.path, &identity);
        // The file is not ours, or cannot be read.
        if let Err(bad @ (BadPromptCache::Foreign | BadPromptCache::Io(_))) = found {
            return Err(CacheNote::LeftAlone(bad));
        }
        self.stage = Stage::Reading(identity);
        found.map_err(CacheNote::Outdated)
    }

    /// Before that prompt is evaluated: it is cached if a member has to read more than half of it.
    pub(super) fn keep(
        &mut self,
        engine: &mut Lockstep,
        prepared: &Prepared,
        host: &mut dyn Host,
    ) -> Result<(), EngineError> {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Reading(identity) => {
                let mut members = prepared.tokens.iter().zip(&prepared.new_tokens);
                if members.any(|(&all, &new)| 2 * new > all) {
                    match engine.cache_next_prompt() {
                        Ok(()) => self.stage = Stage::Keeping(identity),
                        Err(error @ EngineError::NotAlone(_)) => {
                            self.tell(CacheNote::NotSaved(error), host);
                        }
                        Err(error) => return Err(error),
                    }
                }
            }
            other => self.stage = other,
        }
        Ok(())
    }

    /// After the answer, which does not wait for it: writes the cached prompt.
    pub(super) fn write(&mut self, engine: &mut Lockstep, host: &mut dyn Host) {
        let Stage::Keeping(identity) = std::mem::replace(&mut self.stage, Stage::Over) else {
            return;
        };
        let what = match engine.take_cached_prompt() {
            Ok(Some(kept)) => match file::write(&self.path, &identity, &kept) {
                Ok(bytes) => CacheNote::Written {
                    tokens: kept.iter().map(CachedPrompt::tokens).max().unwrap_or(0),
                    bytes,
                },
                Err(error) => CacheNote::NotWritten(error),
            },
            Ok(None) if self.path.exists() => return,
            Ok(None) => CacheNote::NothingToKeep,
            Err(error) => CacheNote::NotSaved(error),
        };
        self.tell(what, host);
    }

    fn tell(&self, what: CacheNote, host: &mut dyn Host) {
        let path = self.path.clone();
        host.note(Note::PromptCache { path, what });
    }
}
