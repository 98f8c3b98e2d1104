//! The cover against brute force: every segmentation enumerated, on tiny vocabularies with all the
//! traps (duplicates, nested tokens, byte fallbacks, characters of several bytes, runs of spaces).

use super::Rig;
use crate::backend::fake::{FakeMember, FakeOptions};
use crate::backend::{Member, PREFIX, Token, TokenKind};
use crate::vocab::cover::Budget;
use crate::vocab::{END, Row};
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

const EXACT: Budget = Budget {
    epsilon: 0.0,
    hypotheses: 8,
};

fn rig(pieces: &[&[u8]], seed: u64, spread: f32, budget: Budget) -> Rig {
    let mut options = FakeOptions {
        seed,
        spread,
        ..FakeOptions::default()
    };
    // Duplicates double the number of paths at every byte.
    options.limits.sequences = 1 << 14;
    options.limits.context = 1 << 16;
    Rig::new(pieces, options, budget)
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
    let mut rig = rig(pieces, seed, spread, EXACT);
    let mut text = Vec::new();
    for &choice in choices {
        let want = Enumeration(&rig.bare).predicted(&text);
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
        hypotheses in 1usize..6,
        text in prop::collection::vec(any::<u8>(), 1..40),
        inside in any::<bool>(),
    ) {
        let mut rig = rig(TRAPS[trap], seed, spread, Budget { epsilon, hypotheses });
        for &b in &text {
            // Bytes of the vocabulary, or any byte at all: no text may break the cover.
            let byte = if inside { TRAPS[trap].concat()[b as usize % TRAPS[trap].concat().len()] } else { b };
            let sum: f64 = rig.cover.predicted().iter().sum();
            prop_assert!((sum - 1.0).abs() < 1e-12, "sum {sum}");
            prop_assert!(rig.cover.predicted().iter().all(|&p| p >= 0.0 && p.is_finite()));
            rig.advance(byte);
        }
        prop_assert!((0.0..=1.0).contains(&rig.cover.skipped_mass()));
        // A commit leaves one sequence that spells the text as far as tokens can.
        let tokens = rig.commit();
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
        let mut prompt = rig(TRAPS[trap], seed, 2.0, EXACT);
        let mut tardy = rig(TRAPS[trap], seed, 2.0, EXACT);
        let mut behind = 0;
        for (&choice, &late) in choices.iter().zip(&late) {
            let p = prompt.cover.predicted();
            let possible: Vec<u8> = (0..=255).filter(|&b| p[b as usize] > 0.0).collect();
            let byte = possible[choice as usize % possible.len()];
            prompt.advance(byte);
            // Nothing is evaluated for up to two bytes, then everything is, late.
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
        let mut exact = rig(TRAPS[trap], seed, 2.0, EXACT);
        // Few hypotheses are lost to the cap, none to ε.
        let mut near = rig(TRAPS[trap], seed, 2.0, Budget { epsilon: 1e-8, hypotheses: 4000 });
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
    // The fork after the lone space is far below ε; its mass must survive unevaluated.
    for seed in 0..200 {
        let mut rig = rig(
            TRAPS[2],
            seed,
            6.0,
            Budget {
                epsilon: 0.9,
                hypotheses: 8,
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
        let mut rig = rig(TRAPS[0], seed, 3.0, EXACT);
        let text = b"abcabca";
        let mut log = 0.0;
        for &b in text {
            log += rig.cover.predicted()[b as usize].ln();
            rig.advance(b);
        }
        log += rig.cover.predicted()[END].ln();
        let by_tokens = Enumeration(&rig.bare).whole(&mut vec![0], text).ln();
        assert!((log - by_tokens).abs() < 1e-9, "{log} {by_tokens}");
    }
}
