//! The settings that hold: defaults < config file < manifest < environment < flags, checked.

use crate::remote::Lender;
use anyhow::{Context, Result};
use packllm_engine::backend::Pace;
use packllm_engine::engine::Fusion;
use packllm_engine::pack::Reference;
use packllm_engine::vocab::Alphabet;
use packllm_llama::LoadOptions;
use packllm_parameter::Values;
use packllm_store::Manifest;
use std::path::PathBuf;

mod answering;
mod config;
mod devices;
mod form;
mod fusing;
mod keys;
mod layers;
mod loading;
mod network;
pub mod pace;
mod placing;
mod reference;
mod scoring;
mod sources;

pub use crate::exit::{Usage, usage};
pub use answering::{drafter, generation, prompt_cache, random_seed, read_prompt};
pub use config::{Config, example};
pub use devices::{Asked, Devices, ask};
pub use form::{form, schema_form};
pub use fusing::settle_fusion;
pub use keys::{key_of_environment, keys_of, plain as plain_keys};
pub use layers::{Layer, Setting, layers};
use loading::{divide_threads, load_options};
pub use loading::{footprint, offload};
pub use network::network;
pub use scoring::{Scoring, scoring};
pub use sources::{Fetcher, Sources, pack_of_environment};

/// A pack that is ready to load.
#[derive(Debug, Clone)]
pub struct PackPlan {
    /// Its manifest; for `-m`, one made of the files.
    pub manifest: Manifest,
    /// One for each member.
    pub members: Vec<MemberPlan>,
    /// What members can be given.
    pub devices: Devices,
    /// How the members are fused.
    pub fusion: Fusion,
    /// `--reference`, if it was given.
    pub reference: Option<Reference>,
    /// Whether files that were never loaded before are loaded without a trial.
    pub trust_files: bool,
}

/// A member that is ready to load.
#[derive(Debug, Clone)]
pub struct MemberPlan {
    /// Its name in the pack.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// The manifest's chat template, in place of the file's own.
    pub chat_template: Option<String>,
    /// How it is loaded.
    pub load: LoadOptions,
    /// The machines that lend devices to it.
    pub lenders: Vec<Lender>,
    /// How its batches are shaped.
    pub pace: Pace,
}

