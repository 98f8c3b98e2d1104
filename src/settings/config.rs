//! The config file: permanent settings, with the names of the flags.
//!
//! Each value is checked alone, by the rules of its flag, so that an error names its line. What a
//! manifest can set too is weaker than the manifest ([`Config`] derefs to [`Values`]); every other
//! value becomes the default of its flag, in every command that takes the parameter.

use super::{generation, settle_fusion};
use crate::cli::{ChatArgs, takes_config};
use anyhow::{Context, Result, anyhow, bail};
use clap::{Arg, Args, Command, FromArgMatches};
use packllm_parameter::{Parameter, Place, Value, Values, known};
use packllm_store::Manifest;
use packllm_store::section::{Document, Section, read};
use std::io::ErrorKind;
use std::ops::Deref;
use std::path::{Path, PathBuf};

/// A key that is set.
#[derive(Debug)]
struct Entry {
    parameter: &'static Parameter,
    line: usize,
    value: Value,
}

/// What a config file sets; nothing if there is no file.
#[derive(Debug, Default)]
pub struct Config {
    path: PathBuf,
    entries: Vec<Entry>,
    values: Values,
}

impl Deref for Config {
    type Target = Values;

    fn deref(&self) -> &Values {
        &self.values
    }
}

impl Config {
    /// Reads a config file. If there is no file, nothing is set.
    ///
    /// # Errors
    /// The file and line, the key, and what is wrong with it.
    pub fn load(path: &Path) -> Result<Self> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, path),
            // A PACKLLM_HOME that is no folder is an error where it is needed.
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                Ok(Self::default())
            }
            Err(e) => Err(e).with_context(|| path.display().to_string()),
        }
    }

    fn parse(text: &str, path: &Path) -> Result<Self> {
        let title = path.display().to_string();
        let document = Document {
            origin: &title,
            text,
        };
        let table = document.parse()?;
        let section = Section {
            document: &document,
            title: "",
            line: 1,
            table: table.get_ref(),
        };
        let names: Vec<&'static str> = known(Place::Config).map(|p| &*p.name).collect();
        section.only(&names)?;
        let mut entries = Vec::new();
        for parameter in known(Place::Config) {
            let name = &*parameter.name;
            let noun = parameter.kind.noun();
            let value = section.get(name, &noun, |value| read(parameter, value))?;
            let place = section.table.get(name).map(|value| value.span().start);
            if let (Some(value), Some(place)) = (value, place) {
                let line = document.line(place);
                entries.push(Entry {
                    parameter,
                    line,
                    value,
                });
            }
        }
        entries.sort_by_key(|entry| entry.line);
        for entry in &entries {
            let wrong = |error| anyhow!("{title}:{}: {error:#}", entry.line);
            entry.check().map_err(wrong)?;
        }
        Ok(Self {
            path: path.to_owned(),
            values: typed(&entries)?,
            entries,
        })
    }

    fn entry(&self, parameter: &Parameter) -> Option<&Entry> {
        let mut entries = self.entries.iter();
        entries.find(|entry| entry.parameter.name == parameter.name)
    }

    /// The value of a key, and its place: `config.toml:3`.
    pub fn get(&self, parameter: &Parameter) -> Option<(String, String)> {
        let entry = self.entry(parameter)?;
        let place = format!("{}:{}", self.path.display(), entry.line);
        Some((entry.value.to_string(), place))
    }

    /// The commands with these values as the defaults of their flags.
    pub fn as_defaults(&self, command: Command) -> Command {
        command
            .mut_args(|arg| self.as_default(arg))
            .mut_subcommands(|command| self.as_defaults(command))
    }

    fn as_default(&self, arg: Arg) -> Arg {
        let parameter = takes_config(&arg).filter(|parameter| !parameter.in_manifest());
        match parameter.and_then(|parameter| self.entry(parameter)) {
            Some(entry) => arg.default_values(entry.items()),
            None => arg,
        }
    }
}

impl Entry {
    /// The values as they would be typed.
    fn items(&self) -> Vec<String> {
        match &self.value {
            Value::List(items) => items.iter().map(Value::to_string).collect(),
            one => vec![one.to_string()],
        }
    }

    /// The entry as its flag would be typed.
    fn typed(&self) -> Vec<String> {
        let name = &self.parameter.name;
        match self.value {
            Value::Switch(true) => vec![format!("--{name}")],
            Value::Switch(false) => Vec::new(),
            _ => {
                let items = self.items().into_iter();
                items.map(|item| format!("--{name}={item}")).collect()
            }
        }
    }

    /// Checks the value by the rules of its flag.
    fn check(&self) -> Result<()> {
        let values = typed(std::slice::from_ref(self))?;
        if values.weights.as_deref().is_some_and(|w| w.contains('=')) {
            bail!("`weights` by name belong to one pack: write them in its manifest");
        }
        generation(&values)?;
        settle_fusion(&values, &Manifest::default(), &[])?;
        Ok(())
    }
}

/// The flags of `chat`: the file can set no others.
fn flags() -> Command {
    ChatArgs::augment_args(Command::new("chat").no_binary_name(true))
}

/// Reads entries as if they were typed as flags, without the environment.
fn typed(entries: &[Entry]) -> Result<Values> {
    let command = flags().mut_args(|arg| arg.env(None::<&str>));
    let matches = command.try_get_matches_from(entries.iter().flat_map(Entry::typed));
    let args = matches.and_then(|matches| ChatArgs::from_arg_matches(&matches));
    let args = args.map_err(|error| {
        let told = error.to_string();
        let lines = told.lines().take_while(|line| !line.trim().is_empty());
        let line = lines.map(str::trim).collect::<Vec<_>>().join(" ");
        anyhow!("{}", line.trim_start_matches("error: "))
    })?;
    Ok(Values::clone(&args.given)
        .or(&args.opening)
        .or(&args.keeping))
}

/// A config file with every key in it, commented out.
pub fn example() -> String {
    let mut text = String::from(
        "# Settings of packllm. Flags, then the environment (PACKLLM_TEMP for temp, and so on), then a pack's\n\
         # manifest win over this file. `packllm config` shows what holds, and where it is set.\n",
    );
    let mut heading = "";
    for parameter in known(Place::Config) {
        let title = parameter.group.heading().unwrap_or("Conversation");
        if heading != title {
            heading = title;
            text.push_str(&format!("\n# ── {title} ──\n"));
        }
        let (help, name, example) = (parameter.told(), &parameter.name, parameter.example());
        text.push_str(&format!("\n# {help}\n# {name} = {example}\n"));
    }
    text
}

#[cfg(test)]
mod tests;
