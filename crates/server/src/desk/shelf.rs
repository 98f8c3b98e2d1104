//! Conversations that rest between requests, and which of them a request goes on with.

use crate::request::Prompt;
use packllm_engine::chat::Message;
use packllm_engine::pack::Conversation;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// A conversation, and what it has read.
pub struct Kept {
    pub conversation: Conversation,
    /// What stops it.
    pub cancel: Arc<AtomicBool>,
    /// What it has read last; None: nothing.
    pub read: Option<Prompt>,
}

/// Conversations that rest, the one used last at the end.
#[derive(Default)]
pub struct Shelf {
    idle: Vec<Kept>,
}

impl Shelf {
    /// The conversation that has read the longest beginning of this prompt, and nothing else: what
    /// only begins alike is shared by the engine anyway, and is left for the request it belongs to.
    pub fn take(&mut self, prompt: &Prompt) -> Option<Kept> {
        let lengths = self.idle.iter().map(|kept| {
            let read = kept.read.as_ref()?;
            continues(read, prompt).then(|| length(read))
        });
        let lengths = lengths.enumerate().filter_map(|(i, n)| Some((n?, i)));
        let (_, best) = lengths.max()?;
        Some(self.idle.remove(best))
    }

    /// Keeps a conversation, of at most `most`; the one that leaves for it is returned.
    pub fn put(&mut self, kept: Kept, most: usize) -> Option<Kept> {
        self.idle.push(kept);
        (self.idle.len() > most).then(|| self.idle.remove(0))
    }

    /// All of them.
    pub fn empty(&mut self) -> Vec<Kept> {
        std::mem::take(&mut self.idle)
    }
}

/// Whether `next` begins with all of `read`.
fn continues(read: &Prompt, next: &Prompt) -> bool {
    match (read, next) {
        (Prompt::Chat { messages, .. }, Prompt::Chat { messages: next, .. }) => {
            next.starts_with(messages)
        }
        (Prompt::Text(read), Prompt::Text(next)) => next.starts_with(read),
        _ => false,
    }
}

fn length(read: &Prompt) -> usize {
    let bytes = |messages: &[Message]| messages.iter().map(|m| m.content.len() + 1).sum();
    match read {
        Prompt::Chat { messages, .. } => bytes(messages),
        Prompt::Text(text) => text.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat(texts: &[&str]) -> Prompt {
        let turn = |(i, text): (usize, &&str)| match i % 2 {
            0 => Message::user(*text),
            _ => Message::assistant(*text),
        };
        Prompt::Chat {
            messages: texts.iter().enumerate().map(turn).collect(),
            begun: String::new(),
        }
    }

    #[test]
    fn a_conversation_goes_on_where_all_that_it_has_read_comes_again() {
        assert!(continues(&chat(&["a"]), &chat(&["a", "b", "c"])));
        assert!(continues(&chat(&["a"]), &chat(&["a"])));
        assert!(!continues(&chat(&["a", "b", "c"]), &chat(&["a"])));
        assert!(!continues(&chat(&["a"]), &chat(&["ab"])));
        assert!(!continues(&Prompt::Text("a".into()), &chat(&["a"])));
        assert!(continues(
            &Prompt::Text("a".into()),
            &Prompt::Text("ab".into())
        ));
    }
}
