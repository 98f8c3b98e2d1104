//! The engine's side of the [prompt cache](super::prompt_cache): to ask for a prompt, to take it,
//! and to put it back.

use super::prompt_cache::CachedPrompt;
use super::runtime::MemberRuntime;
use super::{Engine, EngineError};

impl Engine {
    /// Caches the next prompt as it is read, all but its last message.
    ///
    /// # Errors
    /// From a member.
    pub fn cache_next_prompt(&mut self) -> Result<(), EngineError> {
        self.all(|_| MemberRuntime::cache_next_prompt).map(drop)
    }

    /// The cached prompt, one entry a member. None if it is no longer than what was restored, or if
    /// fewer than two messages in it were to be scored.
    ///
    /// # Errors
    /// From a member.
    pub fn take_cached_prompt(&mut self) -> Result<Option<Vec<CachedPrompt>>, EngineError> {
        let cached = self.all(|_| MemberRuntime::take_cached_prompt)?;
        let cached: Option<Vec<CachedPrompt>> = cached.into_iter().collect();
        Ok(cached.filter(|members| members.iter().any(|cached| cached.grown)))
    }

    /// Puts a cached prompt, one entry a member, in place of what was read last. The evidence stays
    /// as it is: the next [`Engine::read`] adds the scores of the part that its prompt shares with
    /// the cached one.
    ///
    /// # Errors
    /// If it does not fit a member. Nothing is then read.
    pub fn restore(&mut self, cached: Vec<CachedPrompt>) -> Result<(), EngineError> {
        let mut cached = cached.into_iter();
        let restored = self.all(|_| {
            let cached = cached.next();
            move |runtime: &mut MemberRuntime| match cached {
                Some(cached) => runtime.restore(cached),
                None => runtime.clear(),
            }
        });
        if restored.is_err() {
            self.all(|_| MemberRuntime::clear)?;
        }
        restored.map(drop)
    }
}
