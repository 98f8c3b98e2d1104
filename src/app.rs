//! What every command needs: the store, the user's folders, the terminal, Ctrl-C.

use crate::plain_progress::PlainProgress;
use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use packllm_engine::backend::Vocab;
use packllm_engine::engine::{Engine, EngineError, MemberSpec, PromptPrefetch};
use packllm_engine::vocab::mapped::Map;
use packllm_store::{KeptMap, Store, StoreError};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::exit::INTERRUPTED;
use crate::folders;
use crate::hints;
use crate::remote;
use crate::report::{self, Unusable};
use crate::settings::{Config, PackPlan, Sources, pack_of_environment};
use crate::trial;

/// The pack to begin with: what `models pull` fetches if none is named.
pub const STARTER: &str = "starter";

/// The pack for quick trials.
pub const TINY: &str = "tiny";

/// What a command runs with.
pub struct App {
    /// The model store.
    pub store: Store,
    /// The cancel flag: Ctrl-C raises it.
    pub cancel: Arc<AtomicBool>,
    /// Set while the program only waits for a line: Ctrl-C then prints a hint.
    pub idle: Arc<AtomicBool>,
    /// Set while an interruption loses nothing: Ctrl-C then ends the program at once.
    disposable: Arc<AtomicBool>,
    /// The folder of the history and the sessions.
    pub state: PathBuf,
    /// Whether stderr takes colours.
    pub colour: bool,
    /// Whether stdout is a terminal.
    pub terminal: bool,
    /// Whether stdout takes colours.
    pub styled: bool,
    /// The pack that is used when none is named: from `PACKLLM_PACK`, or from the config file.
    pub default_pack: Option<String>,
    /// The config file.
    pub config: Config,
}

