//! An answer on its way to stdout. On a terminal Markdown is rendered, a thought is set off, folded
//! or hidden, attribution is coloured, and control codes in the text are made harmless. Anywhere
//! else the text goes out unchanged.

pub mod attribution;
mod ink;
mod markdown;
mod spans;

use crate::app::App;
use anyhow::{Context, Result};
use indicatif::ProgressBar;
use ink::{Ink, Style};
use markdown::Markdown;
use packllm_engine::chat::attribution::Attribution;
use packllm_engine::pack::More;
use packllm_engine::thought::{self, Part, Splitter};
use packllm_parameter::{Think, Values};
use std::io::{self, StdoutLock, Write};
use std::sync::atomic::Ordering;

/// How answers are shown on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// No styles: Markdown as it is written.
    pub plain: bool,
    pub think: Think,
    /// Whether attribution is shown.
    pub attribution: bool,
}

impl Look {
    /// As the parameters say.
    pub fn of(held: &Values) -> Self {
        Self {
            plain: held.plain(),
            think: held.think(),
            attribution: held.attribution(),
        }
    }

    /// Whether models may think before they answer; see `Template::ask_to_think`.
    pub fn lets_think(self) -> bool {
        self.think != Think::Off
    }
}

/// A text that is being shown. The caller writes what the methods return to stdout.
pub struct View<'a> {
    app: &'a App,
    look: Look,
    splitter: Splitter,
    /// If Markdown is rendered.
    markdown: Option<Markdown>,
    ink: Ink,
    /// The part of the thought that is not shown.
    thought: String,
    /// The spinner in place of a hidden thought.
    wait: Option<ProgressBar>,
}

impl<'a> View<'a> {
    /// For a text that continues `begun`, which is already on the screen.
    pub fn new(app: &'a App, look: Look, begun: &str) -> Self {
        let styled = app.styled && !look.plain;
        let mut view = Self {
            app,
            look,
            splitter: Splitter::default(),
            markdown: styled.then(Markdown::default),
            ink: Ink::default(),
            thought: String::new(),
            wait: None,
        };
        view.ink.attribute(begun.len(), None);
        for (part, text) in view.split(begun) {
            match part {
                Part::Answer => {
                    view.render(&text);
                    continue;
                }
                Part::Thought => view.thought.push_str(&text),
                Part::Between => {}
            }
            view.ink.skip(text.len());
        }
        // The next letter sets its style anew.
        view.ink.forget();
        view
    }

    /// Whether styles and colours are shown.
    fn is_styled(&self) -> bool {
        self.app.styled && !self.look.plain
    }

    /// Adds text, and the member that argued for it.
    pub fn push(&mut self, text: &str, attributed_to: Option<usize>) -> String {
        if !self.app.terminal {
            return text.to_owned();
        }
        self.ink.attribute(text.len(), attributed_to);
        for (part, text) in self.split(text) {
            self.show(part, &text);
        }
        self.ink.take()
    }

    /// Ends the text here, unless more is pushed later.
    pub fn finish(&mut self) -> String {
        let unfinished = self.splitter.is_open();
        let mut rest = Vec::new();
        let mut take = |part, text: &str| rest.push((part, text.to_owned()));
        self.splitter.finish(&mut take);
        for (part, text) in rest {
            self.show(part, &text);
        }
        self.fold(unfinished);
        if let Some(markdown) = &mut self.markdown {
            let ink = &mut self.ink;
            markdown.finish(&mut |text, style| ink.put(text, style));
        }
        self.ink.rest();
        self.ink.take()
    }

    fn split(&mut self, text: &str) -> Vec<(Part, String)> {
        let mut parts = Vec::new();
        let mut take = |part, text: &str| parts.push((part, text.to_owned()));
        self.splitter.push(text, &mut take);
        parts
    }

    fn show(&mut self, part: Part, text: &str) {
        match part {
            Part::Thought if self.look.think == Think::Show => {
                let dim = self.markdown.is_some();
                let style = if dim { Style::DIM } else { Style::PLAIN };
                self.ink.put(text, style);
            }
            Part::Thought => {
                self.ink.skip(text.len());
                self.thought.push_str(text);
                let spinner = || self.app.spinner("thinking");
                self.wait.get_or_insert_with(spinner);
            }
            Part::Between if self.look.think == Think::Show => self.ink.put(text, Style::PLAIN),
            Part::Between => {
                self.ink.skip(text.len());
                self.fold(false);
            }
            Part::Answer => {
                self.fold(false);
                self.render(text);
            }
        }
    }

    fn render(&mut self, text: &str) {
        let ink = &mut self.ink;
        match &mut self.markdown {
            Some(markdown) => markdown.push(text, &mut |text, style| ink.put(text, style)),
            None => ink.put(text, Style::PLAIN),
        }
    }

    /// A hidden thought has ended. Its length is shown if thoughts are folded, or if nothing
    /// follows it.
    fn fold(&mut self, unfinished: bool) {
        let Some(spinner) = self.wait.take() else {
            return;
        };
        spinner.finish_and_clear();
        let letters = thought::inner(&self.thought).chars().count();
        if unfinished {
            self.app
                .dim(&format!("thought: {letters} characters, not finished"));
        } else if self.look.think == Think::Fold {
            self.app.dim(&format!("thought: {letters} characters"));
        }
    }
}

/// Writes an answer to stdout as it is made.
pub struct Writer<'a> {
    view: View<'a>,
    /// Pieces shown so far, if attribution is coloured: then a word is shown when it is complete.
    pieces: usize,
    out: StdoutLock<'static>,
    result: io::Result<()>,
}

impl<'a> Writer<'a> {
    pub fn new(view: View<'a>) -> Self {
        Self {
            view,
            pieces: 0,
            out: io::stdout().lock(),
            result: Ok(()),
        }
    }

    /// Adds more of the answer. If it cannot be written (a closed pipe, a full disk), the answer is
    /// cancelled, and [`Writer::finish`] returns the error.
    pub fn push(&mut self, more: More<'_>) {
        let shown = match more.attribution.filter(|_| self.view.is_styled()) {
            Some(attribution) => self.next_pieces(attribution),
            None => self.view.push(more.text, None),
        };
        self.write(&shown);
        let goes_on = !more.text.is_empty();
        if goes_on && self.result.is_err() {
            self.view.app.cancel.store(true, Ordering::Relaxed);
        }
    }

    /// Ends the answer; an error if not all of it could be written.
    pub fn finish(mut self) -> Result<()> {
        let rest = self.view.finish();
        self.write(&rest);
        self.result.context("stdout")
    }

    /// The text of the pieces that are complete now.
    fn next_pieces(&mut self, attribution: &Attribution) -> String {
        let whole = attribution.pieces();
        let new = whole.iter().skip(self.pieces);
        let text = new.map(|piece| self.view.push(&piece.text, piece.attributed_to()));
        let text = text.collect();
        self.pieces = whole.len();
        text
    }

    fn write(&mut self, text: &str) {
        if self.result.is_ok() && !text.is_empty() {
            let written = self.out.write_all(text.as_bytes());
            self.result = written.and_then(|()| self.out.flush());
        }
    }
}

/// A complete text as it is shown.
pub fn shown(app: &App, look: Look, text: &str) -> String {
    let mut view = View::new(app, look, "");
    view.push(text, None) + &view.finish()
}

/// A text that is no answer: without styles, its control codes made harmless.
pub fn harmless(app: &App, text: &str) -> String {
    if !app.terminal {
        return text.to_owned();
    }
    let mut ink = Ink::default();
    ink.put(text, Style::PLAIN);
    ink.take()
}
