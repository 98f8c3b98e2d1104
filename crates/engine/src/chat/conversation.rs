//! The state of a conversation, however it is shown: its messages, which of them the members still
//! read, and which of those were read as evidence for the weights.
//!
//! Members number the messages of the *context*: the system prompt, if there is one, then every
//! message that has not left it. Each method that takes messages out of the context returns their
//! numbers ([`RemovedMessages`]), so that the caller can forget their evidence
//! (`Engine::forget_messages`). Then no message counts twice, and one that was taken back does not
//! count.

use super::{Message, Role};
use crate::thought;
use std::ops::Range;

/// Numbers of messages that were taken out of the context, as they were before. Later messages move
/// up.
pub type RemovedMessages = Range<usize>;

/// A conversation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conversation {
    system: Option<String>,
    /// Of user and assistant, all that stand.
    messages: Vec<Message>,
    /// How many of them have left the context.
    left: usize,
    /// Messages of the context, from its beginning, that were read as evidence.
    read: usize,
}

impl Conversation {
    /// An empty conversation under a system prompt.
    #[must_use]
    pub fn new(system: Option<String>) -> Self {
        Self {
            system: system.filter(|s| !s.trim().is_empty()),
            ..Self::default()
        }
    }

    /// A saved conversation, of which the first `left` messages have left the context. Nothing of
    /// it has been read.
    #[must_use]
    pub fn resume(system: Option<String>, messages: Vec<Message>, left: usize) -> Self {
        Self {
            left: left.min(messages.len()),
            messages,
            ..Self::new(system)
        }
    }

    /// The system prompt.
    #[must_use]
    pub fn system(&self) -> Option<&str> {
        self.system.as_deref()
    }

    /// Every message that stands, also those that left the context; without the system prompt.
    #[must_use]
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// How many messages have left the context.
    #[must_use]
    pub fn left(&self) -> usize {
        self.left
    }

    /// What the members read: answers without the thoughts that came before them.
    #[must_use]
    pub fn context(&self) -> Vec<Message> {
        let system = self.system.iter().map(Message::system);
        let said = |message: &Message| match message.role {
            Role::Assistant => Message::assistant(thought::answer(&message.content)),
            Role::System | Role::User => message.clone(),
        };
        system
            .chain(self.messages[self.left..].iter().map(said))
            .collect()
    }

    /// Messages of the context from this one on have not been read as evidence.
    #[must_use]
    pub fn read(&self) -> usize {
        self.read
    }

    /// All of the context has been read as evidence.
    pub fn mark_read(&mut self) {
        self.read = self.len();
    }

    /// The evidence is gone: everything has to be read again.
    pub fn mark_unread(&mut self) {
        self.read = 0;
    }

    fn len(&self) -> usize {
        self.first() + self.messages.len() - self.left
    }

    /// Number of the first message that is no system prompt.
    fn first(&self) -> usize {
        usize::from(self.system.is_some())
    }

    /// The user says something.
    pub fn say(&mut self, text: impl Into<String>) {
        self.messages.push(Message::user(text));
    }

    /// The pack has answered the last message or, after [`Conversation::open_answer`], has answered
    /// it again.
    pub fn answer(&mut self, text: impl Into<String>) {
        self.messages.push(Message::assistant(text));
    }

    /// Whether the last message is the user's and waits for its answer.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.messages.last().is_some_and(|m| m.role == Role::User)
    }

    /// The last answer, if it is the last message.
    #[must_use]
    pub fn last_answer(&self) -> Option<&str> {
        let last = self.messages.last()?;
        (last.role == Role::Assistant).then_some(last.content.as_str())
    }

    /// Takes the last answer back, to say it again or to continue it; None if there is none.
    pub fn open_answer(&mut self) -> Option<(String, RemovedMessages)> {
        self.last_answer()?;
        let gone = self.cut(self.messages.len() - 1);
        gone.map(|(mut messages, gone)| (messages.remove(0).content, gone))
    }

    /// Takes the last message of the user back, and what was answered; returns what the user had
    /// said. None if there is none in the context.
    pub fn undo(&mut self) -> Option<(String, RemovedMessages)> {
        let from = self.messages.iter().rposition(|m| m.role == Role::User)?;
        let gone = self.cut(from);
        gone.map(|(mut messages, gone)| (messages.remove(0).content, gone))
    }

    /// Removes the messages from number `from` of all, if those are in the context.
    fn cut(&mut self, from: usize) -> Option<(Vec<Message>, RemovedMessages)> {
        let number = self.first() + from.checked_sub(self.left)?;
        let gone = number..self.len();
        self.read = self.read.min(number);
        Some((self.messages.split_off(from), gone))
    }

    /// The oldest whole turn leaves the context: a message of the user with its answers. None if
    /// there is but one turn, which stays.
    pub fn drop_oldest(&mut self) -> Option<RemovedMessages> {
        let context = &self.messages[self.left..];
        let mut turns = (1..context.len()).filter(|&i| context[i].role == Role::User);
        let length = turns.next()?;
        let gone = self.first()..self.first() + length;
        let read_of_it = self.read.clamp(gone.start, gone.end) - gone.start;
        self.read -= if self.read > gone.start {
            read_of_it
        } else {
            0
        };
        self.left += length;
        Some(gone)
    }

    /// Puts the turn that left the context last back into it; false if there is none. Nothing of
    /// the context then counts as read.
    pub fn come_back(&mut self) -> bool {
        let gone = &self.messages[..self.left];
        let Some(turn) = gone.iter().rposition(|m| m.role == Role::User) else {
            return false;
        };
        (self.left, self.read) = (turn, 0);
        true
    }

    /// Another system prompt, or none. Everything after it has to be read again.
    pub fn set_system(&mut self, system: Option<String>) -> RemovedMessages {
        let gone = 0..self.len();
        self.system = system.filter(|s| !s.trim().is_empty());
        self.read = 0;
        gone
    }

    /// Forgets all messages; the system prompt stays.
    pub fn clear(&mut self) {
        *self = Self::new(self.system.take());
    }
}

#[cfg(test)]
mod tests;
