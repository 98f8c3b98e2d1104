//! Prompts that members prefetch while others load, for a program that knows its first prompt.

use crate::backend::MemberInfo;
use crate::chat::Message;
use crate::chat::speaker::{Speakers, plain_text};
use crate::engine::{Ending, ExpectedPrompt, Fusion, Prompt, PromptPrefetch, ScoreRequest};
use crate::gguf::Header;
use crate::vocab::Alphabet;
use chrono::NaiveDateTime;
use std::path::PathBuf;
use std::sync::Arc;

/// What the members of a pack will read first.
#[derive(Debug, Clone)]
pub struct FirstPrompt {
    /// What is said.
    pub first: First,
    /// The time that templates are given.
    pub now: fn() -> NaiveDateTime,
}

/// What is said first.
#[derive(Debug, Clone)]
pub enum First {
    /// Text that goes on.
    Text(String),
    /// A conversation, of which everything counts as evidence.
    Chat {
        /// The conversation.
        messages: Vec<Message>,
        /// See [`Conversation::ask_to_think`](super::Conversation::ask_to_think).
        may_think: bool,
    },
}

impl FirstPrompt {
    /// What one member may read while the `others` load, by their model files; None where there are
    /// none, or the alphabet is one of tokens. `template` is given in place of that of the member's
    /// file.
    #[must_use]
    pub fn prefetch(
        self: &Arc<Self>,
        fusion: &Fusion,
        template: Option<String>,
        others: Vec<PathBuf>,
    ) -> Option<PromptPrefetch> {
        if others.is_empty() || !matches!(fusion.alphabet, None | Some(Alphabet::Bytes)) {
            return None;
        }
        let request = ScoreRequest::of(&fusion.method, 1 + others.len());
        let (budget, first) = (fusion.budget, Arc::clone(self));
        Some(Box::new(move |info: &MemberInfo| {
            // Only identical vocabularies are mixed over tokens, and those have the same size.
            let size = info.vocab.len() as u64;
            let differs = |path| Header::read(path).is_ok_and(|h| h.summary().vocab_size != size);
            if !others.iter().any(differs) {
                return None;
            }
            Some(ExpectedPrompt {
                alphabet: Alphabet::Bytes,
                budget,
                prompt: first.prompt(info, template)?,
                request,
            })
        }))
    }

    /// The prompt of one member; None where a template fails or hides something; the error or the
    /// note comes when it is read.
    fn prompt(&self, info: &MemberInfo, template: Option<String>) -> Option<Prompt> {
        match &self.first {
            First::Text(text) => plain_text(text, 1, Ending::Continue).pop(),
            First::Chat {
                messages,
                may_think,
            } => {
                let mut speakers = Speakers::new(std::slice::from_ref(info), &[template]).ok()?;
                speakers.ask_to_think(*may_think);
                let mut reading = speakers.read(messages, 0, (self.now)()).ok()?;
                reading.prompts.pop().filter(|_| reading.apart.is_empty())
            }
        }
    }
}
