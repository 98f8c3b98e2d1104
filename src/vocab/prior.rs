//! What may follow a token path that was not evaluated.
//!
//! A candidate of the [cover](super::cover) keeps its mass without a decode; its share has to go
//! somewhere. The prior is a mixture of three guesses, fixed before the next byte is seen:
//!
//! * what the evaluated heads predict here: right as long as the candidate means the same text;
//! * what has followed this byte before, counted as the session goes and backed off to character
//!   classes (letters follow letters): right where the heads are at a loss because the text went
//!   the candidate's way;
//! * a uniform floor over all 257 symbols, so that nothing is impossible.

use super::{END, Row, SYMBOLS};

/// Weights of the mixture; they sum to 1 with [`UNIFORM`]. Chosen on English prose, questions and
/// code; see `docs` of the cover for the figures.
const HEADS: f64 = 0.5;
const UNIFORM: f64 = 0.01;

/// How many observations the class guess is worth beside a byte's own counts.
const CLASS_STRENGTH: f64 = 8.0;

/// Learns which symbol follows which byte.
#[derive(Debug, Clone)]
pub struct Prior {
    /// `counts[a][s]`: how often symbol s followed byte a.
    counts: Vec<[f32; SYMBOLS]>,
    totals: Vec<f32>,
    /// `[class of a][s]`, filled from [`affinity`] and the counts of the class.
    classes: Vec<[f32; SYMBOLS]>,
    class_totals: Vec<f32>,
}

impl Default for Prior {
    fn default() -> Self {
        let classes: Vec<[f32; SYMBOLS]> = (0..CLASSES).map(initial_class_row).collect();
        let class_totals = classes.iter().map(|row| row.iter().sum()).collect();
        Self {
            counts: vec![[0.0; SYMBOLS]; 256],
            totals: vec![0.0; 256],
            classes,
            class_totals,
        }
    }
}

impl Prior {
    /// Counts that `symbol` followed `last`.
    pub fn observe(&mut self, last: u8, symbol: usize) {
        self.counts[last as usize][symbol] += 1.0;
        self.totals[last as usize] += 1.0;
        let class = class(last);
        self.classes[class][symbol] += 1.0;
        self.class_totals[class] += 1.0;
    }

    /// Writes the distribution after `last` into `out`, given what the evaluated heads predict
    /// (any positive scale; all zero if nothing is evaluated).
    pub fn row(&self, last: Option<u8>, heads: &Row, out: &mut Row) {
        let head_mass: f64 = heads.iter().sum();
        let from_heads = if head_mass > 0.0 { HEADS } else { 0.0 };
        let learnt = 1.0 - UNIFORM - from_heads;
        let head_scale = if head_mass > 0.0 {
            from_heads / head_mass
        } else {
            0.0
        };
        let uniform = UNIFORM / SYMBOLS as f64;
        // Without a byte before, the class of a line's start is the nearest guess.
        let a = last.unwrap_or(b'\n');
        let (counts, classes) = (&self.counts[a as usize], &self.classes[class(a)]);
        let class_scale = CLASS_STRENGTH / f64::from(self.class_totals[class(a)]);
        let scale = learnt / (f64::from(self.totals[a as usize]) + CLASS_STRENGTH);
        for s in 0..SYMBOLS {
            let guess = f64::from(counts[s]) + f64::from(classes[s]) * class_scale;
            out[s] = heads[s] * head_scale + guess * scale + uniform;
        }
    }
}

const CLASSES: usize = 7;

/// Character class of a byte.
fn class(byte: u8) -> usize {
    match byte {
        b'a'..=b'z' => 0,
        b'A'..=b'Z' => 1,
        b'0'..=b'9' => 2,
        b' ' => 3,
        b'\n' | b'\r' | b'\t' => 4,
        0x80.. => 6,
        _ => 5,
    }
}

/// How often a byte of one class is followed by one of another, in per cent, before anything is
/// learnt: rough figures for text in Latin letters, to be overruled by counts.
fn affinity(from: usize) -> [f32; CLASSES] {
    match from {
        0 => [72.0, 1.0, 1.0, 16.0, 2.0, 7.0, 1.0],
        1 => [60.0, 15.0, 3.0, 8.0, 2.0, 11.0, 1.0],
        2 => [4.0, 2.0, 48.0, 20.0, 6.0, 19.0, 1.0],
        3 => [60.0, 14.0, 6.0, 8.0, 1.0, 9.0, 2.0],
        4 => [25.0, 22.0, 4.0, 22.0, 15.0, 10.0, 2.0],
        5 => [22.0, 8.0, 8.0, 30.0, 14.0, 17.0, 1.0],
        _ => [12.0, 1.0, 1.0, 12.0, 2.0, 6.0, 66.0],
    }
}

/// The affinities spread over the bytes of each class, worth ten observations; END as one byte of
/// the class of line ends.
fn initial_class_row(from: usize) -> [f32; SYMBOLS] {
    let sizes: Vec<f32> = (0..CLASSES)
        .map(|c| (0..=255).filter(|&b| class(b) == c).count() as f32)
        .collect();
    let affinity = affinity(from);
    let mut row = [0.0; SYMBOLS];
    for b in 0..=255u8 {
        let c = class(b);
        row[b as usize] = affinity[c] / sizes[c] / 10.0;
    }
    row[END] = affinity[4] / sizes[4] / 10.0;
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_a_distribution_without_zeros() {
        let mut prior = Prior::default();
        let mut heads = [0.0; SYMBOLS];
        let mut out = [0.0; SYMBOLS];
        for turn in 0..2 {
            for last in (0..=255).map(Some).chain([None]) {
                prior.row(last, &heads, &mut out);
                let sum: f64 = out.iter().sum();
                // The counts are f32; the cover rescales what it makes of a row.
                assert!((sum - 1.0).abs() < 1e-4, "{sum}");
                assert!(out.iter().all(|&p| p > 0.0));
            }
            heads[b'x' as usize] = 0.3;
            for (a, b) in [(b'a', b'b'), (b'a', b'c'), (0xFF, 0x00)] {
                prior.observe(a, b as usize + turn);
            }
        }
    }

    #[test]
    fn it_learns_what_follows() {
        let mut prior = Prior::default();
        let mut before = [0.0; SYMBOLS];
        let mut after = [0.0; SYMBOLS];
        prior.row(Some(b'q'), &[0.0; SYMBOLS], &mut before);
        for _ in 0..20 {
            prior.observe(b'q', b'u' as usize);
        }
        prior.row(Some(b'q'), &[0.0; SYMBOLS], &mut after);
        assert!(after[b'u' as usize] > 0.5 && before[b'u' as usize] < 0.1);
    }
}
