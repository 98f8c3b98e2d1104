//! The cover against brute force: every segmentation enumerated, on tiny vocabularies with all the
//! traps (duplicates, nested tokens, byte fallbacks, characters of several bytes, runs of spaces).

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use packllm_engine::backend::fake::{FakeMember, FakeOptions};
use packllm_engine::backend::{BatchToken, Member, PREFIX, Token, TokenKind};
use packllm_engine::engine::branches::Branches;
use packllm_engine::vocab::cover::{Budget, Cover};
use packllm_engine::vocab::sorted::SortedVocab;
use packllm_engine::vocab::{END, Row};
use proptest::prelude::*;
use std::sync::Arc;

const TRAPS: &[&[&[u8]]] = &[
    &[b"a", b"ab", b"b", b"abc", b"c", b"bc", b"ca"],
    // Duplicates: two ids, the same bytes.
    &[b":", b"a", b":", b"a:", b"::", b"b", b"c"],
    // A digit after a space: " 3" is no token.
    &[b" ", b"3", b" a", b"a", b"b", b"c", b"33"],
    // Runs of spaces.
    &[b" ", b"  ", b"   ", b"    ", b"a", b"b", b"c", b"  a"],
    // Characters of several bytes, whole and in pieces.
    &[
        b"\xc3",
        b"\xa9",
        "é".as_bytes(),
        b"a",
        b"\xc3\xa9a",
        b"b",
        b"c",
        b"\xe2\x82",
        b"\xac",
        b"\xe2",
        b"\x82",
    ],
];

struct Rig {
    member: FakeMember,
    cover: Cover,
    branches: Branches,
}

impl Rig {
    fn new(pieces: &[&[u8]], seed: u64, spread: f32, budget: Budget) -> Self {
        let vocab = FakeMember::vocab_of(pieces, true);
        let sorted = Arc::new(SortedVocab::new(&vocab));
        let mut options = FakeOptions {
            seed,
            spread,
            ..FakeOptions::default()
        };
        // Duplicates double the number of paths at every byte.
        options.limits.sequences = 1 << 14;
        options.limits.context = 1 << 16;
        let mut member = FakeMember::new(vocab, options);
        // Everything starts after one token, as after BOS.
        member
            .decode(&[BatchToken {
                token: 0,
                pos: 0,
                seq: PREFIX,
                output: true,
            }])
            .unwrap();
        let mut branches = Branches::new(member.limits().sequences);
        let mut cover = Cover::new(sorted, budget);
        branches.begin(&mut cover, &mut member, 0, 0, None).unwrap();
        Self {
            member,
            cover,
            branches,
        }
    }

    fn advance(&mut self, byte: u8) {
        self.branches
            .advance(&mut self.cover, &mut self.member, byte)
            .unwrap();
    }
}

/// The plain twin: softmax in f64 over text and END, every segmentation by recursion.
struct Enumeration<'a>(&'a FakeMember);

impl Enumeration<'_> {
    fn probabilities(&self, path: &[Token]) -> Vec<f64> {
        let vocab = self.0.vocab();
        let weights: Vec<f64> = self
            .0
            .rule(path)
            .iter()
            .enumerate()
            .map(|(t, &z)| match vocab.kind(t as Token) {
                TokenKind::Control => 0.0,
                _ => f64::from(z).exp(),
            })
            .collect();
        let total: f64 = weights.iter().sum();
        weights.iter().map(|w| w / total).collect()
    }

    /// Probability that what follows `path` begins with `text`.
    fn prefix(&self, path: &mut Vec<Token>, text: &[u8]) -> f64 {
        if text.is_empty() {
            return 1.0;
        }
        let p = self.probabilities(path);
        let vocab = Arc::clone(self.0.vocab());
        let mut total = 0.0;
        for t in (0..vocab.len() as Token).filter(|&t| vocab.kind(t) == TokenKind::Text) {
            let piece = vocab.piece(t);
            if piece.starts_with(text) {
                total += p[t as usize];
            } else if let Some(rest) = text.strip_prefix(piece) {
                path.push(t);
                total += p[t as usize] * self.prefix(path, rest);
                path.pop();
            }
        }
        total
    }

    /// Probability that what follows `path` is `text` and then END.
    fn whole(&self, path: &mut Vec<Token>, text: &[u8]) -> f64 {
        if text.is_empty() {
            let vocab = self.0.vocab();
            return vocab
                .ends()
                .map(|t| self.probabilities(path)[t as usize])
                .sum();
        }
        let p = self.probabilities(path);
        let vocab = Arc::clone(self.0.vocab());
        let mut total = 0.0;
        for t in (0..vocab.len() as Token).filter(|&t| vocab.kind(t) == TokenKind::Text) {
            if let Some(rest) = text.strip_prefix(vocab.piece(t)) {
                path.push(t);
                total += p[t as usize] * self.whole(path, rest);
                path.pop();
            }
        }
        total
    }

    fn predicted(&self, text: &[u8]) -> Row {
        let mut start = vec![0];
        let whole = self.prefix(&mut start, text);
        let mut row = [0.0; END + 1];
        let mut longer = text.to_vec();
        for byte in 0..=255u8 {
            longer.push(byte);
            row[byte as usize] = self.prefix(&mut start, &longer) / whole;
            longer.pop();
        }
        row[END] = self.whole(&mut start, text) / whole;
        row
    }
}

