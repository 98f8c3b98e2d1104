//! A download, or the check of a long file, as it is shown on stderr: a bar on a terminal, lines
//! elsewhere.

use crate::app::App;
use crate::command::table::printable;
use indicatif::{ProgressBar, ProgressStyle};
use packllm_store::{Licence, Progress};
use std::time::Duration;

/// While nothing is known but that something goes on: pip shows no bytes.
const WAITING: &str = "{spinner} {prefix} {elapsed}";
const UNKNOWN_LENGTH: &str =
    "{spinner} {prefix} {decimal_bytes}  {decimal_bytes_per_sec}  {elapsed}";
const KNOWN_LENGTH: &str = "{spinner} {prefix} {wide_bar} {decimal_bytes} of {decimal_total_bytes}  \
                            {decimal_bytes_per_sec}  {eta} left";

/// Watches one file.
pub struct Transfer<'a> {
    app: &'a App,
    bar: ProgressBar,
    /// What to answer when a licence is to be accepted: it has been asked for by then.
    accepted: bool,
}

impl<'a> Transfer<'a> {
    /// A bar for the file of that name.
    pub fn new(app: &'a App, file: &str, accepted: bool) -> Self {
        let bar = app.bar(0, WAITING);
        bar.set_prefix(printable(file));
        bar.enable_steady_tick(Duration::from_millis(120));
        Self { app, bar, accepted }
    }
}

impl Progress for Transfer<'_> {
    fn start(&mut self, total: Option<u64>, already: u64) {
        let template = if total.is_some() {
            KNOWN_LENGTH
        } else {
            UNKNOWN_LENGTH
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
        self.bar.set_length(total.unwrap_or(0));
        self.bar.set_position(already);
        // What an earlier pull brought says nothing about this one's speed.
        self.bar.reset_eta();
    }

    fn advance(&mut self, bytes: u64) {
        self.bar.inc(bytes);
    }

    fn note(&mut self, text: &str) {
        self.bar.suspend(|| self.app.dim(&printable(text)));
    }

    fn accept(&mut self, _member: &str, _licence: &Licence) -> bool {
        self.accepted
    }
}

impl Drop for Transfer<'_> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
