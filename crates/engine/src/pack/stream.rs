//! An answer as it is made, and its attribution.

use super::Conversation;
use crate::chat::attribution::Attribution;
use crate::engine::{Answer, AnswerOptions, EngineError, Event};

/// An answer that was streamed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Streamed {
    /// The answer, without its opening.
    pub answer: Answer,
    /// Where it is asked for.
    pub attribution: Option<Attribution>,
}

/// More of an answer.
#[derive(Debug, Clone, Copy)]
pub struct More<'a> {
    /// Whole characters; none at the very end, when the last piece of the attribution is whole.
    pub text: &'a str,
    /// All so far, where it is asked for.
    pub attribution: Option<&'a Attribution>,
}

impl Conversation {
    /// Generates after what was read. `sink` is given the text as it is made, after the `opening`
    /// of [`Read`](super::Read), and an empty text at the end.
    ///
    /// # Errors
    /// As [`Engine::answer`](crate::engine::Lockstep::answer). What the sink was given before stays
    /// valid.
    pub fn stream(
        &mut self,
        generation: &AnswerOptions,
        opening: &str,
        sink: &mut dyn FnMut(More<'_>),
    ) -> Result<Streamed, EngineError> {
        let members = self.lockstep.members().len();
        let mut attribution = generation.attribution.then(|| Attribution::new(members));
        let mut opening = Some(opening).filter(|opening| !opening.is_empty());
        let mut push = |text: &str, contributions: &[f64]| {
            if let Some(attribution) = &mut attribution {
                attribution.push(text, contributions);
            }
            let attribution = attribution.as_ref();
            sink(More { text, attribution });
        };
        let answer = self
            .lockstep
            .answer(generation, &mut |Event::Text(text, contributions)| {
                if let Some(opening) = opening.take() {
                    push(opening, &[]);
                }
                push(text, contributions);
            });
        if let Some(attribution) = &mut attribution {
            attribution.finish();
        }
        sink(More {
            text: "",
            attribution: attribution.as_ref(),
        });
        Ok(Streamed {
            answer: answer?,
            attribution,
        })
    }
}
