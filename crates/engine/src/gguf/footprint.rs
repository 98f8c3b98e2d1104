//! How much memory a member will take, estimated from its file's header.
//!
//! With n_ctx the context (padded to 256, as llama.cpp does), T = min(n_ubatch, n_ctx) and O = the
//! rows of logits asked of one micro-batch, or the sequences if those are more:
//!
//! ```text
//! weights = tensor data; layer i is on the device if i ≥ layers + 1 − ngl, the output matrix
//!           counts as layer number `layers`; token embeddings stay on the host, and those that
//!           serve as output matrix too are there twice
//! cache   = Σ over attention layers: n_ctx · kv_heads · (key_length · K + value_length · V)
//!         + Σ over recurrent layers: sequences · state · 4
//! compute = 2 · n_ctx · T · masks                    attention masks, f16; 2 with a sliding window
//!         + 4 · 5 · T · embedding                    hidden states
//!         + 4 · max(3 · T · feed_forward, O · vocab) the widest layer, or the logits
//! output  = 4 · O · vocab                            the logits handed to us, on the host
//! ```
//!
//! K and V are the bytes of an element of the cache (2 for f16); sliding-window layers count at
//! full length (`swa_full`), and all sequences share the cells (`kv_unified`). The compute terms
//! were fitted to what llama.cpp allocates on the CPU with flash attention for three models in ten
//! shapes each: never more than 1.5% off. Weights mapped from the file are counted as if they were
//! read.

use super::family::Family;
use super::tensor::TensorType;
use super::{Header, Summary};

/// How a member will be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Context length: tokens.
    pub context: u32,
    /// Tokens that are computed at once (`n_ubatch`).
    pub ubatch: u32,
    /// Rows of logits asked for at once (`n_outputs_max`).
    pub outputs: u32,
    /// Sequences in the cache.
    pub sequences: u32,
    /// Layers on the device; negative: all of them.
    pub gpu_layers: i32,
    /// Number format of the keys in the cache.
    pub key_type: TensorType,
    /// Number format of the values in the cache.
    pub value_type: TensorType,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan {
            context: 4096,
            ubatch: 512,
            outputs: 1,
            sequences: 1,
            gpu_layers: 0,
            key_type: TensorType::F16,
            value_type: TensorType::F16,
        }
    }
}

/// What is taken of one memory: bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// The model's weights.
    pub weights: u64,
    /// KV cache and recurrent states.
    pub cache: u64,
    /// Intermediate results and logits.
    pub compute: u64,
}

impl Usage {
    /// All of it.
    pub fn total(&self) -> u64 {
        self.weights
            .saturating_add(self.cache)
            .saturating_add(self.compute)
    }
}

/// Length of the tensor data by the place it is loaded to: bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightBytes {
    /// Token embeddings: always on the host.
    pub input: u64,
    /// Each layer.
    pub layers: Vec<u64>,
    /// Output matrix and what belongs to no layer.
    pub output: u64,
    /// Whether the token embeddings serve as output matrix too.
    pub tied: bool,
}

/// The estimate for one member: see the module's formula.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footprint {
    /// Main memory.
    pub host: Usage,
    /// The device's memory; the same memory where the two share one, and zero without device
    /// layers.
    pub device: Usage,
}

