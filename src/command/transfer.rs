//! The progress of downloads, or of the check of a long file, on stderr: a bar for each on a
//! terminal, lines elsewhere.

use crate::app::App;
use crate::command::facts::file_size;
use crate::say::printable;
use crate::settings::{Fetcher, network};
use anyhow::Result;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use packllm_store::{Fetched, Licence, Progress, PullOptions, Source, StoreError, Watch, fetch};
use std::time::Duration;

/// While no bytes are known: pip does not show them.
const WAITING: &str = "{spinner} {prefix} {elapsed}";
const UNKNOWN_LENGTH: &str =
    "{spinner} {prefix} {decimal_bytes}  {decimal_bytes_per_sec}  {elapsed}";
const KNOWN_LENGTH: &str = "{spinner} {prefix} {wide_bar} {decimal_bytes} of {decimal_total_bytes}  \
                            {decimal_bytes_per_sec}  {eta} left";

/// Downloads that go on side by side.
pub struct Transfers<'a> {
    app: &'a App,
    bars: MultiProgress,
}

impl<'a> Transfers<'a> {
    pub fn new(app: &'a App) -> Self {
        let bars = MultiProgress::new();
        Self { app, bars }
    }

    /// The bar of one file, below those of the others. Licences were asked for before.
    pub fn one(&self, file: &str) -> Transfer<'_> {
        let bar = self.app.bar(0, WAITING);
        let moves = !bar.is_hidden() && !crate::app::is_dumb();
        let bar = if moves { self.bars.add(bar) } else { bar };
        Transfer::on(self.app, bar, file, true)
    }
}

impl Watch for Transfers<'_> {
    fn file(&self, file: &str) -> Box<dyn Progress + Send + '_> {
        Box::new(self.one(file))
    }
}

impl Fetcher for App {
    fn fetch(&self, models: &[Source], offline: bool) -> Result<Vec<Fetched>> {
        bring(self, models, &network(offline)?)
    }
}

/// Fetches models, and says what was downloaded and on what terms.
pub fn bring(app: &App, models: &[Source], options: &PullOptions) -> Result<Vec<Fetched>> {
    let transfers = Transfers::new(app);
    let fetched = fetch(&app.store, models, options, &transfers, &app.cancel);
    if let Err(StoreError::Cancelled) = fetched {
        app.dim("stopped; what has come is kept, and the same command goes on from there");
    }
    let fetched = fetched?;
    for one in fetched.iter().filter(|one| one.fresh) {
        let licence = one.licence.as_ref().map_or_else(String::new, |licence| {
            let url = licence.url.as_deref().unwrap_or_default();
            format!("; licence: {} {url}", licence.id)
        });
        let line = format!("fetched {}, {}{licence}", one.source, file_size(one.size));
        app.dim(&printable(&line));
    }
    Ok(fetched)
}

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
        Self::on(app, app.bar(0, WAITING), file, accepted)
    }

    fn on(app: &'a App, bar: ProgressBar, file: &str, accepted: bool) -> Self {
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
