//! An answer from beginning to end.

use super::{Answer, AnswerOptions, Event, Generation};
use crate::engine::{EngineError, Lockstep};

impl Lockstep {
    /// Begins an answer after the prompts that were [read](Lockstep::read), with the weights of
    /// [`Lockstep::weigh`]. Nothing is evaluated before its first [`next`](Generation::next).
    ///
    /// # Errors
    /// For settings out of range.
    pub fn generate(&mut self, options: &AnswerOptions) -> Result<Generation<'_>, EngineError> {
        Generation::new(self, options)
    }

    /// As [`Lockstep::generate`], to the end. `sink` is given the text as it is made.
    ///
    /// # Errors
    /// From a member, or for settings out of range. What was reported stays valid; it is all that
    /// was said until then.
    pub fn answer(
        &mut self,
        options: &AnswerOptions,
        sink: &mut dyn FnMut(Event<'_>),
    ) -> Result<Answer, EngineError> {
        let mut generation = self.generate(options)?;
        while let Some(event) = generation.next()? {
            sink(event);
        }
        generation.finish()
    }
}