/// Settles which pack is used, and how it is loaded and fused. Its files must exist; models that
/// are named by where they come from are fetched.
pub fn plan(sources: &Sources, given: &Values) -> Result<PackPlan> {
    let manifest = manifest(sources, given)?;
    let names: Vec<String> = manifest.members.iter().map(|m| m.name.clone()).collect();
    let fusion = settle_fusion(&fused(sources, given, &manifest), &manifest, &names)?;
    let mined = fusion.alphabet == Some(Alphabet::Mapped);
    let reference = reference::settle(given.reference.as_deref(), mined, &names)?;
    let files = files(sources, &manifest, given.offline())?;
    let threads = divide_threads(given.threads, &manifest, &files);
    let devices = Devices::of(&fused(sources, given, &manifest))?;
    let mut members = manifest
        .members
        .iter()
        .zip(files)
        .zip(threads)
        .map(|((member, path), threads)| {
            let chat_template = template_of(&manifest, member)?;
            let held = given.clone().or(&member.settings).or(sources.config);
            Ok(MemberPlan {
                name: member.name.clone(),
                load: load_options(sources, &held, &path, threads, &fusion),
                lenders: Vec::new(),
                pace: Pace::default(),
                path,
                chat_template,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    devices.place(&mut members, given.fit());
    for member in &mut members {
        member.pace = pace::of(sources.store, member, &devices);
    }
    Ok(PackPlan {
        manifest,
        members,
        devices,
        fusion,
        reference,
        trust_files: given.trust_file(),
    })
}

/// Where the members' files are. All that have to be fetched are fetched together.
pub fn files(sources: &Sources, manifest: &Manifest, offline: bool) -> Result<Vec<PathBuf>> {
    let named: Vec<_> = manifest
        .members
        .iter()
        .filter_map(packllm_store::Member::named)
        .collect();
    let fetcher = sources.fetcher.filter(|_| !named.is_empty());
    let mut fetched = match fetcher {
        Some(fetcher) => fetcher.fetch(&named, offline)?,
        None => Vec::new(),
    }
    .into_iter();
    let file = |member: &packllm_store::Member| -> Result<PathBuf> {
        let Some(model) = member.named().and_then(|_| fetched.next()) else {
            return Ok(sources.store.resolve(manifest, member)?);
        };
        match (&member.sha256, model.sha256) {
            (Some(expected), Some(actual)) if *expected != actual => {
                Err(packllm_store::StoreError::FileDiffers {
                    path: model.path,
                    expected: expected.clone(),
                    actual,
                }
                .into())
            }
            _ => Ok(model.path),
        }
    };
    manifest.members.iter().map(file).collect()
}

/// The parameters that hold for a pack.
fn fused(sources: &Sources, given: &Values, manifest: &Manifest) -> Values {
    given.clone().or(&manifest.fusion).or(sources.config)
}

/// The manifest that was named, or one made of the files of `-m`.
fn manifest(sources: &Sources, given: &Values) -> Result<Manifest> {
    if let Some(files) = &given.model {
        return ad_hoc(sources, files);
    }
    match given.pack.as_ref().or(sources.default_pack) {
        Some(name) => Ok(sources.store.pack(name)?),
        None => match sources.ready_packs().unwrap_or_default().as_slice() {
            [] => usage(
                "no pack was named: use --pack starter (after `packllm models pull starter`), or -m A.gguf -m B.gguf",
            ),
            ready => usage(format!(
                "no pack was named: use --pack NAME (ready: {}), or -m A.gguf -m B.gguf",
                ready.join(", ")
            )),
        },
    }
}

/// A manifest made of single files. Members are named by the files' stems, with numbers where two
/// are equal.
pub fn ad_hoc(sources: &Sources, files: &[PathBuf]) -> Result<Manifest> {
    let mut members: Vec<packllm_store::Member> = Vec::new();
    for file in files {
        let Some(text) = file.to_str() else {
            return usage(format!("{}: the path is not valid UTF-8", file.display()));
        };
        let source =
            packllm_store::Source::named(text).or_else(|error| usage(error.to_string()))?;
        let stem = match &source {
            Some(source) => short_name(source),
            None => file.file_stem().and_then(|s| s.to_str()).unwrap_or("model"),
        };
        let stem: String = stem
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || "._-".contains(c) {
                    c
                } else {
                    '-'
                }
            })
            .collect();
        let taken = |name: &str| members.iter().any(|m| m.name == name);
        let name = (1..)
            .map(|i| {
                if i == 1 {
                    stem.clone()
                } else {
                    format!("{stem}-{i}")
                }
            })
            .find(|name| !taken(name))
            .unwrap_or(stem.clone());
        let elsewhere = source.is_some() || (!file.exists() && sources.store.find(text)?.is_some());
        let file = if elsewhere || file.is_absolute() {
            text.to_owned()
        } else {
            std::env::current_dir()?
                .join(file)
                .to_string_lossy()
                .into_owned()
        };
        members.push(packllm_store::Member {
            name,
            file,
            ..packllm_store::Member::default()
        });
    }
    let origin = packllm_store::Origin::File(PathBuf::from("pack.toml"));
    Ok(Manifest {
        name: "ad-hoc".into(),
        members,
        origin,
        ..Manifest::default()
    })
}

/// What a member is called that is named by its source: the repository without `-GGUF`, the file.
fn short_name(source: &packllm_store::Source) -> &str {
    use packllm_store::{Pick, Source};
    let last = |path: &str| path.rfind('/').map_or(0, |at| at + 1);
    match source {
        Source::Hub(named) | Source::LmStudio(named) => match &named.pick {
            Pick::File(file) => {
                let name = file.get(last(file)..).unwrap_or_default();
                name.strip_suffix(".gguf").unwrap_or(name)
            }
            Pick::Usual | Pick::Quant(_) => {
                let name = named.repo.get(last(&named.repo)..).unwrap_or_default();
                let bare = name.strip_suffix("-GGUF").or(name.strip_suffix("-gguf"));
                bare.unwrap_or(name)
            }
        },
        Source::Ollama(name) => name.strip_suffix(":latest").unwrap_or(name),
        Source::Url(url) => {
            let path = url.split(['?', '#']).next().unwrap_or_default();
            let name = path.get(last(path)..).unwrap_or_default();
            name.strip_suffix(".gguf").unwrap_or(name)
        }
        Source::Wheels(_) => "model",
    }
}

/// A member's own chat template: from its manifest, or from the file that the manifest names.
pub fn template_of(manifest: &Manifest, member: &packllm_store::Member) -> Result<Option<String>> {
    let Some(file) = &member.chat_template_file else {
        return Ok(member.chat_template.clone());
    };
    let path = manifest
        .folder()
        .map_or_else(|| PathBuf::from(file), |folder| folder.join(file));
    let text = std::fs::read_to_string(&path).with_context(|| {
        format!(
            "{}: chat_template_file of member {}",
            path.display(),
            member.name
        )
    })?;
    Ok(Some(text))
}
