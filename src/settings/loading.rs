//! How members are loaded: cores, sizes, devices.

use super::{Sources, usage};
use crate::cli::{CacheName, FlashAttention, PackArgs};
use anyhow::Result;
use packllm_engine::backend::Watch;
use packllm_engine::engine::Fusion;
use packllm_engine::vocab::Alphabet;
use packllm_llama::offload::Offload;
use packllm_llama::{CacheType, LoadOptions};
use packllm_store::Manifest;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rows of logits read at once along scored text.
const OUTPUTS: u32 = 64;

/// Most KV sequences llama.cpp serves.
const MAX_SEQUENCES: usize = 250;

/// Most hypotheses that fit into them, with as many forks on trial.
pub const MAX_HEADS: usize = MAX_SEQUENCES / 2 - 4;

/// Threads of each member, for small batches and for wide ones. Members evaluate at the same time, and more threads
/// than cores hinder each other, so the cores are divided; the largest files get what is left over. Wide batches,
/// of prompts, get all: whoever has read its prompt leaves them to the others.
pub fn divide_threads(asked: Option<u32>, manifest: &Manifest, files: &[PathBuf]) -> Vec<[u32; 2]> {
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
pub fn check_sizes(typed: &PackArgs) -> Result<()> {
    if typed.threads == Some(0) {
        return usage("--threads 0: at least one thread is needed");
    }
    if typed.batch_size == 0 || typed.ubatch_size == 0 || typed.ctx_size == Some(0) {
        return usage("--batch-size, --ubatch-size and --ctx-size must be at least 1");
    }
    Ok(())
}

pub fn load_options(
    sources: &Sources,
    typed: &PackArgs,
    member: &packllm_store::Member,
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
        Some(Alphabet::Tokens | Alphabet::Mapped) => 2,
        // Hypotheses, as many forks on trial, the prefix, one to come to rest in and one for drafts.
        _ if fusion.budget.exact() => MAX_SEQUENCES,
        _ => 2 * fusion.budget.hypotheses + 3,
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
            cancel: Arc::clone(sources.cancel),
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
