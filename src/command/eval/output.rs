//! The folder of a run: journal, results, picture.

use super::report::Report;
use super::{picture, show};
use crate::app::App;
use crate::cli::EvalArgs;
use anyhow::{Context, Result};
use packllm_eval::{Journal, JournalEntry};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// Where a run is written: nowhere without `--output`.
pub struct Output {
    folder: Option<(PathBuf, Journal)>,
    kept: usize,
}

impl Output {
    /// Makes the folder and begins the journal, or continues it and returns the questions decided
    /// before.
    pub fn open(
        args: &EvalArgs,
        settings: &Map<String, Value>,
    ) -> Result<(Output, Vec<JournalEntry>)> {
        let Some(folder) = &args.output else {
            let folder = None;
            return Ok((Output { folder, kept: 0 }, Vec::new()));
        };
        std::fs::create_dir_all(folder)
            .with_context(|| format!("--output {}", folder.display()))?;
        let path = folder.join("journal.jsonl");
        let (journal, decided) = if args.resume {
            Journal::resume(&path, settings)?
        } else {
            (Journal::create(&path, settings)?, Vec::new())
        };
        let output = Output {
            folder: Some((folder.clone(), journal)),
            kept: decided.len(),
        };
        Ok((output, decided))
    }

    /// Writes a question to the journal.
    pub fn append(&mut self, entry: &JournalEntry) -> Result<()> {
        if let Some((_, journal)) = &mut self.folder {
            journal.append(entry)?;
            self.kept += 1;
        }
        Ok(())
    }

    /// Says, when a run ends early, what is kept of it.
    pub fn say_kept(&self, app: &App) {
        if let Some((folder, _)) = &self.folder {
            let (n, folder) = (self.kept, folder.display());
            app.dim(&format!(
                "{n} questions are kept in {folder}; --resume goes on from there"
            ));
        }
    }

    /// Writes results.json, results.md and results.svg.
    pub fn write(&self, report: &Report, settings: &Map<String, Value>) -> Result<()> {
        let Some((folder, _)) = &self.folder else {
            return Ok(());
        };
        let mut tables = Vec::new();
        show::markdown(&mut tables, report)?;
        let document = format!("{:#}\n", show::document(report, settings));
        replace(&folder.join("results.json"), document.as_bytes())?;
        replace(&folder.join("results.md"), &tables)?;
        replace(
            &folder.join("results.svg"),
            picture::draw(report).as_bytes(),
        )
    }
}

/// Writes a file completely or not at all.
fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let draft = path.with_extension("part");
    std::fs::write(&draft, content)
        .and_then(|()| std::fs::rename(&draft, path))
        .with_context(|| path.display().to_string())
}
