//! What is read, and what is refused with which message.

use super::*;

#[test]
fn reads_what_the_file_says() {
    let draft = llama()
        .entry("i8", 1, &[0xff])
        .entry("f64", 12, &1.5f64.to_le_bytes())
        .entry("yes", 7, &[1])
        .array("i16s", 3, 2, &[1, 0, 0xff, 0xff])
        .array("floats", 6, 2, &[0; 8])
        .array("texts", 8, 2, &[string("a"), string("ü")].concat());
    let bytes = draft.file();
    let header = read(&bytes).expect("a good file");
    assert_eq!((header.version, header.file_bytes), (3, bytes.len() as u64));
    assert_eq!(header.str("general.architecture"), Some("llama"));
    assert_eq!(header.u64("llama.block_count"), Some(2));
    assert_eq!(header.u64("i8"), None);
    assert_eq!(header.get("i8"), Some(&Value::Signed(-1)));
    assert_eq!(header.get("f64"), Some(&Value::Float(1.5)));
    assert_eq!(header.bool("yes"), Some(true));
    let items = |key: &str| header.array(key).expect("an array").items.clone();
    assert_eq!(items("i16s"), Items::Integers(vec![1, -1]));
    assert_eq!(items("floats"), Items::Unread);
    assert_eq!(items("texts"), Items::Texts(vec!["a".into(), "ü".into()]));
    let tokens = header.array("tokenizer.ggml.tokens").expect("tokens");
    assert_eq!(
        (tokens.len, tokens.kind, &tokens.items),
        (10, ValueKind::Text, &Items::Unread)
    );
    assert_eq!(
        &bytes[tokens.offset as usize..][..9],
        string("0").as_slice()
    );
    assert_eq!(header.tensors[2].kind.name, "Q4_0");
    assert_eq!(header.tensors[2].bytes, 2304);
    assert_eq!(header.data_offset, draft.head().len() as u64);

    let mut old = bytes;
    old[4] = 2;
    assert_eq!(read(&old).expect("version 2").version, 2);
}

#[test]
fn summarises() {
    let summary = read(&llama().file())
        .expect("a good file")
        .member()
        .expect("a member");
    assert_eq!(summary.family, Family::Decoder);
    assert_eq!(summary.parameters, 640 + 4096 + 4096 + 64);
    assert_eq!(summary.quantisation, "F16");
    assert_eq!((summary.heads, summary.kv_heads), (vec![4, 4], vec![4, 4]));
    assert_eq!((summary.key_length, summary.value_length), (16, 16));
    assert_eq!((summary.vocab_size, summary.has_chat_template), (10, true));
}

