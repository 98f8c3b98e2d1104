//! What is told of an answer while it is made: plain data, whole characters.

use crate::error::Refusal;
use crate::own::{FusionTold, MemberTold};
use packllm_engine::engine::Finish;
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;

/// An event, or why there will be no more.
pub type Message = Result<Event, Refusal>;

/// What happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// The prompt was read.
    Begun(Box<Begun>),
    /// There is more of a choice's text.
    More(More),
    /// A choice is whole.
    Ended(Box<Ended>),
    /// The tokens of a prompt that was to be counted.
    Counted(usize),
}

/// A prompt that was read.
#[derive(Debug, Clone)]
pub struct Begun {
    pub prompt_tokens: usize,
    /// Those of them that were read before.
    pub cached_tokens: usize,
    pub time: Duration,
    pub members: Vec<MemberTold>,
    pub fusion: FusionTold,
}

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Thought,
    Answer,
}

/// More of a text.
#[derive(Debug, Clone)]
pub struct More {
    pub choice: u32,
    pub kind: Kind,
    /// Never empty.
    pub text: String,
    /// Of its characters, where that is asked for.
    pub scores: Vec<Scored>,
    /// Words that it ends, where that is asked for.
    pub words: Vec<Word>,
}

/// A character, or several that one symbol spells: how likely it was.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    pub text: String,
    /// `ln q`, summed over its symbols.
    pub ln_q: f64,
    /// What else might have come for its first symbol: bytes and `ln q`.
    pub likeliest: Vec<(Vec<u8>, f64)>,
}

/// A word, and what every member contributed to it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Word {
    pub text: String,
    /// The member that argued for it, if one did.
    pub member: Option<String>,
    /// In nats, by member; null where nobody else could have said it.
    pub contributions: Vec<Option<f64>>,
}

/// A choice that is whole.
#[derive(Debug, Clone)]
pub struct Ended {
    pub choice: u32,
    pub finish: Finish,
    /// The request's stop string that ended it.
    pub stopped_by: Option<String>,
    pub tokens: usize,
    pub time: Duration,
    pub seed: u64,
    pub mean_weights: Vec<f64>,
    /// The last words, where they are asked for.
    pub words: Vec<Word>,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Gathered {
    pub begun: Begun,
    pub choices: Vec<Choice>,
}

/// A choice of it.
#[derive(Debug, Clone)]
pub struct Choice {
    pub thought: String,
    pub text: String,
    pub scores: Vec<Scored>,
    pub words: Vec<Word>,
    pub ended: Ended,
}

/// Events on the way to a whole answer.
#[derive(Debug, Default)]
pub struct Gatherer {
    begun: Option<Begun>,
    choices: Vec<Choice>,
    open: Open,
}

#[derive(Debug, Default)]
struct Open {
    thought: String,
    text: String,
    scores: Vec<Scored>,
    words: Vec<Word>,
}

impl Gatherer {
    /// Takes an event. Choices come one after the other.
    pub fn push(&mut self, event: Event) {
        match event {
            Event::Begun(begun) => self.begun = Some(*begun),
            Event::More(more) => {
                match more.kind {
                    Kind::Thought => self.open.thought.push_str(&more.text),
                    Kind::Answer => self.open.text.push_str(&more.text),
                }
                self.open.scores.extend(more.scores);
                self.open.words.extend(more.words);
            }
            Event::Ended(mut ended) => {
                self.open.words.append(&mut ended.words);
                let open = std::mem::take(&mut self.open);
                self.choices.push(Choice {
                    thought: open.thought,
                    text: open.text,
                    scores: open.scores,
                    words: open.words,
                    ended: *ended,
                });
            }
            Event::Counted(_) => {}
        }
    }

    /// The answer, if it came to its end.
    pub fn finish(self) -> Option<Gathered> {
        let choices = self.choices;
        let begun = self.begun.filter(|_| !choices.is_empty())?;
        Some(Gathered { begun, choices })
    }
}
