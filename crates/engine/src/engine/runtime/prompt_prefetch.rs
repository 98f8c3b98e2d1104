//! Prompt prefetch, on the member's own thread.

use super::MemberRuntime;
use crate::backend::BackendError;
use crate::engine::fusion::sequences;
use crate::engine::prompt_prefetch::{ExpectedPrompt, PrefetchedPrompt};
use crate::vocab::Alphabet;
use crate::vocab::cover::Budget;

/// Longest prompt that is prefetched: tokens. A longer one takes long to read: the other members
/// should first say whether it fits them, and a second of loading is little beside it.
const MAX_TOKENS: usize = 512;

impl MemberRuntime {
    /// Reads the expected prompt. The runtime then behaves as if nothing had been read: calls that
    /// configure, prepare and evaluate the very same are answered at once, and every other call
    /// forgets it first.
    ///
    /// Errors are dropped: they will occur again, and be returned, when the prompt is asked for.
    pub async fn prefetch_prompt(&mut self, expected: ExpectedPrompt) {
        match self.try_prefetch(expected).await {
            Ok(Some(prefetched)) => self.prefetched = Some(prefetched),
            // A runtime that cannot be emptied says so with the next call as well.
            Ok(None) | Err(_) => drop(self.begin_again()),
        }
    }

    async fn try_prefetch(
        &mut self,
        expected: ExpectedPrompt,
    ) -> Result<Option<PrefetchedPrompt>, BackendError> {
        let sequences = sequences(expected.alphabet, expected.budget);
        self.configure(expected.alphabet, expected.budget, sequences)?;
        // What leaves no room for an answer is refused later.
        let room = self.member.limits().context as usize / 2;
        let prepared = self.prepare(&expected.prompt)?;
        if !(1..=room.min(MAX_TOKENS)).contains(&prepared.tokens) {
            return Ok(None);
        }
        let scores = self.evaluate_prepared(expected.request).await?;
        Ok(Some(PrefetchedPrompt::new(expected, prepared, scores)))
    }

    /// Forgets the prefetched prompt, if there is one, because something else is wanted. The
    /// runtime is then as if it had read nothing, with the settings and the prompt that it was told
    /// meanwhile.
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

    /// Goes back to the beginning: nothing read, the alphabet of bytes, the default budget.
    fn begin_again(&mut self) -> Result<(), BackendError> {
        self.clear()?;
        let (alphabet, budget) = (Alphabet::Bytes, Budget::default());
        self.configure(alphabet, budget, sequences(alphabet, budget))
    }
}
