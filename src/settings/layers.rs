//! What is set, and by whom: the strongest layer that says something.

use super::config::{KEYS, Key, flags};
use super::{Sources, check_sizes, generation, manifest_alone, pack_of_environment, settle_fusion};
use crate::cli::ChatArgs;
use anyhow::Result;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches};
use packllm_store::Manifest;
use serde_json::Value;

/// Where a value comes from, the strongest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layer {
    Flag,
    /// The variable.
    Environment(String),
    /// The pack's name.
    Manifest(String),
    /// The file and line.
    Config(String),
    Default,
}

/// A setting as it holds.
#[derive(Debug)]
pub struct Setting {
    pub key: &'static str,
    /// The one member it holds for; None for all.
    pub member: Option<String>,
    /// None: nothing is set, and there is no default.
    pub value: Option<String>,
    pub layer: Layer,
}

/// Every setting of `chat` under these flags; `matches` are theirs.
///
/// # Errors
/// A pack that cannot be found, or a value that is wrong: as `chat` itself.
pub fn layers(sources: &Sources, typed: &ChatArgs, matches: &ArgMatches) -> Result<Vec<Setting>> {
    check_sizes(&typed.pack)?;
    generation(&typed.sample)?;
    let named = !typed.pack.model.is_empty() || typed.pack.pack.is_some();
    let manifest = if named || sources.default_pack.is_some() {
        Some(manifest_alone(sources, &typed.pack)?)
    } else {
        None
    };
    if let Some(mut filled) = manifest.clone() {
        sources.config.fill(&mut filled);
        let names: Vec<String> = filled.members.iter().map(|m| m.name.clone()).collect();
        settle_fusion(&filled, &typed.fusion, &names)?;
    }
    let flags = flags();
    let known = |key: &'static Key| {
        let arg = flags
            .get_arguments()
            .find(|arg| arg.get_long() == Some(key.name))?;
        Some((key, arg))
    };
    let settings = KEYS.iter().filter_map(known).flat_map(|(key, arg)| {
        let one = setting(sources, key, arg, manifest.as_ref(), matches);
        let typed = matches!(one.layer, Layer::Flag | Layer::Environment(_));
        // Threads count for all members together, a member's own are its own.
        let members = if typed && key.name != "threads" {
            Vec::new()
        } else {
            of_members(key, manifest.as_ref())
        };
        std::iter::once(one).chain(members)
    });
    Ok(settings.collect())
}

fn setting(
    sources: &Sources,
    key: &'static Key,
    arg: &Arg,
    manifest: Option<&Manifest>,
    matches: &ArgMatches,
) -> Setting {
    let (layer, value) = given(key, arg, matches)
        .or_else(|| of_fusion(key, manifest))
        .or_else(|| {
            let (value, place) = sources.config.get(key.name)?;
            Some((Layer::Config(place), value))
        })
        .map_or_else(
            || (Layer::Default, default_of(arg)),
            |(layer, value)| (layer, Some(value)),
        );
    Setting {
        key: key.name,
        member: None,
        value,
        layer,
    }
}

/// By flag or environment.
fn given(key: &Key, arg: &Arg, matches: &ArgMatches) -> Option<(Layer, String)> {
    let id = arg.get_id().as_str();
    let raw = || {
        let values = matches.get_raw(id).into_iter().flatten();
        let values: Vec<_> = values.map(|v| v.to_string_lossy()).collect();
        values.join(",")
    };
    match matches.value_source(id) {
        Some(ValueSource::CommandLine) => Some((Layer::Flag, raw())),
        Some(ValueSource::EnvVariable) => {
            let name = arg.get_env().unwrap_or_default().to_string_lossy();
            Some((Layer::Environment(name.into_owned()), raw()))
        }
        // Read apart: beside -m it would be a conflict for clap.
        _ if key.name == "pack" && matches.value_source("model").is_none() => {
            let layer = Layer::Environment("PACKLLM_PACK".into());
            pack_of_environment().map(|name| (layer, name))
        }
        _ => None,
    }
}

/// By the manifest, for all members.
fn of_fusion(key: &Key, manifest: Option<&Manifest>) -> Option<(Layer, String)> {
    let manifest = manifest.filter(|_| key.in_manifest)?;
    let fusion = serde_json::to_value(&manifest.fusion).ok()?;
    Some((Layer::Manifest(manifest.name.clone()), text(&fusion, key)?))
}

/// By the manifest, member by member.
fn of_members(key: &'static Key, manifest: Option<&Manifest>) -> Vec<Setting> {
    let Some(manifest) = manifest else {
        return Vec::new();
    };
    let own = manifest.members.iter().filter_map(|member| {
        let value = text(&serde_json::to_value(member).ok()?, key)?;
        Some(Setting {
            key: key.name,
            member: Some(member.name.clone()),
            value: Some(value),
            layer: Layer::Manifest(manifest.name.clone()),
        })
    });
    own.collect()
}

/// A key of a table as it would be typed.
fn text(table: &Value, key: &Key) -> Option<String> {
    match table.get(key.name.replace('-', "_"))? {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(ToString::to_string).collect();
            Some(items.join(","))
        }
        other => Some(other.to_string()),
    }
}

/// The flag's default: clap's, or what its help says.
pub fn default_of(arg: &Arg) -> Option<String> {
    let values = arg.get_default_values();
    if !values.is_empty() {
        let values: Vec<_> = values.iter().map(|v| v.to_string_lossy()).collect();
        return Some(values.join(","));
    }
    if !arg.get_action().takes_values() {
        return Some("false".into());
    }
    let help = arg.get_help()?.to_string();
    let (_, rest) = help.split_once("[default: ")?;
    let (value, _) = rest.split_once(']')?;
    Some(value.split_whitespace().collect::<Vec<_>>().join(" "))
}
