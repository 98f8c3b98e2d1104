//! A conversation at work: its turns, the room in the context, the entries of its session.

use super::parameters::Settings;
use super::partner::{Gauge, Partner, Question, is_cancelled, is_lost, is_too_long};
use super::sessions::SessionStore;
use crate::app::App;
use crate::cli::ChatArgs;
use crate::command::loaded::{Shown, weights_line};
use crate::command::screen;
use crate::guard::Guard;
use crate::plural::counted;
use crate::report::message;
use crate::say::printable;
use anyhow::Result;
use packllm_client::ClientError;
use packllm_engine::chat::log::LogEntry;
use packllm_engine::chat::{Conversation, Message, RemovedMessages, Role, SpeakerError};
use packllm_engine::pack::Read;
use packllm_grammar::Form;
use packllm_parameter::Overflow;
use std::sync::atomic::Ordering;

mod figures;
mod turn;

/// A conversation under way.
pub struct Talk<'a> {
    pub app: &'a App,
    /// Who answers.
    pub partner: Box<dyn Partner + 'a>,
    pub settings: Settings,
    /// What answers have to look like; None: any text.
    pub form: Option<Form>,
    pub conversation: Conversation,
    pub sessions: SessionStore,
    pub overflow: Overflow,
    /// Whether the lines of figures around an answer are shown.
    pub verbose: bool,
    pub last: Option<Turn>,
    /// Whether a message was not answered or a line not understood.
    pub failed: bool,
    pub guard: Guard,
    /// The weights of each turn: its number, and one weight a member.
    pub course: Vec<(usize, Vec<f64>)>,
}

/// A turn that was answered.
pub struct Turn {
    pub read: Read,
    pub said: Shown,
}

impl<'a> Talk<'a> {
    pub fn new(
        app: &'a App,
        partner: Box<dyn Partner + 'a>,
        settings: Settings,
        conversation: Conversation,
        sessions: SessionStore,
        guard: Guard,
    ) -> Self {
        Self {
            app,
            partner,
            settings,
            form: None,
            conversation,
            sessions,
            overflow: Overflow::Drop,
            verbose: true,
            last: None,
            failed: false,
            guard,
            course: Vec::new(),
        }
    }

    /// Continues the session `name`, or begins it. None: begins a new session.
    pub fn begin(&mut self, args: &ChatArgs, name: Option<&str>) -> Result<()> {
        match name {
            Some(name) if self.sessions.exists(name) => {
                self.load(name, args.opening.system_prompt.as_deref())
            }
            Some(name) => self.sessions.take_name(name),
            None => {
                if args.last {
                    self.app
                        .dim("note: there is no session yet: this is the first");
                }
                Ok(())
            }
        }
    }

    /// Continues a saved session: shows it and lets the members read it, if they can.
    pub fn load(&mut self, name: &str, system: Option<&str>) -> Result<()> {
        let mut notes = Vec::new();
        let kept = self.sessions.resume(name, &mut notes)?;
        self.conversation = kept.conversation;
        self.partner.clear()?;
        self.last = None;
        self.course.clear();
        notes
            .iter()
            .for_each(|n| self.app.dim(&format!("note: {n}")));
        let messages = self.conversation.messages();
        for message in messages {
            if message.role == Role::User {
                say!(">>> {}", screen::harmless(self.app, &message.content))?;
            } else {
                say!("{}", self.shown(&message.content))?;
            }
        }
        self.app.dim(&format!(
            "session {name}, {}",
            counted(messages.len(), "message")
        ));
        if let Some(system) = system.filter(|s| Some(*s) != self.conversation.system()) {
            self.set_system(Some(system.to_owned()))?;
        }
        if self.conversation.waits() {
            self.app
                .dim("the last message has no answer: /regenerate answers it");
        }
        self.read_ahead("interrupted: it is read with the next message")
    }

    /// Lets the members read what was said so far, if they can.
    pub fn read_ahead(&mut self, interrupted: &str) -> Result<()> {
        if !self.partner.reads_ahead() {
            return Ok(());
        }
        match self.read("", None) {
            Ok(_) => Ok(()),
            Err(error) => self.tell(error, interrupted),
        }
    }

