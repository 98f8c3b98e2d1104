//! A prompt is read before it is asked for.

use super::MemberRuntime;
use crate::backend::{BackendError, Member};
use crate::engine::prompt_prefetch::{ExpectedPrompt, PrefetchedPrompt};
use crate::vocab::Alphabet;
use crate::vocab::cover::Budget;

/// Longest prompt that is read ahead: tokens. One that takes long may be wrong for another member,
/// which is to be told before; and next to it a second of loading is little.
const MAX_TOKENS: usize = 512;

impl MemberRuntime {
    /// Reads what is expected. Until it is asked for, the runtime looks as if nothing had been
    /// read: what configures, prepares and evaluates the very same is answered at once, and
    /// everything else forgets it first.
    ///
    /// Whatever goes wrong will go wrong again, and be told, when it is asked for.
    pub fn prefetch_prompt(&mut self, expected: ExpectedPrompt) {
        match self.try_prefetch(expected) {
            Ok(Some(prefetched)) => self.prefetched = Some(prefetched),
            // A runtime that cannot be emptied says so with the next call as well.
            Ok(None) | Err(_) => drop(self.begin_again()),
        }
    }

    fn try_prefetch(
        &mut self,
        expected: ExpectedPrompt,
    ) -> Result<Option<PrefetchedPrompt>, BackendError> {
        self.configure(expected.alphabet, expected.budget)?;
        // What leaves no room for an answer is refused later.
        let room = self.member.limits().context as usize / 2;
        let prepared = self.prepare(&expected.prompt)?;
        if !(1..=room.min(MAX_TOKENS)).contains(&prepared.tokens) {
            return Ok(None);
        }
        let scores = self.evaluate_prepared(expected.request)?;
        Ok(Some(PrefetchedPrompt::new(expected, prepared, scores)))
    }

    /// Something else is wanted than what was read ahead, if anything was: the runtime is as if it
    /// had read nothing, and knows what it was told meanwhile.
    pub fn forget_prefetched(&mut self) -> Result<(), BackendError> {
        let Some(prefetched) = self.prefetched.take() else {
            return Ok(());
        };
        let (configured, asked) = prefetched.asked();
        match configured {
            true => self.clear()?,
            false => self.begin_again()?,
        }
        if let Some(prompt) = asked {
            self.prepare(&prompt)?;
        }
        Ok(())
    }

    /// Is as it was at first: nothing read, by bytes, with the default budget.
    fn begin_again(&mut self) -> Result<(), BackendError> {
        self.clear()?;
        self.configure(Alphabet::Bytes, Budget::default())
    }
}
