//! The reasons to refuse a model whose file is intact: it is no member, or llama.cpp would not
//! survive it. `docs/model-files.md` has what llama.cpp asserts, place by place.

use super::error::Fault;
use super::widths::{ALIKE, ROTATED_WHOLE, WINDOWED};
use super::{Header, Items, MAX_LAYERS, Summary, Value};

/// Most experts that llama.cpp runs.
const MAX_EXPERTS: u64 = 1024;

/// Formats that serve calculations, not as weights: there is no product of them with anything.
const NO_WEIGHTS: [&str; 7] = ["Q8_1", "Q8_K", "I8", "I16", "I32", "I64", "F64"];

/// The first reason why the model cannot be a member, if there is one.
pub(super) fn refuse(header: &Header, summary: &Summary) -> Option<Fault> {
    kind(header, summary)
        .and_then(|()| Values { header, summary }.check())
        .err()
}

/// What the file is, by its own words.
fn kind(header: &Header, summary: &Summary) -> Result<(), Fault> {
    let architecture = summary.architecture.as_str();
    let add_on = match (header.str("general.type"), architecture) {
        (Some("adapter"), _) => Some("a LoRA adapter"),
        (Some("imatrix"), _) => Some("an importance matrix"),
        (_, "controlvector") => Some("a control vector"),
        (Some("mmproj"), _) | (_, "clip") => Some("an image or sound projector (mmproj)"),
        _ => None,
    };
    if let Some(what) = add_on {
        return Err(Fault::AddOn(what));
    }
    let count = header.u64("split.count").unwrap_or(0);
    if count > 1 && header.parts != count {
        let number = header.u64("split.no").unwrap_or(0).saturating_add(1);
        return Err(Fault::Split { number, count });
    }
    if !summary.family.generates() {
        return Err(Fault::NotGenerative {
            architecture: architecture.to_owned(),
            family: summary.family,
        });
    }
    if header.tensors.is_empty() {
        return Err(Fault::VocabularyOnly);
    }
    match summary.tokenizer.as_deref() {
        Some("llama" | "gpt2" | "gemma4") => Ok(()),
        other => Err(Fault::Tokenizer(other.unwrap_or("none").to_owned())),
    }
}

/// Values on which llama.cpp aborts, divides by zero, or throws where nobody catches.
struct Values<'a> {
    header: &'a Header,
    summary: &'a Summary,
}

