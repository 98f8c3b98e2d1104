//! How a member is loaded.

use super::library::threads_give_way;
use super::offload::Offload;
use llama_cpp_sys_2 as sys;
use packllm_engine::backend::Watch;
use packllm_engine::engine::Fusion;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;

/// Rows of logits to ask for at once along scored text: a good value for programs.
pub const OUTPUTS: u32 = 64;

/// Tokens from which on a batch gets [`LoadOptions::threads_batch`]: members wait for each other at
/// every token of an answer, but a prompt can also use the cores of members that have read theirs.
pub const WIDE: usize = 16;

/// Element type of the KV cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum CacheType {
    /// 32 bits.
    F32,
    /// 16 bits: the default.
    #[default]
    F16,
    /// 8 bits in blocks.
    Q8_0,
    /// 4 bits in blocks.
    Q4_0,
}

impl CacheType {
    pub(super) fn ggml(self) -> sys::ggml_type {
        match self {
            CacheType::F32 => sys::GGML_TYPE_F32,
            CacheType::F16 => sys::GGML_TYPE_F16,
            CacheType::Q8_0 => sys::GGML_TYPE_Q8_0,
            CacheType::Q4_0 => sys::GGML_TYPE_Q4_0,
        }
    }
}

/// How a model is loaded and its context made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LoadOptions {
    /// The GGUF file.
    pub path: PathBuf,
    /// Tokens of context; at most what the model was trained with. None: the smaller of 4,096 and
    /// that.
    pub context: Option<u32>,
    /// Largest batch given to one decode: tokens.
    pub batch: u32,
    /// Largest batch evaluated at once: tokens.
    pub ubatch: u32,
    /// Most rows of logits per batch. The compute buffer grows with it × vocabulary × 4 bytes.
    pub outputs: u32,
    /// KV sequences.
    pub sequences: u32,
    /// Threads for single tokens and small batches.
    pub threads: u32,
    /// Threads for batches of at least [`WIDE`] tokens, where [threads give way](threads_give_way).
    pub threads_batch: u32,
    /// Flash attention: None lets llama.cpp decide.
    pub flash_attention: Option<bool>,
    /// Element types of the K and V caches.
    pub cache: (CacheType, CacheType),
    /// Whether weights are rearranged for faster products, which takes time and their size in
    /// memory; else they are used as they lie in the file.
    pub repack: bool,
    /// What runs on which device.
    pub offload: Offload,
    /// Progress and cancellation. It is not written with the rest.
    #[serde(skip)]
    pub watch: Arc<Watch>,
}

impl LoadOptions {
    /// This file with all cores, as large a context as
    /// [`context_size`](packllm_engine::backend::context_size) says, and what [`Fusion::default`]
    /// needs.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, |n| n.get() as u32);
        Self {
            path: path.into(),
            context: None,
            batch: 512,
            ubatch: 512,
            outputs: OUTPUTS,
            sequences: Fusion::default().sequences().max(OUTPUTS),
            threads: cores,
            threads_batch: cores,
            flash_attention: None,
            cache: <(CacheType, CacheType)>::default(),
            repack: true,
            offload: Offload::default(),
            watch: Arc::default(),
        }
    }

    /// Everything that shapes what a member evaluates, but for its context; `placement` says which
    /// devices it was loaded on.
    #[must_use]
    pub fn signature(&self, placement: &str) -> String {
        let (k, v) = self.cache;
        let weights = if self.repack {
            ""
        } else {
            "weights as in the file, "
        };
        format!(
            "{weights}cache {k:?} {v:?}, flash attention {:?}, threads {} {}, batch {} {} {}, {placement} ({:?})",
            self.flash_attention,
            self.threads,
            self.threads_batch,
            self.batch,
            self.ubatch,
            self.outputs,
            self.offload
        )
    }
}

/// How many threads wide batches get.
#[must_use]
pub fn threads_batch(options: &LoadOptions) -> u32 {
    match threads_give_way() {
        true => options.threads_batch.max(options.threads),
        false => options.threads,
    }
}
