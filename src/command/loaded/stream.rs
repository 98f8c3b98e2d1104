//! An answer as it is made: on its way to stdout, or for a document.

use super::LoadedPack;
use crate::command::screen::{Look, View, Writer};
use anyhow::Result;
use packllm_engine::chat::attribution::Attribution;
use packllm_engine::engine::{Answer, Generation};
use packllm_engine::pack::Streamed;
use std::time::{Duration, Instant};

/// An answer that was made, and shown if somebody looks.
pub struct Shown {
    pub answer: Answer,
    /// Where somebody saw it.
    pub first_byte: Option<Duration>,
    /// Where it is asked for.
    pub attribution: Option<Attribution>,
    /// Tokens by which each member spells what came after the last prompt: the last part of the
    /// answer, if it was made in several.
    pub tail: Vec<usize>,
    /// Whether all of it could be written: a terminal may close, a disk fill up. What was said is
    /// there all the same.
    pub written: Result<()>,
}

impl Shown {
    fn new(streamed: Streamed, first_byte: Option<Duration>, written: Result<()>) -> Self {
        let Streamed {
            answer,
            attribution,
            ..
        } = streamed;
        Self {
            tail: answer.member_tokens.clone(),
            answer,
            first_byte,
            attribution,
            written,
        }
    }

    /// The answer went on after a prompt that ended with what was said of it.
    pub fn append(&mut self, more: Shown) {
        self.answer.append(more.answer);
        (self.tail, self.written) = (more.tail, more.written);
        if let (Some(first), Some(more)) = (&mut self.attribution, more.attribution) {
            first.append(more);
        }
    }
}

impl LoadedPack<'_> {
    /// Generates to stdout what follows `begun`, which was shown already, and `opening`, which is
    /// shown before it. The first byte's time is counted from `start`.
    pub fn stream(
        &mut self,
        generation: &Generation,
        look: Look,
        start: Instant,
        begun: &str,
        opening: &str,
    ) -> Result<Shown> {
        let mut writer = Writer::new(View::new(self.terminal.app, look, begun));
        let mut first_byte = None;
        let streamed = self.pack.stream(generation, opening, &mut |more| {
            if !more.text.is_empty() {
                first_byte.get_or_insert_with(|| start.elapsed());
            }
            writer.push(more);
        });
        let written = writer.finish();
        Ok(Shown::new(streamed?, first_byte, written))
    }

    /// Generates without showing anything.
    pub fn gather(&mut self, generation: &Generation) -> Result<Shown> {
        let streamed = self.pack.stream(generation, "", &mut |_| {})?;
        Ok(Shown::new(streamed, None, Ok(())))
    }
}
