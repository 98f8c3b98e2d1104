//! What a model thinks before it answers: `<think>…</think>` at the beginning of its text.
//!
//! A thought is found in the text alone: it does not matter which member wrote it or which tokens
//! spell it. It stands at the beginning or nowhere: a tag further down is something that the answer
//! says. A thought that is never closed has no answer after it.

/// What opens a thought.
pub const OPEN: &str = "<think>";
/// What closes it.
pub const CLOSE: &str = "</think>";

/// The end of `markup` from where it opens a thought; empty if it leaves none open. Some templates
/// begin the answer that way.
#[must_use]
pub fn opening(markup: &str) -> &str {
    let at = markup.trim_end().len().checked_sub(OPEN.len());
    at.and_then(|at| markup.get(at..))
        .filter(|end| end.starts_with(OPEN))
        .unwrap_or("")
}

/// Whether a text begins with a thought, finished or not.
#[must_use]
pub fn begins(text: &str) -> bool {
    text.trim_start().starts_with(OPEN)
}

/// What follows the thought of a text, without white space between them: all of it if there is no
/// thought.
#[must_use]
pub fn answer(text: &str) -> &str {
    if !begins(text) {
        return text;
    }
    text.split_once(CLOSE)
        .map_or("", |(_, answer)| answer.trim_start())
}

/// A thought without its tags and the white space inside them.
#[must_use]
pub fn inner(thought: &str) -> &str {
    let thought = thought.trim_start();
    let opened = thought.strip_prefix(OPEN).unwrap_or(thought);
    opened.strip_suffix(CLOSE).unwrap_or(opened).trim()
}

/// What a piece of a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The thought, its tags included.
    Thought,
    /// White space between thought and answer.
    Between,
    /// The answer.
    Answer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Start,
    Thought,
    Between,
    Answer,
}

/// Tells thought and answer apart in a text that comes piece by piece. No byte is held back longer
/// than it may be part of a tag.
#[derive(Debug, Clone, Default)]
pub struct Splitter {
    state: State,
    held: String,
}

impl Splitter {
    /// Takes more of the text, and hands on the parts that are certain by now, in order.
    pub fn push(&mut self, text: &str, sink: &mut dyn FnMut(Part, &str)) {
        self.held.push_str(text);
        while self.step(sink) {}
    }

    /// The text ends here: hands on what was held back.
    pub fn finish(&mut self, sink: &mut dyn FnMut(Part, &str)) {
        let part = match self.state {
            State::Thought => Part::Thought,
            State::Between => Part::Between,
            State::Start | State::Answer => Part::Answer,
        };
        self.release(self.held.len(), part, sink);
    }

    /// Whether the text so far ends inside a thought.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state == State::Thought
    }

    /// True if what is held has to be looked at in another state.
    fn step(&mut self, sink: &mut dyn FnMut(Part, &str)) -> bool {
        let before = self.state;
        match self.state {
            State::Start if begins(&self.held) => self.state = State::Thought,
            State::Start if OPEN.starts_with(self.held.trim_start()) => {}
            State::Start => self.state = State::Answer,
            State::Thought => match self.held.find(CLOSE) {
                Some(at) => {
                    self.release(at + CLOSE.len(), Part::Thought, sink);
                    self.state = State::Between;
                }
                None => {
                    let may_close = |&n: &usize| self.held.ends_with(&CLOSE[..n]);
                    let kept = (1..CLOSE.len()).rev().find(may_close).unwrap_or(0);
                    self.release(self.held.len() - kept, Part::Thought, sink);
                }
            },
            State::Between => {
                let space = self.held.len() - self.held.trim_start().len();
                self.release(space, Part::Between, sink);
                if !self.held.is_empty() {
                    self.state = State::Answer;
                }
            }
            State::Answer => self.release(self.held.len(), Part::Answer, sink),
        }
        self.state != before
    }

    fn release(&mut self, bytes: usize, part: Part, sink: &mut dyn FnMut(Part, &str)) {
        if bytes > 0 {
            sink(part, &self.held[..bytes]);
            self.held.drain(..bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Thought, space and answer of a text that comes in these pieces.
    fn parts(pieces: &[&str]) -> [String; 3] {
        let mut parts = [String::new(), String::new(), String::new()];
        let mut splitter = Splitter::default();
        let mut sink = |part, text: &str| parts[part as usize].push_str(text);
        for piece in pieces {
            splitter.push(piece, &mut sink);
        }
        splitter.finish(&mut sink);
        parts
    }

    #[test]
    fn a_thought_stands_at_the_beginning_or_nowhere() {
        for (text, expected) in [
            ("", ["", "", ""]),
            ("Hello", ["", "", "Hello"]),
            (
                "<think>\nHm.</think>\n\nHello",
                ["<think>\nHm.</think>", "\n\n", "Hello"],
            ),
            ("\n <think>a</think>b", ["\n <think>a</think>", "", "b"]),
            ("Say <think>a</think>b", ["", "", "Say <think>a</think>b"]),
            ("<think>a</thin", ["<think>a</thin", "", ""]),
            (
                "<think></think>a</think>b",
                ["<think></think>", "", "a</think>b"],
            ),
            (" <thi", ["", "", " <thi"]),
        ] {
            assert_eq!(parts(&[text]), expected, "{text:?}");
            assert_eq!(answer(text), expected[2], "{text:?}");
        }
    }

    #[test]
    fn what_cannot_be_a_tag_is_not_held_back() {
        let mut splitter = Splitter::default();
        let mut seen = String::new();
        for (piece, shown) in [
            ("<think", ""),
            (">", "<think>"),
            ("a<", "<think>a"),
            ("b </th", "<think>a<b "),
            ("e", "<think>a<b </the"),
        ] {
            splitter.push(piece, &mut |_, text| seen.push_str(text));
            assert_eq!(seen, shown, "{piece:?}");
        }
        assert!(splitter.is_open());
    }

    #[test]
    fn tags_are_no_part_of_what_was_thought() {
        for (thought, expected) in [
            (" <think>\n a\nb\n</think>", "a\nb"),
            ("<think>a", "a"),
            ("<think></think>", ""),
        ] {
            assert_eq!(inner(thought), expected, "{thought:?}");
        }
    }

    #[test]
    fn templates_may_open_a_thought() {
        for (markup, expected) in [
            ("<|im_start|>assistant\n<think>\n", "<think>\n"),
            ("<think>", "<think>"),
            ("<think>\n\n</think>\n\n", ""),
            ("\u{e9}assist\u{e9}\n", ""),
            ("", ""),
        ] {
            assert_eq!(opening(markup), expected, "{markup:?}");
        }
    }

    fn text() -> impl Strategy<Value = String> {
        let word = prop::sample::select(vec![
            "<think>", "</think>", "<", "</", "thi", "nk>", "\n", " ", "a", "\u{e9}",
        ]);
        prop::collection::vec(word, 0..9).prop_map(|words| words.concat())
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference_and_nothing_is_lost(text in text(), cut in any::<prop::sample::Index>()) {
            let whole = parts(&[&text]);
            let letters: Vec<String> = text.chars().map(String::from).collect();
            let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
            prop_assert_eq!(&parts(&letters), &whole);
            let cuts: Vec<usize> = (0..=text.len()).filter(|&i| text.is_char_boundary(i)).collect();
            let (a, b) = text.split_at(cuts[cut.index(cuts.len())]);
            prop_assert_eq!(&parts(&[a, b]), &whole);
            prop_assert_eq!(answer(&text), &whole[2]);
            prop_assert_eq!(whole.concat(), text);
        }
    }
}
