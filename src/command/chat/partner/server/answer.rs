//! The answer of a server, as it comes.

use super::Server;
use crate::command::chat::partner::told::Told;
use crate::command::loaded::Shown;
use crate::command::screen::{Look, View, Writer};
use packllm_client::{Chunk, ClientError, Stream};
use packllm_engine::engine::{Answer, Finish};
use packllm_engine::pack::More;
use std::time::{Duration, Instant};

/// An answer that has begun.
pub struct Next {
    pub stream: Stream,
    /// What came while it was waited for.
    pub first: Option<Chunk>,
    pub begun: String,
    pub look: Look,
}

impl Next {
    fn chunk(&mut self) -> Result<Option<Chunk>, ClientError> {
        match self.first.take() {
            Some(first) => Ok(Some(first)),
            None => self.stream.next(),
        }
    }
}

impl Server<'_> {
    /// Writes the answer to stdout. Where it breaks off, what came is the answer.
    pub(super) fn answer(&mut self, mut next: Next, start: Instant) -> Shown {
        let attributed = next.look.attribution && self.about.is_packllm();
        let members = self.state.members.len();
        let mut told = Told::new(&next.begun, attributed.then_some(members));
        let mut writer = Writer::new(View::new(self.app, next.look, &next.begun));
        let (began, mut first_byte) = (Instant::now(), None);
        (self.state.usage, self.state.timings) = (None, None);
        let mut answer = Answer::default();
        answer.mean_weights = self.state.members.iter().map(|m| m.weight).collect();
        let (mut ended, mut broken) = (false, None);
        loop {
            match next.chunk() {
                Ok(Some(chunk)) => {
                    let more = told.hear(&chunk);
                    if !more.is_empty() {
                        first_byte.get_or_insert_with(|| start.elapsed());
                    }
                    writer.push(More {
                        text: &more,
                        attribution: told.attribution.as_ref(),
                    });
                    ended |= self.hear_end(&chunk, &mut answer);
                }
                // Some servers close the connection after the answer without a word.
                Ok(None) => break,
                Err(_) if ended => break,
                Err(error) => {
                    answer.finish = Finish::Cancelled;
                    broken = Some(error).filter(|e| !matches!(e, ClientError::Cancelled));
                    break;
                }
            }
        }
        let pieces = told.attribution.as_ref().map(|a| a.pieces());
        if pieces.is_some_and(<[_]>::is_empty) {
            // The server told no words.
            writer.push(More {
                text: &told.text,
                attribution: None,
            });
        }
        let written = writer.finish();
        answer.text = told.text;
        self.count(&mut answer, began.elapsed());
        Shown {
            tail: vec![answer.tokens; members],
            answer,
            first_byte,
            attribution: told.attribution,
            written,
            broken: broken.map(Into::into),
        }
    }

    /// What a chunk says of the end; whether it is the end of the text.
    fn hear_end(&mut self, chunk: &Chunk, answer: &mut Answer) -> bool {
        self.state.usage = chunk.usage.or(self.state.usage);
        self.state.timings = chunk.timings.or(self.state.timings);
        let own = chunk.packllm.as_ref();
        let members = self.state.members.len();
        let weights = own.and_then(|own| own.mean_weights.as_ref());
        if let Some(weights) = weights.filter(|weights| weights.len() == members) {
            answer.mean_weights.clone_from(weights);
        }
        let reason = chunk.choice().and_then(|c| c.finish_reason.as_deref());
        let own = own.and_then(|own| own.finish_reason.as_deref());
        match own.or(reason) {
            Some("length") => answer.finish = Finish::Length,
            Some("repetition") => answer.finish = Finish::Repetition,
            Some(_) => answer.finish = Finish::Stop,
            None => return false,
        }
        true
    }

    /// Tokens and time of an answer, as the server counts them, or by the clock here.
    fn count(&self, answer: &mut Answer, time: Duration) {
        let usage = self.state.usage.map(|usage| usage.completion_tokens);
        let timings = self.state.timings.filter(|t| t.predicted_ms > 0.0);
        answer.tokens = usage.or(timings.map(|t| t.predicted_n)).unwrap_or(0);
        // A server may say anything.
        let told = timings.map(|t| Duration::try_from_secs_f64(t.predicted_ms / 1e3));
        answer.time = told.and_then(Result::ok).unwrap_or(time);
    }
}