fn assert_close(got: &Row, want: &Row, tolerance: f64, at: &[u8]) {
    for (s, (g, w)) in got.iter().zip(want).enumerate() {
        assert!(
            (g - w).abs() <= tolerance,
            "symbol {s} after {:?}: cover {g:e}, enumeration {w:e}",
            String::from_utf8_lossy(at)
        );
    }
}

fn compare(pieces: &[&[u8]], seed: u64, spread: f32, choices: &[u8]) {
    let mut rig = Rig::new(
        pieces,
        seed,
        spread,
        Budget {
            epsilon: 0.0,
            heads: 8,
        },
    );
    let mut text = Vec::new();
    for &choice in choices {
        let want = Enumeration(&rig.member).predicted(&text);
        assert_close(rig.cover.predicted(), &want, 1e-9, &text);
        let possible: Vec<u8> = (0..=255).filter(|&b| want[b as usize] > 0.0).collect();
        let byte = possible[choice as usize % possible.len()];
        text.push(byte);
        rig.advance(byte);
    }
    assert_eq!(rig.cover.skipped_mass(), 0.0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: std::env::var("PROPTEST_CASES").map_or(64, |n| n.parse().unwrap()), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn exact_cover_equals_enumeration(
        trap in 0..TRAPS.len(),
        seed in any::<u64>(),
        spread in 0.5f32..8.0,
        choices in prop::collection::vec(any::<u8>(), 1..8),
    ) {
        compare(TRAPS[trap], seed, spread, &choices);
    }

    #[test]
    fn exact_cover_equals_enumeration_on_random_vocabularies(
        seed in any::<u64>(),
        pieces in prop::collection::vec(prop::collection::vec(b'a'..=b'c', 1..4), 1..9),
        choices in prop::collection::vec(any::<u8>(), 1..7),
    ) {
        // Every byte has a token of its own, so that any text can be spelled.
        let mut all: Vec<&[u8]> = vec![b"a", b"b", b"c"];
        all.extend(pieces.iter().map(Vec::as_slice));
        compare(&all, seed, 3.0, &choices);
    }

    #[test]
    fn every_prediction_is_a_distribution_and_no_byte_is_impossible(
        trap in 0..TRAPS.len(),
        seed in any::<u64>(),
        spread in 0.5f32..40.0,
        epsilon in prop::sample::select(vec![0.5, 0.1, 0.03, 0.001]),
        heads in 1usize..6,
        text in prop::collection::vec(any::<u8>(), 1..40),
        inside in any::<bool>(),
    ) {
        let mut rig = Rig::new(TRAPS[trap], seed, spread, Budget { epsilon, heads });
        for &b in &text {
            // Bytes of the vocabulary, or any byte at all: no text may break the cover.
            let byte = if inside { TRAPS[trap].concat()[b as usize % TRAPS[trap].concat().len()] } else { b };
            let sum: f64 = rig.cover.predicted().iter().sum();
            prop_assert!((sum - 1.0).abs() < 1e-12, "sum {sum}");
            prop_assert!(rig.cover.predicted().iter().all(|&p| p >= 0.0 && p.is_finite()));
            rig.advance(byte);
        }
        prop_assert!((0.0..=1.0).contains(&rig.cover.skipped_mass()));
        // Coming to rest leaves one sequence that spells the text as far as tokens can.
        let tokens = rig.branches.commit(&mut rig.cover, &mut rig.member).unwrap();
        prop_assert_eq!(rig.member.seq_len(PREFIX) as usize, tokens.len() + 1);
        for seq in 1..rig.member.limits().sequences {
            prop_assert_eq!(rig.member.seq_len(seq), 0);
        }
        if inside {
            let vocab = Arc::clone(rig.member.vocab());
            let spelled: Vec<u8> =
                tokens.iter().flat_map(|&t| vocab.piece(t).to_vec()).collect();
            let said: Vec<u8> = text
                .iter()
                .map(|&b| TRAPS[trap].concat()[b as usize % TRAPS[trap].concat().len()])
                .collect();
            prop_assert_eq!(spelled, said);
        }
    }

    #[test]
    fn what_is_evaluated_later_is_as_if_it_had_been_at_once(
        trap in 0..TRAPS.len(),
        seed in any::<u64>(),
        choices in prop::collection::vec(any::<u8>(), 2..10),
        late in prop::collection::vec(any::<bool>(), 10),
    ) {
        let all = Budget { epsilon: 0.0, heads: 8 };
        let mut prompt = Rig::new(TRAPS[trap], seed, 2.0, all);
        let mut tardy = Rig::new(TRAPS[trap], seed, 2.0, all);
        let mut behind = 0;
        for (&choice, &late) in choices.iter().zip(&late) {
            let p = prompt.cover.predicted();
            let possible: Vec<u8> = (0..=255).filter(|&b| p[b as usize] > 0.0).collect();
            let byte = possible[choice as usize % possible.len()];
            prompt.advance(byte);
            // Nothing is evaluated for up to two bytes, then everything is rescued.
            if late && behind < 2 {
                behind += 1;
                tardy.cover.advance(byte);
                tardy.cover.finish(None);
            } else {
                behind = 0;
                tardy.advance(byte);
                assert_close(tardy.cover.predicted(), prompt.cover.predicted(), 1e-9, &[byte]);
            }
        }
    }

    #[test]
    fn a_small_epsilon_comes_close_to_the_exact_cover(
        trap in 0..TRAPS.len(),
        seed in any::<u64>(),
        choices in prop::collection::vec(any::<u8>(), 1..16),
    ) {
        let mut exact = Rig::new(TRAPS[trap], seed, 2.0, Budget { epsilon: 0.0, heads: 8 });
        // Few heads are lost to the cap, none to ε.
        let mut near = Rig::new(TRAPS[trap], seed, 2.0, Budget { epsilon: 1e-8, heads: 4000 });
        for choice in choices {
            assert_close(near.cover.predicted(), exact.cover.predicted(), 1e-3, &[choice]);
            let p = exact.cover.predicted();
            let possible: Vec<u8> = (0..=255).filter(|&b| p[b as usize] > 0.0).collect();
            let byte = possible[choice as usize % possible.len()];
            exact.advance(byte);
            near.advance(byte);
        }
    }
}

#[test]
fn a_digit_after_a_space_is_never_impossible() {
    // The fork after the lone space is far below ε; its mass must survive as a candidate.
    for seed in 0..200 {
        let mut rig = Rig::new(
            TRAPS[2],
            seed,
            6.0,
            Budget {
                epsilon: 0.9,
                heads: 8,
            },
        );
        rig.advance(b' ');
        let p = rig.cover.predicted()[b'3' as usize];
        assert!(p > 1e-9, "seed {seed}: p('3' after ' ') = {p:e}");
        rig.advance(b'3');
        assert!(rig.cover.predicted()[b'3' as usize] > 0.0);
    }
}

#[test]
fn one_model_by_tokens_summed_over_segmentations_equals_bytes() {
    for seed in 0..50 {
        let mut rig = Rig::new(
            TRAPS[0],
            seed,
            3.0,
            Budget {
                epsilon: 0.0,
                heads: 8,
            },
        );
        let text = b"abcabca";
        let mut log = 0.0;
        for &b in text {
            log += rig.cover.predicted()[b as usize].ln();
            rig.advance(b);
        }
        log += rig.cover.end_probability().ln();
        let by_tokens = Enumeration(&rig.member).whole(&mut vec![0], text).ln();
        assert!((log - by_tokens).abs() < 1e-9, "{log} {by_tokens}");
    }
}
