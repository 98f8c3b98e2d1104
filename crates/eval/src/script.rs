//! Questions that are answered with a text: what members read, and where the text stops.
//!
//! In a chat, examples are earlier turns, and the template says where an answer ends. In raw text,
//! examples come before the question, each followed by an empty line, and what would begin the next
//! example ends the answer.

use super::layout::{AFTER_SHOT, Layout, Shots, plain_prompt};
use super::task::{Ask, Question};
use packllm_engine::chat::Message;
use packllm_engine::engine::{Ending, Prompt};

/// How a question is put.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Framing {
    /// To a chat, by each member's template.
    #[default]
    Chat,
    /// As text that goes on.
    Raw,
}

/// What is written after a question whose answer is a number, in a chat.
const NUMBER: &str = "Give the result as a number at the end.";
/// What is written before the beginning of a function, in a chat.
const CODE: &str = "Complete this Python function. Answer with the whole function in a code block.";

/// A question as it is put.
#[derive(Debug, Clone, PartialEq)]
pub struct Script {
    /// Examples: what was asked, and the answer.
    pub shots: Vec<(String, String)>,
    /// What is asked.
    pub query: String,
    /// How.
    pub framing: Framing,
    /// Text that ends the answer, beside what the templates say.
    pub stops: Vec<String>,
    /// Most tokens of the answer.
    pub limit: usize,
    layout: Layout,
}

impl Script {
    /// Puts a question after its examples. Without a limit, one that fits its kind.
    #[must_use]
    pub fn new(
        question: &Question,
        shots: &Shots,
        layout: &Layout,
        framing: Framing,
        limit: Option<usize>,
    ) -> Script {
        let shots = shots.of(question);
        let shots = shots.map(|(shot, answer)| (put(shot, framing), answer));
        Script {
            shots: shots.collect(),
            query: put(question, framing),
            framing,
            stops: stops(&question.ask, framing),
            limit: limit.unwrap_or(usual_limit(&question.ask)),
            layout: layout.clone(),
        }
    }

    /// As messages of a chat.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        let turns = self.shots.iter();
        let turns = turns.flat_map(|(q, a)| [Message::user(q), Message::assistant(a)]);
        turns.chain([Message::user(&self.query)]).collect()
    }

    /// As text; the question alone is evidence.
    #[must_use]
    pub fn prompt(&self) -> Prompt {
        let solved = |(q, a): &(String, String)| self.layout.solved(q, a) + AFTER_SHOT;
        let shots: String = self.shots.iter().map(solved).collect();
        let bridge = self.layout.separator.as_deref().unwrap_or_default();
        let query = self.query.trim_end();
        plain_prompt(&shots, query, bridge.trim_end(), Ending::Continue)
    }
}

/// A question as it is written.
fn put(question: &Question, framing: Framing) -> String {
    let query = &question.query;
    match (&question.ask, framing) {
        (Ask::Number { .. }, Framing::Chat) => format!("{query}\n{NUMBER}"),
        (Ask::Number { .. }, Framing::Raw) => format!("Question: {query}\nAnswer:"),
        (Ask::Code { .. }, Framing::Chat) => {
            format!("{CODE}\n\n```python\n{}\n```", query.trim_end())
        }
        _ => query.clone(),
    }
}

/// What would begin something that is no part of the answer.
fn stops(ask: &Ask, framing: Framing) -> Vec<String> {
    let stops: &[&str] = match (framing, ask) {
        (Framing::Chat, _) => &[],
        (Framing::Raw, Ask::Number { .. }) => &["\n\n", "\nQuestion:"],
        (Framing::Raw, Ask::Code { .. }) => &[
            "\ndef ",
            "\nclass ",
            "\nif ",
            "\nprint(",
            "\nassert ",
            "\n#",
            "\n\"\"\"",
            "\n```",
        ],
        (Framing::Raw, Ask::Form { .. }) => &["\n\n"],
        (Framing::Raw, _) => &["\n"],
    };
    stops.iter().map(|&stop| stop.to_owned()).collect()
}

/// Tokens within which an answer of this kind usually ends.
fn usual_limit(ask: &Ask) -> usize {
    match ask {
        Ask::Number { .. } => 256,
        Ask::Code { .. } => 384,
        Ask::Form { .. } => 160,
        _ => 80,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(query: &str, ask: Ask) -> Question {
        let query = query.into();
        Question {
            line: 1,
            query,
            ask,
        }
    }

    fn short(query: &str, answer: &str) -> Question {
        let answers = vec![answer.to_owned()];
        question(query, Ask::Short { answers })
    }

    fn script(question: &Question, framing: Framing) -> Script {
        let shots = Shots::draw(vec![short("other?", "x")], 1, 0);
        Script::new(question, &shots, &Layout::default(), framing, None)
    }

    #[test]
    fn examples_are_turns_or_text_before_the_question() {
        let chat = script(&short("this?", "y"), Framing::Chat);
        let said: Vec<String> = chat.messages().into_iter().map(|m| m.content).collect();
        assert_eq!(said, ["other?", "x", "this?"]);
        assert!(chat.stops.is_empty());
        let raw = script(&short("this? ", "y"), Framing::Raw);
        let prompt = raw.prompt();
        let text: Vec<&str> = prompt.segments.iter().map(|s| &*s.text).collect();
        assert_eq!(text, ["other? x\n\n", "this?"]);
        // Of all that, the question is evidence.
        let scored: Vec<usize> = prompt.segments.iter().map(|s| s.scored.len()).collect();
        assert_eq!(scored, [0, 5]);
        assert_eq!((raw.stops, raw.limit), (vec!["\n".to_owned()], 80));
    }

    #[test]
    fn numbers_and_code_say_what_is_wanted() {
        let number = question("1 + 1?", Ask::Number { answer: 2.0 });
        assert!(script(&number, Framing::Chat).query.ends_with(NUMBER));
        assert_eq!(
            script(&number, Framing::Raw).query,
            "Question: 1 + 1?\nAnswer:"
        );
        let ask = Ask::Code {
            test: "t".into(),
            entry_point: "f".into(),
        };
        let code = question("def f():\n", ask);
        assert!(
            script(&code, Framing::Chat)
                .query
                .ends_with("\ndef f():\n```")
        );
        let raw = script(&code, Framing::Raw);
        assert_eq!(&*raw.prompt().segments[1].text, "def f():");
    }
}
