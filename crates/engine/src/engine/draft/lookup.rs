//! Prompt lookup: what followed the last time.

use super::Drafter;
use crate::backend::{MemberInfo, Pace};
use std::collections::HashMap;

/// Drafts what followed when the last bytes of the text occurred before, in the prompt or in the
/// answer: code that is edited, quotations, summaries, lists.
///
/// A draft pays only if most of it is said, for a batch of eight tokens costs a CPU about five
/// times a single one. The longer a repetition already is, the likelier it goes on, so the chance
/// that it breaks off at the next byte is estimated apart for several lengths: a beta prior, and
/// what this session's answers did. They are counted whether or not anything was drafted. A draft
/// is made, as long as possible, if enough of its bytes are expected to be said ([`Pace::worth`]).
///
/// The idea is prompt lookup decoding (Saxena, 2023), the estimate that of a PPM compressor's
/// escapes.
#[derive(Debug)]
pub struct Lookup {
    text: Vec<u8>,
    /// The last `KEY` bytes, as a number.
    key: u64,
    /// Where each stretch of `KEY` bytes ended last.
    ends: HashMap<u64, usize>,
    /// The byte of `text` that is expected next, and how many bytes before it agree with the last
    /// said.
    following: Option<(usize, usize)>,
    breaks: [Breaks; LENGTHS.len()],
    /// Smallest share of a draft that must be expected to be said.
    worth: f64,
}

/// Bytes that must agree before anything is expected.
const KEY: usize = 8;

/// Repetitions are told apart by length: at least so many bytes.
const LENGTHS: [usize; 4] = [KEY, 16, 32, 64];

/// Chance that one breaks off at the next byte before any was seen, by length.
const PRIOR: [f64; 4] = [0.08, 0.04, 0.012, 0.005];

/// Bytes of experience that the prior counts for.
const PRIOR_BYTES: f64 = 64.0;

/// Lengths of drafts: bytes, longest first. About 16 and 8 tokens.
const DRAFTS: [usize; 2] = [64, 32];

/// Bytes beyond a draft that tell where its last token ends, and fill up a batch.
const MARGIN: usize = 32;

/// How often repetitions went on and broke off.
#[derive(Debug, Clone, Copy, Default)]
struct Breaks {
    bytes: f64,
    broken: f64,
}

fn class(length: usize) -> usize {
    LENGTHS.iter().rposition(|&l| length >= l).unwrap_or(0)
}

impl Default for Lookup {
    /// For members of the usual pace.
    fn default() -> Self {
        Self::worth(Pace::default().worth)
    }
}

impl Lookup {
    /// For answers of these members: of all, a draft has to be worth its batch.
    #[must_use]
    pub fn of(members: &[MemberInfo]) -> Self {
        let worth = members.iter().map(|member| member.pace.worth);
        Self::worth(worth.fold(0.0, f64::max))
    }

    fn worth(worth: f64) -> Self {
        Self {
            text: Vec::new(),
            key: 0,
            ends: HashMap::new(),
            following: None,
            breaks: Default::default(),
            worth,
        }
    }

    /// Chance that a repetition of this length breaks off at the next byte.
    fn hazard(&self, length: usize) -> f64 {
        let c = class(length);
        let Breaks { bytes, broken } = self.breaks[c];
        (PRIOR[c] * PRIOR_BYTES + broken) / (PRIOR_BYTES + bytes)
    }

    /// How many of `n` bytes after a repetition of this length are expected to be said.
    fn expected(&self, length: usize, n: usize) -> f64 {
        let mut alive = 1.0;
        let going_on = |i| {
            alive *= 1.0 - self.hazard(length + i);
            alive
        };
        (0..n).map(going_on).sum()
    }

    /// The text grows, and what to expect is looked up.
    fn grow(&mut self, byte: u8) {
        self.following = match self.following {
            Some((at, length)) if self.text[at] == byte => Some((at + 1, length + 1)),
            _ => None,
        };
        self.text.push(byte);
        self.key = (self.key << 8) | u64::from(byte);
        if self.text.len() < KEY {
            return;
        }
        let earlier = self.ends.insert(self.key, self.text.len());
        if self.following.is_none() {
            self.following = earlier.map(|at| (at, self.agreeing(at)));
        }
    }

    /// How many bytes before `at` agree with the last of the text, as far as that makes a
    /// difference.
    fn agreeing(&self, at: usize) -> usize {
        let ends = self.text[..at].iter().rev().zip(self.text.iter().rev());
        let most = LENGTHS[LENGTHS.len() - 1];
        ends.take(most).take_while(|(a, b)| a == b).count()
    }
}

impl Drafter for Lookup {
    fn begin(&mut self, text: &[u8]) {
        self.text.clear();
        self.ends.clear();
        (self.key, self.following) = (0, None);
        text.iter().for_each(|&byte| self.grow(byte));
    }

    fn push(&mut self, byte: u8) {
        if let Some((at, length)) = self.following {
            let breaks = &mut self.breaks[class(length)];
            breaks.bytes += 1.0;
            breaks.broken += f64::from(u8::from(self.text[at] != byte));
        }
        self.grow(byte);
    }

