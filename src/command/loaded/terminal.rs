//! The terminal as the host of a pack: notes as lines, progress as bars, maps of the store.

use super::notes::line;
use crate::app::App;
use crate::say::printable;
use chrono::NaiveDateTime;
use indicatif::ProgressBar;
use packllm_engine::backend::Vocab;
use packllm_engine::engine::{EngineError, Lockstep, ScoreRequest};
use packllm_engine::pack::{Host, Note, Progress};
use packllm_engine::vocab::mapped::Map;
use std::error::Error;

/// The host: it shows each note once.
pub struct Terminal<'a> {
    pub app: &'a App,
    said: Vec<String>,
    /// The bar or spinner that is shown now.
    bar: Option<ProgressBar>,
}

impl<'a> Terminal<'a> {
    pub fn new(app: &'a App) -> Self {
        Self {
            app,
            said: Vec::new(),
            bar: None,
        }
    }
}

impl Host for Terminal<'_> {
    /// Shows each note once.
    fn note(&mut self, note: Note) {
        let text = line(&note);
        if !self.said.contains(&text) {
            self.app.dim(&printable(&format!("note: {text}")));
            self.said.push(text);
        }
    }

    fn progress(&mut self, progress: Progress<'_>) {
        let app = self.app;
        match progress {
            Progress::Reading { read, of } => {
                let bar = self.bar.get_or_insert_with(|| reading_bar(app, of));
                show(bar, "the prompt", read);
            }
            Progress::Measuring => self.bar = Some(app.spinner("measuring the members")),
            Progress::Done => {
                if let Some(bar) = self.bar.take() {
                    bar.finish_and_clear();
                }
            }
        }
    }

    fn map(
        &mut self,
        reference: &Vocab,
        member: &Vocab,
    ) -> Result<Map, Box<dyn Error + Send + Sync>> {
        Ok(self.app.map(reference, member)?.map)
    }

    fn now(&self) -> NaiveDateTime {
        now()
    }
}

/// The time that templates are given.
pub fn now() -> NaiveDateTime {
    chrono::Local::now().naive_local()
}

/// Evaluates what was prepared, with a progress bar that shows `name`.
pub fn read_showing(
    app: &App,
    engine: &mut Lockstep,
    name: &str,
    new_tokens: &[usize],
    request: ScoreRequest,
) -> Result<(), EngineError> {
    let bar = reading_bar(app, new_tokens);
    let result = engine.read_watched(request, &mut |read| show(&bar, name, read));
    bar.finish_and_clear();
    result
}

fn reading_bar(app: &App, of: &[usize]) -> ProgressBar {
    let length: usize = of.iter().sum();
    app.bar(length as u64, "reading {msg} {bar:30} {percent}% {eta}")
}

fn show(bar: &ProgressBar, name: &str, read: &[usize]) {
    bar.set_message(name.to_owned());
    bar.set_position(read.iter().sum::<usize>() as u64);
}
