//! The facts about a model that people and the loader want, and the reasons to refuse it.

use std::collections::BTreeMap;

use super::error::Fault;
use super::family::Family;
use super::tensor::file_type;
use super::{Header, MAX_LAYERS};

/// Longest name that is shown: characters.
const NAME_LIMIT: usize = 200;
/// Most experts that llama.cpp runs.
const MAX_EXPERTS: u64 = 1024;

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

/// The first reason why the model cannot be a member, if there is one.
pub(super) fn refuse(header: &Header, summary: &Summary) -> Option<Fault> {
    let architecture = summary.architecture.as_str();
    let add_on = match (header.str("general.type"), architecture) {
        (Some("adapter"), _) => Some("a LoRA adapter"),
        (Some("imatrix"), _) => Some("an importance matrix"),
        (_, "controlvector") => Some("a control vector"),
        (Some("mmproj"), _) | (_, "clip") => Some("an image or sound projector (mmproj)"),
        _ => None,
    };
    if let Some(what) = add_on {
        return Some(Fault::AddOn(what));
    }
    let count = header.u64("split.count").unwrap_or(0);
    if count > 1 && header.parts != count {
        let number = header.u64("split.no").unwrap_or(0).saturating_add(1);
        return Some(Fault::Split { number, count });
    }
    if !summary.family.generates() {
        return Some(Fault::NotGenerative {
            architecture: architecture.to_owned(),
            family: summary.family,
        });
    }
    if header.tensors.is_empty() {
        return Some(Fault::VocabularyOnly);
    }
    match summary.tokenizer.as_deref() {
        Some("llama" | "gpt2" | "gemma4") => {}
        other => return Some(Fault::Tokenizer(other.unwrap_or("none").to_owned())),
    }
    bad_value(header, summary)
}

/// Values on which llama.cpp aborts, or divides by zero.
fn bad_value(header: &Header, summary: &Summary) -> Option<Fault> {
    let bad = |key: &str, expected: &str| {
        let found = header
            .get(key)
            .map_or("absent".to_owned(), ToString::to_string);
        Some(Fault::Value {
            key: key.to_owned(),
            expected: expected.to_owned(),
            found,
        })
    };
    if summary.architecture.is_empty() {
        return bad("general.architecture", "a name");
    }
    let key = |suffix: &str| header.arch_key(suffix);
    let fact = |suffix: &str| header.u64(&key(suffix)).unwrap_or(0);
    if summary.layers == 0 || summary.layers > MAX_LAYERS as u64 {
        return bad(&key("block_count"), "1 to 512 layers");
    }
    for suffix in ["context_length", "embedding_length"] {
        if fact(suffix) == 0 || fact(suffix) > u64::from(u32::MAX) {
            return bad(&key(suffix), "a positive number");
        }
    }
    if summary.vocab_size == 0 {
        return bad("tokenizer.ggml.tokens", "a list of tokens");
    }
    let experts = fact("expert_count");
    if experts > MAX_EXPERTS {
        return bad(&key("expert_count"), "at most 1024 experts");
    }
    if let Some(used) = header.per_layer(&key("expert_used_count"), summary.layers as usize) {
        let most = used.into_iter().max().unwrap_or(0);
        if most > experts || (most == 0 && experts > 0) {
            return bad(
                &key("expert_used_count"),
                &format!("at least 1 of the {experts} experts"),
            );
        }
    }
    let scaling = key("rope.scaling.type");
    match header.str(&scaling) {
        None | Some("none" | "linear" | "yarn" | "longrope") => None,
        Some(_) => bad(&scaling, "none, linear, yarn or longrope"),
    }
}
