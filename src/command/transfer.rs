//! The progress of a download, or of the check of a long file, on stderr: a bar on a terminal,
//! lines elsewhere.

use crate::app::App;
use crate::say::printable;
use indicatif::{ProgressBar, ProgressStyle};
use packllm_store::{Licence, Progress};
use std::time::Duration;

/// While no bytes are known: pip does not show them.
const WAITING: &str = "{spinner} {prefix} {elapsed}";
const UNKNOWN_LENGTH: &str =
    "{spinner} {prefix} {decimal_bytes}  {decimal_bytes_per_sec}  {elapsed}";
const KNOWN_LENGTH: &str = "{spinner} {prefix} {wide_bar} {decimal_bytes} of {decimal_total_bytes}  \
                            {decimal_bytes_per_sec}  {eta} left";

/// The progress of one file.
pub struct Transfer<'a> {
    app: &'a App,
    bar: ProgressBar,
    /// The answer when a licence has to be accepted: the user was asked before.
    accepted: bool,
}

impl<'a> Transfer<'a> {
    /// A bar for the file of this name.
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
        // The speed of an earlier pull does not count.
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