impl Footprint {
    /// Estimates what the model will take when run by `plan`.
    pub fn of(header: &Header, plan: &Plan) -> Footprint {
        let summary = header.summary();
        let weights = WeightBytes::of(header);
        let cache = cache_bytes(header, &summary, plan);
        let layers = weights.layers.len();
        let on_device = match usize::try_from(plan.gpu_layers) {
            Ok(asked) => asked.min(layers + 1),
            Err(_) => layers + 1,
        };
        let first = layers + 1 - on_device;

        let mut host = Usage {
            weights: weights.input,
            ..Usage::default()
        };
        let mut device = Usage::default();
        for (layer, (&bytes, &cache)) in weights.layers.iter().zip(&cache).enumerate() {
            let side = if layer >= first {
                &mut device
            } else {
                &mut host
            };
            side.weights = side.weights.saturating_add(bytes);
            side.cache = side.cache.saturating_add(cache);
        }
        let (mask, work) = compute_bytes(&summary, plan);
        if on_device == 0 {
            host.weights = host.weights.saturating_add(weights.output);
        } else {
            let copy = if weights.tied { weights.input } else { 0 };
            device.weights = device
                .weights
                .saturating_add(weights.output)
                .saturating_add(copy);
            device.compute = mask.saturating_add(work);
        }
        // Even with every layer on the device the inputs are prepared on the host.
        host.compute = mask
            .saturating_add(if on_device > layers { 0 } else { work })
            .saturating_add(
                rows(plan)
                    .saturating_mul(summary.vocab_size)
                    .saturating_mul(4),
            );
        Footprint { host, device }
    }

    /// Host and device together: bytes.
    pub fn total(&self) -> u64 {
        self.host.total().saturating_add(self.device.total())
    }
}

impl WeightBytes {
    /// Adds up the tensors by place.
    pub fn of(header: &Header) -> WeightBytes {
        let layers = header.u64(&header.arch_key("block_count")).unwrap_or(0);
        let layers = usize::try_from(layers).unwrap_or(0).min(super::MAX_LAYERS);
        let mut bytes = WeightBytes {
            input: 0,
            layers: vec![0; layers],
            output: 0,
            tied: true,
        };
        for tensor in &header.tensors {
            let name = tensor.name.as_str();
            let layer = name
                .strip_prefix("blk.")
                .and_then(|rest| rest.split('.').next()?.parse::<usize>().ok());
            let place = match layer.and_then(|layer| bytes.layers.get_mut(layer)) {
                Some(layer) => layer,
                None if name.contains("token_embd") || name.starts_with("position_embd") => {
                    &mut bytes.input
                }
                None => &mut bytes.output,
            };
            *place = place.saturating_add(tensor.bytes);
            bytes.tied &= name != "output.weight";
        }
        bytes
    }
}

/// Context length as llama.cpp rounds it: tokens.
fn context(plan: &Plan) -> u64 {
    u64::from(plan.context.max(1)).next_multiple_of(256)
}

/// Rows of logits: O of the formula.
fn rows(plan: &Plan) -> u64 {
    u64::from(plan.outputs.max(plan.sequences).max(1))
}

/// Masks, and everything else, of the compute buffer: bytes.
fn compute_bytes(summary: &Summary, plan: &Plan) -> (u64, u64) {
    let tokens = u64::from(plan.ubatch.max(1)).min(context(plan));
    let rows = rows(plan).min(tokens.max(u64::from(plan.sequences)));
    let masks = if summary.sliding_window.is_some() {
        2
    } else {
        1
    };
    let mask = 2 * context(plan) * tokens * masks;
    let hidden = tokens
        .saturating_mul(summary.embedding)
        .saturating_mul(4 * 5);
    let inner = tokens
        .saturating_mul(summary.feed_forward)
        .saturating_mul(4 * 3);
    let logits = rows.saturating_mul(summary.vocab_size).saturating_mul(4);
    (mask, hidden.saturating_add(inner.max(logits)))
}

