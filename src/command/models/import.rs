//! `packllm models import`: uses GGUF files where they are on disk.

use crate::app::App;
use crate::command::facts::{self, file_size};
use crate::command::table::Table;
use crate::plural::counted;
use crate::say::printable;
use crate::settings::usage;
use anyhow::{Result, bail};
use packllm_engine::nearest;
use packllm_store::StoreError;
use packllm_store::import::{Caches, Found, at_path};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub fn run(app: &App, wanted: &[PathBuf], all: bool, name: Option<&str>) -> Result<ExitCode> {
    if all {
        return import_all(app);
    }
    if wanted.is_empty() {
        return show(app);
    }
    let choices = choose(wanted)?;
    let files: usize = choices.iter().map(|choice| choice.found.len()).sum();
    if name.is_some() && files != 1 {
        return usage(format!(
            "--name is for a single file, and these are {files}"
        ));
    }
    let mut failed = false;
    for choice in &choices {
        for found in &choice.found {
            match import(app, found, name) {
                Ok(line) => writeln!(std::io::stdout().lock(), "{line}")?,
                // A folder may contain anything; a file that was named has to work.
                Err(why) if choice.folder => skip(app, found, &why),
                Err(why) => {
                    failed = true;
                    crate::report::failure(&why);
                }
            }
        }
    }
    Ok(ExitCode::from(u8::from(failed)))
}

/// The files that one argument means.
struct Choice {
    found: Vec<Found>,
    folder: bool,
}

/// Finds the files: by path first, else by number or name in the list.
fn choose(wanted: &[PathBuf]) -> Result<Vec<Choice>> {
    let mut listed: Option<Vec<Found>> = None;
    let mut choices = Vec::new();
    for path in wanted {
        if path.exists() {
            let folder = path.is_dir();
            if !folder {
                // The reader of headers has the best error for a file that is no model.
                facts::require(path)?;
            }
            let found = at_path(path)?;
            if folder && found.is_empty() {
                bail!("{}: no GGUF file in this folder", path.display());
            }
            choices.push(Choice { found, folder });
            continue;
        }
        let listed = listed.get_or_insert_with(scan);
        let text = path.to_string_lossy();
        let Some(found) = pick(listed, &text) else {
            let names = listed.iter().map(|found| &found.file);
            let meant = nearest(&text, names).map(|name| format!("`{name}`"));
            let hint = packllm_engine::did_you_mean(meant);
            bail!(
                "{text}: no such file, nor a number or name that `packllm models import` lists{hint}"
            );
        };
        choices.push(Choice {
            found: vec![found],
            folder: false,
        });
    }
    Ok(choices)
}

/// The entry of the list that `text` means: its number, its file name, or its origin.
fn pick(listed: &[Found], text: &str) -> Option<Found> {
    let found = match text.parse::<usize>() {
        Ok(number) => listed.get(number.checked_sub(1)?)?,
        Err(_) => listed
            .iter()
            .find(|found| found.file == text || found.origin == text)?,
    };
    Some(Found {
        file: found.file.clone(),
        path: found.path.clone(),
        origin: found.origin.clone(),
        size: found.size,
    })
}

/// Imports one file and says so.
fn import(app: &App, found: &Found, name: Option<&str>) -> Result<String> {
    let file = name.unwrap_or(&found.file);
    let place = printable(&found.path.display().to_string());
    let known = app.store.find(file).ok().flatten();
    if known.is_some_and(|known| same(&known, &found.path)) {
        return Ok(format!("{}: already in the store", printable(file)));
    }
    facts::require(&found.path)?;
    let model = app.store.import(found, name)?;
    Ok(format!(
        "{}: imported from {place}, {}",
        model.file,
        file_size(model.size)
    ))
}

fn same(left: &Path, right: &Path) -> bool {
    match (std::fs::canonicalize(left), std::fs::canonicalize(right)) {
        (Ok(left), Ok(right)) => left == right,
        _ => false,
    }
}

fn skip(app: &App, found: &Found, why: &anyhow::Error) {
    app.dim(&printable(&format!("skipped {}: {why:#}", found.file)));
}

/// The GGUF files in other programs' caches.
fn scan() -> Vec<Found> {
    dirs::home_dir().map_or_else(Vec::new, |home| {
        Caches::usual(&home, &|name| std::env::var_os(name)).scan()
    })
}

fn show(app: &App) -> Result<ExitCode> {
    let found = scan();
    if found.is_empty() {
        app.dim(
            "no GGUF files in the caches of Hugging Face, Ollama and LM Studio; \
             `packllm models import PATH` takes a file or a folder",
        );
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(&["", "FILE", "SIZE", "FOUND IN", "STATE"], &[0, 2]);
    for (index, one) in found.iter().enumerate() {
        table.row([
            (index + 1).to_string(),
            one.file.clone(),
            file_size(one.size),
            one.origin.clone(),
            state(app, &found, index),
        ]);
    }
    table.write(&mut std::io::stdout().lock())?;
    app.dim("import one by its number or name: `packllm models import 1`, or everything: `packllm models import --all`");
    Ok(ExitCode::SUCCESS)
}

/// Whether it is imported, and if it cannot be, why.
fn state(app: &App, all: &[Found], index: usize) -> String {
    let Some(found) = all.get(index) else {
        return String::new();
    };
    match app.store.find(&found.file).ok().flatten() {
        Some(known) if same(&known, &found.path) => return "imported".into(),
        Some(_) => return "the store has another of that name: use --name".into(),
        None => (),
    }
    if let Err(unusable) = facts::read(&found.path) {
        return format!("cannot be used: {}", unusable.reason);
    }
    let earlier = all.iter().take(index).any(|other| other.file == found.file);
    if earlier {
        return "the name is listed twice: use its number and --name".into();
    }
    String::new()
}

fn import_all(app: &App) -> Result<ExitCode> {
    let found = scan();
    if found.is_empty() {
        return show(app);
    }
    let mut skipped = 0;
    for one in &found {
        match import(app, one, None) {
            Ok(line) => writeln!(std::io::stdout().lock(), "{line}")?,
            Err(why) if is_about_the_store(&why) => return Err(why),
            Err(why) => {
                skip(app, one, &why);
                skipped += 1;
            }
        }
    }
    if skipped == found.len() {
        bail!("none of the {} found can be used", counted(skipped, "file"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether every other file would fail as well, because the store cannot be written.
fn is_about_the_store(error: &anyhow::Error) -> bool {
    matches!(
        error.downcast_ref(),
        Some(StoreError::Io { .. } | StoreError::BadIndex { .. })
    )
}
