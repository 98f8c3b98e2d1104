//! From what was typed to what is true: defaults < config file < manifest < environment < flags, validated.

use crate::app::App;
use crate::cli::{
    CacheName, DraftArgs, DraftName, FlashAttention, FusionArgs, PackArgs, PromptCacheArgs,
    SampleArgs, VocabName,
};
use anyhow::{Context, Result, bail};
use packllm::backend::llama::{CacheType, LoadOptions, Watch};
use packllm::backend::offload::Offload;
use packllm::engine::{Drafter, Fusion, Generation, Lookup};
use packllm::mix::Mix;
use packllm::pack::{self, Manifest};
use packllm::sample::Params;
use packllm::vocab::Alphabet;
use packllm::vocab::cover::Budget;
use packllm::weight::Method;
use std::path::{Path, PathBuf};
use std::sync::Arc;

mod config;
mod layers;
mod reference;
mod scoring;

pub use config::{Config, example};
pub use layers::{Layer, Setting, layers};
pub use reference::Reference;
pub use scoring::{Scoring, scoring};

/// A mistake in what was typed: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// Shorthand for a usage error.
pub fn usage<T>(message: impl Into<String>) -> Result<T> {
    Err(Usage(message.into()).into())
}

/// A pack that is ready to load.
#[derive(Debug, Clone)]
pub struct PackPlan {
    /// The manifest it came from; an ad-hoc one for `-m`.
    pub manifest: Manifest,
    /// One entry a member.
    pub members: Vec<MemberPlan>,
    /// How they are fused.
    pub fusion: Fusion,
    /// `--reference`, if it was given.
    pub reference: Option<Reference>,
}

/// A member that is ready to load.
#[derive(Debug, Clone)]
pub struct MemberPlan {
    /// Its name in the pack.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// Template of the manifest, in place of the file's own.
    pub chat_template: Option<String>,
    /// How it is loaded.
    pub load: LoadOptions,
}

/// Rows of logits read at once along scored text.
const OUTPUTS: u32 = 64;

/// Most KV sequences llama.cpp serves.
const MAX_SEQUENCES: usize = 250;

/// Settles which pack and how it is loaded and fused. Files must be there; nothing is downloaded.
pub fn plan(app: &App, pack: &PackArgs, fusion: &FusionArgs) -> Result<PackPlan> {
    check_sizes(pack)?;
    let manifest = manifest(app, pack)?;
    let names: Vec<String> = manifest.members.iter().map(|m| m.name.clone()).collect();
    let wished = fusion.reference.as_deref();
    let fusion = settle_fusion(&manifest, fusion, &names)?;
    let mined = fusion.alphabet == Some(Alphabet::Mined);
    let reference = reference::settle(wished, mined, &names)?;
    let files: Vec<PathBuf> = manifest
        .members
        .iter()
        .map(|m| app.store.resolve(&manifest, m).map_err(anyhow::Error::from))
        .collect::<Result<_>>()?;
    let threads = divide_threads(pack.threads, &manifest, &files);
    let members = manifest
        .members
        .iter()
        .zip(files)
        .zip(threads)
        .map(|((member, path), threads)| {
            let chat_template = template_of(&manifest, member)?;
            let load = load_options(app, pack, member, &path, threads, &fusion)?;
            Ok(MemberPlan {
                name: member.name.clone(),
                path,
                chat_template,
                load,
            })
        })
        .collect::<Result<_>>()?;
    Ok(PackPlan {
        manifest,
        members,
        fusion,
        reference,
    })
}

/// The file of `--prompt-cache`, where it can be used.
pub fn prompt_cache(
    typed: &PromptCacheArgs,
    fusion: &Fusion,
    raw: bool,
) -> Result<Option<PathBuf>> {
    let refuse = |why: &str| usage(format!("--prompt-cache {why}"));
    match &typed.prompt_cache {
        None => Ok(None),
        Some(_) if raw => refuse("keeps whole messages, and with --raw there are none"),
        Some(_) if fusion.alphabet == Some(Alphabet::Mined) => {
            refuse("and --vocab mined do not go together: the published mode keeps no prompt")
        }
        Some(path) => Ok(Some(path.clone())),
    }
}

