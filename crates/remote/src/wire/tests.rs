use super::*;
use packllm_engine::backend::fake::FakeMember;

#[test]
fn a_vocabulary_comes_over_whole() {
    let mut builder = VocabBuilder::default();
    for (piece, kind) in [
        (&b"a"[..], TokenKind::Text),
        (b"", TokenKind::Text),
        (b"\xff\x00", TokenKind::Text),
        (b"<unk>", TokenKind::Control),
        (b"<end>", TokenKind::End),
    ] {
        builder.push(piece, kind);
    }
    builder.push_byte_fallback(b'\n');
    let special = Special {
        bos: Some(3),
        eos: Some(4),
        add_bos: true,
        add_space_prefix: true,
    };
    let vocab = builder.build(special.clone());
    let bytes = pack_vocab(&vocab);
    assert_eq!(unpack_vocab(&bytes, special.clone()).unwrap(), vocab);
    for cut in 0..bytes.len() - 1 {
        // Where it is cut off after the last whole piece it is short all the same.
        assert!(
            unpack_vocab(&bytes[..cut], special.clone()).is_err(),
            "{cut}"
        );
    }
    let many = [&u32::MAX.to_le_bytes()[..], b"abcd"].concat();
    assert!(unpack_vocab(&many, special).is_err());
}

#[test]
fn a_batch_and_its_rows_come_over_whole() {
    let batch: Vec<BatchToken> = (0..5)
        .map(|n| BatchToken {
            token: n * 1000,
            pos: n,
            seq: n % 3,
            output: n % 2 == 0,
        })
        .collect();
    assert_eq!(unpack_batch(&pack_batch(&batch)), batch);
    let (mut bytes, mut rows) = (Vec::new(), vec![7.0]);
    let row = [0.5, -1e30, f32::MIN_POSITIVE];
    pack_row(&row, &mut bytes);
    unpack_rows(&bytes, &mut rows);
    assert_eq!(rows, row);
}

#[test]
fn messages_are_told_apart_and_limited() {
    let mut stream = Vec::new();
    send(&mut stream, &Ask::Tokenize { markup: true }, b"text").unwrap();
    send(&mut stream, &Ask::Save, b"").unwrap();
    let mut from = &stream[..];
    let first = receive::<Ask>(&mut from, 4).unwrap().unwrap();
    assert!(matches!(first.0, Ask::Tokenize { markup: true }));
    assert_eq!(first.1, b"text");
    let (second, _) = receive::<Ask>(&mut from, 4).unwrap().unwrap();
    assert!(matches!(second, Ask::Save));
    assert!(receive::<Ask>(&mut from, 4).unwrap().is_none());
    assert!(receive::<Ask>(&mut &stream[..], 3).is_err());
    // Something else that is written there, a line of a library say, is no message.
    assert!(receive::<Ask>(&mut &b"Hello from a library\n"[..], u32::MAX).is_err());
    for cut in 1..16 {
        assert!(receive::<Ask>(&mut &stream[..cut], 4).is_err(), "{cut}");
    }
}

#[test]
fn every_failure_is_told_in_the_same_words() {
    for error in [
        BackendError::Refused("no".into()),
        BackendError::ContextFull { context: 9 },
        BackendError::NoSequence,
        BackendError::Cancelled,
        BackendError::NotANumber,
        BackendError::Decode {
            code: -3,
            log: "out of memory".into(),
        },
        BackendError::Load {
            path: "a.gguf".into(),
            fault: Arc::new(Fault("it is short".into())),
        },
    ] {
        let failure = serde_json::to_vec(&Failure::from(&error)).unwrap();
        let failure: Failure = serde_json::from_slice(&failure).unwrap();
        assert_eq!(BackendError::from(failure).to_string(), error.to_string());
    }
    let vocab = FakeMember::vocab_of(&[b"a"], true);
    assert_eq!(pack_vocab(&vocab).len(), 4 + 3 * 4 + 1 + 5 + 5);
}
