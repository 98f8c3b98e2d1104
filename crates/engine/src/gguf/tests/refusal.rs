//! A hostile file for each check that keeps llama.cpp from an abort: see `docs/model-files.md`.

use super::*;

/// Fails unless the model is refused in these words.
#[track_caller]
fn refused(draft: Draft, words: &str) {
    let message = refusal(draft);
    assert!(message.contains(words), "{message}");
}

#[track_caller]
fn accepted(draft: Draft) {
    let header = read(&draft.file()).expect("the file is intact");
    header.member().expect("a member");
}

fn integers(numbers: &[i32]) -> Vec<u8> {
    numbers.iter().flat_map(|n| n.to_le_bytes()).collect()
}

impl Draft {
    fn i32s(self, key: &str, numbers: &[i32]) -> Draft {
        let elements = integers(numbers);
        self.array(key, 5, numbers.len() as u64, &elements)
    }

    fn f32(self, key: &str, number: f32) -> Draft {
        self.entry(key, 6, &number.to_le_bytes())
    }

    fn texts(self, key: &str, texts: &[&str]) -> Draft {
        let elements: Vec<u8> = texts.iter().flat_map(|text| string(text)).collect();
        self.array(key, 8, texts.len() as u64, &elements)
    }
}

/// As `llama()`, with other tokens.
fn of_tokens(model: &str, texts: &[&str]) -> Draft {
    network("llama", 2, 64, 4)
        .text("tokenizer.ggml.model", model)
        .texts("tokenizer.ggml.tokens", texts)
        .tensor("token_embd.weight", &[64, 10], 0, 2560)
}

#[test]
fn tokens_that_llama_cpp_takes_for_the_same() {
    for (one, other) in [
        ("a", "a"),
        // Read up to the first NUL.
        ("a\0b", "a"),
        ("a\0b", "a\0c"),
        // Named by their numbers where nothing is left.
        ("", "[EMPTY_0]"),
        ("\0", "[EMPTY_0]"),
    ] {
        let message = of_tokens("gpt2", &[one, other, "z"]).fault();
        assert!(
            message.contains("two that are alike"),
            "{one:?} {other:?}: {message}"
        );
    }
    for (one, other) in [("", ""), ("\0", ""), ("", "[EMPTY_3]"), ("a", "A")] {
        accepted(of_tokens("gpt2", &["z", one, "y", other]).text("k", "v"));
    }
}

#[test]
fn a_byte_that_no_token_spells() {
    let bytes: Vec<String> = (0..=255).map(|byte| format!("<0x{byte:02X}>")).collect();
    let bytes: Vec<&str> = bytes.iter().map(String::as_str).collect();
    accepted(of_tokens("llama", &bytes));
    refused(of_tokens("llama", &bytes[1..]), "each of the 256 bytes");
    // Only letters of this case are looked for.
    let mut others = bytes.clone();
    others[10] = "<0x0a>";
    refused(of_tokens("llama", &others), "each of the 256 bytes");
    // The byte itself serves as well, but for NUL.
    others[10] = "\n";
    accepted(of_tokens("llama", &others));
    others[0] = "\0";
    refused(of_tokens("llama", &others), "each of the 256 bytes");
    accepted(of_tokens("gpt2", &["a"]));
}

#[test]
fn a_pre_tokenizer_that_keeps_spaces() {
    refused(
        llama().text("tokenizer.ggml.pre", "whitespace"),
        "pre-tokenizer",
    );
    accepted(llama().text("tokenizer.ggml.pre", "qwen2"));
}

#[test]
fn a_context_that_the_bindings_cannot_count() {
    for (tokens, good) in [
        (0, false),
        (1 << 31, false),
        (u32::MAX, false),
        (1 << 30, true),
    ] {
        let draft = Draft::default()
            .text("general.architecture", "llama")
            .u32("llama.block_count", 1)
            .u32("llama.context_length", tokens)
            .u32("llama.embedding_length", 64)
            .u32("llama.attention.head_count", 4)
            .text("tokenizer.ggml.model", "gpt2")
            .tokens(10)
            .tensor("token_embd.weight", &[64, 10], 0, 2560);
        match good {
            true => accepted(draft),
            false => refused(draft, "a positive number"),
        }
    }
}

#[test]
fn layers_that_are_no_layers() {
    let key = "llama.nextn_predict_layers";
    refused(llama().u32(key, 2), "fewer than the 2 layers");
    refused(llama().u32(key, u32::MAX), key);
    accepted(llama().u32(key, 1));
    let key = "llama.n_deepstack_layers";
    refused(llama().u32(key, 3), "at most the 2 layers");
    accepted(llama().u32(key, 2));
}

#[test]
fn counts_below_zero() {
    // As numbers without a sign they are more than there are experts, or heads.
    for suffix in [
        "expert_used_count",
        "feed_forward_length",
        "attention.head_count_kv",
    ] {
        let key = format!("llama.{suffix}");
        refused(llama().i32s(&key, &[0, -1]), "no negative numbers");
    }
}

