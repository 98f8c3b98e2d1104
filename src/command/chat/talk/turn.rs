//! One turn: the members read, answer, and what was said is taken or taken back.

use super::{Talk, Turn};
use crate::cli::Overflow;
use crate::command::screen::attribution::legend;
use anyhow::Result;
use packllm::chat::Message;
use packllm::chat::attribution::Attribution;
use packllm::chat::log::Entry;
use packllm::engine::{Answer, Finish, Generation};
use std::time::Instant;

impl Talk<'_> {
    /// Answers the last message, which is new if it is `fresh`; `begun` is what was said of the answer already.
    /// A failure or an interrupted prompt takes a new message back, and the conversation goes on.
    pub(super) fn respond(&mut self, begun: &str, fresh: bool) -> Result<()> {
        match self.turn(begun, fresh) {
            Ok(text) => self.take_answer(text, begun, fresh),
            Err(error) => {
                let read = self.conversation.read();
                self.session
                    .engine
                    .forget_messages(&(read..usize::MAX >> 33));
                if !begun.is_empty() {
                    self.conversation.answer(begun);
                    self.conversation.mark_read();
                } else if fresh {
                    // It was not written down yet, or is to be forgotten there as well.
                    if let Some((_, gone)) = self.conversation.undo() {
                        self.forget(&gone);
                        self.keep_standing();
                    }
                }
                self.tell(error, "interrupted while reading: the message was not sent")
            }
        }
    }

    fn take_answer(&mut self, text: String, begun: &str, fresh: bool) -> Result<()> {
        let whole = format!("{begun}{text}");
        if whole.is_empty()
            && self
                .last
                .as_ref()
                .is_some_and(|t| t.answer.finish == Finish::Cancelled)
        {
            self.app
                .dim("nothing was said yet: /regenerate answers the message");
            return Ok(());
        }
        if !fresh {
            self.keep_standing();
        }
        self.conversation.answer(whole.as_str());
        self.conversation.mark_read();
        self.note_down(&Entry::Message(Message::assistant(whole)));
        Ok(())
    }

    fn turn(&mut self, begun: &str, fresh: bool) -> Result<String> {
        let start = Instant::now();
        let mut generation = self.generation();
        let look = self.dials.look;
        let mut said = String::new();
        let read = self.read(begun)?;
        if fresh && let Some(message) = self.conversation.messages().last().cloned() {
            self.note_down(&Entry::Message(message));
        }
        self.show_weights_before();
        let mut opening = read.opening.clone();
        let mut streamed = self
            .session
            .stream(&generation, look, start, begun, &opening)?;
        let (mut answer, first_byte) = (streamed.answer, streamed.first_byte);
        loop {
            if !answer.text.is_empty() {
                said.push_str(&std::mem::take(&mut opening));
            }
            said.push_str(&answer.text);
            let spent = generation.limit.map(|n| n.saturating_sub(answer.tokens));
            let full = answer.finish == Finish::Length && spent != Some(0);
            if !full || self.overflow == Overflow::Stop || answer.text.is_empty() {
                break;
            }
            // The answer met the end of the context: it goes on where older turns can leave.
            let before = self.conversation.left();
            let begun = format!("{begun}{said}");
            if self.conversation.clone().drop_oldest().is_none() || !self.fits_alone(&begun) {
                break;
            }
            generation.limit = spent;
            println!();
            self.read(&begun)?;
            if self.conversation.left() == before {
                break;
            }
            let more = self.session.stream(&generation, look, start, &begun, "")?;
            streamed.attribution = join(streamed.attribution, more.attribution);
            let more = more.answer;
            answer = Answer {
                tokens: answer.tokens + more.tokens,
                time: answer.time + more.time,
                ..more
            };
        }
        println!();
        if let Some(said) = &streamed.attribution {
            let names = self.session.engine.names();
            self.app
                .dim(&legend(self.app, look, said, &names, &answer.mean_weights));
        }
        let full = answer.finish == Finish::Length && generation.limit.is_none();
        self.last = Some(Turn {
            read,
            answer,
            first_byte,
        });
        if self.verbose {
            self.app.dim(&self.figures());
        }
        if full {
            self.app.dim("the context is full: /clear starts anew");
        }
        self.session.write_prompt_cache();
        Ok(said)
    }

    /// What is drawn with now.
    pub fn generation(&self) -> Generation {
        let mut generation = self.dials.generation.clone();
        generation.stops.extend(self.session.stops());
        generation.stops.extend(self.session.stop_of_silence());
        generation.attribution = self.dials.look.attribution;
        generation
    }
}

fn join(first: Option<Attribution>, more: Option<Attribution>) -> Option<Attribution> {
    let (mut first, more) = (first?, more?);
    first.append(more);
    Some(first)
}
