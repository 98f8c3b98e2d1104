//! What a member is asked to read: plain data between the code that writes prompts and the code
//! that reads them.

use crate::backend::{Token, Vocab};

/// A member's prompt: stretches of markup and content, tokenised apart so that content always
/// begins and ends at a token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prompt {
    /// Whether the text's start token (BOS, else a line break) comes first.
    pub start: Start,
    /// The stretches, in order.
    pub segments: Vec<Segment>,
    /// Where generation will begin.
    pub ending: Ending,
}

/// What a prompt starts after.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Start {
    /// Nothing: the template wrote its BOS itself.
    Nothing,
    /// BOS if the model adds one: for templates.
    #[default]
    Bos,
    /// BOS if the model adds one, else a line break: plain text.
    Text,
}

impl Start {
    /// The token of a vocabulary that such a prompt starts after.
    #[must_use]
    pub fn token(self, vocab: &Vocab) -> Option<Token> {
        match self {
            Start::Nothing => None,
            Start::Bos => vocab.special().bos.filter(|_| vocab.special().add_bos),
            Start::Text => vocab.text_start(),
        }
    }
}

/// What comes after a prompt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ending {
    /// An answer that starts afresh: the template has just opened it.
    #[default]
    Fresh,
    /// The text goes on, perhaps in the middle of a word.
    Continue,
    /// Nothing is generated.
    Closed,
}

/// Where a byte stands in what people wrote: the same for every member and template.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Index of the message.
    pub message: u32,
    /// Byte of its content.
    pub offset: u32,
}

impl Place {
    /// `n` bytes on.
    #[must_use]
    pub fn plus(self, n: usize) -> Self {
        Self {
            message: self.message,
            offset: self.offset + n as u32,
        }
    }
}

/// A stretch of a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// The text.
    pub text: String,
    /// Whether control tokens written out in it are those tokens (markup) or plain text (content).
    pub markup: bool,
    /// Bytes of `text` that count as evidence for the weights; empty for none.
    pub scored: std::ops::Range<usize>,
    /// Where its first byte stands, for content.
    pub place: Place,
}

impl Segment {
    /// A stretch of template markup.
    #[must_use]
    pub fn markup(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            markup: true,
            scored: 0..0,
            place: Place::default(),
        }
    }

    /// A stretch of content that is not scored.
    #[must_use]
    pub fn content(text: impl Into<String>, place: Place) -> Self {
        Self {
            text: text.into(),
            markup: false,
            scored: 0..0,
            place,
        }
    }

    /// A stretch of content of which all is evidence.
    #[must_use]
    pub fn evidence(text: impl Into<String>, place: Place) -> Self {
        let text = text.into();
        let scored = 0..text.len();
        Self {
            text,
            markup: false,
            scored,
            place,
        }
    }
}
