//! Every setting, and the layer it comes from: the strongest one that sets it.

use super::{Sources, fused, generation, manifest, pack_of_environment, settle_fusion};
use crate::cli::ChatArgs;
use anyhow::Result;
use clap::ArgMatches;
use clap::parser::ValueSource;
use packllm_parameter::{Parameter, Place, known};
use packllm_store::Manifest;

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

/// A setting that holds.
#[derive(Debug)]
pub struct Setting {
    pub key: &'static str,
    /// The one member it holds for; None for all.
    pub member: Option<String>,
    /// None: nothing is set, and there is no default.
    pub value: Option<String>,
    pub layer: Layer,
}

/// Every setting of `chat` with these flags, which `matches` are of.
///
/// # Errors
/// A pack that cannot be found, or a wrong value: as for `chat` itself.
pub fn layers(sources: &Sources, typed: &ChatArgs, matches: &ArgMatches) -> Result<Vec<Setting>> {
    let given = &typed.given;
    generation(given)?;
    let named = given.model.is_some() || given.pack.is_some();
    let manifest = if named || sources.default_pack.is_some() {
        Some(manifest(sources, given)?)
    } else {
        None
    };
    if let Some(manifest) = &manifest {
        let names: Vec<String> = manifest.members.iter().map(|m| m.name.clone()).collect();
        settle_fusion(&fused(sources, given, manifest), manifest, &names)?;
    }
    let settings = known(Place::Config).flat_map(|parameter| {
        let one = setting(sources, parameter, manifest.as_ref(), matches);
        let typed = matches!(one.layer, Layer::Flag | Layer::Environment(_));
        let members = if typed && !parameter.is_set_in(Place::MemberAlone) {
            Vec::new()
        } else {
            of_members(parameter, manifest.as_ref())
        };
        std::iter::once(one).chain(members)
    });
    Ok(settings.collect())
}

fn setting(
    sources: &Sources,
    parameter: &'static Parameter,
    manifest: Option<&Manifest>,
    matches: &ArgMatches,
) -> Setting {
    let (layer, value) = given(parameter, matches)
        .or_else(|| of_fusion(parameter, manifest))
        .or_else(|| {
            let (value, place) = sources.config.get(parameter)?;
            Some((Layer::Config(place), value))
        })
        .map_or_else(
            || (Layer::Default, parameter.default_text()),
            |(layer, value)| (layer, Some(value)),
        );
    Setting {
        key: &parameter.name,
        member: None,
        value,
        layer,
    }
}

/// Set by flag or environment.
fn given(parameter: &Parameter, matches: &ArgMatches) -> Option<(Layer, String)> {
    let raw = || {
        let values = matches.get_raw(&parameter.name).into_iter().flatten();
        let values: Vec<_> = values.map(|v| v.to_string_lossy()).collect();
        values.join(",")
    };
    match matches.value_source(&parameter.name) {
        Some(ValueSource::CommandLine) => Some((Layer::Flag, raw())),
        Some(ValueSource::EnvVariable) => {
            let variable = parameter.variable().unwrap_or_default();
            Some((Layer::Environment(variable.to_owned()), raw()))
        }
        // Read here and not by clap, for which it would conflict with -m.
        _ if parameter.key == "pack" && matches.value_source("model").is_none() => {
            let layer = Layer::Environment("PACKLLM_PACK".into());
            pack_of_environment().map(|name| (layer, name))
        }
        _ => None,
    }
}

/// Set by the manifest for all members.
fn of_fusion(parameter: &Parameter, manifest: Option<&Manifest>) -> Option<(Layer, String)> {
    let manifest = manifest?;
    let value = parameter.get(&manifest.fusion)?;
    Some((Layer::Manifest(manifest.name.clone()), value.to_string()))
}

/// Set by the manifest for single members.
fn of_members(parameter: &'static Parameter, manifest: Option<&Manifest>) -> Vec<Setting> {
    let Some(manifest) = manifest else {
        return Vec::new();
    };
    let own = manifest.members.iter().filter_map(|member| {
        let value = parameter.get(&member.settings)?;
        Some(Setting {
            key: &parameter.name,
            member: Some(member.name.clone()),
            value: Some(value.to_string()),
            layer: Layer::Manifest(manifest.name.clone()),
        })
    });
    own.collect()
}
