//! A rendered conversation, cut into markup and contents.
//!
//! The template is a program, so where a message ends up is found by asking: the conversation is rendered
//! once more with a *sentinel* for every message, a string that occurs nowhere else, and what stands between
//! the sentinels is the markup. The real rendering must then be that markup with every sentinel replaced by
//! the message, whole or trimmed. Where it is not, because the template reads the contents (it drops old
//! thoughts, say), each message is replaced alone: what comes before and after it in that rendering comes
//! before and after it in the real one too, and what is left between must be a part of the message. A message
//! that is not found that way either is *hidden*, and stays in the markup. Nothing is ever guessed from the
//! text of a message, so it may repeat, or look like markup.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

use chrono::NaiveDateTime;

use super::template::Arranged;
use super::{Message, Template, TemplateError, Turn};

/// What a piece of a prompt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PieceKind {
    /// The template's own words: tokenised with special tokens, conditioned on, never scored.
    Markup,
    /// A part of message number `message`, beginning `offset` bytes into its content: tokenised as plain
    /// text whatever it looks like.
    Content { message: usize, offset: usize },
}

/// A stretch of a prompt of one kind; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    pub text: String,
    pub kind: PieceKind,
}

/// A conversation as one member reads it, in pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// Markup and contents in order; together they are the whole rendering. Two pieces of markup never
    /// follow each other. A template that repeats a message gives it a piece each time.
    pub pieces: Vec<Piece>,
    /// The messages, by number and in order, of which no byte is shown in a way that could be verified
    /// (blank ones do not count). If there are any, the member cannot be scored under this template. What
    /// the template makes of them, if anything, is in the markup.
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

impl Prompt {
    /// Renders a conversation and cuts it up; the arguments are those of [`Template::render`].
    ///
    /// # Errors
    /// Those of [`Template::render`].
    pub fn new(
        template: &Template,
        messages: &[Message],
        add_generation_prompt: bool,
        now: NaiveDateTime,
    ) -> Result<Prompt, TemplateError> {
        let Arranged { text, turns, system_folded } =
            template.arrange(messages, add_generation_prompt, now)?;
        let render = |turns: &[Turn]| template.render_exact(turns, add_generation_prompt, now).ok();
        let shown = match Sentinels::new(&turns, &text) {
            Some(sentinels) => find_together(&sentinels, &turns, &text, &render)
                .unwrap_or_else(|| find_one_by_one(&sentinels, &turns, &text, &render)),
            None => Vec::new(),
        };
        let mut prompt = Prompt {
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
        self.pieces.iter().map(|piece| piece.text.as_str()).collect()
    }

    /// The bytes of message number `message` that the member gets to read: all, all but the white space
    /// around it, or what else the template leaves. Empty for blank and hidden messages, and for numbers that
    /// are none.
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
                self.push(&text[from..to], PieceKind::Content { message: part.of, offset });
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
            self.pieces.push(Piece { text: text.to_owned(), kind });
        }
    }
}

/// Strings that stand for messages: letters and digits, so that no template has a reason to change them.
pub(super) struct Sentinels {
    prefix: String,
}

impl Sentinels {
    /// Sentinels that occur neither in the turns nor in their rendering. Always the same for the same turns.
    /// `None` if there are none, which takes a text that was made for it.
    pub(super) fn new(turns: &[Turn], text: &str) -> Option<Sentinels> {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        for turn in turns {
            turn.message.content.hash(&mut hasher);
        }
        let prefix = format!("xq{:016x}m", hasher.finish());
        let is_free = !text.contains(&prefix)
            && turns.iter().all(|turn| !turn.message.content.contains(&prefix));
        is_free.then_some(Sentinels { prefix })
    }

    /// The sentinel of a turn.
    pub(super) fn text(&self, turn: usize) -> String {
        format!("{}{turn}z", self.prefix)
    }

    /// The turns, with sentinels for the contents of some.
    pub(super) fn mark(&self, turns: &[Turn], which: impl Fn(usize, &Turn) -> bool) -> Vec<Turn> {
        let mut marked = turns.to_vec();
        for (index, turn) in marked.iter_mut().enumerate() {
            if which(index, turn) {
                turn.message.content = self.text(index);
            }
        }
        marked
    }

