//! `packllm models gc`: what stopped downloads left, and what is remembered of files that are gone.

use crate::app::App;
use crate::command::facts::file_size;
use crate::say::printable;
use anyhow::Result;
use packllm_store::Garbage;
use std::collections::BTreeSet;
use std::io::Write;
use std::process::ExitCode;

pub fn run(app: &App, dry_run: bool) -> Result<ExitCode> {
    let found = app.store.collect(dry_run)?;
    let mut out = std::io::stdout().lock();
    let mut sum = 0;
    let (removed, forgotten) = match dry_run {
        true => ("would remove", "would forget"),
        false => ("removed", "forgot"),
    };
    // A file has two verdicts.
    let mut tried = BTreeSet::new();
    for one in &found {
        match one {
            Garbage::Part { path, bytes } => {
                sum += bytes;
                let path = printable(&path.display().to_string());
                writeln!(out, "{removed} {path}, {}", file_size(*bytes))?;
            }
            Garbage::Gone { file } => {
                writeln!(out, "{forgotten} {}, whose file is gone", printable(file))?;
            }
            Garbage::Verdict { bytes, model, .. } => {
                sum += bytes;
                tried.insert(model);
            }
        }
    }
    for model in tried {
        let model = printable(model);
        writeln!(
            out,
            "{forgotten} how loading went of a file that is gone: {model}"
        )?;
    }
    let free = if dry_run { "would be free" } else { "are free" };
    writeln!(out, "{} {free}", file_size(sum))?;
    Ok(ExitCode::SUCCESS)
}
