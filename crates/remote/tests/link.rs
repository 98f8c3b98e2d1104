//! A member behind a link says what it says without one, also where its process ends now and then.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests may panic; the exemption for tests does not reach them"
)]

use packllm_engine::backend::fake::{FakeMember, FakeOptions};
use packllm_engine::backend::{
    BackendError, BatchToken, Limits, Member, PREFIX, SeqId, Vocab, Watch,
};
use packllm_remote::{Process, RemoteMember, Setup, serve};
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

fn vocab() -> Vocab {
    FakeMember::vocab_of(&[b"a", b"b", b"c", b"ab", b"bc"], true)
}

fn options(watch: Arc<Watch>) -> FakeOptions {
    FakeOptions {
        limits: Limits {
            context: 96,
            batch: 7,
            outputs: 3,
            sequences: 5,
        },
        watch,
        ..FakeOptions::default()
    }
}

/// Writes until so many messages were written, and then ends.
struct Mortal<W> {
    to: W,
    left: Arc<AtomicUsize>,
}

impl<W: Write> Write for Mortal<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.left.load(Ordering::SeqCst) {
            0 => Err(io::ErrorKind::BrokenPipe.into()),
            _ => self.to.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.left.fetch_sub(1, Ordering::SeqCst);
        self.to.flush()
    }
}

/// A thread in the process's place, that ends after so many messages; `said` is on its stderr then.
fn process(left: &Arc<AtomicUsize>, version: &'static str, said: &'static str) -> Process {
    let (from_program, input) = io::pipe().unwrap();
    let (output, to_program) = io::pipe().unwrap();
    let (errors, mut tell) = io::pipe().unwrap();
    let to = Mortal {
        to: to_program,
        left: Arc::clone(left),
    };
    std::thread::spawn(move || {
        let mut load = |body: &[u8], watch| match body {
            b"good" => Ok(Box::new(FakeMember::new(vocab(), options(watch))) as Box<dyn Member>),
            _ => Err(BackendError::Refused("no such model".into())),
        };
        if serve(from_program, to, version, &mut load, || {}).is_err() {
            tell.write_all(said.as_bytes()).unwrap();
        }
    });
    Process {
        input: Box::new(input),
        output: Box::new(output),
        errors: Box::new(errors),
        end: Box::new(|| {}),
    }
}

const ALWAYS: usize = usize::MAX;

fn setup(left: &Arc<AtomicUsize>) -> Setup {
    let left = Arc::clone(left);
    Setup {
        start: Box::new(move || Ok(process(&left, "1", "first\nlost: it fell over\n"))),
        load: b"good".to_vec(),
        version: "1".into(),
        place: "there:50052".into(),
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % u64::from(n)) as u32
    }
}

/// A batch that goes on with some sequences.
fn batch(random: &mut Random, of: &dyn Member) -> Vec<BatchToken> {
    let mut lens: Vec<u32> = (0..5).map(|seq| of.seq_len(seq)).collect();
    let n = 1 + random.below(6);
    let mut entries = Vec::new();
    for k in 0..n {
        let seq = random.below(5);
        entries.push(BatchToken {
            token: random.below(5),
            pos: lens[seq as usize],
            seq,
            output: k < 3,
        });
        lens[seq as usize] += 1;
    }
    entries
}

/// Does one thing with both, and compares what they say.
fn step(random: &mut Random, near: &mut dyn Member, far: &mut dyn Member) {
    let seq = |random: &mut Random| -> SeqId { random.below(5) };
    match random.below(8) {
        0 => {
            let (from, to) = (seq(random), seq(random));
            let len = random.below(near.seq_len(from) + 1);
            let done = near.seq_copy(from, to, len).is_ok();
            assert_eq!(done, far.seq_copy(from, to, len).is_ok());
        }
        1 => {
            let seq = seq(random);
            let len = random.below(near.seq_len(seq) + 1);
            near.seq_truncate(seq, len).unwrap();
            far.seq_truncate(seq, len).unwrap();
        }
        2 if near.seq_len(PREFIX) > 0 => {
            for seq in 1..5 {
                near.seq_truncate(seq, 0).unwrap();
                far.seq_truncate(seq, 0).unwrap();
            }
            let (len, state) = (near.seq_len(PREFIX), near.save().unwrap());
            assert_eq!(insist(|| far.save()), state);
            near.seq_truncate(PREFIX, 0).unwrap();
            far.seq_truncate(PREFIX, 0).unwrap();
            near.restore(&state, len).unwrap();
            insist(|| far.restore(&state, len));
        }
        _ => {
            let batch = batch(random, near);
            match near.decode(&batch) {
                Ok(()) => insist(|| far.decode(&batch)),
                Err(error) => {
                    let other = loop {
                        match far.decode(&batch) {
                            Err(BackendError::Lost { .. }) => {}
                            other => break other.unwrap_err(),
                        }
                    };
                    assert_eq!(other.to_string(), error.to_string());
                    return;
                }
            }
            for index in (0..batch.len()).filter(|&index| batch[index].output) {
                assert_eq!(near.logits(index).unwrap(), far.logits(index).unwrap());
            }
            assert!(far.logits(batch.len()).is_err());
        }
    }
    (0..5).for_each(|seq| assert_eq!(near.seq_len(seq), far.seq_len(seq)));
}

