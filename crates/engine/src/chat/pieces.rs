//! A rendered conversation, cut into markup and contents.
//!
//! The template is a program, so the place of each message is found by experiment. The conversation
//! is rendered once more with a *sentinel* in place of every message: a string that occurs nowhere
//! else. What stands between the sentinels is the markup. The real rendering must be that markup
//! with every sentinel replaced by its message, whole or trimmed.
//!
//! Where it is not, because the template drops or moves what a model thought, the sentinels replace
//! the answers alone. Where it still is not, because the template reads the contents, messages are
//! replaced one at a time: what comes before and after the sentinel must come before and after the
//! message in the real rendering, and what is left between must be a part of the message. A message
//! that is not found that way either is *hidden*, and stays in the markup.
//!
//! Nothing is guessed from the text of a message, so it may repeat, or look like markup.

use std::ops::Range;

use chrono::NaiveDateTime;

use super::sentinels::Sentinels;
use super::template::Arranged;
use super::{Message, Template, TemplateError, Turn};

/// What a piece of a prompt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PieceKind {
    /// The template's own words: tokenised with special tokens, conditioned on, never scored.
    Markup,
    /// A part of message number `message`, beginning `offset` bytes into its content: tokenised as
    /// plain text whatever it looks like.
    Content {
        /// The message, by number.
        message: usize,
        /// Bytes of its content before the piece.
        offset: usize,
    },
}

/// A stretch of a prompt of one kind; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The text.
    pub text: String,
    /// What it is.
    pub kind: PieceKind,
}

/// A conversation as one member reads it, in pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptPieces {
    /// Markup and contents in order; together they are the whole rendering. Two pieces of markup
    /// never follow each other. A template that repeats a message gives it a piece each time.
    pub pieces: Vec<Piece>,
    /// The messages, by number and in order, of which no byte was found with certainty (blank ones
    /// do not count). If there are any, the member cannot be scored under this template. What the
    /// template makes of them, if anything, is in the markup.
    pub hidden: Vec<usize>,
    /// See [`super::Rendered`].
    pub system_folded: bool,
    /// The markup begins with the text of the begin token: no other is to be put before it.
    pub starts_with_bos: bool,
    visible: Vec<Range<usize>>,
}

/// The bytes `range` of a turn's content stand at byte `at` of the rendering.
struct Shown {
    turn: usize,
    range: Range<usize>,
    at: usize,
}

impl PromptPieces {
    /// Renders a conversation and cuts it up; the arguments are those of [`Template::render`].
    ///
    /// # Errors
    /// Those of [`Template::render`].
    pub fn new(
        template: &Template,
        messages: &[Message],
        add_generation_prompt: bool,
        now: NaiveDateTime,
    ) -> Result<PromptPieces, TemplateError> {
        let Arranged {
            text,
            turns,
            system_folded,
        } = template.arrange(messages, add_generation_prompt, now)?;
        let render = |turns: &[Turn]| {
            template
                .render_exact(turns, add_generation_prompt, now)
                .ok()
        };
        let shown = Sentinels::new(&turns, &text).map_or_else(Vec::new, |sentinels| {
            let search = Search {
                sentinels,
                turns: &turns,
                text: &text,
                render: &render,
            };
            let together = search.together(whole).or_else(|| search.together(answer));
            together.unwrap_or_else(|| search.one_by_one())
        });
        let mut prompt = PromptPieces {
            pieces: Vec::new(),
            hidden: Vec::new(),
            system_folded,
            starts_with_bos: false,
            visible: vec![0..0; messages.len()],
        };
        prompt.cut(&text, &turns, &shown);
        prompt.hidden = (0..messages.len())
            .filter(|&m| prompt.visible[m].is_empty() && !messages[m].is_blank())
            .collect();
        prompt.starts_with_bos = !template.bos().is_empty()
            && prompt.pieces.first().is_some_and(|first| {
                first.kind == PieceKind::Markup && first.text.starts_with(template.bos())
            });
        Ok(prompt)
    }

    /// The whole rendering.
    pub fn text(&self) -> String {
        self.pieces
            .iter()
            .map(|piece| piece.text.as_str())
            .collect()
    }

    /// The bytes of message number `message` that the member gets to read: all of it, all but the
    /// white space around it, or another part that the template leaves. Empty for blank and hidden
    /// messages, and where there is no such message.
    pub fn visible(&self, message: usize) -> Range<usize> {
        self.visible.get(message).cloned().unwrap_or(0..0)
    }

    /// Cuts the rendering at what is shown, which is in order and does not overlap.
    fn cut(&mut self, text: &str, turns: &[Turn], shown: &[Shown]) {
        let mut done = 0;
        for Shown { turn, range, at } in shown {
            for part in &turns[*turn].parts {
                let start = part.at.start.max(range.start);
                let end = part.at.end.min(range.end);
                if start >= end {
                    continue;
                }
                let (from, to) = (at + start - range.start, at + end - range.start);
                self.push(&text[done..from], PieceKind::Markup);
                let offset = start - part.at.start;
                self.push(
                    &text[from..to],
                    PieceKind::Content {
                        message: part.of,
                        offset,
                    },
                );
                done = to;
                if self.visible[part.of].is_empty() {
                    self.visible[part.of] = offset..end - part.at.start;
                }
            }
        }
        self.push(&text[done..], PieceKind::Markup);
    }

