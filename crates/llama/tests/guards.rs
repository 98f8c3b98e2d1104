//! What would kill the process inside llama.cpp is an error before it gets there, and the member
//! works afterwards. On tiny real models of both kinds of vocabulary, and on the fake, which is to
//! be no laxer.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests may panic; the exemption for tests does not reach them"
)]

#[path = "../../../tests/tiny/mod.rs"]
mod tiny;

use packllm_engine::backend::Watch;
use packllm_engine::backend::fake::{FakeMember, FakeOptions};
use packllm_engine::backend::{BackendError, BatchToken, Limits, Member, PREFIX, SeqId, Token};
use packllm_engine::chat::speaker::plain_text;
use packllm_engine::engine::{Ending, Engine, EngineError, MemberSpec, ScoreRequest};
use packllm_engine::vocab::Alphabet;
use packllm_llama::offload::Offload;
use packllm_llama::{CacheType, LlamaMember, LoadOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use tempfile::TempDir;
use tiny::TinyModel;

const LIMITS: Limits = Limits {
    context: 256,
    batch: 64,
    outputs: 16,
    sequences: 8,
};

fn options(path: &Path) -> LoadOptions {
    LoadOptions {
        path: path.to_path_buf(),
        context: None,
        batch: LIMITS.batch,
        ubatch: 32,
        outputs: LIMITS.outputs,
        sequences: LIMITS.sequences,
        threads: 1,
        threads_batch: 1,
        flash_attention: None,
        cache: (CacheType::F16, CacheType::F16),
        repack: true,
        offload: Offload::default(),
        watch: Arc::default(),
    }
}

/// The flag of the only one who waits for what a member does.
fn waiting(options: &LoadOptions) -> Arc<AtomicBool> {
    let cancel = Arc::default();
    options.watch.is_for(std::iter::once(&cancel));
    cancel
}

fn write(folder: &TempDir, model: &TinyModel) -> PathBuf {
    model.write(folder.path().join("model.gguf"))
}

fn llama(model: &TinyModel) -> LlamaMember {
    let folder = tempfile::tempdir().unwrap();
    LlamaMember::load(&options(&write(
        &folder,
        &model.clone().with_context(LIMITS.context),
    )))
    .unwrap()
}

fn fake() -> FakeMember {
    let vocab = FakeMember::vocab_of(&[b"a", b"b", b"ab", b" "], true);
    FakeMember::new(
        vocab,
        FakeOptions {
            limits: LIMITS,
            ..FakeOptions::default()
        },
    )
}

fn members() -> Vec<(&'static str, Box<dyn Member>)> {
    vec![
        ("spm", Box::new(llama(&TinyModel::spm(1)))),
        ("bpe", Box::new(llama(&TinyModel::bpe(2)))),
        ("fake", Box::new(fake())),
    ]
}

fn entry(token: Token, pos: u32, seq: SeqId) -> BatchToken {
    BatchToken {
        token,
        pos,
        seq,
        output: true,
    }
}

/// `n` tokens at the end of a sequence, logits after the last.
fn run(member: &dyn Member, seq: SeqId, n: u32) -> Vec<BatchToken> {
    let start = member.seq_len(seq);
    let entry = |i| BatchToken {
        token: i % 4,
        pos: start + i,
        seq,
        output: i + 1 == n,
    };
    (0..n).map(entry).collect()
}

/// Decodes a few tokens in the last sequence, which it leaves empty: what a working member answers.
fn probe(member: &mut dyn Member) -> Vec<f32> {
    let seq = member.limits().sequences - 1;
    member.decode(&run(member, seq, 3)).unwrap();
    let logits = member.logits(2).unwrap().to_vec();
    member.seq_truncate(seq, 0).unwrap();
    assert_eq!(logits.len(), member.vocab().len());
    assert!(logits.iter().all(|x| x.is_finite()));
    logits
}

/// The place of the cells in the cache may differ, and with it the order of sums.
fn assert_same(got: &[f32], want: &[f32], what: &str) {
    for (g, w) in got.iter().zip(want) {
        assert!((g - w).abs() < 1e-3, "{what}: {g} {w}");
    }
}

fn lengths(member: &dyn Member) -> Vec<u32> {
    (0..member.limits().sequences)
        .map(|seq| member.seq_len(seq))
        .collect()
}

/// On every member: `request` is refused, changes nothing, and leaves a working member.
fn refused(request: impl Fn(&mut dyn Member) -> Result<(), BackendError>) {
    for (name, mut member) in members() {
        let member = member.as_mut();
        member.decode(&run(member, PREFIX, 5)).unwrap();
        let (want, before) = (probe(member), lengths(member));
        let error = request(member).unwrap_err();
        assert!(matches!(error, BackendError::Refused(_)), "{name}: {error}");
        assert_eq!(lengths(member), before, "{name}");
        assert_same(&probe(member), &want, name);
        let more = run(member, PREFIX, 1);
        member.decode(&more).unwrap();
        member.logits(0).unwrap();
    }
}

// The ten kinds of input that kill the process.

#[test]
fn a_batch_larger_than_the_limit() {
    refused(|m| m.decode(&run(m, PREFIX, m.limits().batch + 1)));
    refused(|m| {
        let mut batch = run(m, PREFIX, m.limits().outputs + 1);
        batch.iter_mut().for_each(|e| e.output = true);
        m.decode(&batch)
    });
    refused(|m| m.decode(&[]));
}

#[test]
fn a_token_of_a_sequence_that_does_not_exist() {
    // An entry has exactly one sequence id: none, or more than one, cannot be said. What is left of
    // those two kinds is an id out of range.
    refused(|m| m.decode(&[entry(1, 0, m.limits().sequences)]));
    refused(|m| m.decode(&[entry(1, 0, SeqId::MAX)]));
    // Also as the last of a batch that is fine so far.
    refused(|m| {
        let mut batch = run(m, PREFIX, 2);
        batch.push(entry(1, 0, m.limits().sequences));
        m.decode(&batch)
    });
}

#[test]
fn sequences_out_of_range_in_copies_and_cuts() {
    refused(|m| m.seq_copy(PREFIX, m.limits().sequences, 1));
    refused(|m| m.seq_copy(m.limits().sequences, 1, 0));
    refused(|m| m.seq_truncate(m.limits().sequences, 0));
    refused(|m| m.seq_truncate(PREFIX, m.seq_len(PREFIX) + 1));
}

#[test]
fn a_model_that_encodes() {
    // There is no request to encode; what could be encoded is refused at load.
    for architecture in ["bert", "t5", "t5encoder"] {
        let reason = refusal(&TinyModel::bpe(1).with_architecture(architecture));
        assert!(
            reason.contains("must predict the next token"),
            "{architecture}: {reason}"
        );
    }
}

#[test]
fn a_token_outside_the_vocabulary() {
    // Pieces and kinds are asked of our own copy of the vocabulary, never of llama.cpp.
    refused(|m| m.decode(&[entry(m.vocab().len() as Token, m.seq_len(PREFIX), PREFIX)]));
    refused(|m| m.decode(&[entry(Token::MAX, m.seq_len(PREFIX), PREFIX)]));
    refused(|m| m.decode(&[entry(i32::MAX as Token + 1, m.seq_len(PREFIX), PREFIX)]));
}

#[test]
fn text_at_the_edges_of_unicode_is_tokenised() {
    // Bytes above U+10FFFF cannot be in a &str: this is the furthest one can go.
    for (name, mut member) in members() {
        let member = member.as_mut();
        let want = probe(member);
        for text in [
            "\u{10FFFF}",
            "\u{FFFD}",
            "\0",
            "\u{4}",
            "a\u{10FFFF}b\0c",
            "\u{D7FF}\u{E000}",
            "",
        ] {
            for markup in [false, true] {
                let tokens = member.tokenize(text, markup).unwrap();
                assert!(tokens.iter().all(|&t| (t as usize) < member.vocab().len()));
            }
        }
        assert_same(&probe(member), &want, name);
    }
}

#[test]
fn logits_that_were_not_asked_for() {
    for (name, member) in members() {
        assert!(
            matches!(member.logits(0), Err(BackendError::Refused(_))),
            "{name}: none yet"
        );
    }
    // Row 0 is not asked for, row 2 does not exist.
    for index in [0, 2, 63, usize::MAX] {
        refused(|m| {
            m.decode(&run(m, 1, 2))?;
            m.seq_truncate(1, 0)?;
            m.logits(1)?;
            m.logits(index).map(|_| ())
        });
    }
    // After a refused batch the rows of the one before are still there.
    for (name, mut member) in members() {
        let member = member.as_mut();
        member.decode(&run(member, PREFIX, 2)).unwrap();
        let want = member.logits(1).unwrap().to_vec();
        assert!(member.decode(&[]).is_err());
        assert_eq!(member.logits(1).unwrap(), want, "{name}");
    }
}

#[test]
fn a_file_of_nothing_but_a_vocabulary() {
    // A model is never loaded as vocabulary only; a file that is no more is refused.
    for model in [TinyModel::spm(1), TinyModel::bpe(1)] {
        let reason = refusal(&model.vocabulary_only());
        assert!(reason.contains("vocabulary without weights"), "{reason}");
    }
}

#[test]
fn partial_copies_work_and_impossible_ones_are_refused() {
    // All sequences are in one stream, so part of one may be copied.
    for (name, mut member) in members() {
        let member = member.as_mut();
        let tokens = run(member, PREFIX, 6);
        member.decode(&tokens).unwrap();
        let want = member.logits(5).unwrap().to_vec();
        member.seq_copy(PREFIX, 1, 3).unwrap();
        let rest: Vec<BatchToken> = tokens[3..]
            .iter()
            .map(|e| BatchToken { seq: 1, ..*e })
            .collect();
        member.decode(&rest).unwrap();
        assert_same(member.logits(2).unwrap(), &want, name);
        assert_eq!(lengths(member)[..3], [6, 6, 0]);
    }
    refused(|m| m.seq_copy(PREFIX, 1, m.seq_len(PREFIX) + 1));
    refused(|m| m.seq_copy(PREFIX, PREFIX, 1));
    refused(|m| {
        m.seq_copy(PREFIX, 1, 2)?;
        let again = m.seq_copy(PREFIX, 1, 2);
        m.seq_truncate(1, 0)?;
        again
    });
}

#[test]
fn the_progress_of_a_load_is_told_and_can_stop_it() {
    // The callback stores into an atomic and reads another: there is nothing in it that panics.
    let folder = tempfile::tempdir().unwrap();
    let options = options(&write(&folder, &TinyModel::spm(1)));
    let cancel = waiting(&options);
    LlamaMember::load(&options).unwrap();
    assert_eq!(options.watch.progress.load(Ordering::Relaxed), 1000);
    cancel.store(true, Ordering::Relaxed);
    assert!(matches!(
        LlamaMember::load(&options).err(),
        Some(BackendError::Cancelled)
    ));
    cancel.store(false, Ordering::Relaxed);
    probe(&mut LlamaMember::load(&options).unwrap());
}

// What llama.cpp accepts in silence.

#[test]
fn a_gap_in_the_positions() {
    refused(|m| m.decode(&[entry(1, m.seq_len(PREFIX) + 1, PREFIX)]));
    refused(|m| m.decode(&[entry(1, m.seq_len(PREFIX) - 1, PREFIX)]));
    refused(|m| m.decode(&[entry(1, 100, 1)]));
    refused(|m| m.decode(&[entry(1, 0, 1), entry(1, 2, 1)]));
}

#[test]
fn weights_that_are_not_numbers_are_found_at_the_first_prediction() {
    for alphabet in [Alphabet::Bytes, Alphabet::Tokens] {
        let folder = tempfile::tempdir().unwrap();
        let options = options(&write(&folder, &TinyModel::bpe(1).with_nan()));
        let loader = Box::new(move |watch: &Arc<Watch>| {
            let options = LoadOptions {
                watch: Arc::clone(watch),
                ..options
            };
            LlamaMember::load(&options).map(|m| Box::new(m) as Box<dyn Member>)
        });
        let spec = MemberSpec {
            name: "torn".into(),
            loader,
            prefetch: None,
            pace: Default::default(),
        };
        let mut engine = Engine::load(vec![spec], Arc::default(), &mut |_| {})
            .unwrap()
            .lockstep(Arc::default())
            .unwrap();
        let fusion = packllm_engine::engine::Fusion {
            alphabet: Some(alphabet),
            ..Default::default()
        };
        engine.configure(fusion, vec![true]).unwrap();
        engine
            .prepare(plain_text("a", 1, Ending::Continue))
            .unwrap();
        let read = engine.read(ScoreRequest::NOTHING).and_then(|()| {
            let greedy = packllm_engine::engine::AnswerOptions {
                limit: Some(1),
                sampling: packllm_engine::sample::Params::default(),
                stops: Vec::new(),
                attribution: false,
            };
            engine.answer(&greedy, &mut |_| {}).map(|_| ())
        });
        let error = read.unwrap_err();
        assert!(
            matches!(&error, EngineError::Member { member, source: BackendError::NotANumber } if member == "torn"),
            "{error}"
        );
    }
}

// The cache.

/// Fills a sequence up to `len` tokens.
fn fill(member: &mut dyn Member, seq: SeqId, len: u32) {
    while member.seq_len(seq) < len {
        let n = (len - member.seq_len(seq)).min(member.limits().batch);
        member.decode(&run(member, seq, n)).unwrap();
    }
}

#[test]
fn a_full_context_is_an_error_and_room_can_be_made() {
    for (name, mut member) in members() {
        let member = member.as_mut();
        let context = member.limits().context;
        assert_eq!(context, LIMITS.context);
        fill(member, PREFIX, context - 6);
        let full = |e: &BackendError| matches!(e, BackendError::ContextFull { context: 256 });
        let error = member.decode(&run(member, PREFIX, 20)).unwrap_err();
        assert!(full(&error), "{name}: {error}");
        assert_eq!(member.seq_len(PREFIX), context - 6, "{name}");
        assert!(member.logits(19).is_err(), "{name}");
        // Six fit, a seventh does not.
        fill(member, PREFIX, context);
        assert!(
            full(&member.decode(&run(member, PREFIX, 1)).unwrap_err()),
            "{name}"
        );
        member.seq_truncate(PREFIX, 64).unwrap();
        member.decode(&run(member, PREFIX, 32)).unwrap();
        let got = member.logits(31).unwrap().to_vec();
        member.seq_truncate(PREFIX, 0).unwrap();
        fill(member, PREFIX, 64);
        member.decode(&run(member, PREFIX, 32)).unwrap();
        assert_same(member.logits(31).unwrap(), &got, name);
    }
}

#[test]
fn a_context_is_as_long_as_asked_for_and_never_longer_than_trained() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(&folder, &TinyModel::spm(1).with_context(300));
    let asked = |context| LoadOptions {
        context,
        ..options(&path)
    };
    let context = |context| LlamaMember::load(&asked(context)).unwrap().limits().context;
    assert_eq!(context(None), 300);
    assert_eq!(context(Some(100)), 100);
    let error = LlamaMember::load(&asked(Some(301))).err().unwrap();
    assert!(error.to_string().contains("301"), "{error}");
}