/// The manifest named, or one made of `-m` files; the config file fills what it leaves open.
pub fn manifest(app: &App, pack: &PackArgs) -> Result<Manifest> {
    let mut manifest = manifest_alone(app, pack)?;
    app.config.fill(&mut manifest);
    Ok(manifest)
}

/// The manifest as it is written.
fn manifest_alone(app: &App, pack: &PackArgs) -> Result<Manifest> {
    if !pack.model.is_empty() {
        return ad_hoc(app, &pack.model);
    }
    match pack.pack.as_ref().or(app.default_pack.as_ref()) {
        Some(name) => Ok(app.store.pack(name)?),
        None => usage(
            "no pack was named: use --pack starter (after `packllm models pull starter`), or -m A.gguf -m B.gguf",
        ),
    }
}

/// A manifest for files given one by one; names are the files' stems, told apart by numbers.
pub fn ad_hoc(app: &App, files: &[PathBuf]) -> Result<Manifest> {
    let mut members: Vec<pack::Member> = Vec::new();
    for file in files {
        let Some(text) = file.to_str() else {
            return usage(format!("{}: the path is not valid UTF-8", file.display()));
        };
        let stem = file.file_stem().and_then(|s| s.to_str()).unwrap_or("model");
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
        let in_store = !file.exists() && app.store.find(text)?.is_some();
        let file = if in_store || file.is_absolute() {
            text.to_owned()
        } else {
            std::env::current_dir()?
                .join(file)
                .to_string_lossy()
                .into_owned()
        };
        members.push(pack::Member {
            name,
            file,
            ..pack::Member::default()
        });
    }
    let origin = pack::Origin::File(PathBuf::from("pack.toml"));
    Ok(Manifest {
        name: "ad-hoc".into(),
        members,
        origin,
        ..Manifest::default()
    })
}

/// A member's own chat template: of its manifest, or of the file that this names.
pub fn template_of(manifest: &Manifest, member: &pack::Member) -> Result<Option<String>> {
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

/// How the members `names` are fused; flags win over the manifest.
pub fn settle_fusion(manifest: &Manifest, typed: &FusionArgs, names: &[String]) -> Result<Fusion> {
    let (wish, numbers) = (&manifest.fusion, &typed.numbers);
    let defaults = Fusion::default();
    let alphabet = match (typed.vocab, wish.vocab.as_deref()) {
        (Some(VocabName::Tokens), _) | (None, Some("tokens")) => Some(Alphabet::Tokens),
        (Some(VocabName::Bytes), _) | (None, Some("bytes")) => Some(Alphabet::Bytes),
        (Some(VocabName::Mined), _) | (None, Some("mined")) => Some(Alphabet::Mined),
        (Some(VocabName::Auto), _) | (None, Some("auto") | None) => None,
        (None, Some(other)) => {
            return usage(format!(
                "vocab `{other}` in the manifest: it is auto, tokens, bytes or mined"
            ));
        }
    };
    let mix = match typed.mix.as_deref().or(wish.mix.as_deref()) {
        Some(text) => text.parse::<Mix>().map_err(|e| Usage(e.to_string()))?,
        None => defaults.mix,
    };
    let method = match typed.weights.as_deref().or(wish.weights.as_deref()) {
        Some(text) => Method::parse(text, names).map_err(|e| Usage(e.to_string()))?,
        None => defaults.method,
    };
    let number = |flag: &str,
                  typed: Option<f64>,
                  wish: Option<f64>,
                  default: f64,
                  range: std::ops::RangeInclusive<f64>| {
        let value = typed.or(wish).unwrap_or(default);
        if range.contains(&value) {
            return Ok(value);
        }
        usage(format!(
            "--{flag} {value}: it must be from {} to {}",
            range.start(),
            range.end()
        ))
    };
    let heads = numbers
        .heads
        .or(wish.heads)
        .unwrap_or(defaults.budget.heads);
    if !(1..=MAX_SEQUENCES / 2 - 4).contains(&heads) {
        return usage(format!(
            "--heads {heads}: it must be from 1 to {}",
            MAX_SEQUENCES / 2 - 4
        ));
    }
    if typed.follow_answer && method != Method::Adaptive {
        return usage(format!(
            "--follow-answer is for --weights adaptive; the weights are {method}"
        ));
    }
    Ok(Fusion {
        alphabet,
        mix,
        follow_answer: typed.follow_answer,
        method,
        tau: number("tau", numbers.tau, wish.tau, defaults.tau, 1e-6..=1e6)?,
        prior_bytes: number(
            "prior-bytes",
            numbers.prior_bytes,
            wish.prior_bytes,
            defaults.prior_bytes,
            0.0..=1e9,
        )?,
        prior: prior(manifest)?,
        rate: number("rate", numbers.rate, wish.rate, defaults.rate, 0.0..=1.0)?,
        drop: number("drop", numbers.drop, wish.drop, defaults.drop, 0.0..=1.0)?,
        floor: number(
            "floor",
            numbers.floor,
            wish.floor,
            defaults.floor,
            0.0..=0.5,
        )?,
        budget: Budget {
            epsilon: number(
                "epsilon",
                numbers.epsilon,
                wish.epsilon,
                defaults.budget.epsilon,
                0.0..=1.0,
            )?,
            heads,
        },
    })
}

/// The members' prior weights; empty if the manifest has none. A member without one counts as 1.
fn prior(manifest: &Manifest) -> Result<Vec<f64>> {
    let members = &manifest.members;
    if members.iter().all(|m| m.prior.is_none()) {
        return Ok(Vec::new());
    }
    let prior: Vec<f64> = members.iter().map(|m| m.prior.unwrap_or(1.0)).collect();
    if prior.iter().all(|p| *p == 0.0) {
        return usage("`prior` in the manifest: at least one member needs more than 0");
    }
    Ok(prior)
}

/// Threads of each member, for small batches and for wide ones. Members evaluate at the same time, and more threads
/// than cores hinder each other, so the cores are divided; the largest files get what is left over. Wide batches,
/// of prompts, get all: whoever has read its prompt leaves them to the others.
fn divide_threads(asked: Option<u32>, manifest: &Manifest, files: &[PathBuf]) -> Vec<[u32; 2]> {
    let cores = u32::try_from(num_cpus::get_physical()).unwrap_or(1);
    let total = asked.unwrap_or(cores) as usize;
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |m| m.len());
    let mut by_size: Vec<usize> = (0..files.len()).collect();
    by_size.sort_by_key(|&k| std::cmp::Reverse(size(&files[k])));
    let each = (total / files.len()).max(1);
    let left = total.saturating_sub(each * files.len());
    let mut threads = vec![[each as u32, total as u32]; files.len()];
    for &k in by_size.iter().cycle().take(left) {
        threads[k][0] += 1;
    }
    for (threads, member) in threads.iter_mut().zip(&manifest.members) {
        *threads = member.threads.map_or(*threads, |own| [own; 2]);
    }
    threads
}

