//! How members are loaded: cores, sizes, devices.

use super::Sources;
use packllm_engine::backend::Watch;
use packllm_engine::engine::Fusion;
use packllm_engine::gguf::{Footprint, Header, Plan, TensorType};
use packllm_engine::threads::{self, Threads};
use packllm_llama::offload::Offload;
use packllm_llama::{CacheType, LoadOptions, OUTPUTS};
use packllm_parameter::{Cache, Layers, Values};
use packllm_store::Manifest;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Threads of each member: the cores, or the number asked for, divided in proportion to the files'
/// sizes.
pub fn divide_threads(asked: Option<u32>, manifest: &Manifest, files: &[PathBuf]) -> Vec<Threads> {
    let cores = u32::try_from(num_cpus::get_physical()).unwrap_or(1);
    let size = |path: &PathBuf| std::fs::metadata(path).map_or(0, |m| m.len());
    let sizes: Vec<u64> = files.iter().map(size).collect();
    let own = manifest.members.iter().map(|m| m.settings.threads);
    let own: Vec<Option<u32>> = own.collect();
    threads::divide(asked.unwrap_or(cores), &sizes, &own)
}

/// How a member is loaded, by the parameters `held`.
pub fn load_options(
    sources: &Sources,
    held: &Values,
    path: &Path,
    threads: Threads,
    fusion: &Fusion,
) -> LoadOptions {
    LoadOptions {
        path: path.to_owned(),
        context: held.ctx_size,
        batch: held.batch_size(),
        ubatch: held.ubatch_size(),
        outputs: OUTPUTS.min(held.batch_size()),
        sequences: fusion.sequences(),
        threads: threads.small,
        threads_batch: threads.wide,
        flash_attention: held.flash_attn().wanted(),
        cache: (
            cache_type(held.cache_type_k()),
            cache_type(held.cache_type_v()),
        ),
        repack: !held.no_repack(),
        offload: offload(held),
        watch: Arc::new(Watch::new(Arc::clone(sources.cancel))),
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

/// What a member takes with so many layers on devices, all if negative.
pub fn footprint(header: &Header, load: &LoadOptions, context: u32, layers: i32) -> Footprint {
    // Limited as by the loader.
    let batch = load.batch.min(context);
    let plan = Plan {
        context,
        ubatch: load.ubatch.min(batch),
        outputs: load.outputs.max(load.sequences),
        sequences: load.sequences,
        gpu_layers: layers,
        key_type: element(load.cache.0),
        value_type: element(load.cache.1),
    };
    Footprint::of(header, &plan)
}

fn element(cache: CacheType) -> TensorType {
    let quantised = |name| TensorType::from_name(name).unwrap_or(TensorType::F16);
    match cache {
        CacheType::F32 => TensorType::F32,
        CacheType::F16 => TensorType::F16,
        CacheType::Q8_0 => quantised("Q8_0"),
        CacheType::Q4_0 => quantised("Q4_0"),
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