#[test]
fn a_cancelled_evaluation_leaves_the_cache_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(&folder, &TinyModel::spm(1));
    // Many small steps, so that there is something to interrupt.
    let options = LoadOptions {
        batch: 2000,
        ubatch: 8,
        ..options(&path)
    };
    let mut member = LlamaMember::load(&options).unwrap();
    let cancel = waiting(&options);
    fill(&mut member, PREFIX, 10);
    member.decode(&run(&member, PREFIX, 5)).unwrap();
    let want = member.logits(4).unwrap().to_vec();
    member.seq_truncate(PREFIX, 10).unwrap();
    // If the flag comes too late for one evaluation, it will not for all.
    let cancelled = (0..100).any(|_| {
        let (begin, begun) = channel();
        let flag = Arc::clone(&cancel);
        let raiser = std::thread::spawn(move || {
            begun.recv().unwrap();
            flag.store(true, Ordering::Relaxed);
        });
        let batch = run(&member, PREFIX, 1900);
        begin.send(()).unwrap();
        let result = member.decode(&batch);
        raiser.join().unwrap();
        cancel.store(false, Ordering::Relaxed);
        match result {
            Ok(()) => member.seq_truncate(PREFIX, 10).unwrap(),
            Err(BackendError::Cancelled) => {}
            Err(error) => panic!("{error}"),
        }
        assert_eq!(member.seq_len(PREFIX), 10);
        batch.len() == 1900 && member.logits(1899).is_err()
    });
    assert!(cancelled);
    // What had been evaluated of the batch is gone, also from the cells.
    member.decode(&run(&member, PREFIX, 5)).unwrap();
    assert_same(member.logits(4).unwrap(), &want, "after a cancel");
    member.seq_truncate(PREFIX, 0).unwrap();
    let cells = member.limits().context;
    fill(&mut member, PREFIX, cells);
}