/// What nothing can be loaded with.
fn check_sizes(typed: &PackArgs) -> Result<()> {
    if typed.threads == Some(0) {
        return usage("--threads 0: at least one thread is needed");
    }
    if typed.batch_size == 0 || typed.ubatch_size == 0 || typed.ctx_size == Some(0) {
        return usage("--batch-size, --ubatch-size and --ctx-size must be at least 1");
    }
    Ok(())
}

fn load_options(
    app: &App,
    typed: &PackArgs,
    member: &pack::Member,
    path: &Path,
    [threads, threads_batch]: [u32; 2],
    fusion: &Fusion,
) -> Result<LoadOptions> {
    let device = member
        .device
        .as_deref()
        .map(|d| d.split(',').map(|d| d.trim().to_owned()).collect());
    let layers = match (&typed.n_gpu_layers, member.n_gpu_layers) {
        (Some(text), _) => parse_layers(text)?,
        (None, Some(n)) => Some(u32::try_from(n).unwrap_or(u32::MAX)),
        (None, None) => None,
    };
    let sequences = match fusion.alphabet {
        Some(Alphabet::Tokens | Alphabet::Mined) => 2,
        // Heads, as many forks on trial, the trunk, one to come to rest in and one for drafts.
        _ if fusion.budget.exact() => MAX_SEQUENCES,
        _ => 2 * fusion.budget.heads + 3,
    };
    Ok(LoadOptions {
        path: path.to_owned(),
        context: typed.ctx_size.or(member.ctx_size),
        batch: typed.batch_size,
        ubatch: typed.ubatch_size,
        outputs: OUTPUTS.min(typed.batch_size),
        sequences: sequences as u32,
        threads,
        threads_batch,
        flash_attention: match typed.flash_attn {
            FlashAttention::Auto => None,
            FlashAttention::On => Some(true),
            FlashAttention::Off => Some(false),
        },
        cache: (
            cache_type(typed.cache_type_k),
            cache_type(typed.cache_type_v),
        ),
        offload: Offload {
            layers,
            devices: if typed.device.is_empty() {
                device.unwrap_or_default()
            } else {
                typed.device.clone()
            },
            tensor_split: if typed.tensor_split.is_empty() {
                member.tensor_split.clone().unwrap_or_default()
            } else {
                typed.tensor_split.clone()
            },
            main_gpu: typed
                .main_gpu
                .or(member.main_gpu.and_then(|g| i32::try_from(g).ok())),
        },
        watch: Arc::new(Watch {
            cancel: Arc::clone(&app.cancel),
            ..Watch::default()
        }),
    })
}

