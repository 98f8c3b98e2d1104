//! How members are loaded: cores, sizes, devices.

use crate::app::App;
use packllm::backend::llama::{CacheType, LoadOptions, Watch};
use packllm::backend::offload::Offload;
use packllm::engine::Fusion;
use packllm::pack::Manifest;
use packllm::parameter::{Cache, Layers, MAX_SEQUENCES, Values};
use packllm::vocab::Alphabet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rows of logits read at once along scored text.
const OUTPUTS: u32 = 64;

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
        *threads = member.settings.threads.map_or(*threads, |own| [own; 2]);
    }
    threads
}

/// How a member is loaded, of which `held` says what holds.
pub fn load_options(
    app: &App,
    held: &Values,
    path: &Path,
    [threads, threads_batch]: [u32; 2],
    fusion: &Fusion,
) -> LoadOptions {
    let sequences = match fusion.alphabet {
        Some(Alphabet::Tokens | Alphabet::Mined) => 2,
        // Heads, as many forks on trial, the trunk, one to come to rest in and one for drafts.
        _ if fusion.budget.exact() => MAX_SEQUENCES,
        _ => 2 * fusion.budget.heads + 3,
    };
    LoadOptions {
        path: path.to_owned(),
        context: held.ctx_size,
        batch: held.batch_size(),
        ubatch: held.ubatch_size(),
        outputs: OUTPUTS.min(held.batch_size()),
        sequences: sequences as u32,
        threads,
        threads_batch,
        flash_attention: held.flash_attn().wanted(),
        cache: (
            cache_type(held.cache_type_k()),
            cache_type(held.cache_type_v()),
        ),
        offload: offload(held),
        watch: Arc::new(Watch {
            cancel: Arc::clone(&app.cancel),
            ..Watch::default()
        }),
    }
}

/// Which device runs what.
pub fn offload(held: &Values) -> Offload {
    Offload {
        layers: held.n_gpu_layers.and_then(Layers::wanted),
        devices: held.device.clone().unwrap_or_default(),
        tensor_split: held.tensor_split.clone().unwrap_or_default(),
        main_gpu: held.main_gpu,
    }
}

fn cache_type(name: Cache) -> CacheType {
    match name {
        Cache::F32 => CacheType::F32,
        Cache::F16 => CacheType::F16,
        Cache::Q8_0 => CacheType::Q8_0,
        Cache::Q4_0 => CacheType::Q4_0,
    }
}