#[test]
fn names_what_is_no_gguf() {
    for (bytes, expected) in [
        (b"".as_slice(), "empty"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid",
            "Git LFS pointer",
        ),
        (b"\x08\x01\0\0\0\0\0\0{\"a\":", "safetensors"),
        (b"PK\x03\x04rest of a zip", "PyTorch"),
        (b"\x80\x02}q", "pickle"),
        (b"tjgg\x01\0\0\0", "before GGUF"),
        (b"\x1f\x8b\x08", "compressed"),
        (b"{\"error\":", "JSON"),
        (&[0; 100], "zeros"),
        (
            b"Entry not found",
            "text that begins with \"entry not found\"",
        ),
        (b"\x7fELF\x02", "something that begins with \"\\x7fELF\""),
        (b"GGUF\0\0\0\x03", "big-endian"),
        (b"GGUF\x01\0\0\0", "version 1"),
        (b"GGUF\0\0\0\0", "version 0"),
        (
            b"GG",
            "truncated header: the magic number at byte 0 needs 4 bytes, but only 2 are left",
        ),
        (
            b"GGUF\x03\0\0\0\x01",
            "truncated header: the number of tensors at byte 8",
        ),
    ] {
        let message = fault(bytes);
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn faults_are_told_apart() {
    let fault = |bytes: &[u8]| read(bytes).expect_err("bad");
    assert!(matches!(fault(b""), Fault::Empty));
    assert!(matches!(fault(b"PK\x03\x04"), Fault::Foreign(Foreign::Zip)));
    assert!(matches!(fault(b"GGUF\x09\0\0\0"), Fault::Version(9)));
}

#[test]
fn paths_that_are_no_files() {
    let folder = std::env::temp_dir();
    let error = Header::read(&folder).expect_err("a folder");
    assert!(matches!(error.fault, Fault::Directory), "{error}");
    let nothing = folder.join("packllm has no such file.gguf");
    let error = Header::read(&nothing).expect_err("nothing");
    assert_eq!(
        error.to_string(),
        format!("{}: no such file", nothing.display())
    );
}

#[test]
fn malformed_headers_say_where_and_what() {
    let f32s = |draft: Draft, name: &str| draft.tensor(name, &[4], 0, 16);
    for (draft, expected) in [
        (
            Draft::default().entry("k", 13, &[]),
            "the kind (0 to 12) of `k`, found 13",
        ),
        (
            Draft::default().array("k", 9, 1, &[0; 12]),
            "single values in the array `k`, found arrays",
        ),
        (
            Draft::default().u32("k", 1).u32("k", 1),
            "expected a new key, found `k` a second time",
        ),
        (
            Draft::default().u32("a\nb", 1),
            "expected a metadata key, found \"a\\nb\"",
        ),
        (
            Draft::default().u32("general.alignment", 24),
            "power of two",
        ),
        (
            f32s(f32s(Draft::default(), "t"), "t"),
            "expected a new tensor, found `t` a second time",
        ),
        (
            Draft::default().tensor("t", &[1; 5], 0, 4),
            "at most 4 dimensions of tensor `t`, found 5",
        ),
        (
            Draft::default().tensor("t", &[4], 4, 4),
            "a known number format of tensor `t`, found type 4",
        ),
        (
            Draft::default().tensor("t", &[40], 2, 18),
            "a shape in blocks of 32",
        ),
        (
            Draft::default().tensor("t", &[u64::MAX, 2], 0, 4),
            "a shape in blocks of 1",
        ),
        (
            Draft::default().tensor_at("t", &[4], 0, 64, 16),
            "the data of `t` to start at 0, found 64",
        ),
        (
            llama().tensor(&"n".repeat(64), &[4], 0, 16),
            "a tensor name of at most 63 bytes, found 64",
        ),
        (
            Draft::default().array(
                "tokenizer.ggml.tokens",
                8,
                2,
                &[string("a"), string("a")].concat(),
            ),
            "every token to be spelled differently",
        ),
    ] {
        let message = draft.fault();
        assert!(
            message.contains("at byte") && message.contains(expected),
            "{message}"
        );
    }
}

#[test]
fn missing_tensor_data_is_counted() {
    let bytes = llama().file();
    let message = fault(&bytes[..bytes.len() - 7]);
    assert!(
        message.starts_with("truncated: 7 bytes missing"),
        "{message}"
    );
}

#[test]
fn refuses_what_cannot_be_a_member() {
    let long = "a".repeat(9);
    for (draft, expected) in [
        (llama().text("general.type", "adapter"), "a LoRA adapter"),
        (llama().text("general.type", "mmproj"), "projector"),
        (network("clip", 2, 64, 4), "projector"),
        (
            llama().u32("split.count", 3).u32("split.no", 1),
            "part 2 of a model split into 3 files",
        ),
        (
            network("bert", 2, 64, 4),
            "architecture `bert` is an encoder",
        ),
        (network("t5", 2, 64, 4), "an encoder-decoder"),
        (
            llama().entry("llama.attention.causal", 7, &[0]),
            "an encoder",
        ),
        (
            network("llama", 2, 64, 4).tokens(10),
            "a vocabulary without weights",
        ),
        (
            network("llama", 2, 64, 4).tensor("t", &[4], 0, 16),
            "tokenizer type \"none\"",
        ),
        (
            network("llama", 2, 64, 4)
                .text("tokenizer.ggml.model", "t5")
                .tensor("t", &[4], 0, 16),
            "tokenizer type \"t5\"",
        ),
        (
            llama()
                .u32("llama.expert_count", 8)
                .u32("llama.expert_used_count", 9),
            "of the 8 experts",
        ),
        (
            llama().text("llama.rope.scaling.type", &long),
            "`llama.rope.scaling.type` is \"aaaaaaaaa\", expected",
        ),
    ] {
        let message = refusal(draft);
        assert!(message.contains(expected), "{message}");
    }
    for layers in [0, 513, u32::MAX] {
        let draft = network("llama", layers, 64, 4)
            .text("tokenizer.ggml.model", "llama")
            .tensor("t", &[4], 0, 16);
        assert!(refusal(draft).contains("1 to 512 layers"));
    }
}
