//! Conversations and the prompts that the members of a pack make of them.
//!
//! A conversation is a list of [`Message`]s. Every member writes it in its own way: [`Template`] is
//! that way, read from the member's GGUF file, and [`PromptPieces`] is a rendered conversation, cut
//! into markup (parsed for special tokens, never scored) and message contents (plain bytes,
//! scored).

pub mod attribution;
pub mod conversation;
pub mod folder;
pub mod history;
pub mod log;
pub mod pieces;
#[cfg(test)]
mod samples;
mod sentinels;
pub mod speaker;
pub mod template;

use std::ops::Range;

use serde::{Deserialize, Serialize};

pub use conversation::{Conversation, RemovedMessages};
pub use pieces::{Piece, PieceKind, PromptPieces};
pub use speaker::{SpeakerError, Speakers};
pub use template::{Rendered, Template, TemplateError};

/// Who speaks in a [`Message`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sets the frame.
    System,
    /// The person.
    User,
    /// The pack.
    Assistant,
}

impl Role {
    /// The name that chat templates know the role by.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        }
    }
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
}

impl Message {
    /// A message that sets the frame of the conversation.
    pub fn system(content: impl Into<String>) -> Message {
        Message {
            role: Role::System,
            content: content.into(),
        }
    }

    /// A message of the person who asks.
    pub fn user(content: impl Into<String>) -> Message {
        Message {
            role: Role::User,
            content: content.into(),
        }
    }

    /// A message of the pack.
    pub fn assistant(content: impl Into<String>) -> Message {
        Message {
            role: Role::Assistant,
            content: content.into(),
        }
    }

    /// Whether it holds nothing but white space.
    fn is_blank(&self) -> bool {
        self.content.trim().is_empty()
    }
}

/// A message as a template is given it: one of the conversation's, or several folded into one.
#[derive(Debug, Clone, PartialEq)]
struct Turn {
    message: Message,
    /// Which bytes of `message.content` are which message of the conversation, in order.
    parts: Vec<Part>,
}

/// The bytes `at` of a turn's content are the whole content of message `of`.
#[derive(Debug, Clone, PartialEq)]
struct Part {
    of: usize,
    at: Range<usize>,
}

impl Turn {
    fn new(role: Role) -> Turn {
        Turn {
            message: Message {
                role,
                content: String::new(),
            },
            parts: Vec::new(),
        }
    }

    /// Appends the content of message `of` as a paragraph.
    fn push(&mut self, of: usize, content: &str) {
        let own = &mut self.message.content;
        if !own.is_empty() {
            own.push_str("\n\n");
        }
        let start = own.len();
        own.push_str(content);
        self.parts.push(Part {
            of,
            at: start..own.len(),
        });
    }
}

/// The conversation as it is: one turn a message.
fn unfolded(messages: &[Message]) -> Vec<Turn> {
    messages
        .iter()
        .enumerate()
        .map(|(of, message)| Turn {
            message: message.clone(),
            parts: vec![Part {
                of,
                at: 0..message.content.len(),
            }],
        })
        .collect()
}

/// The conversation without system turns: every system message becomes the first paragraphs of the
/// user message that follows it (`system\n\nuser`). Where none follows, it is appended to the last
/// user message, or becomes one.
fn folded(messages: &[Message]) -> Vec<Turn> {
    let mut turns: Vec<Turn> = Vec::new();
    let mut pending = Turn::new(Role::User);
    for (of, message) in messages.iter().enumerate() {
        if message.role == Role::System {
            if !message.is_blank() {
                pending.push(of, &message.content);
            }
            continue;
        }
        let mut turn = Turn::new(message.role);
        if message.role == Role::User {
            turn = std::mem::replace(&mut pending, Turn::new(Role::User));
        }
        turn.push(of, &message.content);
        turns.push(turn);
    }
    if !pending.parts.is_empty() {
        match turns.last_mut() {
            Some(last) if last.message.role == Role::User => {
                for part in pending.parts {
                    last.push(part.of, &pending.message.content[part.at]);
                }
            }
            _ => turns.push(pending),
        }
    }
    turns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_messages_fold_into_the_user_message_that_follows() {
        let turns = folded(&[
            Message::system("S"),
            Message::user("U"),
            Message::assistant("A"),
            Message::system("T"),
            Message::user("V"),
            Message::system("W"),
        ]);
        let shown: Vec<_> = turns
            .iter()
            .map(|t| (t.message.role, t.message.content.as_str()))
            .collect();
        assert_eq!(
            shown,
            [
                (Role::User, "S\n\nU"),
                (Role::Assistant, "A"),
                (Role::User, "T\n\nV\n\nW")
            ]
        );
        assert_eq!(
            turns[2].parts,
            [
                Part { of: 3, at: 0..1 },
                Part { of: 4, at: 3..4 },
                Part { of: 5, at: 6..7 }
            ]
        );
    }

    #[test]
    fn a_system_message_alone_becomes_a_user_message() {
        let turns = folded(&[Message::system("  "), Message::system("S")]);
        assert_eq!(turns.len(), 1);
        assert_eq!(turns[0].message, Message::user("S"));
        assert_eq!(turns[0].parts, [Part { of: 1, at: 0..1 }]);
    }
}
