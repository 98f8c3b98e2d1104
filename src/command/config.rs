//! `packllm config`: every setting, and where it comes from.

use crate::app::App;
use crate::cli::{ConfigArgs, ConfigCommand};
use crate::command::table::Table;
use crate::folders::config_path;
use crate::settings::{Layer, Setting, example, layers, usage};
use anyhow::{Context, Result, bail};
use clap::ArgMatches;
use serde_json::{Value, json};
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

pub fn run(app: &App, args: &ConfigArgs, matches: &ArgMatches) -> Result<ExitCode> {
    match args.action {
        None => show(app, args, matches)?,
        Some(ConfigCommand::Path) => {
            writeln!(std::io::stdout(), "{}", config_path()?.display()).context("stdout")?;
        }
        Some(ConfigCommand::Init) => init(app)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn show(app: &App, args: &ConfigArgs, matches: &ArgMatches) -> Result<()> {
    if let Some(name) = &args.chat.name {
        return usage(format!(
            "{name}: it is `config`, `config init` or `config path`; a pack is named by --pack"
        ));
    }
    let matches = matches.subcommand_matches("config").unwrap_or(matches);
    let settings = layers(&app.sources(), &args.chat, matches)?;
    let path = config_path()?;
    let mut out = std::io::stdout().lock();
    if args.json {
        let settings: Vec<Value> = settings.iter().map(as_value).collect();
        let document = json!({ "file": path, "exists": path.exists(), "settings": settings });
        return writeln!(out, "{document:#}").context("stdout");
    }
    let mut table = Table::new(&["KEY", "VALUE", "FROM"], &[]);
    for setting in &settings {
        let of = |member: &String| format!("{} of {member}", setting.key);
        let key = setting.member.as_ref().map(of);
        let value = setting.value.clone().unwrap_or_else(|| "-".into());
        let (name, place) = source(&setting.layer);
        let from = match place {
            Some(place) => format!("{name} {place}"),
            None => name.to_owned(),
        };
        table.row([key.unwrap_or_else(|| setting.key.into()), value, from]);
    }
    table.write(&mut out).context("stdout")?;
    if !path.exists() {
        app.dim(&format!(
            "{} is not there yet: `packllm config init` writes an example",
            path.display()
        ));
    }
    Ok(())
}

/// The layer's name, and the place in it.
fn source(layer: &Layer) -> (&'static str, Option<&str>) {
    match layer {
        Layer::Flag => ("flag", None),
        Layer::Environment(name) => ("environment", Some(name)),
        Layer::Manifest(name) => ("pack", Some(name)),
        Layer::Config(place) => ("config", Some(place)),
        Layer::Default => ("default", None),
    }
}

fn as_value(setting: &Setting) -> Value {
    let (name, place) = source(&setting.layer);
    json!({
        "key": setting.key,
        "member": setting.member,
        "value": setting.value,
        "from": name,
        "place": place,
    })
}

/// Writes the example file; an existing file is not replaced.
fn init(app: &App) -> Result<()> {
    let path = config_path()?;
    let context = || path.display().to_string();
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let mut options = std::fs::OpenOptions::new();
    let mut file = match options.write(true).create_new(true).open(&path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            bail!("{} is there already, and stays as it is", path.display())
        }
        Err(e) => return Err(e).with_context(context),
    };
    file.write_all(example().as_bytes()).with_context(context)?;
    writeln!(std::io::stdout(), "{}", path.display()).context("stdout")?;
    app.dim("every key is in it, commented out");
    Ok(())
}