#[test]
fn experts_and_their_groups() {
    let experts = |count: u32, used: u32| {
        llama()
            .u32("llama.expert_count", count)
            .u32("llama.expert_used_count", used)
    };
    accepted(experts(8, 2));
    refused(experts(1025, 2), "at most 1024");
    refused(experts(8, 9), "of the 8 experts");
    refused(experts(8, 0), "of the 8 experts");
    refused(experts(0, 1), "of the 0 experts");
    refused(llama().u32("llama.expert_count", 8), "how many experts");
    let grouped = |groups: u32, used: u32| {
        experts(8, 2)
            .u32("llama.expert_group_count", groups)
            .u32("llama.expert_group_used_count", used)
    };
    accepted(grouped(4, 2));
    accepted(grouped(0, 0));
    refused(grouped(8, 2), "a divisor of the 8 experts");
    refused(grouped(3, 2), "a divisor of the 8 experts");
    refused(grouped(4, 0), "of 4 groups");
    refused(grouped(4, 4), "of 4 groups");
    refused(llama().u32("llama.expert_group_count", 1), "a divisor");
}

#[test]
fn tensors_that_cannot_be_computed_with() {
    for (kind, block, bytes) in [
        (9, 32, 36),
        (15, 256, 292),
        (24, 1, 1),
        (26, 1, 4),
        (28, 1, 8),
    ] {
        let size = 256 / block * bytes;
        let draft = llama().tensor("blk.0.ffn_up.weight", &[256, 1], kind, size);
        refused(draft, "a format of weights");
    }
    refused(
        llama().tensor("blk.0.attn_norm.weight", &[64], 1, 128),
        "F32",
    );
    refused(llama().tensor("blk.0.attn_q.bias", &[64], 30, 128), "F32");
    accepted(llama().tensor("blk.0.ffn_up.weight", &[64, 2], 30, 256));
}

#[test]
fn epsilons_that_are_no_distances() {
    let key = "llama.attention.layer_norm_rms_epsilon";
    for epsilon in [-1e-5, f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        refused(llama().f32(key, epsilon), "a number from 0");
    }
    accepted(llama().f32(key, 1e-5));
}

#[test]
fn heads_that_cannot_be_shared() {
    let key = "llama.attention.head_count_kv";
    accepted(llama().u32(key, 2));
    accepted(llama().i32s(key, &[4, 0]));
    refused(llama().u32(key, 3), "a divisor of the number of heads");
    refused(llama().u32(key, 8), "a divisor of the number of heads");
    refused(
        llama().i32s(key, &[4, 3]),
        "a divisor of the number of heads",
    );
    refused(
        network("llama", 2, 64, 0)
            .text("tokenizer.ggml.model", "gpt2")
            .tokens(10)
            .tensor("token_embd.weight", &[64, 10], 0, 2560),
        "at least 1 head",
    );
}

/// A model of another architecture: two layers, four heads of 16.
fn other(architecture: &str) -> Draft {
    network(architecture, 2, 64, 4)
        .text("tokenizer.ggml.model", "gpt2")
        .tokens(10)
        .tensor("token_embd.weight", &[64, 10], 0, 2560)
}

#[test]
fn heads_of_unlike_widths() {
    for architecture in ["llama", "qwen2", "stablelm"] {
        let key = format!("{architecture}.attention.value_length");
        refused(other(architecture).u32(&key, 8), "16, the width of keys");
        accepted(other(architecture).u32(&key, 16));
    }
    // Some have them.
    accepted(other("deepseek2").u32("deepseek2.attention.value_length", 8));
    let sliding = "qwen3.attention.key_length_swa";
    refused(other("qwen3").u32(sliding, 8), "8, the width of keys");
    refused(
        other("llama").u32("llama.attention.key_length", 0),
        "a positive width",
    );
}

#[test]
fn rotations_of_more_than_a_head() {
    refused(
        llama().u32("llama.rope.dimension_count", 8),
        "the width of keys",
    );
    accepted(llama().u32("llama.rope.dimension_count", 16));
    let key = "glm4.rope.dimension_count";
    accepted(other("glm4").u32(key, 8));
    refused(other("glm4").u32(key, 32), "an even number up to 16");
    refused(other("glm4").u32(key, 7), "an even number up to 16");
    let odd = llama()
        .u32("llama.attention.key_length", 15)
        .u32("llama.attention.value_length", 15);
    refused(odd, "and even");
}

#[test]
fn windows_that_no_layer_has() {
    let windowed = || other("gemma3").u32("gemma3.attention.sliding_window", 512);
    let key = "gemma3.attention.sliding_window_pattern";
    accepted(windowed());
    accepted(windowed().u32(key, 6));
    accepted(windowed().i32s(key, &[0, 1]));
    refused(windowed().u32(key, 1), "some layer with a window");
    refused(windowed().i32s(key, &[0, 0]), "some layer with a window");
    accepted(other("gemma3").u32(key, 1));
}

#[test]
fn caches_that_nobody_has() {
    let shared = |layers: u32| other("gemma4").u32("gemma4.attention.shared_kv_layers", layers);
    refused(shared(1), "caches of their own");
    refused(shared(u32::MAX), "caches of their own");
    accepted(shared(0));
}

#[test]
fn a_scaling_that_nobody_knows() {
    let key = "llama.rope.scaling.type";
    refused(llama().text(key, "magic"), "none, linear, yarn or longrope");
    accepted(llama().text(key, "yarn"));
}
