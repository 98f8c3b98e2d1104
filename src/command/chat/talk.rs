//! A conversation at work: its turns, the room in the context, the entries of its session.

use super::parameters::Settings;
use super::sessions::SessionStore;
use crate::app::App;
use crate::cli::ChatArgs;
use crate::command::loaded::{LoadedPack, Shown};
use crate::command::screen;
use crate::guard::Guard;
use crate::plural::counted;
use crate::report::message;
use crate::settings::PackPlan;
use anyhow::Result;
use packllm_engine::backend::BackendError;
use packllm_engine::chat::log::LogEntry;
use packllm_engine::chat::{Conversation, Message, RemovedMessages, Role, SpeakerError};
use packllm_engine::engine::{EngineError, Fusion};
use packllm_engine::pack::Read;
use packllm_parameter::Overflow;
use std::sync::atomic::Ordering;

mod figures;
mod turn;

/// A conversation under way.
pub struct Talk<'a> {
    pub app: &'a App,
    pub loaded: LoadedPack<'a>,
    pub plan: PackPlan,
    /// How members are fused at present.
    pub fusion: Fusion,
    pub settings: Settings,
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
        loaded: LoadedPack<'a>,
        plan: &PackPlan,
        settings: Settings,
        conversation: Conversation,
        sessions: SessionStore,
        guard: Guard,
    ) -> Self {
        Self {
            app,
            loaded,
            plan: plan.clone(),
            fusion: plan.fusion.clone(),
            settings,
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

    /// Continues a saved session: shows it and lets the members read it.
    pub fn load(&mut self, name: &str, system: Option<&str>) -> Result<()> {
        let mut notes = Vec::new();
        let kept = self.sessions.resume(name, &mut notes)?;
        self.conversation = kept.conversation;
        self.loaded.conversation.lockstep.clear()?;
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
        match self.read("").map(|_| ()) {
            Ok(()) => Ok(()),
            Err(error) => self.tell(error, "interrupted: it is read with the next message"),
        }
    }

    /// Waits until the interrupted work has stopped, and lowers the cancel flag.
    pub fn calm_down(&self) {
        self.loaded.conversation.lockstep.settle();
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
        self.loaded.conversation.lockstep.forget_messages(gone);
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
            let measured = self.loaded.measure(&more.context(), "");
            let short = measured.map_or(true, |tokens| self.is_short(&tokens, 4));
            if short && !none {
                break;
            }
            self.conversation = more.clone();
        }
        let left = self.conversation.left();
        if left < before {
            self.loaded.conversation.lockstep.forget_evidence();
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
        match error.downcast_ref::<EngineError>() {
            Some(EngineError::Cancelled) => {
                self.app.dim(interrupted);
                return Ok(());
            }
            Some(EngineError::TooLong { .. }) => {
                tell!("error: {error:#}");
                tell!("hint: {}", self.what_makes_room());
            }
            // The next message finds the way to it again, perhaps.
            Some(EngineError::Member {
                source: BackendError::Lost { .. },
                ..
            }) => crate::report::tell(&error),
            // A template may refuse one conversation and accept the next.
            _ if error.is::<SpeakerError>() => crate::report::tell(&error),
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
        let fits = !alone.is_empty() && self.loaded.measure(&alone, "").is_ok();
        match fits && self.conversation.system().is_some() {
            true => {
                "it does not fit beside the system prompt: /system sets a shorter one; or start with a larger -c"
            }
            false => "it is too long by itself: shorten it, or start with a larger -c",
        }
    }

    /// Lets every member read the context and derives the weights.
    pub fn read(&mut self, begun: &str) -> Result<Read> {
        self.make_room(begun)?;
        let request = self
            .loaded
            .conversation
            .lockstep
            .score_request_for(&self.fusion.method);
        let context = self.conversation.context();
        let new = self.conversation.read();
        let read = self.loaded.read_going_on(&context, new, request, begun);
        // Some member may have been scored before the failure; it will be scored again.
        let read =
            read.inspect_err(|_| self.loaded.conversation.lockstep.forget_messages_from(new))?;
        self.conversation.mark_read();
        let turn = self.turns();
        self.course.retain(|&(earlier, _)| earlier < turn);
        let lambda = self.loaded.conversation.lockstep.lambda().to_vec();
        self.course.push((turn, lambda));
        Ok(read)
    }

    /// Drops the oldest turns until the rest fits and leaves room for an answer. If turns have to
    /// be dropped, a quarter of the context is freed, so that not every later turn drops some and
    /// has everything read anew.
    fn make_room(&mut self, begun: &str) -> Result<()> {
        let mut free = 8;
        loop {
            let context = self.conversation.context();
            let measured = self.loaded.measure(&context, begun);
            let full = match &measured {
                Ok(tokens) => self.is_short(tokens, free),
                Err(error) => matches!(error.downcast_ref(), Some(EngineError::TooLong { .. })),
            };
            if !full || self.overflow == Overflow::Stop || !self.fits_alone(begun) {
                return measured.map(|_| ());
            }
            let Some(gone) = self.conversation.drop_oldest() else {
                return measured.map(|_| ());
            };
            free = 4;
            self.forget(&gone);
            self.note_down(&LogEntry::Left(self.conversation.left()));
            let left = self.conversation.left();
            self.app.dim(&format!(
                "the context is full: the oldest turn leaves it ({left} messages are out of it now)"
            ));
        }
    }

    /// The number of the user's messages.
    pub fn turns(&self) -> usize {
        let messages = self.conversation.messages().iter();
        messages.filter(|m| m.role == Role::User).count()
    }

    /// Whether some member has less than 1/`of` of its context left.
    fn is_short(&self, tokens: &[usize], of: usize) -> bool {
        let members = self
            .loaded
            .conversation
            .lockstep
            .members()
            .iter()
            .zip(tokens);
        members.into_iter().any(|(m, &used)| {
            let context = m.limits.context as usize;
            used + context / of > context
        })
    }

    /// Whether the last turn would fit without all before it.
    fn fits_alone(&mut self, begun: &str) -> bool {
        let mut alone = self.conversation.clone();
        while alone.drop_oldest().is_some() {}
        self.loaded.measure(&alone.context(), begun).is_ok()
    }

    /// An answer as it is written to stdout.
    pub fn shown(&self, text: &str) -> String {
        screen::shown(self.app, self.settings.look, text)
    }
}
