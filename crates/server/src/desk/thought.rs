//! Thought and answer of a text that comes piece by piece, without the tags between them.

use super::event::Kind;
use packllm_engine::thought::{self, Part, Splitter};

/// See the module.
pub struct Thoughts {
    /// None: nothing is a thought.
    splitter: Option<Splitter>,
    /// White space of a thought that may be its end.
    space: String,
    began: bool,
}

impl Thoughts {
    /// Of an answer that begins with `begun`, which is not handed on.
    pub fn new(splits: bool, begun: &str) -> Self {
        let mut thoughts = Self {
            splitter: splits.then(Splitter::default),
            space: String::new(),
            began: false,
        };
        thoughts.push(begun, &mut |_, _| {});
        thoughts
    }

    pub fn push(&mut self, text: &str, sink: &mut dyn FnMut(Kind, &str)) {
        match self.splitter.take() {
            None => say(Kind::Answer, text, sink),
            Some(mut splitter) => {
                splitter.push(text, &mut |part, text| self.hand_on(part, text, sink));
                self.splitter = Some(splitter);
            }
        }
    }

    /// The text ends here.
    pub fn finish(&mut self, sink: &mut dyn FnMut(Kind, &str)) {
        if let Some(mut splitter) = self.splitter.take() {
            splitter.finish(&mut |part, text| self.hand_on(part, text, sink));
        }
    }

    fn hand_on(&mut self, part: Part, text: &str, sink: &mut dyn FnMut(Kind, &str)) {
        match part {
            Part::Answer => say(Kind::Answer, text, sink),
            Part::Between => {}
            Part::Thought => {
                let text = text.strip_suffix(thought::CLOSE).unwrap_or(text);
                let opened = text.trim_start().strip_prefix(thought::OPEN);
                match self.began {
                    true => self.say_thought(text, sink),
                    false => self.say_thought(opened.unwrap_or(text).trim_start(), sink),
                }
            }
        }
    }

    fn say_thought(&mut self, text: &str, sink: &mut dyn FnMut(Kind, &str)) {
        let kept = text.trim_end();
        if kept.is_empty() {
            if self.began {
                self.space.push_str(text);
            }
            return;
        }
        self.began = true;
        let space = std::mem::replace(&mut self.space, text[kept.len()..].to_owned());
        say(Kind::Thought, &(space + kept), sink);
    }
}

fn say(kind: Kind, text: &str, sink: &mut dyn FnMut(Kind, &str)) {
    if !text.is_empty() {
        sink(kind, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The thought and the answer of a text that comes in pieces of so many characters.
    fn split(text: &str, begun: &str, size: usize) -> (String, String) {
        let mut thoughts = Thoughts::new(true, begun);
        let (mut thought, mut answer) = (String::new(), String::new());
        let mut sink = |kind, text: &str| match kind {
            Kind::Thought => thought.push_str(text),
            Kind::Answer => answer.push_str(text),
        };
        let chars: Vec<char> = text.chars().collect();
        for piece in chars.chunks(size) {
            thoughts.push(&piece.iter().collect::<String>(), &mut sink);
        }
        thoughts.finish(&mut sink);
        (thought, answer)
    }

    #[test]
    fn tags_and_the_space_around_them_are_gone_however_the_text_comes() {
        let cases = [
            (
                "<think>\nHm, a\n b.\n</think>\n\nYes </think>",
                "",
                "Hm, a\n b.",
                "Yes </think>",
            ),
            ("<think></think>Yes", "", "", "Yes"),
            ("<think>\n\n</think>\n\nYes", "", "", "Yes"),
            ("Yes <think>no</think>", "", "", "Yes <think>no</think>"),
            ("<think>never closed ", "", "never closed", ""),
            ("b.</think>Yes", "<think>a", "b.", "Yes"),
        ];
        for (text, begun, thought, answer) in cases {
            for size in [1, 2, 3, 100] {
                let got = split(text, begun, size);
                assert_eq!(got, (thought.into(), answer.into()), "{text} by {size}");
            }
        }
    }
}
