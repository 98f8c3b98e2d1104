//! One turn: the members read and answer, and the messages are saved or taken back.

use super::{Talk, Turn};
use crate::command::loaded::Shown;
use crate::command::screen::attribution::legend;
use anyhow::Result;
use packllm_engine::chat::Message;
use packllm_engine::chat::log::LogEntry;
use packllm_engine::engine::Finish;
use packllm_engine::pack::Read;
use packllm_parameter::Overflow;
use std::time::Instant;

impl Talk<'_> {
    /// Answers the last message, which is new if it is `fresh`; `begun` is the part of the answer
    /// that exists already. A new message that cannot be read is taken back, and the conversation
    /// goes on. What was said is saved, whatever comes after it; if the program ends during an
    /// answer, the session has the message.
    pub(super) fn respond(&mut self, begun: &str, fresh: bool) -> Result<()> {
        let _guarded = self.guard.hold();
        let start = Instant::now();
        let limit = self.settings.generation.limit;
        let read = match self.read(begun, limit) {
            Ok(read) => read,
            Err(error) => return self.not_read(error, begun, fresh),
        };
        if fresh {
            self.note_message_down();
        }
        self.show_weights_before();
        let mut said = match self.partner.stream(&read, start) {
            Ok(said) => said,
            Err(error) => return self.not_said(error, begun),
        };
        if !said.answer.text.is_empty() {
            said.answer.text.insert_str(0, &read.opening);
        }
        let mut gone_on = self.go_on(limit, start, begun, &mut said);
        if let Some(broken) = said.broken.take() {
            gone_on = Err(broken);
        }
        let text = format!("{begun}{}", said.answer.text);
        let nothing = text.is_empty() && said.answer.finish == Finish::Cancelled;
        let shown = self.end_turn(read, said, limit);
        if nothing {
            self.app
                .dim("nothing was said yet: /regenerate answers the message");
        } else {
            self.take_answer(text, fresh);
        }
        match gone_on {
            Err(error) => self.tell(error, "interrupted: the answer ends here"),
            Ok(()) => shown,
        }
    }

    fn not_read(&mut self, error: anyhow::Error, begun: &str, fresh: bool) -> Result<()> {
        let told = self.tell(error, "interrupted while reading: the message was not sent");
        if !begun.is_empty() {
            self.conversation.answer(begun);
        } else if fresh && told.is_ok() && self.guard.told_to_end().is_none() {
            if let Some((_, gone)) = self.conversation.undo() {
                self.forget(&gone);
            }
        } else if fresh {
            self.note_message_down();
        }
        told
    }

    /// A member failed in the middle of an answer, of which only what was there before stays.
    fn not_said(&mut self, error: anyhow::Error, begun: &str) -> Result<()> {
        say!("")?;
        if !begun.is_empty() {
            self.conversation.answer(begun);
        }
        self.tell(error, "interrupted")?;
        self.app.dim("/regenerate answers the message");
        Ok(())
    }

    fn note_message_down(&mut self) {
        if let Some(message) = self.conversation.messages().last().cloned() {
            self.note_down(&LogEntry::Message(message));
        }
    }

    fn take_answer(&mut self, text: String, fresh: bool) {
        if !fresh {
            self.keep_standing();
        }
        self.conversation.answer(text.as_str());
        self.conversation.mark_read();
        self.note_down(&LogEntry::Message(Message::assistant(text)));
    }

    /// If the answer reached the end of the context, drops the oldest turns and continues.
    fn go_on(
        &mut self,
        limit: Option<usize>,
        start: Instant,
        begun: &str,
        said: &mut Shown,
    ) -> Result<()> {
        let mut grows = !said.answer.text.is_empty();
        let drops = self.overflow == Overflow::Drop;
        while drops
            && grows
            && said.answer.finish == Finish::Length
            && self.partner.is_full(&said.answer, limit)
            && said.written.is_ok()
            && self.guard.told_to_end().is_none()
        {
            let limit = limit.map(|n| n.saturating_sub(said.answer.tokens));
            let begun = format!("{begun}{}", said.answer.text);
            let room = self.conversation.clone().drop_oldest().is_some();
            if limit == Some(0) || !room || !self.fits_alone(&begun) {
                break;
            }
            if self.app.terminal {
                // The notes about dropped turns begin on a new line.
                say!("")?;
            }
            let before = self.conversation.left();
            let read = self.read(&begun, limit)?;
            if self.conversation.left() == before {
                break;
            }
            let more = self.partner.stream(&read, start)?;
            grows = !more.answer.text.is_empty();
            said.append(more);
        }
        Ok(())
    }

    /// Ends the line of an answer and shows its figures. `limit`: its most tokens.
    fn end_turn(&mut self, mut read: Read, mut said: Shown, limit: Option<usize>) -> Result<()> {
        std::mem::replace(&mut said.written, Ok(()))?;
        let ended = say!("");
        self.partner.end_turn(&mut read);
        if let Some(attribution) = &said.attribution {
            let weights = &said.answer.mean_weights;
            let look = self.settings.look;
            self.app
                .dim(&legend(self.app, look, attribution, &self.names(), weights));
        }
        let finish = said.answer.finish;
        let full = finish == Finish::Length && self.partner.is_full(&said.answer, limit);
        self.last = Some(Turn { read, said });
        if self.verbose {
            self.app.dim(&self.figures());
        }
        if full {
            self.app
                .dim("the context is full: /undo takes this turn back, /clear starts anew");
        }
        if self.form.is_some() && finish == Finish::Length && !full {
            self.app.dim(
                "the answer is not whole: /set predict N lets it be longer, /continue goes on",
            );
        }
        self.tell_repetition(finish);
        Ok(ended?)
    }

    /// Why an answer ended that went in circles.
    pub fn tell_repetition(&self, finish: Finish) {
        if finish == Finish::Repetition {
            self.app.dim(
                "the answer went in circles and was ended: /set repeat-stop off lets answers go on",
            );
        }
    }
}
