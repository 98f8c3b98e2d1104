//! The text of an answer, put together from what a server tells of it.

use packllm_client::{Chunk, Word};
use packllm_engine::chat::attribution::{Attribution, Piece};
use packllm_engine::thought::{CLOSE, OPEN, begins};

/// See the module. A thought, which servers tell apart, is in its tags again, as in every session.
#[derive(Debug)]
pub struct Told {
    pub text: String,
    /// If it was asked for.
    pub attribution: Option<Attribution>,
    members: usize,
    is_thinking: bool,
    /// Words have to be told that a thought was opened.
    opens: bool,
}

impl Told {
    /// What follows `begun`. With `attributed`, words are told by so many members.
    pub fn new(begun: &str, attributed: Option<usize>) -> Self {
        Self {
            text: String::new(),
            attribution: attributed.map(Attribution::new),
            members: attributed.unwrap_or_default(),
            is_thinking: begins(begun) && !begun.contains(CLOSE),
            opens: false,
        }
    }

    /// Takes a chunk; returns the text that it adds.
    pub fn hear(&mut self, chunk: &Chunk) -> String {
        let mut more = String::new();
        let (thought, answer) = (chunk.thought(), chunk.text());
        if !thought.is_empty() && !self.is_thinking {
            (self.is_thinking, self.opens) = (true, true);
            more.push_str(OPEN);
            more.push('\n');
        }
        more.push_str(thought);
        if !answer.is_empty() && self.is_thinking {
            self.is_thinking = false;
            more.push('\n');
            more.push_str(CLOSE);
            more.push_str("\n\n");
        }
        more.push_str(answer);
        self.text.push_str(&more);
        let own = chunk.packllm.as_ref();
        for word in own
            .and_then(|own| own.attribution.as_ref())
            .into_iter()
            .flatten()
        {
            self.attribute(word);
        }
        more
    }

    fn attribute(&mut self, word: &Word) {
        let Some(attribution) = &mut self.attribution else {
            return;
        };
        if std::mem::take(&mut self.opens) && !begins(&word.text) {
            attribution.add(Piece {
                text: format!("{OPEN}\n"),
                contributions: Vec::new(),
            });
        }
        let contributions = word.contributions.iter().take(self.members);
        attribution.add(Piece {
            text: word.text.clone(),
            contributions: contributions.map(|c| c.unwrap_or(f64::INFINITY)).collect(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(begun: &str, chunks: &[&str]) -> Told {
        let mut told = Told::new(begun, Some(2));
        for chunk in chunks {
            told.hear(&serde_json::from_str(chunk).unwrap());
        }
        told
    }

    const THOUGHT: &str = r#"{"choices": [{"delta": {"reasoning_content": "Hm."}}]}"#;
    const ANSWER: &str = r#"{"choices": [{"delta": {"content": "Yes."}}]}"#;

    #[test]
    fn a_thought_is_in_its_tags_again() {
        let whole = told("", &[THOUGHT, THOUGHT, ANSWER, ANSWER]).text;
        assert_eq!(whole, "<think>\nHm.Hm.\n</think>\n\nYes.Yes.");
        assert_eq!(told("", &[ANSWER]).text, "Yes.");
        assert_eq!(told("Oh", &[ANSWER]).text, "Yes.");
        let rest = told("<think>\nSo", &[THOUGHT, ANSWER]).text;
        assert_eq!(rest, "Hm.\n</think>\n\nYes.");
        assert_eq!(told("<think>a</think>b", &[ANSWER]).text, "Yes.");
    }

    #[test]
    fn words_are_pieces_and_no_member_is_counted_that_is_not_there() {
        let word = r#"{"choices": [], "packllm": {"attribution":
            [{"text": " sea", "member": "a", "contributions": [null, 1.0, 99.0]}]}}"#;
        let pieces = told("", &[THOUGHT, word]).attribution.unwrap();
        let texts: Vec<&str> = pieces.pieces().iter().map(|p| &*p.text).collect();
        assert_eq!(texts, ["<think>\n", " sea"]);
        assert_eq!(pieces.pieces()[1].contributions, [f64::INFINITY, 1.0]);
        assert_eq!(pieces.pieces()[1].attributed_to(), Some(0));
    }
}