impl Values<'_> {
    fn check(&self) -> Result<(), Fault> {
        self.sizes()?;
        self.counts()?;
        self.tokenizer()?;
        self.experts()?;
        self.tensors()?;
        self.epsilons()?;
        self.scaling()?;
        if self.summary.family.rolls_back() {
            self.heads()?;
            self.widths()?;
            self.windows()?;
        }
        Ok(())
    }

    /// The key of a fact about the network.
    fn key(&self, suffix: &str) -> String {
        self.header.arch_key(suffix)
    }

    fn fact(&self, suffix: &str) -> Option<u64> {
        self.header.u64(&self.key(suffix))
    }

    /// Whether the architecture is among these.
    fn is_one_of(&self, architectures: &[&str]) -> bool {
        architectures.contains(&self.summary.architecture.as_str())
    }

    /// An error about `key` unless `holds`.
    fn need(&self, holds: bool, key: &str, expected: &str) -> Result<(), Fault> {
        if holds {
            return Ok(());
        }
        let found = self.header.get(key);
        Err(Fault::Value {
            key: key.to_owned(),
            expected: expected.to_owned(),
            found: found.map_or("absent".to_owned(), ToString::to_string),
        })
    }

    fn sizes(&self) -> Result<(), Fault> {
        let named = !self.summary.architecture.is_empty();
        self.need(named, "general.architecture", "a name")?;
        let layers = self.summary.layers;
        let some = layers > 0 && layers <= MAX_LAYERS as u64;
        self.need(some, &self.key("block_count"), "1 to 512 layers")?;
        for suffix in ["context_length", "embedding_length"] {
            let size = self.fact(suffix).unwrap_or(0);
            // The bindings panic above that.
            let fits = size > 0 && i32::try_from(size).is_ok();
            self.need(fits, &self.key(suffix), "a positive number of 31 bits")?;
        }
        let extra = self.fact("nextn_predict_layers").unwrap_or(0);
        let key = self.key("nextn_predict_layers");
        self.need(
            extra < layers,
            &key,
            &format!("fewer than the {layers} layers"),
        )?;
        let deep = self.fact("n_deepstack_layers").unwrap_or(0);
        let key = self.key("n_deepstack_layers");
        // Each makes the hidden state of the input as wide again.
        self.need(
            deep <= layers,
            &key,
            &format!("at most the {layers} layers"),
        )?;
        Ok(())
    }

    /// Counts by layer, which are of 32 bits and without a sign there.
    fn counts(&self) -> Result<(), Fault> {
        for suffix in [
            "expert_used_count",
            "feed_forward_length",
            "attention.head_count",
            "attention.head_count_kv",
        ] {
            let key = self.key(suffix);
            let numbers = self.header.array(&key).map(|array| &array.items);
            let negative = match numbers {
                Some(Items::Integers(numbers)) => numbers.iter().any(|&n| n < 0),
                _ => false,
            };
            self.need(!negative, &key, "no negative numbers")?;
        }
        Ok(())
    }

    fn tokenizer(&self) -> Result<(), Fault> {
        let tokens = "tokenizer.ggml.tokens";
        self.need(self.summary.vocab_size > 0, tokens, "a list of tokens")?;
        // Whatever no token spells is spelled in bytes; where one lacks, that throws.
        let pieces = self.summary.tokenizer.as_deref() == Some("llama");
        let whole = !pieces || self.header.spelt.all();
        self.need(whole, tokens, "a token for each of the 256 bytes")?;
        // It leaves spaces as they are, and the search for merges asserts that there are none.
        let pre = "tokenizer.ggml.pre";
        let spaces = self.summary.pre_tokenizer.as_deref() == Some("whitespace");
        self.need(!spaces, pre, "a pre-tokenizer of byte-level BPE")
    }

    fn experts(&self) -> Result<(), Fault> {
        let experts = self.fact("expert_count").unwrap_or(0);
        let key = self.key("expert_count");
        self.need(experts <= MAX_EXPERTS, &key, "at most 1024 experts")?;
        let key = self.key("expert_used_count");
        let layers = self.summary.layers as usize;
        if let Some(used) = self.header.per_layer(&key, layers) {
            let most = used.into_iter().max().unwrap_or(0);
            let some = most <= experts && (most > 0 || experts == 0);
            let expected = format!("at least 1 of the {experts} experts");
            self.need(some, &key, &expected)?;
        } else {
            self.need(experts == 0, &key, "how many experts are used")?;
        }
        let groups = self.fact("expert_group_count").unwrap_or(0);
        let key = self.key("expert_group_count");
        let divides = groups == 0 || (groups < experts && experts.is_multiple_of(groups));
        self.need(
            divides,
            &key,
            &format!("a divisor of the {experts} experts"),
        )?;
        let used = self.fact("expert_group_used_count").unwrap_or(0);
        let key = self.key("expert_group_used_count");
        let some = groups < 2 || (used > 0 && used < groups);
        self.need(some, &key, &format!("1 to all but one of {groups} groups"))
    }

    /// Matrices are multiplied, and vectors added and multiplied: not in every format.
    fn tensors(&self) -> Result<(), Fault> {
        for tensor in &self.header.tensors {
            let name = tensor.name.as_str();
            let vector = name.ends_with("_norm.weight") || name.ends_with(".bias");
            let expected = match tensor.kind.name {
                kind if NO_WEIGHTS.contains(&kind) => "a format of weights",
                kind if vector && kind != "F32" => "F32, as in all norms and biases",
                _ => continue,
            };
            return Err(Fault::Value {
                key: name.to_owned(),
                expected: expected.to_owned(),
                found: tensor.kind.name.to_owned(),
            });
        }
        Ok(())
    }

    fn epsilons(&self) -> Result<(), Fault> {
        for suffix in [
            "layer_norm_rms_epsilon",
            "layer_norm_epsilon",
            "group_norm_epsilon",
        ] {
            let key = self.key(&format!("attention.{suffix}"));
            let good = match self.header.get(&key) {
                Some(Value::Float(epsilon)) => epsilon.is_finite() && *epsilon >= 0.0,
                _ => true,
            };
            self.need(good, &key, "a number from 0")?;
        }
        Ok(())
    }

    fn scaling(&self) -> Result<(), Fault> {
        let key = self.key("rope.scaling.type");
        let known = match self.header.str(&key) {
            None => true,
            Some(name) => ["none", "linear", "yarn", "longrope"].contains(&name),
        };
        self.need(known, &key, "none, linear, yarn or longrope")
    }

    /// Keys and values are shared by whole groups of heads.
    fn heads(&self) -> Result<(), Fault> {
        let key = self.key("attention.head_count");
        let first = self.summary.heads.first().copied().unwrap_or(0);
        self.need(first > 0, &key, "at least 1 head")?;
        let key = self.key("attention.head_count_kv");
        let mut pairs = self.summary.heads.iter().zip(&self.summary.kv_heads);
        let divides = pairs.all(|(heads, &kv)| kv == 0 || heads.is_multiple_of(kv));
        self.need(divides, &key, "a divisor of the number of heads")
    }

    /// Widths of keys, values and what is rotated of them, of layers with a window too.
    fn widths(&self) -> Result<(), Fault> {
        let (keys, values) = (self.summary.key_length, self.summary.value_length);
        let key = self.key("attention.key_length");
        self.need(keys > 0 && values > 0, &key, "a positive width")?;
        let rotated = self.fact("rope.dimension_count");
        let of = |suffix: &str, other: u64| self.fact(suffix).unwrap_or(other);
        let full = (keys, values, rotated.unwrap_or(keys));
        let sliding = (
            of("attention.key_length_swa", keys),
            of("attention.value_length_swa", values),
            of("rope.dimension_count_swa", full.2),
        );
        let latent = self.fact("attention.key_length_mla").is_some();
        for ((keys, values, rotated), end) in [(full, ""), (sliding, "_swa")] {
            if self.is_one_of(&ALIKE) || self.is_one_of(&ROTATED_WHOLE) {
                let key = self.key(&format!("attention.value_length{end}"));
                self.need(keys == values, &key, &format!("{keys}, the width of keys"))?;
            }
            let key = self.key(&format!("rope.dimension_count{end}"));
            if self.is_one_of(&ROTATED_WHOLE) {
                let whole = rotated == keys && keys.is_multiple_of(2);
                self.need(whole, &key, &format!("{keys}, the width of keys, and even"))?;
            } else if self.header.get(&key).is_some() {
                let part = rotated.is_multiple_of(2) && (latent || rotated <= keys);
                self.need(part, &key, &format!("an even number up to {keys}"))?;
            }
        }
        Ok(())
    }

    /// A model with a window has a layer with one, and layers that share a cache have one to share.
    fn windows(&self) -> Result<(), Fault> {
        let key = self.key("attention.sliding_window_pattern");
        if self.is_one_of(&WINDOWED) && self.summary.sliding_window.is_some() {
            let some = match self.header.get(&key) {
                Some(Value::Unsigned(every)) => *every != 1,
                Some(Value::Array(array)) => match &array.items {
                    Items::Integers(marks) => marks.iter().any(|&mark| mark != 0),
                    _ => true,
                },
                _ => true,
            };
            self.need(some, &key, "some layer with a window")?;
        }
        let key = self.key("attention.shared_kv_layers");
        let shared = self.header.u64(&key).unwrap_or(0);
        let own = self.summary.layers.saturating_sub(shared);
        let some = shared == 0 || own >= 2;
        self.need(some, &key, "two layers or more with caches of their own")
    }
}
