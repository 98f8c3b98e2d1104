//! Markdown, letter by letter, as styled stretches of text.
//!
//! Every letter comes out again, in order, with a style. [Hidden](Style::HIDDEN) is markup whose
//! effect is visible: the marks around emphasis and code in a line, and the backslash before such a
//! mark. Fences with their language, the `#` of headings, list marks, `>` and rules stay visible,
//! in a style of their own. Tables, links and everything else are shown as written.
//!
//! A letter is held back while it may be markup: the beginning of a line until it is known to be
//! text, a line of three backticks to its end, an opening mark until its partner comes, the line
//! ends or [`LONGEST`](super::spans::LONGEST) letters have followed it. A mark without a partner is
//! text.

use super::ink::Style;
use super::spans::{Sink, run, spans};

/// The position in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum At {
    /// At the beginning, where block marks may stand.
    #[default]
    Start,
    /// Among words.
    Words,
    /// In a line that is shown unchanged.
    Verbatim(Style),
}

/// An open block of code: the letter of its fence, and the fence's length.
type Fence = (char, usize);

/// What a line begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beginning {
    /// Not known before more letters come.
    Unknown,
    /// This many bytes are a mark of this style; another mark may follow.
    Mark(usize, Style),
    /// This many bytes open a heading.
    Heading(usize),
    /// The line opens a block of code.
    Fence(Fence),
    /// The line is a rule.
    Rule,
    Words,
}

/// A text that is being rendered.
#[derive(Debug, Default)]
pub struct Markdown {
    at: At,
    fence: Option<Fence>,
    /// The style of a whole line.
    base: Style,
    /// The last letter that came out.
    before: Option<char>,
    held: String,
}

impl Markdown {
    /// Adds text.
    pub fn push(&mut self, text: &str, out: &mut Sink) {
        for char in text.chars() {
            if char == '\n' {
                self.finish(out);
                out("\n", Style::PLAIN);
                (self.at, self.base, self.before) = (At::Start, Style::PLAIN, None);
            } else {
                self.held.push(char);
                self.decide(false, out);
            }
        }
    }

    /// The line ends here, and perhaps the text: what was held back comes out.
    pub fn finish(&mut self, out: &mut Sink) {
        self.decide(true, out);
    }

    /// Lets out what is known of the held text; all of it if the line has `ended`.
    fn decide(&mut self, ended: bool, out: &mut Sink) {
        while self.at == At::Start && !self.held.is_empty() {
            let before = self.held.len();
            match self.fence {
                Some(fence) => self.code_line(fence, ended),
                None => self.begin_line(ended, out),
            }
            if self.at == At::Start && self.held.len() == before {
                return;
            }
        }
        match self.at {
            At::Start => {}
            At::Words => {
                let known = spans(&self.held, self.before, self.base, ended, out);
                self.hand_on(known);
            }
            At::Verbatim(style) => self.emit(self.held.len(), style, out),
        }
    }

    fn emit(&mut self, bytes: usize, style: Style, out: &mut Sink) {
        if bytes > 0 {
            out(&self.held[..bytes], style);
            self.hand_on(bytes);
        }
    }

    fn hand_on(&mut self, bytes: usize) {
        self.before = self.held[..bytes].chars().last().or(self.before);
        self.held.drain(..bytes);
    }

    /// The beginning of a line inside a block of code.
    fn code_line(&mut self, (mark, length): Fence, ended: bool) {
        let line = self.held.trim_start_matches([' ', '\t']);
        let run = run(line, mark);
        let closes = run >= length && line[run * mark.len_utf8()..].trim().is_empty();
        if ended && closes {
            self.fence = None;
            self.at = At::Verbatim(Style::DIM);
        } else if ended || !(closes || line.chars().all(|char| char == mark)) {
            self.at = At::Verbatim(Style::CODE);
        }
    }

    fn begin_line(&mut self, ended: bool, out: &mut Sink) {
        match beginning(&self.held, ended) {
            Beginning::Unknown => {}
            Beginning::Mark(bytes, style) => self.emit(bytes, style, out),
            Beginning::Heading(bytes) => {
                self.base = Style::BOLD;
                self.at = At::Words;
                self.emit(bytes, Style::BOLD, out);
            }
            Beginning::Fence(fence) => {
                self.fence = Some(fence);
                self.at = At::Verbatim(Style::DIM);
            }
            Beginning::Rule => self.at = At::Verbatim(Style::DIM),
            Beginning::Words => self.at = At::Words,
        }
    }
}

/// What the line `held` begins with. No more of it comes if it has `ended`.
fn beginning(held: &str, ended: bool) -> Beginning {
    let line = held.trim_start_matches([' ', '\t']);
    let indent = held.len() - line.len();
    let Some(mark) = line.chars().next() else {
        return if ended {
            Beginning::Words
        } else {
            Beginning::Unknown
        };
    };
    let run = run(line, mark);
    let rest = line.get(run..).unwrap_or("");
    // A run at the end of what is known may become longer.
    let grows = rest.is_empty() && !ended;
    match mark {
        '>' => Beginning::Mark(indent + 1, Style::DIM),
        '#' | '`' | '~' | '-' | '*' | '_' if grows => Beginning::Unknown,
        '#' if run <= 6 && (rest.is_empty() || rest.starts_with(' ')) => {
            Beginning::Heading(indent + run)
        }
        '`' if run < 3 || rest.contains('`') => Beginning::Words,
        '`' if !ended => Beginning::Unknown,
        '`' => Beginning::Fence((mark, run)),
        '~' if run >= 3 => Beginning::Fence((mark, run)),
        '-' | '*' | '_' if run >= 3 && rest.trim().is_empty() => match ended {
            true => Beginning::Rule,
            false => Beginning::Unknown,
        },
        '-' | '*' | '+' if line.len() == 1 && !ended => Beginning::Unknown,
        '-' | '*' | '+' if line[1..].starts_with(' ') => Beginning::Mark(indent + 2, Style::BOLD),
        '0'..='9' => numbered(line, indent, ended),
        _ => Beginning::Words,
    }
}

/// A line that begins with a digit: a list mark, `1. ` or `1) `, or words.
fn numbered(line: &str, indent: usize, ended: bool) -> Beginning {
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let rest = &line[digits..];
    let closed = rest.strip_prefix(['.', ')']);
    match closed {
        _ if digits > 9 => Beginning::Words,
        None if rest.is_empty() && !ended => Beginning::Unknown,
        Some("") if !ended => Beginning::Unknown,
        Some(rest) if rest.starts_with(' ') => Beginning::Mark(indent + digits + 2, Style::BOLD),
        _ => Beginning::Words,
    }
}

#[cfg(test)]
mod tests;