    fn push(&mut self, text: &str, kind: PieceKind) {
        if !text.is_empty() {
            self.pieces.push(Piece {
                text: text.to_owned(),
                kind,
            });
        }
    }
}

/// The search for the messages of a rendering.
struct Search<'a, R> {
    sentinels: Sentinels,
    turns: &'a [Turn],
    text: &'a str,
    /// Renders other turns the same way; `None` where the template refuses.
    render: &'a R,
}

/// The part of a content that a sentinel stands for.
type Span = fn(&str) -> Range<usize>;

/// All of a content.
fn whole(content: &str) -> Range<usize> {
    0..content.len()
}

/// The part of a content after the thoughts that it begins with; all of a content without thoughts.
/// Templates leave thoughts out, or write them differently.
fn answer(content: &str) -> Range<usize> {
    let answer = content
        .rsplit_once("</think>")
        .map_or("", |(_, answer)| answer.trim());
    if answer.is_empty() {
        return whole(content);
    }
    let end = content.trim_end().len();
    end - answer.len()..end
}

impl<R: Fn(&[Turn]) -> Option<String>> Search<'_, R> {
    /// Finds all messages in one more rendering; `None` if the real one differs in more than the
    /// messages.
    fn together(&self, span: Span) -> Option<Vec<Shown>> {
        let marked = self.sentinels.mark(self.turns, |turn| {
            (!turn.message.is_blank()).then(|| span(&turn.message.content))
        });
        let rendering = (self.render)(&marked)?;
        let (first, rest) = self.sentinels.split(&rendering)?;
        let mut left = self.text.strip_prefix(first)?;
        let mut shown = Vec::new();
        for (turn, markup) in rest {
            let content = &self.turns.get(turn)?.message.content;
            let range = trimmings(content, span(content))
                .into_iter()
                .find(|range| {
                    left.strip_prefix(&content[range.clone()])
                        .is_some_and(|left| left.starts_with(markup))
                })?;
            let at = self.text.len() - left.len();
            left = &left[range.len() + markup.len()..];
            shown.push(Shown { turn, range, at });
        }
        left.is_empty().then_some(shown)
    }

    /// Finds each message in a rendering of its own. Messages that overlap are all left out.
    fn one_by_one(&self) -> Vec<Shown> {
        let mut shown: Vec<Shown> = (0..self.turns.len())
            .filter(|&turn| !self.turns[turn].message.is_blank())
            .filter_map(|turn| self.alone(turn, whole).or_else(|| self.alone(turn, answer)))
            .collect();
        shown.sort_by_key(|shown| (shown.at, shown.range.len()));
        if shown
            .windows(2)
            .any(|pair| pair[0].at + pair[0].range.len() > pair[1].at)
        {
            shown.clear();
        }
        shown
    }

    /// Finds one message.
    fn alone(&self, turn: usize, span: Span) -> Option<Shown> {
        let sentinel = self.sentinels.text(turn);
        let content = &self.turns[turn].message.content;
        let mut marked = self.turns.to_vec();
        marked[turn]
            .message
            .content
            .replace_range(span(content), &sentinel);
        let rendering = (self.render)(&marked)?;
        let (before, after) = rendering.split_once(&sentinel)?;
        if after.contains(&sentinel) {
            return None;
        }
        let found = self.text.strip_prefix(before)?.strip_suffix(after)?;
        let range = locate(content, span(content), found)?;
        Some(Shown {
            turn,
            range,
            at: before.len(),
        })
    }
}

/// What templates leave of the bytes `span` of a content, all of them first.
fn trimmings(content: &str, span: Range<usize>) -> [Range<usize>; 4] {
    let part = &content[span.clone()];
    let end = span.start + part.trim_end().len();
    let start = (span.end - part.trim_start().len()).min(end);
    [span.clone(), start..end, start..span.end, span.start..end]
}

/// Which part of the bytes `span` of a content `found` is: a trimming, or the one place where it
/// occurs. `None` if it is no part, or occurs in several places.
fn locate(content: &str, span: Range<usize>, found: &str) -> Option<Range<usize>> {
    let trimming = |range: &Range<usize>| &content[range.clone()] == found;
    if let Some(range) = trimmings(content, span.clone()).into_iter().find(trimming) {
        return Some(range);
    }
    let part = &content[span.clone()];
    let at = part.find(found)?;
    let start = span.start + at;
    (part.rfind(found) == Some(at)).then_some(start..start + found.len())
}

#[cfg(test)]
mod tests;