/// Asks again while the member was lost.
fn insist<T>(mut ask: impl FnMut() -> Result<T, BackendError>) -> T {
    loop {
        match ask() {
            Err(BackendError::Lost { place, reason }) => {
                assert_eq!(
                    (place.as_str(), reason.as_str()),
                    ("there:50052", "lost: it fell over")
                );
            }
            done => return done.unwrap(),
        }
    }
}

#[test]
fn it_says_what_the_member_says() {
    let watch = Arc::default();
    let mut near = FakeMember::new(vocab(), options(Arc::default()));
    let setup = setup(&Arc::new(AtomicUsize::new(ALWAYS)));
    let mut far = RemoteMember::load(setup, &watch).unwrap();
    assert_eq!(far.vocab(), near.vocab());
    assert_eq!(far.limits(), near.limits());
    assert_eq!(far.description(), near.description());
    assert_eq!(
        far.tokenize("abcab", false).unwrap(),
        near.tokenize("abcab", false).unwrap()
    );
    let mut random = Random(1);
    (0..400).for_each(|_| step(&mut random, &mut near, &mut far));
}

#[test]
fn a_process_that_ends_is_started_again_and_knows_what_was_read() {
    for seed in 0..20 {
        let left = Arc::new(AtomicUsize::new(ALWAYS));
        let mut near = FakeMember::new(vocab(), options(Arc::default()));
        let mut far = RemoteMember::load(setup(&left), &Arc::default()).unwrap();
        let mut random = Random(seed);
        let mut ends = 0;
        for _ in 0..100 {
            if random.below(10) == 0 {
                // Now, in the load that follows, or while it reads again.
                ends += 1;
                left.store(random.below(6) as usize, Ordering::SeqCst);
                let revived = Arc::clone(&left);
                std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_millis(30));
                    revived.store(ALWAYS, Ordering::SeqCst);
                });
            }
            step(&mut random, &mut near, &mut far);
        }
        assert!(ends > 0);
    }
}

#[test]
fn what_does_not_load_says_why() {
    let left = Arc::new(AtomicUsize::new(ALWAYS));
    let failure = |change: &dyn Fn(&mut Setup)| {
        let mut setup = setup(&left);
        change(&mut setup);
        let loaded = RemoteMember::load(setup, &Arc::default());
        loaded.err().unwrap().to_string()
    };
    let refused = failure(&|setup| setup.load = b"bad".to_vec());
    assert_eq!(
        refused,
        "refused before it reached the model: no such model"
    );
    let version = failure(&|setup| setup.version = "2".into());
    assert_eq!(
        version,
        "lost there:50052: its process is of packllm 1 (protocol 1), this is 2 (protocol 1)"
    );
    let none = failure(&|setup| {
        setup.start = Box::new(|| Err(io::ErrorKind::NotFound.into()));
    });
    assert_eq!(none, "lost there:50052: entity not found");
    left.store(0, Ordering::SeqCst);
    let dead = failure(&|_| {});
    assert_eq!(dead, "lost there:50052: lost: it fell over");
}

/// Reads nothing, for ever.
struct Silence(Arc<AtomicBool>);

impl Read for Silence {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        while !self.0.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(0)
    }
}

#[test]
fn a_process_that_says_nothing_is_left_when_nobody_waits() {
    let cancel = Arc::new(AtomicBool::new(false));
    let watch = Arc::new(Watch::new(Arc::clone(&cancel)));
    let setup = Setup {
        start: Box::new(|| {
            let ended = Arc::new(AtomicBool::new(false));
            let end = Arc::clone(&ended);
            Ok(Process {
                input: Box::new(io::sink()),
                output: Box::new(Silence(Arc::clone(&ended))),
                errors: Box::new(Silence(ended)),
                end: Box::new(move || end.store(true, Ordering::SeqCst)),
            })
        }),
        ..setup(&Arc::default())
    };
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        cancel.store(true, Ordering::SeqCst);
    });
    let started = Instant::now();
    let left = RemoteMember::load(setup, &watch);
    assert!(
        matches!(left, Err(BackendError::Cancelled)),
        "{:?}",
        left.err()
    );
    assert!(started.elapsed() < Duration::from_secs(10));
}
