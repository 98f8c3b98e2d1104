use super::*;
use proptest::prelude::*;

/// A Unigram model as SentencePiece's converter writes it: pieces with `▁`, and bytes for what no
/// piece spells.
fn unigram() -> String {
    let mut vocab = vec![serde_json::json!(["<unk>", 0.0])];
    for byte in 0..=255u8 {
        vocab.push(serde_json::json!([format!("<0x{byte:02X}>"), -20.0]));
    }
    for (piece, score) in [
        ("▁", -3.0),
        ("▁the", -2.0),
        ("t", -5.0),
        ("he", -4.0),
        ("▁cat", -4.0),
        ("s", -4.0),
    ] {
        vocab.push(serde_json::json!([piece, score]));
    }
    serde_json::json!({
        "version": "1.0",
        "added_tokens": [],
        "normalizer": null,
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never", "split": false},
        "post_processor": null,
        "decoder": null,
        "model": {"type": "Unigram", "unk_id": 0, "byte_fallback": true, "vocab": vocab},
    })
    .to_string()
}

fn spelt(tokenizer: &TokenizerJson, text: &str) -> (usize, String) {
    let tokens = tokenizer.encode(text, false).unwrap();
    let bytes: Vec<u8> = tokens
        .iter()
        .flat_map(|&t| tokenizer.vocab.piece(t).to_vec())
        .collect();
    (tokens.len(), String::from_utf8(bytes).unwrap())
}

#[test]
fn a_unigram_model_spells_what_it_reads() {
    let tokenizer = TokenizerJson::parse(unigram().as_bytes()).unwrap();
    assert_eq!(tokenizer.vocab().kind(0), TokenKind::Control);
    assert_eq!(spelt(&tokenizer, "the cats"), (4, "the cats".into()));
    // No piece has these: bytes do.
    assert_eq!(spelt(&tokenizer, " cat é"), (4, " cat é".into()));
    assert_eq!(tokenizer.digest().len(), 64);
}

proptest! {
    #[test]
    fn a_damaged_file_is_an_error_or_a_tokenizer(places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = unigram().into_bytes();
        for (place, byte) in places {
            let at = place.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(tokenizer) = TokenizerJson::parse(&bytes) {
            let _ = tokenizer.encode("the cats é", false);
        }
    }

    #[test]
    fn a_file_with_values_of_other_kinds_is_an_error_or_a_tokenizer(
        key in prop::sample::select(vec!["added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder", "model"]),
        inner in prop::sample::select(vec!["", "type", "vocab", "unk_id", "replacement", "byte_fallback"]),
        value in prop::sample::select(vec!["null", "[]", "{}", "0", "-1", "4294967296", "\"\"", "[[\"a\", null]]", "[[\"a\", 1e308]]"]),
    ) {
        let mut json: Value = serde_json::from_str(&unigram()).unwrap();
        let value: Value = serde_json::from_str(value).unwrap();
        match &mut json[key] {
            Value::Object(fields) if !inner.is_empty() => {
                fields.insert(inner.into(), value);
            }
            whole => *whole = value,
        }
        if let Ok(tokenizer) = TokenizerJson::parse(json.to_string().as_bytes()) {
            let _ = tokenizer.encode("the cats é", false);
        }
    }
}