    /// Splits a rendering at its sentinels: the markup before the first, then each sentinel's turn and the
    /// markup after it. `None` if a sentinel was changed.
    fn split<'t>(&self, rendering: &'t str) -> Option<(&'t str, Vec<(usize, &'t str)>)> {
        let mut fields = rendering.split(&self.prefix);
        let first = fields.next()?;
        let rest = fields.map(|field| {
            let (turn, markup) = field.split_once('z')?;
            Some((turn.parse().ok()?, markup))
        });
        Some((first, rest.collect::<Option<_>>()?))
    }
}

/// Finds all messages in one more rendering; `None` if the real one is not the same but for the messages.
fn find_together(
    sentinels: &Sentinels,
    turns: &[Turn],
    text: &str,
    render: &impl Fn(&[Turn]) -> Option<String>,
) -> Option<Vec<Shown>> {
    let rendering = render(&sentinels.mark(turns, |_, turn| !turn.message.is_blank()))?;
    let (first, rest) = sentinels.split(&rendering)?;
    if !text.starts_with(first) {
        return None;
    }
    let mut at = first.len();
    let mut shown = Vec::new();
    for (turn, markup) in rest {
        let content = &turns.get(turn)?.message.content;
        let range = trimmings(content).into_iter().find(|range| {
            text[at..].strip_prefix(&content[range.clone()]).is_some_and(|t| t.starts_with(markup))
        })?;
        let end = at + range.len();
        shown.push(Shown { turn, range, at });
        at = end + markup.len();
    }
    (at == text.len()).then_some(shown)
}

/// Finds each message in a rendering of its own, or else the answer in it that follows its thoughts. Messages
/// that overlap are all left out.
fn find_one_by_one(
    sentinels: &Sentinels,
    turns: &[Turn],
    text: &str,
    render: &impl Fn(&[Turn]) -> Option<String>,
) -> Vec<Shown> {
    let find = |turn: usize, range: Range<usize>| -> Option<Shown> {
        let sentinel = sentinels.text(turn);
        let mut marked = turns.to_vec();
        marked[turn].message.content.replace_range(range.clone(), &sentinel);
        let rendering = render(&marked)?;
        let (before, after) = rendering.split_once(&sentinel)?;
        if after.contains(&sentinel) {
            return None;
        }
        let found = text.strip_prefix(before)?.strip_suffix(after)?;
        let part = locate(&turns[turn].message.content[range.clone()], found)?;
        let range = range.start + part.start..range.start + part.end;
        Some(Shown { turn, range, at: before.len() })
    };
    let mut shown: Vec<Shown> = (0..turns.len())
        .filter(|&turn| !turns[turn].message.is_blank())
        .filter_map(|turn| {
            let content = &turns[turn].message.content;
            find(turn, 0..content.len()).or_else(|| find(turn, answer(content)?))
        })
        .collect();
    shown.sort_by_key(|shown| (shown.at, shown.range.len()));
    if shown.windows(2).any(|pair| pair[0].at + pair[0].range.len() > pair[1].at) {
        shown.clear();
    }
    shown
}

/// What templates leave of a content, the whole first.
fn trimmings(content: &str) -> [Range<usize>; 4] {
    let end = content.trim_end().len();
    let start = (content.len() - content.trim_start().len()).min(end);
    [0..content.len(), start..end, start..content.len(), 0..end]
}

/// Which part of a content `found` is: a trimming, or the one place where it occurs. `None` if it is no part,
/// or any of several.
fn locate(content: &str, found: &str) -> Option<Range<usize>> {
    if let Some(range) = trimmings(content).into_iter().find(|range| &content[range.clone()] == found) {
        return Some(range);
    }
    let start = content.find(found)?;
    (content.rfind(found) == Some(start)).then_some(start..start + found.len())
}

/// What follows the thoughts of a model that writes them down: templates leave those out, or put them
/// differently.
fn answer(content: &str) -> Option<Range<usize>> {
    let (_, answer) = content.rsplit_once("</think>")?;
    let end = content.trim_end().len();
    let answer = end - answer.trim().len()..end;
    (!answer.is_empty()).then_some(answer)
}

#[cfg(test)]
mod tests;
