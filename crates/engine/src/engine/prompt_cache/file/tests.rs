use super::*;
use crate::engine::prompt_cache::Kin;
use crate::vocab::SYMBOLS;

fn identity() -> Identity {
    let kin = |name: &str| Kin {
        name: name.into(),
        model: format!("hash of {name}"),
        settings: "cache F16 F16".into(),
    };
    Identity {
        program: "packllm 1".into(),
        members: vec![kin("a"), kin("b")],
        scoring: "rows true".into(),
    }
}

fn place(offset: u32) -> Place {
    Place { message: 1, offset }
}

/// Two symbols scored, in one token of three.
fn kept(rows: ScoredRows) -> CachedPrompt {
    CachedPrompt {
        tokens: vec![7, 70_000, 3],
        marks: vec![Mark {
            len: 2,
            place: place(2),
            symbols: 2,
            tokens: 1,
        }],
        scores: Scores {
            places: vec![place(0), place(1)],
            tokens: vec![place(0)],
            skipped: vec![0.0, 0.25],
            nats: vec![1.5, f32::MIN_POSITIVE],
            symbols: vec![104, 105],
            rows,
        },
        state: (0..100).collect(),
        grown: false,
    }
}

fn sparse() -> SparseRows {
    let mut rows = SparseRows::new();
    rows.push(&[(5, -0.5), (2, -1.5)], (104, -3.0), 0.1);
    rows.push(&[(9, -0.25)], (9, -0.25), 0.2);
    rows
}

fn pack() -> [CachedPrompt; 2] {
    let dense = (0..2 * SYMBOLS).map(|i| -(i as f32)).collect();
    [
        kept(ScoredRows::Dense(dense)),
        kept(ScoredRows::Sparse(sparse())),
    ]
}

fn encoded() -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(&mut bytes, &identity(), &pack()).unwrap();
    bytes
}

fn decoded(bytes: &[u8]) -> Result<Vec<CachedPrompt>, BadPromptCache> {
    decode(bytes, bytes.len() as u64, &identity())
}

#[test]
fn what_is_read_is_what_was_written() {
    let read = decoded(&encoded()).unwrap();
    let shown = |kept: &[CachedPrompt]| format!("{kept:?}");
    assert_eq!(shown(&read), shown(&pack()));
    read.iter().for_each(|kept| kept.check(70_001).unwrap());
    // A token beyond the vocabulary, and parts that do not fit.
    assert!(read[0].check(70_000).is_err());
    let mut short = read[0].clone();
    short.scores.places.pop();
    assert!(short.check(70_001).is_err());
}

#[test]
fn not_one_byte_may_be_missing_added_or_changed() {
    let bytes = encoded();
    for end in 0..bytes.len() {
        assert!(
            matches!(decoded(&bytes[..end]), Err(BadPromptCache::Damaged)),
            "{end}"
        );
    }
    let longer = [&bytes[..], &[0]].concat();
    assert!(matches!(decoded(&longer), Err(BadPromptCache::Damaged)));
    for i in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[i] ^= 0x10;
        assert!(decoded(&changed).is_err(), "byte {i}");
    }
}

#[test]
fn what_belongs_to_others_is_told_apart() {
    assert!(matches!(
        decoded(b"GGUF and so on"),
        Err(BadPromptCache::Foreign)
    ));
    let mut newer = encoded();
    newer[12] = 9;
    assert!(matches!(decoded(&newer), Err(BadPromptCache::Version(9))));
    let mut bytes = Vec::new();
    let mut other = identity();
    other.members[1].model = "another".into();
    encode(&mut bytes, &other, &pack()).unwrap();
    let Err(BadPromptCache::Other(said)) = decoded(&bytes) else {
        panic!("it was read");
    };
    assert_eq!(said, "of other models (a + b)");
}

#[test]
fn a_file_replaces_another_whole_and_is_the_users_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kept");
    assert!(read(&path, &identity()).unwrap().is_none());
    for _ in 0..2 {
        let written = write(&path, &identity(), &pack()).unwrap();
        assert_eq!(written, encoded().len() as u64);
        assert_eq!(read(&path, &identity()).unwrap().unwrap().len(), 2);
    }
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
    assert_eq!(
        folder.path().read_dir().unwrap().count(),
        1,
        "a temporary file is left"
    );
    assert!(write(&folder.path().join("no/kept"), &identity(), &pack()).is_err());
}
