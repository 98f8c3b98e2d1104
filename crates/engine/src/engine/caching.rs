//! The engine's side of the [prompt cache](super::prompt_cache): to ask for a prompt, to take it,
//! and to put it back.

use super::prompt_cache::CachedPrompt;
use super::runtime::MemberRuntime;
use super::{EngineError, Lockstep};

impl Lockstep {
    /// Caches the next prompt as it is read, all but its last message.
    ///
    /// # Errors
    /// [`EngineError::NotAlone`]; from a member.
    pub fn cache_next_prompt(&mut self) -> Result<(), EngineError> {
        self.alone()?;
        let cache = async |runtime: &mut MemberRuntime| runtime.cache_next_prompt();
        self.all(|_| cache).map(drop)
    }

    /// The cached prompt, one entry a member. None if it is no longer than what was restored, or if
    /// fewer than two messages in it were to be scored.
    ///
    /// # Errors
    /// From a member.
    pub fn take_cached_prompt(&mut self) -> Result<Option<Vec<CachedPrompt>>, EngineError> {
        let cached =
            self.all(|_| async |runtime: &mut MemberRuntime| runtime.take_cached_prompt())?;
        let cached: Option<Vec<CachedPrompt>> = cached.into_iter().collect();
        Ok(cached.filter(|members| members.iter().any(|cached| cached.grown)))
    }

    /// Puts a cached prompt, one entry a member, in place of what was read last. The evidence stays
    /// as it is: the next [`Lockstep::read`] adds the scores of the part that its prompt shares with
    /// the cached one.
    ///
    /// # Errors
    /// [`EngineError::NotAlone`]; if it does not fit a member. Nothing is then read.
    pub fn restore(&mut self, cached: Vec<CachedPrompt>) -> Result<(), EngineError> {
        self.alone()?;
        let mut cached = cached.into_iter();
        let restored = self.all(|_| {
            let cached = cached.next();
            async move |runtime: &mut MemberRuntime| match cached {
                Some(cached) => runtime.restore(cached),
                None => runtime.clear(),
            }
        });
        if restored.is_err() {
            self.all(|_| async |runtime: &mut MemberRuntime| runtime.clear())?;
        }
        restored.map(drop)
    }

    /// What is saved is a whole KV cache, so nobody else may have anything in it.
    fn alone(&self) -> Result<(), EngineError> {
        match self.engine.conversations() {
            1 => Ok(()),
            others => Err(EngineError::NotAlone(others - 1)),
        }
    }
}
