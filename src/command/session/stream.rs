//! An answer as it is made: on its way to stdout, or for a document.

use super::Session;
use crate::command::screen::{Look, View, Writer};
use anyhow::Result;
use packllm::chat::attribution::Attribution;
use packllm::engine::{Answer, Event, Generation};
use std::time::{Duration, Instant};

/// An answer that was streamed.
pub struct Streamed {
    pub answer: Answer,
    pub first_byte: Option<Duration>,
    /// Where it is asked for.
    pub attribution: Option<Attribution>,
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
        let attribution = writer.finish()?;
        Ok(Streamed {
            answer: answer?,
            first_byte,
            attribution,
        })
    }

    /// Generates without showing anything. The first byte's time is counted from `start`.
    pub fn gather(&mut self, generation: &Generation, start: Instant) -> Result<Streamed> {
        let members = self.engine.members().len();
        let mut attribution = generation.attribution.then(|| Attribution::new(members));
        let mut first_byte = None;
        let mut sink = |Event::Text(text, contributions): Event<'_>| {
            first_byte.get_or_insert_with(|| start.elapsed());
            if let Some(attribution) = &mut attribution {
                attribution.push(text, contributions);
            }
        };
        let answer = self.engine.answer(generation, &mut sink)?;
        if let Some(attribution) = &mut attribution {
            attribution.finish();
        }
        Ok(Streamed {
            answer,
            first_byte,
            attribution,
        })
    }
}