#[test]
fn a_raised_flag_stops_an_evaluation_before_it_begins() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(&write(&folder, &TinyModel::spm(1)));
    let mut member = LlamaMember::load(&options).unwrap();
    let cancel = waiting(&options);
    let want = probe(&mut member);
    cancel.store(true, Ordering::Relaxed);
    let result = member.decode(&run(&member, PREFIX, 3));
    assert!(matches!(result, Err(BackendError::Cancelled)));
    assert_eq!(member.seq_len(PREFIX), 0);
    cancel.store(false, Ordering::Relaxed);
    assert_same(&probe(&mut member), &want, "after a cancel");
}

// Files.

fn refusal_of(path: &Path) -> String {
    match LlamaMember::load(&options(path)).err() {
        Some(BackendError::Load { path: named, fault }) => {
            assert_eq!(named, path);
            let reason = fault.to_string();
            assert!(!reason.contains('\n'), "{reason}");
            reason
        }
        other => panic!("{}: {other:?}", path.display()),
    }
}

fn refusal(model: &TinyModel) -> String {
    let folder = tempfile::tempdir().unwrap();
    refusal_of(&write(&folder, model))
}

#[test]
fn files_that_are_no_model_are_refused_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let whole = TinyModel::spm(1).bytes();
    let cases = [
        (folder.path().join("missing.gguf"), "no such file"),
        (folder.path().to_path_buf(), "folder"),
        (file("empty.gguf", b""), "empty"),
        (
            file(
                "foreign.gguf",
                b"no model at all, but long enough for a header",
            ),
            "not a GGUF file",
        ),
        (file("header.gguf", &whole[..200]), "truncated header"),
        (
            file(
                "version.gguf",
                &[&whole[..4], &[9, 0, 0, 0], &whole[8..]].concat(),
            ),
            "version 9",
        ),
    ];
    for (path, words) in cases {
        let reason = refusal_of(&path);
        assert!(reason.contains(words), "{}: {reason}", path.display());
    }
}

#[test]
fn models_that_cannot_be_members_are_refused_with_a_reason() {
    let spm = || TinyModel::spm(1);
    let cases = [
        (spm().truncated(1000), "1000 bytes missing"),
        (spm().split(3), "part 1 of a model split into 3 files"),
        (spm().adapter(), "it cannot be a member on its own"),
        (spm().with_architecture("bert"), "an encoder"),
        (spm().with_tokenizer("t5"), "\"t5\" is not supported"),
        (spm().with_tokenizer("bert"), "\"bert\" is not supported"),
        (spm().with_architecture("frobnicate"), "frobnicate"),
        // It runs, but its state cannot go back to an earlier token.
        (spm().mamba(), "recurrent"),
    ];
    for (model, words) in cases {
        let reason = refusal(&model);
        assert!(reason.contains(words), "{words}: {reason}");
    }
}