/// Layers asked for with `-ngl`: see [`Offload::layers`].
pub fn parse_layers(text: &str) -> Result<Option<u32>> {
    match text {
        "auto" => Ok(None),
        "all" => Ok(Some(u32::MAX)),
        n => match n.parse::<i64>() {
            Ok(n) => Ok(Some(u32::try_from(n).unwrap_or(u32::MAX))),
            Err(_) => usage(format!(
                "--n-gpu-layers {n}: it is a number, `all` or `auto`"
            )),
        },
    }
}

fn cache_type(name: CacheName) -> CacheType {
    match name {
        CacheName::F32 => CacheType::F32,
        CacheName::F16 => CacheType::F16,
        CacheName::Q8_0 => CacheType::Q8_0,
        CacheName::Q4_0 => CacheType::Q4_0,
    }
}

/// How an answer is drawn. A missing seed is drawn here, so that it can be shown.
pub fn generation(typed: &SampleArgs) -> Result<Generation> {
    let sampling = Params {
        temperature: typed.temp,
        top_k: typed.top_k,
        top_p: typed.top_p,
        min_p: typed.min_p,
        repeat_penalty: typed.repeat_penalty,
        repeat_last_n: usize::try_from(typed.repeat_last_n).unwrap_or(1 << 20),
        seed: typed.seed.unwrap_or_else(random_seed),
    };
    sampling.validate().map_err(|e| Usage(e.to_string()))?;
    if typed.stop.iter().any(String::is_empty) {
        return usage("--stop: a stop string is empty");
    }
    if typed.predict < -1 {
        return usage(format!(
            "--predict {}: it is a number of tokens, or -1",
            typed.predict
        ));
    }
    Ok(Generation {
        limit: usize::try_from(typed.predict).ok(),
        sampling,
        stops: typed.stop.clone(),
        attribution: false,
    })
}

/// Who drafts answers; None: nobody.
pub fn drafter(typed: DraftArgs) -> Option<Box<dyn Drafter>> {
    match typed.draft {
        DraftName::Auto => Some(Box::new(Lookup::new())),
        DraftName::Off => None,
    }
}

/// Short enough to be typed again.
fn random_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::time::SystemTime::now()) % 1_000_000_000
}

/// Reads the prompt; None if none was given and stdin is a terminal.
pub fn read_prompt(typed: &crate::cli::PromptArgs) -> Result<Option<String>> {
    use std::io::{IsTerminal, Read};
    let from_stdin = || -> Result<String> {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).context("stdin")?;
        text_of(bytes, "stdin")
    };
    match (&typed.prompt, &typed.file) {
        (Some(text), _) if text == "-" => Ok(Some(from_stdin()?)),
        (Some(text), _) => Ok(Some(text.clone())),
        (None, Some(path)) => {
            let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
            Ok(Some(text_of(bytes, &path.display().to_string())?))
        }
        (None, None) if std::io::stdin().is_terminal() => Ok(None),
        (None, None) => Ok(Some(from_stdin()?)),
    }
}

fn text_of(bytes: Vec<u8>, name: &str) -> Result<String> {
    match String::from_utf8(bytes) {
        Ok(mut text) => {
            if text.ends_with('\n') {
                text.pop();
                if text.ends_with('\r') {
                    text.pop();
                }
            }
            Ok(text)
        }
        Err(e) => bail!(
            "{name}: not valid UTF-8 at byte {}",
            e.utf8_error().valid_up_to()
        ),
    }
}
