//! An answer as it is made: on its way to stdout, or for a document.

use super::Session;
use crate::command::screen::{Look, View, Writer};
use anyhow::Result;
use packllm_engine::chat::attribution::Attribution;
use packllm_engine::engine::{Answer, Event, Generation};
use std::time::{Duration, Instant};

/// An answer that was streamed.
pub struct Streamed {
    pub answer: Answer,
    /// Where somebody saw it.
    pub first_byte: Option<Duration>,
    /// Where it is asked for.
    pub attribution: Option<Attribution>,
    /// Tokens by which each member spells what came after the last prompt: the last part of the answer, if it was
    /// made in several.
    pub tail: Vec<usize>,
    /// Whether all of it could be written: a terminal may close, a disk fill up. What was said is there all the same.
    pub shown: Result<()>,
}

impl Streamed {
    /// The answer went on after a prompt that ended with what was said of it.
    pub fn append(&mut self, more: Streamed) {
        self.answer.append(more.answer);
        (self.tail, self.shown) = (more.tail, more.shown);
        if let (Some(first), Some(more)) = (&mut self.attribution, more.attribution) {
            first.append(more);
        }
    }
}

impl Session<'_> {
    /// Generates to stdout what follows `begun`, which was shown already, and `opening`, which is shown before
    /// it. The first byte's time is counted from `start`.
    pub fn stream(
        &mut self,
        generation: &Generation,
        look: Look,
        start: Instant,
        begun: &str,
        opening: &str,
    ) -> Result<Streamed> {
        let view = View::new(self.app, look, begun);
        let members = self.engine.members().len();
        let mut writer = Writer::new(view, opening).attributing(generation.attribution, members);
        let mut first_byte = None;
        let mut sink = |Event::Text(text, contributions): Event<'_>| {
            first_byte.get_or_insert_with(|| start.elapsed());
            writer.push(text, contributions);
        };
        let answer = self.engine.answer(generation, &mut sink);
        let (attribution, shown) = writer.finish();
        let answer = answer?;
        Ok(Streamed {
            tail: answer.member_tokens.clone(),
            answer,
            first_byte,
            attribution,
            shown,
        })
    }

    /// Generates without showing anything.
    pub fn gather(&mut self, generation: &Generation) -> Result<Streamed> {
        let members = self.engine.members().len();
        let mut attribution = generation.attribution.then(|| Attribution::new(members));
        let mut sink = |Event::Text(text, contributions): Event<'_>| {
            if let Some(attribution) = &mut attribution {
                attribution.push(text, contributions);
            }
        };
        let answer = self.engine.answer(generation, &mut sink)?;
        if let Some(attribution) = &mut attribution {
            attribution.finish();
        }
        Ok(Streamed {
            tail: answer.member_tokens.clone(),
            answer,
            first_byte: None,
            attribution,
            shown: Ok(()),
        })
    }
}
