//! `packllm models`: the model store.

mod gc;
mod import;
mod pull;
mod show;

use crate::app::App;
use crate::cli::ModelsCommand;
use crate::command::facts::{self, file_size};
use crate::command::table::Table;
use crate::say::printable;
use crate::trial;
use anyhow::Result;
use packllm_engine::gguf::Header;
use packllm_store::{Listing, Manifest, Member, Removed};
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::UNIX_EPOCH;

pub fn run(app: &App, args: &ModelsCommand) -> Result<ExitCode> {
    match args {
        ModelsCommand::List { json } => list(app, *json),
        ModelsCommand::Pull { pack, yes, network } => pull::run(app, pack, *yes, network.offline()),
        ModelsCommand::Import { paths, all, name } => {
            import::run(app, paths, *all, name.as_deref())
        }
        ModelsCommand::Show { model } => show::run(app, model),
        ModelsCommand::Remove { model } => remove(app, model),
        ModelsCommand::Gc { dry_run } => gc::run(app, *dry_run),
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
    /// Its trial ended badly: it is not loaded.
    Faulty,
}

impl State {
    fn of(app: &App, one: &Listing, packs: &[Manifest]) -> Self {
        if !one.present {
            return Self::Missing;
        }
        if trial::known_fault(app, &one.path).is_some() {
            return Self::Faulty;
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
        let pulled =
            one.model.source.is_some() && (one.model.reference.is_none() || one.model.fetched);
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
            Self::Faulty => "faulty",
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
            Self::Faulty => {
                format!(
                    "{file}: loading it went wrong: get it from another source; `packllm models show {file}` says how"
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
    let states: Vec<State> = models
        .iter()
        .map(|one| State::of(app, one, &packs))
        .collect();
    let unfinished = unfinished(app);
    let mut out = std::io::stdout().lock();
    if as_json {
        let models: Vec<Value> = models
            .iter()
            .zip(&states)
            .map(|(one, state)| as_value(app, one, *state))
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
    let head = [
        "FILE", "SIZE", "FAMILY", "QUANT", "LICENCE", "PACKS", "STATE", "WHERE",
    ];
    let mut table = Table::new(&head, &[1]);
    for (one, state) in models.iter().zip(&states) {
        let about = About::of(app, one);
        let place = match &one.model.reference {
            Some(path) if one.model.fetched => format!("the hub's cache: {}", path.display()),
            Some(path) => format!("imported from {}", path.display()),
            None => format!("store: {}", one.path.display()),
        };
        table.row([
            one.model.file.clone(),
            file_size(bytes(one)),
            about.family.unwrap_or_default(),
            about.quantisation.unwrap_or_default(),
            about.licence.unwrap_or_default(),
            about.packs.join(", "),
            state.word().into(),
            place,
        ]);
    }
    for one in &unfinished {
        let mut cells = vec![String::new(); head.len()];
        cells[0].clone_from(&one.file);
        cells[1] = file_size(one.bytes);
        cells[6] = "unfinished".into();
        cells[7] = "a stopped download: `packllm models pull` goes on".into();
        table.cells(&cells);
    }
    table.write(&mut out)?;
    for (one, state) in models.iter().zip(&states) {
        let advice = state.advice(&one.model.file);
        if let Some(advice) = advice.or_else(|| refusal(one)) {
            app.dim(&printable(&advice));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// That no member can be made of the file, if our reader says so.
fn refusal(one: &Listing) -> Option<String> {
    let unusable = facts::read(&one.path).err()?;
    Some(format!(
        "{}: cannot be used: {}",
        one.model.file, unusable.reason
    ))
}

/// Bytes of the model, of all its files if it is split.
fn bytes(one: &Listing) -> u64 {
    let parts = one.files();
    let sizes = parts.iter().filter_map(|path| std::fs::metadata(path).ok());
    match sizes.map(|data| data.len()).sum() {
        0 => one.model.size,
        bytes => bytes,
    }
}

/// What a model's file and the packs say of it.
struct About {
    family: Option<String>,
    quantisation: Option<String>,
    licence: Option<String>,
    packs: Vec<String>,
}

impl About {
    fn of(app: &App, one: &Listing) -> Self {
        let header = Header::read(&one.path).ok();
        let summary = header.as_ref().map(Header::summary);
        Self {
            family: summary.as_ref().map(|summary| summary.architecture.clone()),
            quantisation: summary.map(|summary| summary.quantisation),
            licence: header.and_then(|header| licence(app, &one.path, &header)),
            packs: packs_with(app, &one.path),
        }
    }
}

/// Members of all packs whose file this is, each with its pack's name.
fn members_with(app: &App, path: &Path) -> Vec<(String, Member)> {
    let packs = app.store.packs().unwrap_or_default().into_iter();
    let manifests = packs.filter_map(|pack| pack.manifest.ok());
    let members = manifests.flat_map(|manifest| {
        let own = manifest.members.clone().into_iter();
        let same = own.filter(|member| {
            app.store
                .resolve(&manifest, member)
                .is_ok_and(|file| file == path)
        });
        let name = manifest.name.clone();
        let same: Vec<_> = same.map(|member| (name.clone(), member)).collect();
        same
    });
    members.collect()
}

/// Names of the packs that use the file.
fn packs_with(app: &App, path: &Path) -> Vec<String> {
    let mut names: Vec<String> = members_with(app, path)
        .into_iter()
        .map(|(n, _)| n)
        .collect();
    names.dedup();
    names
}

/// The licence, by a pack that names it, else by the file itself.
fn licence(app: &App, path: &Path, header: &Header) -> Option<String> {
    let members = members_with(app, path);
    let named = members.into_iter().find_map(|(_, member)| member.licence);
    let listed = || app.store.list().unwrap_or_default().into_iter();
    let kept = || listed().find(|one| one.path == path)?.model.licence;
    let own = || header.str("general.license").map(str::to_owned);
    named.or_else(kept).map(|licence| licence.id).or_else(own)
}

fn as_value(app: &App, one: &Listing, state: State) -> Value {
    let place = match &one.model.reference {
        Some(_) if one.model.fetched => "hub",
        Some(_) => "imported",
        None => "store",
    };
    let about = About::of(app, one);
    json!({
        "file": one.model.file,
        "path": one.path,
        "size": bytes(one),
        "state": state.word(),
        "verified": state == State::Verified,
        "present": one.present,
        "place": place,
        "family": about.family,
        "quantisation": about.quantisation,
        "licence": about.licence,
        "packs": about.packs,
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
