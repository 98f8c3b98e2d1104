//! `packllm pack`: manifests.

mod check;
mod dialogue;
mod proposal;
mod tune;

use crate::app::App;
use crate::cli::PackCommand;
use crate::command::facts;
use crate::command::question;
use crate::command::table::Table;
use crate::command::transfer::Transfer;
use crate::plural::counted;
use crate::say::printable;
use crate::settings::{Fetcher, ad_hoc, usage};
use anyhow::{Result, bail};
use dialogue::Chosen;
use packllm_engine::gguf::Header;
use packllm_parameter::Values;
use packllm_store::{
    Fetched, Licence, Manifest, Member, Origin, PackListing, Pick, Source, StoreError,
};
use serde_json::{Value, json};
use std::io::Write;
use std::process::ExitCode;

pub fn run(app: &App, args: &PackCommand) -> Result<ExitCode> {
    match args {
        PackCommand::List { json } => list(app, *json),
        PackCommand::Show { pack } => show(app, pack),
        PackCommand::New {
            name,
            models,
            replace,
        } => new(app, name.as_deref(), models, *replace),
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

/// Makes a pack of the models that are named, or of those that are chosen in a dialogue.
fn new(app: &App, name: Option<&str>, given: &Values, replace: bool) -> Result<ExitCode> {
    let chosen = match (name, &given.model) {
        (Some(name), Some(models)) => Chosen {
            name: name.to_owned(),
            models: models.clone(),
        },
        (None, Some(_)) => return usage("the new pack needs a name: packllm pack new NAME -m …"),
        _ if question::possible() => dialogue::choose(app, name, replace)?,
        _ => {
            return usage(
                "name its models: packllm pack new NAME -m FILE -hf OWNER/REPO:QUANT (without a terminal there is \
                 nobody to ask)",
            );
        }
    };
    write(app, &chosen, given.offline(), replace)
}

/// Writes a manifest. Each file is read once for its sha256, so that `pack check` can tell later
/// whether it has changed; of some it is known already.
fn write(app: &App, chosen: &Chosen, offline: bool, replace: bool) -> Result<ExitCode> {
    let Chosen { name, models } = chosen;
    let mut manifest = ad_hoc(&app.sources(), models)?;
    manifest.name = name.clone();
    for member in &mut manifest.members {
        member.name = tidy(&member.name);
    }
    refuse_name(&manifest)?;
    if !replace {
        refuse_taken(app, name)?;
    }
    let named: Vec<Source> = manifest.members.iter().filter_map(Member::named).collect();
    let mut fetched = match named.is_empty() {
        true => Vec::new(),
        false => app.fetch(&named, offline)?,
    }
    .into_iter();
    let pinned =
        manifest
            .members
            .iter()
            .map(|member| match member.named().and_then(|_| fetched.next()) {
                Some(model) => pin(member, model),
                None => with_source(app, member),
            });
    manifest.members = pinned.collect();
    for index in 0..manifest.members.len() {
        let Some(member) = manifest.members.get(index) else {
            continue;
        };
        let path = app.store.resolve(&manifest, member)?;
        let header = facts::require(&path).and_then(|_| Ok(Header::read(&path)?))?;
        let sha256 = match &member.sha256 {
            Some(known) => known.clone(),
            None => {
                let mut transfer = Transfer::new(app, &member.file, false);
                packllm_store::digest(&app.store, &manifest, member, &mut transfer, &app.cancel)?.1
            }
        };
        let size = std::fs::metadata(&path)?.len();
        if let Some(member) = manifest.members.get_mut(index) {
            member.sha256 = Some(sha256);
            member.size = Some(size);
            member.licence = member.licence.take().or_else(|| own_licence(&header));
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

/// A member that is the same wherever the manifest is read: with its commit and its hash. A split
/// model is named as a whole.
fn pin(member: &Member, model: Fetched) -> Member {
    let whole = matches!(model.source, Source::Hub(_) | Source::Url(_)) && model.parts == 1;
    Member {
        file: match whole {
            true => model.file,
            false => model.source.to_string(),
        },
        sources: if whole {
            vec![model.source]
        } else {
            Vec::new()
        },
        sha256: model.sha256,
        licence: model.licence,
        ..member.clone()
    }
}

/// A member of the store with the place that it was downloaded from, if that is known.
fn with_source(app: &App, member: &Member) -> Member {
    let listed = app.store.list().unwrap_or_default();
    let same = listed
        .into_iter()
        .find(|one| one.model.file == member.file)
        .map(|one| one.model);
    let source = same
        .as_ref()
        .and_then(|model| Source::named(model.source.as_ref()?).ok()?);
    let again = source.filter(|source| match source {
        Source::Hub(named) => matches!(named.pick, Pick::File(_)),
        Source::Url(_) => true,
        _ => false,
    });
    Member {
        sources: again.into_iter().collect(),
        licence: same.and_then(|model| model.licence),
        ..member.clone()
    }
}

/// The licence that the file itself names.
fn own_licence(header: &Header) -> Option<Licence> {
    let id = header.str("general.license")?.trim();
    let short = !id.is_empty() && id.len() < 60 && !id.contains(|char: char| char.is_control());
    let link = header.str("general.license.link");
    short.then(|| Licence {
        id: id.to_owned(),
        url: link
            .filter(|url| url.starts_with("https://"))
            .map(str::to_owned),
    })
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
