//! Vocabularies as files have them, and texts in their tokens.

use crate::rig::*;
use crate::tiny::TinyModel;
use packllm_engine::backend::{Member, Token, TokenKind, Vocab};
use packllm_engine::vocab::sorted::SortedVocab;
use packllm_engine::vocab::speller;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::cell::RefCell;

fn token(vocab: &Vocab, piece: &[u8], kind: TokenKind) -> Token {
    let fits = |&t: &Token| vocab.piece(t) == piece && vocab.kind(t) == kind;
    (0..vocab.len() as Token).find(fits).unwrap()
}

#[test]
fn pieces_are_bytes_and_kinds_are_read_from_the_file() {
    let spm = member(&TinyModel::spm(1));
    let vocab = spm.vocab();
    assert_eq!(vocab.len(), TinyModel::spm(1).vocabulary().size());
    for (text, piece) in [("▁the", " the"), ("é", "é"), ("▁", " "), ("日本", "日本")] {
        let id = TinyModel::spm(1).vocabulary().id(text).unwrap();
        assert_eq!(
            (vocab.piece(id), vocab.kind(id)),
            (piece.as_bytes(), TokenKind::Text)
        );
    }
    // A fallback token for every byte, whatever other tokens spell it.
    for byte in 0..=255u8 {
        let id = TinyModel::spm(1)
            .vocabulary()
            .id(&format!("<0x{byte:02X}>"))
            .unwrap();
        assert_eq!(
            (vocab.piece(id), vocab.kind(id)),
            (&[byte][..], TokenKind::Text)
        );
    }
    token(vocab, b"<unk>", TokenKind::Control);
    token(vocab, b"<s>", TokenKind::Control);
    assert_eq!(
        vocab.ends().collect::<Vec<_>>(),
        [token(vocab, b"</s>", TokenKind::End)]
    );

    let bpe = member(&TinyModel::bpe(1));
    let vocab = bpe.vocab();
    for piece in [" the", "\n\n", "é", " für"] {
        token(vocab, piece.as_bytes(), TokenKind::Text);
    }
    for byte in 0..=255u8 {
        token(vocab, &[byte], TokenKind::Text);
    }
    token(vocab, b"<|im_start|>", TokenKind::Control);
    let ends = [b"<|endoftext|>".as_slice(), b"<|im_end|>"];
    let ends = ends.map(|name| token(vocab, name, TokenKind::End));
    assert_eq!(vocab.ends().collect::<Vec<_>>(), ends);
}

#[test]
fn a_raw_text_starts_after_bos_or_a_line_break_or_nothing() {
    let start = |model: TinyModel| {
        let member = member(&model);
        let vocab = member.vocab();
        vocab
            .text_start()
            .map(|t| String::from_utf8(vocab.piece(t).to_vec()).unwrap())
    };
    assert_eq!(start(TinyModel::spm(1)).as_deref(), Some("<s>"));
    // A token of its own or, as here, the byte that the tokenizer falls back on.
    let bare = start(TinyModel::spm(1).with_bos(false));
    assert_eq!(bare.as_deref(), Some("\n"));
    assert_eq!(start(TinyModel::bpe(1)).as_deref(), Some("\n"));
}

#[test]
fn a_tokenizer_that_puts_a_space_in_front_is_told_apart() {
    let spelled = |model: &TinyModel, text: &str| {
        let mut member = member(model);
        let tokens = member.tokenize(text, false).unwrap();
        let piece = |&t: &Token| member.vocab().piece(t).to_vec();
        let spelled: Vec<u8> = tokens.iter().flat_map(piece).collect();
        (
            String::from_utf8(spelled).unwrap(),
            member.vocab().special().add_space_prefix,
        )
    };
    let spm = TinyModel::spm(1);
    assert_eq!(spelled(&spm, "the"), (" the".into(), true));
    assert_eq!(
        spelled(&spm.clone().with_space_prefix(false), "the"),
        ("the".into(), false)
    );
    assert_eq!(spelled(&TinyModel::bpe(1), "the"), ("the".into(), false));
}

/// Words of the vocabularies, spaces, line ends, and any character at all.
fn texts() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => prop::sample::select(vec![" the", "water", "ing", "für", "日本", "😀", "  ", "\n", " \n", "<s>", "▁", "\t"])
            .prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
        1 => "[ a-z]{0,5}",
    ];
    prop::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat())
}

#[test]
fn tokens_spell_exactly_the_text() {
    let spm = TinyModel::spm(1);
    for model in [spm.clone(), spm.with_space_prefix(false), TinyModel::bpe(1)] {
        let member = RefCell::new(member(&model));
        let sorted = SortedVocab::new(member.borrow().vocab());
        let config = ProptestConfig {
            cases: 400,
            failure_persistence: None,
            ..Default::default()
        };
        TestRunner::new(config)
            .run(&texts(), |text| {
                let member = &mut *member.borrow_mut();
                let plain = speller::plain(member, &sorted, &text).unwrap();
                let markup = speller::markup(member, &sorted, &text).unwrap();
                let vocab = member.vocab();
                for spelled in [&plain, &markup] {
                    let pieces = spelled.tokens.iter().flat_map(|&t| vocab.piece(t).to_vec());
                    prop_assert_eq!(pieces.collect::<Vec<u8>>(), text.as_bytes());
                    prop_assert!(spelled.lost.is_empty());
                }
                prop_assert!(
                    plain
                        .tokens
                        .iter()
                        .all(|&t| vocab.kind(t) == TokenKind::Text)
                );
                Ok(())
            })
            .unwrap();
    }
}

#[test]
fn a_space_put_in_front_is_taken_off_without_changing_the_segmentation() {
    let prefixed = RefCell::new(member(&TinyModel::spm(1)));
    let bare = RefCell::new(member(&TinyModel::spm(1).with_space_prefix(false)));
    let sorted = SortedVocab::new(bare.borrow().vocab());
    let config = ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..Default::default()
    };
    TestRunner::new(config)
        .run(&texts(), |text| {
            let got = speller::plain(&mut *prefixed.borrow_mut(), &sorted, &text).unwrap();
            let want = speller::plain(&mut *bare.borrow_mut(), &sorted, &text).unwrap();
            prop_assert_eq!(got, want);
            Ok(())
        })
        .unwrap();
}