    /// Waits until the interrupted work has stopped, and lowers the cancel flag.
    pub fn calm_down(&self) {
        self.partner.settle();
        self.app.cancel.store(false, Ordering::Relaxed);
    }

    /// Writes an entry of the session. If that fails, an error is shown and the conversation goes
    /// on.
    pub fn note_down(&mut self, entry: &LogEntry) {
        let system = self.conversation.system().map(str::to_owned);
        if let Err(error) = self.sessions.write(system.as_deref(), entry) {
            tell!("error: the session is not saved: {}", message(&error));
        }
    }

    /// Messages left the context: what was scored of them no longer counts.
    pub fn forget(&mut self, gone: &RemovedMessages) {
        self.partner.forget(gone);
    }

    fn keep_standing(&mut self) {
        let standing = self.conversation.messages().len();
        self.note_down(&LogEntry::Keep(standing));
    }

    pub fn set_system(&mut self, system: Option<String>) -> Result<()> {
        let gone = self.conversation.set_system(system);
        self.forget(&gone);
        let system = self.conversation.system().map(str::to_owned);
        self.note_down(&LogEntry::System(system));
        Ok(())
    }

    /// One turn.
    pub fn say(&mut self, text: String) -> Result<()> {
        if self.conversation.waits() {
            self.undo()?;
            self.app
                .dim("the message before had no answer: it is taken back");
        }
        self.conversation.say(text);
        self.respond("", true)
    }

    /// Removes the last turn; false if there is none.
    pub fn undo(&mut self) -> Result<bool> {
        let Some((_, gone)) = self.conversation.undo() else {
            return Ok(false);
        };
        self.forget(&gone);
        self.keep_standing();
        self.let_come_back();
        Ok(true)
    }

    /// Puts turns that had left the context back, as far as they fit and leave room for an answer;
    /// always at least one, so that it can be undone as well.
    fn let_come_back(&mut self) {
        let before = self.conversation.left();
        let mut more = self.conversation.clone();
        while more.come_back() {
            let none = self.conversation.left() == self.conversation.messages().len();
            let short = self
                .measure(&more.context(), "")
                .map_or(true, |gauges| gauges.is_empty() || is_short(&gauges, 4));
            if short && !none {
                break;
            }
            self.conversation = more.clone();
        }
        let left = self.conversation.left();
        if left < before {
            self.partner.forget_evidence();
            self.note_down(&LogEntry::Left(left));
        }
    }

    /// Replaces the last answer by another, or continues it.
    pub fn again(&mut self, go_on: bool) -> Result<()> {
        let opened = self.conversation.open_answer();
        if opened.is_none() && !self.conversation.waits() {
            tell!("error: there is no answer yet");
            return Ok(());
        }
        let (old, gone) = opened.unwrap_or_default();
        self.forget(&gone);
        if go_on {
            return self.respond(&old, false);
        }
        // The same seed would give the same answer again.
        self.settings.draw_anew();
        self.respond("", false)?;
        if self.conversation.waits() && !old.is_empty() {
            self.conversation.answer(old);
            self.app.dim("the answer before stands");
        }
        Ok(())
    }

    /// Reports an error that a user can cause; any other error ends the conversation.
    pub fn tell(&mut self, error: anyhow::Error, interrupted: &str) -> Result<()> {
        match &error {
            error if is_cancelled(error) => {
                self.app.dim(interrupted);
                return Ok(());
            }
            error if is_too_long(error) => {
                tell!("error: {}", printable(&format!("{error:#}")));
                tell!("hint: {}", self.what_makes_room());
            }
            // The next message finds the way to the member again, perhaps; a template may refuse one
            // conversation and accept the next; a server may come back.
            error if is_lost(error) || error.is::<SpeakerError>() || error.is::<ClientError>() => {
                crate::report::tell(error);
            }
            _ => return Err(error),
        }
        self.failed = true;
        Ok(())
    }

