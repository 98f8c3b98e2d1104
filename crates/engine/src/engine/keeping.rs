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
        let kept = self.all(|_| MemberRuntime::take_cached_prompt)?;
        let kept: Option<Vec<CachedPrompt>> = kept.into_iter().collect();
        Ok(kept.filter(|members| members.iter().any(|kept| kept.grown)))
    }

    /// Puts a cached prompt, one entry a member, in place of what was read last. The evidence stays
    /// as it is: the next [`Engine::read`] adds the scores of the part that its prompt shares with
    /// the cached one.
    ///
    /// # Errors
    /// If it does not fit a member. Nothing is then read.
    pub fn restore(&mut self, kept: Vec<CachedPrompt>) -> Result<(), EngineError> {
        let mut kept = kept.into_iter();
        let restored = self.all(|_| {
            let kept = kept.next();
            move |runtime: &mut MemberRuntime| match kept {
                Some(kept) => runtime.restore(kept),
                None => runtime.clear(),
            }
        });
        if restored.is_err() {
            self.all(|_| MemberRuntime::clear)?;
        }
        restored.map(drop)
    }
}
