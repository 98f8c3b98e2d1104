//! `packllm models`: the model store.

mod import;
mod pull;

use crate::app::App;
use crate::cli::ModelsCommand;
use crate::command::facts::file_size;
use crate::command::table::Table;
use crate::say::printable;
use anyhow::Result;
use packllm_store::{Listing, Manifest, Removed};
use serde_json::{Value, json};
use std::io::Write;
use std::process::ExitCode;
use std::time::UNIX_EPOCH;

pub fn run(app: &App, args: &ModelsCommand) -> Result<ExitCode> {
    match args {
        ModelsCommand::List { json } => list(app, *json),
        ModelsCommand::Pull { pack, yes, network } => {
            pull::run(app, pack.as_deref(), *yes, network.offline())
        }
        ModelsCommand::Import { paths, all, name } => {
            import::run(app, paths, *all, name.as_deref())
        }
        ModelsCommand::Remove { model } => remove(app, model),
    }
}

/// What is known about a file's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It has the sha256 that a pack, or the pull that brought it, names.
    Verified,
    /// Its sha256 is known, but no known pack names one.
    Hashed,
    /// Its sha256 is not known yet.
    Unverified,
    /// It has been changed since its sha256 was taken.
    Changed,
    /// A known pack expects another sha256.
    Differs,
    /// An imported file that is no longer there.
    Missing,
}

impl State {
    fn of(one: &Listing, packs: &[Manifest]) -> Self {
        if !one.present {
            return Self::Missing;
        }
        let Some(actual) = &one.model.sha256 else {
            return Self::Unverified;
        };
        if stamp(one) != Some((one.model.size, one.model.modified)) {
            return Self::Changed;
        }
        let members = packs.iter().flat_map(|pack| &pack.members);
        let same_file = members.filter(|member| member.file == one.model.file);
        let mut expected = same_file.filter_map(|member| member.sha256.as_ref());
        let pulled = one.model.reference.is_none() && one.model.source.is_some();
        match expected.next() {
            Some(first) if first == actual || expected.any(|other| other == actual) => {
                Self::Verified
            }
            Some(_) => Self::Differs,
            None if pulled => Self::Verified,
            None => Self::Hashed,
        }
    }

    /// The word in the table and in JSON.
    fn word(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Hashed => "hashed",
            Self::Unverified => "unverified",
            Self::Changed => "changed",
            Self::Differs => "differs",
            Self::Missing => "missing",
        }
    }

    /// What to do about it, if something is wrong.
    fn advice(self, file: &str) -> Option<String> {
        Some(match self {
            Self::Missing => {
                format!(
                    "{file}: the imported file is gone: import it again, or `packllm models remove {file}`"
                )
            }
            Self::Changed => {
                format!(
                    "{file}: changed since its sha256 was taken: `packllm pack check` looks again"
                )
            }
            Self::Differs => {
                format!(
                    "{file}: not the file that a pack names by sha256: `packllm pack list`, `packllm pack check`"
                )
            }
            _ => return None,
        })
    }
}

/// Size and time of change, as in the index.
fn stamp(one: &Listing) -> Option<(u64, u64)> {
    let data = std::fs::metadata(&one.path).ok()?;
    let since = data.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some((data.len(), u64::try_from(since.as_nanos()).ok()?))
}

/// A stopped download in the store.
struct Unfinished {
    file: String,
    bytes: u64,
}

fn list(app: &App, as_json: bool) -> Result<ExitCode> {
    let models = app.store.list()?;
    // `pack list` reports manifests that cannot be read.
    let packs = app.store.packs()?;
    let packs: Vec<Manifest> = packs
        .into_iter()
        .filter_map(|pack| pack.manifest.ok())
        .collect();
    let states: Vec<State> = models.iter().map(|one| State::of(one, &packs)).collect();
    let unfinished = unfinished(app);
    let mut out = std::io::stdout().lock();
    if as_json {
        let models: Vec<Value> = models
            .iter()
            .zip(&states)
            .map(|(one, state)| as_value(one, *state))
            .collect();
        let unfinished: Vec<Value> = unfinished
            .iter()
            .map(|one| json!({"file": one.file, "bytes": one.bytes}))
            .collect();
        let document =
            json!({"store": app.store.root(), "models": models, "unfinished": unfinished});
        writeln!(out, "{document:#}")?;
        return Ok(ExitCode::SUCCESS);
    }
    if models.is_empty() && unfinished.is_empty() {
        app.dim(&format!(
            "no models in {}: `packllm models pull` downloads the pack `starter`, \
             `packllm models pull tiny` a much smaller one, `packllm models import` finds models that other programs have on disk",
            app.store.root().display()
        ));
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(&["FILE", "SIZE", "STATE", "WHERE"], &[1]);
    for (one, state) in models.iter().zip(&states) {
        let place = match &one.model.reference {
            Some(path) => format!("imported from {}", path.display()),
            None => "store".into(),
        };
        let word = state.word().into();
        table.row([one.model.file.clone(), size(one), word, place]);
    }
    for one in &unfinished {
        let place = "a stopped download: `packllm models pull PACK` goes on".into();
        table.row([
            one.file.clone(),
            file_size(one.bytes),
            "unfinished".into(),
            place,
        ]);
    }
    table.write(&mut out)?;
    for (one, state) in models.iter().zip(&states) {
        if let Some(advice) = state.advice(&one.model.file) {
            app.dim(&printable(&advice));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn size(one: &Listing) -> String {
    let bytes = stamp(one).map_or(one.model.size, |(bytes, _)| bytes);
    file_size(bytes)
}

fn as_value(one: &Listing, state: State) -> Value {
    let imported = one.model.reference.is_some();
    json!({
        "file": one.model.file,
        "path": one.path,
        "size": stamp(one).map_or(one.model.size, |(bytes, _)| bytes),
        "state": state.word(),
        "verified": state == State::Verified,
        "present": one.present,
        "place": if imported { "imported" } else { "store" },
        "source": one.model.source,
        "sha256": one.model.sha256.as_ref().filter(|_| {
            !matches!(state, State::Changed | State::Missing)
        }),
    })
}

/// Stopped downloads that the next pull continues.
fn unfinished(app: &App) -> Vec<Unfinished> {
    let folder = app.store.model_path("");
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<Unfinished> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            Some(Unfinished {
                file: name.strip_suffix(".part")?.to_owned(),
                bytes: entry.metadata().ok()?.len(),
            })
        })
        .collect();
    found.sort_by(|left, right| left.file.cmp(&right.file));
    found
}

fn remove(app: &App, model: &str) -> Result<ExitCode> {
    let removed = app.store.remove(model)?;
    let mut out = std::io::stdout().lock();
    match removed {
        Removed::File { bytes, .. } => {
            writeln!(out, "removed {model}: {} are free", file_size(bytes))?;
        }
        Removed::Reference { path } => {
            let path = printable(&path.display().to_string());
            writeln!(out, "removed {model} from the store; {path} stays")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