    fn propose(&mut self, ahead: &mut Vec<u8>) -> usize {
        let Some((at, length)) = self.following else {
            return 0;
        };
        let pays = |&n: &usize| self.expected(length, n) >= self.worth * n as f64;
        let Some(worth) = DRAFTS.into_iter().find(pays) else {
            return 0;
        };
        // A repetition may overlap with itself.
        for i in at..at + worth + MARGIN {
            let byte = self.text.get(i).copied();
            let byte = byte.unwrap_or_else(|| ahead[i - self.text.len()]);
            ahead.push(byte);
        }
        worth
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(prompt: &str, said: &str) -> Lookup {
        let mut lookup = Lookup::default();
        lookup.begin(prompt.as_bytes());
        said.bytes().for_each(|b| lookup.push(b));
        lookup
    }

    fn proposed(lookup: &mut Lookup) -> (usize, String) {
        let mut ahead = Vec::new();
        let worth = lookup.propose(&mut ahead);
        (worth, String::from_utf8(ahead).unwrap())
    }

    /// The plain twin: where the last eight bytes ended before, searched backwards, and what
    /// agrees.
    fn plain(text: &[u8]) -> Option<(usize, usize)> {
        let n = text.len();
        let at = (KEY..n)
            .rev()
            .find(|&i| text[i - KEY..i] == text[n - KEY..])?;
        let length = (0..at).take_while(|&i| text[at - 1 - i] == text[n - 1 - i]);
        Some((at, length.count()))
    }

    const POEM: &str = "Tyger Tyger, burning bright, In the forests of the night; What immortal \
        hand or eye, Could frame thy fearful symmetry? In what distant deeps or skies. \
        Burnt the fire of thine eyes?";

    #[test]
    fn a_long_repetition_goes_on_and_a_short_one_does_not() {
        for short in [7, 40] {
            assert_eq!(proposed(&mut after(POEM, &POEM[..short])).0, 0);
        }
        let twice = POEM.repeat(2);
        for (said, want) in [(60, 32), (140, 64)] {
            let (worth, ahead) = proposed(&mut after(POEM, &POEM[..said]));
            assert_eq!(
                (worth, ahead.as_str()),
                (want, &twice[said..said + want + MARGIN])
            );
        }
    }

    #[test]
    fn a_loop_is_drafted_beyond_the_end_of_the_text() {
        let line = "again and ";
        let mut lookup = after("", &line.repeat(9));
        let (worth, ahead) = proposed(&mut lookup);
        assert_eq!(worth, 64);
        assert!(line.repeat(20).starts_with(&ahead), "{ahead:?}");
    }

    #[test]
    fn repetitions_that_break_off_are_drafted_less_and_those_that_go_on_more() {
        let mut wary = after(POEM, "");
        for start in 0..30 {
            POEM[start..start + 40]
                .bytes()
                .chain(*b"!!")
                .for_each(|b| wary.push(b));
        }
        assert!(wary.hazard(32) > PRIOR[2]);
        POEM[..60].bytes().for_each(|b| wary.push(b));
        assert_eq!(proposed(&mut wary).0, 0);
        let mut bold = after(POEM, &POEM.repeat(6));
        bold.push(b'!');
        assert_eq!(proposed(&mut bold).0, 0);
        POEM[..40].bytes().for_each(|b| bold.push(b));
        assert!(proposed(&mut bold).0 > 0, "{:?}", bold.breaks);
        assert_eq!(proposed(&mut after(POEM, &POEM[..40])).0, 0);
    }

    #[test]
    fn what_is_expected_is_what_a_search_through_the_text_finds() {
        let mut state = 7u32;
        let mut lookup = Lookup::default();
        lookup.begin(b"");
        for i in 0..3000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let before = lookup.following;
            let byte = if i % 90 > 30 && lookup.text.len() > 40 {
                lookup.text[lookup.text.len() - 37]
            } else {
                (state >> 24) as u8 & 3
            };
            lookup.push(byte);
            let found = lookup.following.map(|(at, n)| (at, n.min(64)));
            let went_on = before.is_some_and(|(at, _)| lookup.text[at] == byte);
            if went_on {
                let (at, n) = found.unwrap();
                let text = &lookup.text;
                assert_eq!(text[at - n..at], text[text.len() - n..]);
            } else {
                let want = (lookup.text.len() > KEY)
                    .then(|| plain(&lookup.text))
                    .flatten();
                assert_eq!(found, want.map(|(at, n)| (at, n.min(64))), "byte {i}");
            }
        }
    }

    #[test]
    fn expected_bytes_are_the_sum_over_a_simulation_of_the_hazards() {
        let lookup = Lookup::default();
        let mut want = 0.0;
        for n in 1..=32 {
            // All of the first n go on.
            want += (0..n).map(|i| 1.0 - lookup.hazard(20 + i)).product::<f64>();
        }
        assert!((lookup.expected(20, 32) - want).abs() < 1e-12);
    }
}
