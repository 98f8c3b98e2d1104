//! The facts about a model that people and the loader want.

use std::collections::BTreeMap;

use super::Header;
use super::family::Family;
use super::tensor::file_type;

/// Longest name that is shown: characters.
const NAME_LIMIT: usize = 200;

/// A model in short. Lengths of contexts and windows are in tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// `general.architecture`, without control characters.
    pub architecture: String,
    /// How it predicts.
    pub family: Family,
    /// `general.name`, without control characters.
    pub name: Option<String>,
    /// Quantisation, such as `Q4_K_M`; if the file does not say, its most frequent number format.
    pub quantisation: String,
    /// Number of weights.
    pub parameters: u64,
    /// Length of all tensor data: bytes.
    pub weight_bytes: u64,
    /// Number of layers.
    pub layers: u64,
    /// Context length that it was trained with.
    pub train_context: u64,
    /// Width of the hidden state.
    pub embedding: u64,
    /// Attention heads of each layer (empty: the file does not say).
    pub heads: Vec<u64>,
    /// Key and value heads of each layer: zero where a layer has no attention.
    pub kv_heads: Vec<u64>,
    /// Width of a key head.
    pub key_length: u64,
    /// Width of a value head.
    pub value_length: u64,
    /// Width of the feed-forward layer, the largest; of all experts used together in a mixture.
    pub feed_forward: u64,
    /// Sliding attention window, if some layers have one.
    pub sliding_window: Option<u64>,
    /// Number of tokens.
    pub vocab_size: u64,
    /// `tokenizer.ggml.model`: `llama` (SentencePiece), `gpt2` (BPE), …
    pub tokenizer: Option<String>,
    /// `tokenizer.ggml.pre`: how BPE cuts the text before merging.
    pub pre_tokenizer: Option<String>,
    /// Whether the file brings a chat template.
    pub has_chat_template: bool,
}

pub(super) fn summarise(header: &Header) -> Summary {
    let architecture = header.architecture().unwrap_or_default();
    let fact = |suffix: &str| header.u64(&header.arch_key(suffix));
    let layers = fact("block_count").unwrap_or(0);
    let count = usize::try_from(layers).unwrap_or(usize::MAX);
    let per_layer = |suffix: &str| header.per_layer(&header.arch_key(suffix), count);
    let largest = |suffix: &str| {
        per_layer(suffix)
            .and_then(|numbers| numbers.into_iter().max())
            .unwrap_or(0)
    };

    let embedding = fact("embedding_length").unwrap_or(0);
    let heads = per_layer("attention.head_count").unwrap_or_default();
    // As in llama.cpp: the first layer's count decides, where the file does not give the width.
    let head_length = heads
        .first()
        .and_then(|&heads| embedding.checked_div(heads))
        .unwrap_or(0);
    let family = match header.bool(&header.arch_key("attention.causal")) {
        Some(false) => Family::Encoder,
        _ => Family::of(architecture),
    };
    Summary {
        family,
        name: header
            .str("general.name")
            .map(printable)
            .filter(|name| !name.is_empty()),
        quantisation: quantisation(header),
        parameters: header
            .tensors
            .iter()
            .map(|tensor| tensor.elements())
            .fold(0, u64::saturating_add),
        weight_bytes: header
            .tensors
            .iter()
            .map(|tensor| tensor.bytes)
            .fold(0, u64::saturating_add),
        layers,
        train_context: fact("context_length").unwrap_or(0),
        embedding,
        kv_heads: per_layer("attention.head_count_kv").unwrap_or_else(|| heads.clone()),
        heads,
        key_length: fact("attention.key_length").unwrap_or(head_length),
        value_length: fact("attention.value_length").unwrap_or(head_length),
        feed_forward: largest("feed_forward_length").max(
            largest("expert_used_count").saturating_mul(largest("expert_feed_forward_length")),
        ),
        sliding_window: fact("attention.sliding_window").filter(|&window| window > 0),
        vocab_size: header
            .array("tokenizer.ggml.tokens")
            .map_or(0, |tokens| tokens.len),
        tokenizer: header.str("tokenizer.ggml.model").map(printable),
        pre_tokenizer: header.str("tokenizer.ggml.pre").map(printable),
        has_chat_template: header
            .str("tokenizer.chat_template")
            .is_some_and(|template| !template.trim().is_empty()),
        architecture: printable(architecture),
    }
}

/// Text from the file that is safe to print in a line.
fn printable(text: &str) -> String {
    let letters = text.chars().filter(|letter| !letter.is_control());
    letters.take(NAME_LIMIT).collect()
}

fn quantisation(header: &Header) -> String {
    if let Some(name) = header.u64("general.file_type").and_then(file_type) {
        return name.to_owned();
    }
    let mut bytes: BTreeMap<&str, u64> = BTreeMap::new();
    for tensor in &header.tensors {
        let sum = bytes.entry(tensor.kind.name).or_default();
        *sum = sum.saturating_add(tensor.bytes);
    }
    let most = bytes.into_iter().max_by_key(|&(_, sum)| sum);
    most.map_or("unknown", |(name, _)| name).to_owned()
}
