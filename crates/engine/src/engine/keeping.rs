//! Prompts that outlive the program, see [`prompt_cache`](super::prompt_cache): asked for, taken,
//! and put back.

use super::prompt_cache::CachedPrompt;
use super::runtime::MemberRuntime;
use super::{Engine, EngineError};

impl Engine {
    /// Has the next prompt kept as it is read, all but its last message.
    ///
    /// # Errors
    /// From a member.
    pub fn cache_next_prompt(&mut self) -> Result<(), EngineError> {
        self.all(|_| MemberRuntime::cache_next_prompt).map(drop)
    }

    /// The prompt that was kept, one entry a member; None if it is no more than was restored, or
    /// less than two messages in it were to be scored.
    ///
    /// # Errors
    /// From a member.
    pub fn take_cached_prompt(&mut self) -> Result<Option<Vec<CachedPrompt>>, EngineError> {
        let kept = self.all(|_| MemberRuntime::take_cached_prompt)?;
        let kept: Option<Vec<CachedPrompt>> = kept.into_iter().collect();
        Ok(kept.filter(|members| members.iter().any(|kept| kept.grown)))
    }

    /// Takes a kept prompt, one entry a member, for what was read last. The evidence stays as it
    /// is: the next [`Engine::read`] adds what was scored of the part that its prompt shares.
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
