//! Streaming an answer to stdout, or gathering it for a document.

use super::LoadedPack;
use super::notes::going_on;
use crate::command::screen::{Look, View, Writer};
use anyhow::Result;
use packllm_engine::chat::attribution::Attribution;
use packllm_engine::engine::{Answer, AnswerOptions};
use packllm_engine::pack::Streamed;
use std::time::{Duration, Instant};

/// A finished answer.
pub struct Shown {
    pub answer: Answer,
    /// Time to its first byte; None if it was not shown.
    pub first_byte: Option<Duration>,
    /// If it was asked for.
    pub attribution: Option<Attribution>,
    /// Tokens of each member for the text after the last prompt: the last part of an answer that
    /// was made in several parts.
    pub tail: Vec<usize>,
    /// Whether all of it could be written: a terminal may close, a disk may fill up. The answer
    /// itself is whole in any case.
    pub written: Result<()>,
    /// Why it broke off, where it did: a server may go away.
    pub broken: Option<anyhow::Error>,
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
            broken: None,
        }
    }

    /// Adds the next part of the same answer.
    pub fn append(&mut self, more: Shown) {
        self.answer.append(more.answer);
        (self.tail, self.written, self.broken) = (more.tail, more.written, more.broken);
        if let (Some(first), Some(more)) = (&mut self.attribution, more.attribution) {
            first.append(more);
        }
    }
}

impl LoadedPack<'_> {
    /// Members that were lost on the way.
    fn tell_lost(&self, answer: &Answer) {
        for (_, what) in &answer.lost {
            self.terminal
                .app
                .dim(&format!("\nnote: {}", going_on(what)));
        }
    }

    /// Generates to stdout what follows `begun`, which is already on the screen, and `opening`,
    /// which is shown first. The time to the first byte is counted from `start`.
    pub fn stream(
        &mut self,
        generation: &AnswerOptions,
        look: Look,
        start: Instant,
        begun: &str,
        opening: &str,
    ) -> Result<Shown> {
        let mut writer = Writer::new(View::new(self.terminal.app, look, begun));
        let mut first_byte = None;
        let streamed = self.conversation.stream(generation, opening, &mut |more| {
            if !more.text.is_empty() {
                first_byte.get_or_insert_with(|| start.elapsed());
            }
            writer.push(more);
        });
        let written = writer.finish();
        let streamed = streamed?;
        self.tell_lost(&streamed.answer);
        Ok(Shown::new(streamed, first_byte, written))
    }

    /// Generates an answer without showing it.
    pub fn gather(&mut self, generation: &AnswerOptions) -> Result<Shown> {
        let streamed = self.conversation.stream(generation, "", &mut |_| {})?;
        self.tell_lost(&streamed.answer);
        Ok(Shown::new(streamed, None, Ok(())))
    }
}
