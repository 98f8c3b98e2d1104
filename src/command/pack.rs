//! `packllm pack`: manifests.

mod check;
mod tune;

use crate::app::App;
use crate::cli::PackCommand;
use crate::command::facts;
use crate::command::table::Table;
use crate::command::transfer::Transfer;
use crate::plural::counted;
use crate::say::printable;
use crate::settings::{ad_hoc, usage};
use anyhow::{Result, bail};
use packllm_store::{Manifest, Origin, PackListing, StoreError};
use serde_json::{Value, json};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

pub fn run(app: &App, args: &PackCommand) -> Result<ExitCode> {
    match args {
        PackCommand::List { json } => list(app, *json),
        PackCommand::Show { pack } => show(app, pack),
        PackCommand::New {
            name,
            model,
            replace,
        } => new(app, name, model, *replace),
        PackCommand::Check { pack } => check::run(app, pack),
        PackCommand::Tune(args) => tune::run(app, args),
    }
}

fn list(app: &App, as_json: bool) -> Result<ExitCode> {
    let packs = app.store.packs()?;
    let mut out = std::io::stdout().lock();
    if as_json {
        let packs: Vec<Value> = packs.iter().map(|pack| as_value(app, pack)).collect();
        writeln!(out, "{:#}", json!({ "packs": packs }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(&["PACK", "MEMBERS", "FILES", "WHERE", "ABOUT"], &[]);
    for pack in &packs {
        let (members, files, about) = match &pack.manifest {
            Ok(manifest) => (
                names(manifest).join(", "),
                files(app, manifest),
                manifest.about.clone().unwrap_or_default(),
            ),
            Err(_) => (String::new(), "broken manifest".into(), String::new()),
        };
        table.row([
            pack.name.clone(),
            members,
            files,
            place(&pack.origin),
            about,
        ]);
    }
    table.write(&mut out)?;
    for pack in &packs {
        if let Err(error) = &pack.manifest {
            app.dim(&printable(&error.to_string()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn names(manifest: &Manifest) -> Vec<&str> {
    let members = manifest.members.iter();
    members.map(|member| member.name.as_str()).collect()
}

/// Files of members that are missing.
fn missing<'a>(app: &App, manifest: &'a Manifest) -> Vec<&'a str> {
    let members = manifest.members.iter();
    members
        .filter(|member| app.store.resolve(manifest, member).is_err())
        .map(|member| member.file.as_str())
        .collect()
}

fn files(app: &App, manifest: &Manifest) -> String {
    match missing(app, manifest).len() {
        0 => "present".into(),
        gone => format!("{gone} of {} missing", manifest.members.len()),
    }
}

fn place(origin: &Origin) -> String {
    match origin {
        Origin::Shipped => "comes with packllm".into(),
        Origin::Store(path) | Origin::File(path) => path.display().to_string(),
    }
}

fn as_value(app: &App, pack: &PackListing) -> Value {
    let path = match &pack.origin {
        Origin::Shipped => None,
        Origin::Store(path) | Origin::File(path) => Some(path),
    };
    let mut value = json!({
        "name": pack.name,
        "place": if path.is_none() { "shipped" } else { "store" },
        "path": path,
    });
    match &pack.manifest {
        Ok(manifest) => {
            let missing = missing(app, manifest);
            value["about"] = json!(manifest.about);
            value["members"] = json!(names(manifest));
            value["missing"] = json!(missing);
        }
        Err(error) => value["error"] = json!(error.to_string()),
    }
    value
}

/// Prints the manifest as it was written; a shipped one without its comments.
fn show(app: &App, pack: &str) -> Result<ExitCode> {
    let manifest = app.store.pack(pack)?;
    let text = match &manifest.origin {
        Origin::Shipped => manifest.to_toml()?,
        Origin::Store(path) | Origin::File(path) => std::fs::read_to_string(path)?,
    };
    app.dim(&printable(&place(&manifest.origin)));
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        writeln!(out)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes a manifest. Each file is read once for its sha256, so that `pack check` can tell later
/// whether it has changed; the store knows the sha256 of some files already.
fn new(app: &App, name: &str, models: &[PathBuf], replace: bool) -> Result<ExitCode> {
    let mut manifest = ad_hoc(&app.sources(), models)?;
    manifest.name = name.to_owned();
    for member in &mut manifest.members {
        member.name = tidy(&member.name);
    }
    refuse_name(&manifest)?;
    if !replace {
        refuse_taken(app, name)?;
    }
    for index in 0..manifest.members.len() {
        let Some(member) = manifest.members.get(index) else {
            continue;
        };
        let path = app.store.resolve(&manifest, member)?;
        facts::require(&path)?;
        let mut transfer = Transfer::new(app, &member.file, false);
        let (_, sha256) =
            packllm_store::digest(&app.store, &manifest, member, &mut transfer, &app.cancel)?;
        drop(transfer);
        let size = std::fs::metadata(&path)?.len();
        if let Some(member) = manifest.members.get_mut(index) {
            member.sha256 = Some(sha256);
            member.size = Some(size);
        }
    }
    let path = app.store.save_pack(&manifest, replace)?;
    writeln!(
        std::io::stdout().lock(),
        "wrote {}: {}",
        printable(&path.display().to_string()),
        counted(manifest.members.len(), "member")
    )?;
    app.dim(&format!("talk with it: packllm chat --pack {name}"));
    Ok(ExitCode::SUCCESS)
}

/// Makes a member's name of a file's name: it has to begin with a letter or digit.
fn tidy(name: &str) -> String {
    let begun = name.trim_start_matches(|char: char| !char.is_ascii_alphanumeric());
    let short: String = begun.chars().take(100).collect();
    if short.is_empty() {
        "model".into()
    } else {
        short
    }
}

/// Refuses a name that a manifest cannot have, before files are read.
fn refuse_name(manifest: &Manifest) -> Result<()> {
    let text = manifest.to_toml()?;
    match Manifest::parse(&text, "the new manifest", Origin::Shipped) {
        Err(StoreError::BadValue {
            key,
            expected,
            actual,
            ..
        }) if key == "name" => usage(format!(
            "{actual} cannot name a pack or a member: it must be {expected}"
        )),
        outcome => Ok(outcome.map(drop)?),
    }
}

fn refuse_taken(app: &App, name: &str) -> Result<()> {
    let packs = app.store.packs()?;
    match packs.iter().find(|pack| pack.name == name) {
        None => Ok(()),
        Some(PackListing {
            origin: Origin::Shipped,
            ..
        }) => bail!(
            "pack `{name}` comes with packllm, and a new one of that name would hide it: choose another name, or \
             use --replace"
        ),
        Some(pack) => bail!(
            "pack `{name}` already exists ({}): choose another name, or use --replace",
            place(&pack.origin)
        ),
    }
}
