//! The vocabulary read from a file's header is the one that the loaded model has.

use crate::rig::*;
use crate::tiny::TinyModel;
use packllm_engine::backend::{Member, Token, TokenKind};
use packllm_engine::gguf::Header;
use packllm_engine::vocab::identical;

#[test]
fn a_header_says_what_the_loaded_model_says() {
    let models = [
        TinyModel::bpe(1),
        TinyModel::spm(1),
        TinyModel::bpe(1).with_controls(&["<tool>", "<|unused_1|>"]),
        TinyModel::spm(1).with_eot("<end_of_turn>"),
        TinyModel::spm(1).with_space_prefix(false).with_bos(false),
        TinyModel::bpe(1).with_eot("<|stop|>").with_bos(true),
        TinyModel::bpe(1).without_end(),
        TinyModel::spm(1).without_end(),
    ];
    for (i, model) in models.iter().enumerate() {
        let files = Files::new();
        let path = files.write("model.gguf", model);
        let read = Header::read(&path).unwrap().vocabulary().unwrap();
        let member = member(model);
        let loaded = member.vocab();
        assert!(identical(&read, loaded), "model {i}");
        for token in 0..read.len() as Token {
            assert_eq!(read.piece(token), loaded.piece(token), "model {i}, {token}");
            let fallback = read.is_byte_fallback(token);
            assert_eq!(
                fallback,
                loaded.is_byte_fallback(token),
                "model {i}, {token}"
            );
        }
        assert_eq!(read.ends().count(), loaded.ends().count());
        let (special, of_loaded) = (read.special(), loaded.special());
        // Where the file names none, llama.cpp takes a plain token.
        let marked = |t: &Token| loaded.kind(*t) != TokenKind::Text;
        assert_eq!(special.bos, of_loaded.bos, "model {i}");
        assert_eq!(special.eos.filter(marked), of_loaded.eos.filter(marked));
        assert_eq!(special.add_bos, of_loaded.add_bos, "model {i}");
        assert_eq!(special.add_space_prefix, of_loaded.add_space_prefix);
    }
}

#[test]
fn a_file_without_weights_has_a_vocabulary_too() {
    let files = Files::new();
    let of = |name: &str, model: TinyModel| {
        let path = files.write(name, &model);
        Header::read(path).unwrap().vocabulary().unwrap()
    };
    let whole = of("whole.gguf", TinyModel::spm(1));
    let bare = of("bare.gguf", TinyModel::spm(1).vocabulary_only());
    assert_eq!(whole, bare);
    assert!((3..259).all(|token| whole.is_byte_fallback(token)));
    assert_eq!(whole.piece(3 + 0xc3), b"\xc3");
}