impl App {
    /// Reads the environment and installs the handler of Ctrl-C. The first Ctrl-C raises the cancel
    /// flag; a second one, while the flag is still raised, ends the program. A closed terminal
    /// (SIGHUP) or SIGTERM ends the program at once, except in a chat, where the answer is finished
    /// first (`guard`).
    pub fn new(config: Config) -> Result<Self> {
        let cancel = Arc::new(AtomicBool::new(false));
        let idle = Arc::new(AtomicBool::new(false));
        let disposable = Arc::new(AtomicBool::new(false));
        let (flag, waiting) = (Arc::clone(&cancel), Arc::clone(&idle));
        let no_loss = Arc::clone(&disposable);
        ctrlc::set_handler(move || {
            if flag.swap(true, Ordering::Relaxed) {
                leave(INTERRUPTED);
            }
            if no_loss.load(Ordering::Relaxed) {
                tell!("\ninterrupted");
                leave(INTERRUPTED);
            }
            if waiting.load(Ordering::Relaxed) {
                crate::say::aside(format_args!("\n(once more, or Ctrl-D, to leave)\n>>> "));
            }
        })
        .context("Ctrl-C cannot be caught")?;
        let terminal = std::io::stdout().is_terminal();
        let colours = std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()) && !is_dumb();
        let default_pack = pack_of_environment().or_else(|| config.pack.clone());
        Ok(Self {
            store: folders::store()?,
            state: folders::state()?,
            cancel,
            idle,
            disposable,
            colour: colours && std::io::stderr().is_terminal(),
            terminal,
            styled: colours && terminal,
            default_pack,
            config,
        })
    }

    /// Does work that leaves nothing behind if it is interrupted: meanwhile Ctrl-C ends the program
    /// at once. To wait would be slow: llama.cpp reads a vocabulary for a second without looking at
    /// the cancel flag, and freeing the memory takes as long again.
    pub fn disposable<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.disposable.store(true, Ordering::Relaxed);
        let done = match self.cancel.load(Ordering::Relaxed) {
            true => Err(EngineError::Cancelled.into()),
            false => work(),
        };
        self.disposable.store(false, Ordering::Relaxed);
        done
    }

    /// What the settings are made from.
    pub fn sources(&self) -> Sources<'_> {
        Sources {
            store: &self.store,
            config: &self.config,
            default_pack: self.default_pack.as_ref(),
            cancel: &self.cancel,
            fetcher: Some(self),
        }
    }

    /// A line on stderr, dimmed on a terminal.
    pub fn dim(&self, line: &str) {
        if self.colour {
            tell!("\x1b[2m{line}\x1b[0m");
        } else {
            tell!("{line}");
        }
    }

    /// Loads a pack, with a progress bar on a terminal. `prefetch` says what the member of a number
    /// may read while the others still load.
    pub fn load(
        &self,
        plan: &PackPlan,
        prefetch: &dyn Fn(usize) -> Option<PromptPrefetch>,
    ) -> Result<Arc<Engine>> {
        let specs = plan
            .members
            .iter()
            .enumerate()
            .map(|(k, member)| MemberSpec {
                prefetch: prefetch(k),
                ..remote::spec(member)
            });
        let specs = specs.collect();
        let bar = self.bar(
            1000 * plan.members.len() as u64,
            "loading {bar:30} {percent}% {msg}",
        );
        let names: Vec<&str> = plan.members.iter().map(|m| m.name.as_str()).collect();
        let mut progress = |progress: &[u32]| {
            bar.set_position(progress.iter().map(|&p| u64::from(p)).sum());
            let waiting: Vec<&str> = names
                .iter()
                .zip(progress)
                .filter(|(_, p)| **p < 1000)
                .map(|(name, _)| *name)
                .collect();
            bar.set_message(waiting.join(", "));
        };
        let cancel = Arc::clone(&self.cancel);
        let engine = self.disposable(|| {
            if !plan.trust_files {
                bar.set_message("trying files that are new here");
                trial::of_files(self, plan.members.iter().map(|m| m.path.as_path()))?;
            }
            let engine = Engine::load(specs, cancel, &mut progress)?;
            engine.catch_up(&mut |read| {
                let most = read.iter().max().copied().unwrap_or_default();
                bar.set_message(format!("reading the prompt, {most} tokens"));
            })?;
            Ok(engine)
        });
        bar.finish_and_clear();
        engine.map_err(|error| told_what_fits(error, plan))
    }

    /// The map between two vocabularies: from the store, or made now with a progress bar on a
    /// terminal. If the store fails, a note says so and the map is used all the same.
    pub fn map(&self, reference: &Vocab, member: &Vocab) -> Result<KeptMap, StoreError> {
        let bar = self.bar(0, "aligning {bar:30} {percent}% {eta} left");
        let kept = self.store.map(reference, member, || {
            Map::align(reference, member, num_cpus::get(), &|done, of| {
                bar.set_length(of as u64);
                bar.set_position(done as u64);
                !self.cancel.load(Ordering::Relaxed)
            })
        });
        bar.finish_and_clear();
        let kept = kept?;
        if let Some(trouble) = &kept.trouble {
            self.dim(&format!("note: {trouble}"));
        }
        Ok(kept)
    }

    /// A spinner for work of unknown length.
    pub fn spinner(&self, message: &'static str) -> ProgressBar {
        let bar = self.bar(0, "{spinner} {msg} {elapsed}");
        bar.set_message(message);
        bar.enable_steady_tick(Duration::from_millis(120));
        bar
    }

    /// A progress bar on stderr. It is hidden if stderr is no terminal, and a line now and then on a
    /// terminal that cannot move its cursor.
    pub fn bar(&self, len: u64, template: &str) -> ProgressBar {
        if !std::io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let bar = match is_dumb() {
            true => ProgressBar::with_draw_target(Some(len), plain_lines()),
            false => ProgressBar::new(len),
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar
    }
}

/// The error; if memory ran out, with the placement that would fit.
fn told_what_fits(error: anyhow::Error, plan: &PackPlan) -> anyhow::Error {
    let short = hints::is_of_memory(&error);
    let fits = short.then(|| plan.devices.fitting(&plan.members)).flatten();
    let Some(places) = fits else {
        return error;
    };
    let hint = format!("--fit places members by free memory: {places}");
    Unusable {
        reason: report::message(&error),
        hint: Some(hint),
    }
    .into()
}

fn plain_lines() -> ProgressDrawTarget {
    ProgressDrawTarget::term_like(Box::new(PlainProgress::new()))
}

/// Whether the terminal says that it understands no escape codes (`TERM=dumb`).
pub fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// Ends the program without freeing memory or waiting for threads: the system does that faster. The
/// caller has flushed its output.
pub fn leave(code: u8) -> ! {
    crate::guard::let_go();
    #[cfg(unix)]
    signal_hook::low_level::exit(code.into());
    #[cfg(not(unix))]
    std::process::exit(code.into())
}