/// KV cache and recurrent state of each layer: bytes.
fn cache_bytes(header: &Header, summary: &Summary, plan: &Plan) -> Vec<u64> {
    let layers = usize::try_from(summary.layers)
        .unwrap_or(0)
        .min(super::MAX_LAYERS);
    let fact = |suffix: &str| header.u64(&header.arch_key(suffix));
    // Layers at the end may read the cache of earlier ones.
    let own = match summary.architecture.as_str() {
        "gemma3n" => 20,
        _ => {
            layers.saturating_sub(fact("attention.shared_kv_layers").unwrap_or(0).min(512) as usize)
        }
    };
    // Sliding layers can have other widths; the larger one where it is not said which layers slide.
    let slides = header.per_layer(&header.arch_key("attention.sliding_window_pattern"), layers);
    let width = |full: u64, suffix: &str, layer: usize| match (fact(suffix), &slides) {
        (None, _) => full,
        (Some(sliding), None) => full.max(sliding),
        (Some(sliding), Some(slides)) => {
            if slides[layer] != 0 {
                sliding
            } else {
                full
            }
        }
    };
    // Multi-head latent attention keeps one vector for keys and values.
    let latent = fact("attention.key_length_mla").is_some();
    let recurrent = recurrent_layers(header, summary, layers);
    let state = state_length(header, summary).saturating_mul(4 * u64::from(plan.sequences.max(1)));

    let layer_bytes = |layer: usize| {
        let (attends, remembers) = recurrent[layer];
        let mut bytes = if remembers { state } else { 0 };
        if attends && layer < own {
            let elements = |width: u64| {
                let heads = summary.kv_heads.get(layer).copied().unwrap_or(0);
                heads.saturating_mul(width).saturating_mul(context(plan))
            };
            let keys = width(summary.key_length, "attention.key_length_swa", layer);
            let values = width(summary.value_length, "attention.value_length_swa", layer);
            bytes = bytes.saturating_add(plan.key_type.size_of(elements(keys)));
            if !latent {
                bytes = bytes.saturating_add(plan.value_type.size_of(elements(values)));
            }
        }
        bytes
    };
    (0..layers).map(layer_bytes).collect()
}

/// For each layer whether it attends to the cache, and whether it has a recurrent state.
fn recurrent_layers(header: &Header, summary: &Summary, layers: usize) -> Vec<(bool, bool)> {
    match summary.family {
        Family::Recurrent => return vec![(false, true); layers],
        Family::Hybrid => {}
        _ => return vec![(true, false); layers],
    }
    let key = |suffix: &str| header.arch_key(suffix);
    if let Some(marks) = header.per_layer(&key("attention.recurrent_layers"), layers) {
        return marks
            .into_iter()
            .map(|mark| (mark == 0, mark != 0))
            .collect();
    }
    if summary.kv_heads.contains(&0) {
        return summary
            .kv_heads
            .iter()
            .map(|&heads| (heads != 0, heads == 0))
            .collect();
    }
    let interval = match header.u64(&key("full_attention_interval")) {
        None if summary.architecture.starts_with("qwen") => Some(4),
        given => given.filter(|&interval| interval > 0),
    };
    match interval {
        Some(interval) => (1..=layers as u64)
            .map(|number| {
                (
                    number.is_multiple_of(interval),
                    !number.is_multiple_of(interval),
                )
            })
            .collect(),
        // Every layer has both (Falcon-H1), or it is not known: then this is the upper bound.
        None => vec![(true, true); layers],
    }
}

/// Numbers in the recurrent state of one layer and sequence.
fn state_length(header: &Header, summary: &Summary) -> u64 {
    let fact = |suffix: &str| header.u64(&header.arch_key(suffix)).unwrap_or(0);
    let product = |factors: &[u64]| {
        factors
            .iter()
            .fold(1u64, |product, &factor| product.saturating_mul(factor))
    };
    let wkv = fact("wkv.head_size");
    if wkv > 0 {
        let shifts = header
            .u64(&header.arch_key("token_shift_count"))
            .unwrap_or(2);
        return product(&[summary.embedding, wkv.saturating_add(shifts)]);
    }
    let convolution = fact("shortconv.l_cache");
    if convolution > 0 {
        return product(&[summary.embedding, convolution - 1]);
    }
    let window = fact("ssm.conv_kernel").saturating_sub(1);
    let head = fact("kda.head_dim");
    if head > 0 {
        let heads = summary.heads.iter().copied().max().unwrap_or(0);
        return product(&[
            heads,
            head,
            head.saturating_add(product(&[3, window.max(3)])),
        ]);
    }
    let (inner, state) = (fact("ssm.inner_size"), fact("ssm.state_size"));
    let channels = inner.saturating_add(product(&[2, fact("ssm.group_count"), state]));
    product(&[window, channels]).saturating_add(product(&[state, inner]))
}