    /// What to do if the last message does not fit.
    fn what_makes_room(&mut self) -> &'static str {
        if self.fits_alone("") {
            return "/undo takes the turn before back, /clear starts anew";
        }
        let message = self.conversation.messages().last().cloned();
        let alone: Vec<Message> = message.into_iter().collect();
        let fits = !alone.is_empty() && self.measure(&alone, "").is_ok_and(fit);
        match fits && self.conversation.system().is_some() {
            true => {
                "it does not fit beside the system prompt: /system sets a shorter one; or give the pack a larger context (-c)"
            }
            false => "it is too long by itself: shorten it, or give the pack a larger context (-c)",
        }
    }

    /// Lets every member read the context and derives the weights.
    pub fn read(&mut self, begun: &str, limit: Option<usize>) -> Result<Read> {
        let read = loop {
            self.make_room(begun)?;
            let context = self.conversation.context();
            let question = Question {
                context: &context,
                new: self.conversation.read(),
                begun,
                limit,
                form: self.form.as_ref(),
                settings: &self.settings,
            };
            match self.partner.read(&question) {
                // What could not be measured shows when it is read.
                Err(error)
                    if is_too_long(&error) && self.fits_alone(begun) && self.leaves_oldest() => {}
                read => break read?,
            }
        };
        self.conversation.mark_read();
        let turn = self.turns();
        self.course.retain(|&(earlier, _)| earlier < turn);
        self.course.push((turn, self.weights()));
        Ok(read)
    }

    /// The members' weights; 0 where it is not known.
    pub fn weights(&self) -> Vec<f64> {
        let members = self.partner.members().into_iter();
        members.map(|m| m.weight.unwrap_or(0.0)).collect()
    }

    /// The members' names.
    pub fn names(&self) -> Vec<String> {
        let members = self.partner.members().into_iter();
        members.map(|m| m.name).collect()
    }

    /// Members and weights in a line.
    pub fn weights_line(&self) -> String {
        let members = self.partner.members();
        let members = members.iter();
        weights_line(members.map(|m| (&*m.name, m.weight, m.silent)))
    }

    /// The tokens of each member for a context and the beginning of its answer; none if that is not
    /// known.
    fn measure(&mut self, context: &[Message], begun: &str) -> Result<Vec<Gauge>> {
        self.partner.measure(&Question {
            context,
            new: context.len(),
            begun,
            limit: None,
            form: self.form.as_ref(),
            settings: &self.settings,
        })
    }

    /// Drops the oldest turns until the rest fits and leaves room for an answer. If turns have to
    /// be dropped, a quarter of the context is freed, so that not every later turn drops some and
    /// has everything read anew.
    fn make_room(&mut self, begun: &str) -> Result<()> {
        let mut free = 8;
        loop {
            let context = self.conversation.context();
            let measured = self.measure(&context, begun);
            let full = match &measured {
                Ok(gauges) => is_short(gauges, free),
                Err(error) => is_too_long(error),
            };
            if !full || !self.fits_alone(begun) || !self.leaves_oldest() {
                return measured.map(|_| ());
            }
            free = 4;
        }
    }

    /// The oldest turn leaves the context; false if it may not, or is the only one.
    fn leaves_oldest(&mut self) -> bool {
        if self.overflow == Overflow::Stop {
            return false;
        }
        let Some(gone) = self.conversation.drop_oldest() else {
            return false;
        };
        self.forget(&gone);
        let left = self.conversation.left();
        self.note_down(&LogEntry::Left(left));
        self.app.dim(&format!(
            "the context is full: the oldest turn leaves it ({left} messages are out of it now)"
        ));
        true
    }

    /// The number of the user's messages.
    pub fn turns(&self) -> usize {
        let messages = self.conversation.messages().iter();
        messages.filter(|m| m.role == Role::User).count()
    }

    /// Whether the last turn would fit without all before it.
    fn fits_alone(&mut self, begun: &str) -> bool {
        let mut alone = self.conversation.clone();
        while alone.drop_oldest().is_some() {}
        self.measure(&alone.context(), begun).is_ok_and(fit)
    }

    /// An answer as it is written to stdout.
    pub fn shown(&self, text: &str) -> String {
        screen::shown(self.app, self.settings.look, text)
    }
}

/// Whether some member has less than 1/`of` of its context left.
fn is_short(gauges: &[Gauge], of: usize) -> bool {
    let mut gauges = gauges.iter();
    gauges.any(|&(used, context)| used + context / of > context)
}

/// Whether all contexts have room.
fn fit(gauges: Vec<Gauge>) -> bool {
    gauges.iter().all(|(used, context)| used <= context)
}
