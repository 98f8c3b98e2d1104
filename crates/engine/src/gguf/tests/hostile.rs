//! Damaged and malicious files do no harm.

use proptest::prelude::*;

use super::*;

#[test]
fn claims_beyond_the_end_allocate_nothing() {
    let huge = u64::MAX.to_le_bytes();
    for (draft, expected) in [
        (Draft::default().entry("k", 8, &huge), "k at byte"),
        (
            Draft::default().entry("k", 8, &(1u64 << 40).to_le_bytes()),
            "k at byte",
        ),
        (Draft::default().array("k", 0, u64::MAX, &[]), "k at byte"),
        (
            Draft::default().array("tokenizer.ggml.tokens", 8, 1 << 40, &[]),
            "tokenizer.ggml.tokens at byte",
        ),
    ] {
        let message = draft.fault();
        assert!(
            message.starts_with("truncated header") && message.contains(expected),
            "{message}"
        );
    }
    let mut bytes = Draft::default().head();
    bytes[8..16].copy_from_slice(&huge);
    assert!(
        fault(&bytes).contains("the number of tensors to be at most"),
        "{}",
        fault(&bytes)
    );
}

/// Everything that can be asked of a header.
fn exercise(header: &Header) {
    let _ = header.member();
    for gpu_layers in [0, 1, -1] {
        let footprint = Footprint::of(
            header,
            &Plan {
                gpu_layers,
                ..Plan::default()
            },
        );
        let _ = footprint.total();
    }
}

/// Bytes that the strings and arrays of a header take.
fn kept(header: &Header) -> usize {
    let value = |value: &Value| match value {
        Value::Text(text) => text.len(),
        Value::Array(Array {
            items: Items::Texts(texts),
            ..
        }) => texts.iter().map(String::len).sum(),
        Value::Array(Array {
            items: Items::Integers(numbers),
            ..
        }) => numbers.len(),
        _ => 0,
    };
    let entries: usize = header
        .entries()
        .map(|(key, entry)| key.len() + value(entry))
        .sum();
    entries
        + header
            .tensors
            .iter()
            .map(|tensor| tensor.name.len())
            .sum::<usize>()
}

fn rich() -> Draft {
    let numbers: Vec<u8> = (0..20u8).collect();
    llama()
        .array(
            "llama.attention.head_count_kv",
            4,
            2,
            &[4, 0, 0, 0, 4, 0, 0, 0],
        )
        .array("bytes", 0, 20, &numbers)
        .array("texts", 8, 2, &[string("one"), string("two")].concat())
        .text("llama.rope.scaling.type", "yarn")
        .entry("ratio", 6, &[0; 4])
}

#[test]
fn no_truncation_is_accepted() {
    let bytes = rich().file();
    for len in 0..bytes.len() {
        assert!(
            read(&bytes[..len]).is_err(),
            "{len} bytes of {}",
            bytes.len()
        );
    }
}

proptest! {
    #[test]
    fn flipped_bytes_do_no_harm(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut bytes = rich().file();
        let head = rich().head().len();
        for (at, byte) in flips {
            bytes[at.index(head)] = byte;
        }
        if let Ok(header) = read(&bytes) {
            prop_assert!(kept(&header) <= bytes.len());
            exercise(&header);
        }
    }

    #[test]
    fn wild_numbers_do_no_harm(numbers in prop::collection::vec(any::<u32>(), 6), family in 0usize..4) {
        let architecture = ["llama", "rwkv7", "qwen35", "lfm2"][family];
        let key = |suffix: &str| format!("{architecture}.{suffix}");
        let draft = network(architecture, numbers[0] % 600, numbers[1], numbers[2])
            .u32(&key("attention.key_length"), numbers[3])
            .u32(&key("feed_forward_length"), numbers[4])
            .u32(&key("wkv.head_size"), numbers[5])
            .u32(&key("expert_used_count"), numbers[4]);
        exercise(&read(&draft.file()).expect("a good file"));
    }

    #[test]
    fn noise_is_no_header(noise in prop::collection::vec(any::<u8>(), 0..400)) {
        let bytes = [b"GGUF\x03\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0".as_slice(), &noise].concat();
        if let Ok(header) = read(&bytes) {
            exercise(&header);
        }
    }
}
