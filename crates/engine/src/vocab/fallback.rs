//! The fallback model: what may follow a token path that was not evaluated.
//!
//! An unevaluated hypothesis of the [cover](super::cover) keeps its mass without a decode, and its
//! share has to go somewhere. There are two cases, because different text follows them: its last
//! token has just [ended](Stage::Ended) (after a lone space come digits, hardly letters), or a next
//! one, nobody knows which, is under way ([`Stage::Inside`]: letters follow letters). Each case has
//! a mixture of four guesses, fixed before the next byte is seen:
//!
//! * what the evaluated hypotheses predict here: right as long as this one means the same text;
//! * what those of them predict whose token has just ended too;
//! * what followed this byte before, backed off to character classes. Where a token ended, that is
//!   what hypotheses predicted there, learnt from every evaluation, lone spaces included; inside a
//!   token it is what the text went on with;
//! * a uniform floor over all 257 symbols, so that nothing is impossible.
//!
//! How much each guess counts is learnt too, by expectation maximisation as the text goes on: a
//! guess gains what it contributed to the bytes that unevaluated hypotheses explained.
//!
//! # Along a chain
//!
//! Where only a text's own tokens are [evaluated](super::cover), no fork is ever shown to be wrong:
//! learnt shares would go to the guess that says the text, the chain's own prediction, and every
//! fork would live on as if it meant the same. That made 60 to 89% of the prediction of English
//! prose the fallback model's, and the text up to 10% cheaper than it is. With shares that stay
//! ([`FallbackModel::fixed`]) forks die out as they do when they are evaluated. Bits per byte of
//! 1,200 bytes, against the full cover at ε = 0.03:
//!
//! | | French | German | Wikipedia | Python | arithmetic |
//! | --- | --- | --- | --- | --- | --- |
//! | Gemma-3-270M, learnt | −4.8% | −3.5% | −1.1%, −1.1% | −4.5%, −6.0% | −4.4% |
//! | Gemma-3-270M, fixed | +0.1% | −0.2% | +0.5%, +0.1% | +1.1%, +0.1% | −1.1% |
//! | SmolLM2-135M, learnt | −6.2% | −8.0% | −1.7%, −0.0% | −4.9%, −6.5% | −5.1% |
//! | SmolLM2-135M, fixed | +0.1% | +1.4% | +0.9%, +0.9% | −0.2%, +0.4% | −1.6% |
//!
//! Whatever the shares at first are, it is nearly the same: 0.02 to 0.35 of the first guess after a
//! token has ended, and 0.2 to 0.5 inside.
//!
//! # What did not help
//!
//! What is lost to paths that were not decoded at ε = 0.1 are single bytes. Of "Wakeham" after
//! "series", Gemma gives the rare fork " W" 5%; then it knows that a word so split is an unusual
//! one, and gives "aki" most of it. No cheap guess does that. On 2,000 bytes of five texts each of
//! the following stayed within 0.1% of the curve of bits over evaluations that ε alone draws:
//!
//! * lower thresholds for late evaluations than for forks, or after a surprising byte;
//! * a threshold on share × the divergence learnt for the kind of token;
//! * letters after up to three others from the vocabulary's own pieces, weighted by rank, or from
//!   the text;
//! * guesses weighed per character class;
//! * counts by the last two bytes of an ended token;
//! * counting hypotheses by their share;
//! * recombining paths that share one token.

use super::{END, Row, SYMBOLS};

/// How much each guess counts at first, worth [`CONFIDENCE`] bytes of text.
const SHARES: [f64; GUESSES] = [0.35, 0.25, 0.39, 0.01];
const GUESSES: usize = 4;
const CONFIDENCE: f64 = 2.0;

/// Smallest weight of the uniform guess.
const FLOOR: f64 = 0.005;

/// How many observations the class guess is worth beside a byte's own counts.
const CLASS_STRENGTH: f64 = 8.0;

/// Where an unevaluated hypothesis stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its last token has just ended.
    Ended,
    /// Bytes have come since.
    Inside,
}

/// What the evaluated hypotheses predict, in any common positive scale; all zero if there are none.
#[derive(Debug, Clone)]
pub(super) struct HypothesisMasses {
    /// All of them.
    pub all: Box<Row>,
    /// Those whose last token has just ended.
    pub ended: Box<Row>,
}

impl Default for HypothesisMasses {
    fn default() -> Self {
        let row = || Box::new([0.0; SYMBOLS]);
        Self {
            all: row(),
            ended: row(),
        }
    }
}

/// Learns which symbols follow.
#[derive(Debug, Clone, Default)]
pub(super) struct FallbackModel {
    ended: Guesses,
    inside: Guesses,
    fixed: bool,
}

impl FallbackModel {
    /// One whose guesses keep their shares, for a chain.
    pub fn fixed() -> Self {
        Self {
            fixed: true,
            ..Self::default()
        }
    }

    /// The text goes on with `byte`, of which unevaluated hypotheses of each stage explained the
    /// share given. `last` and `evaluated` are those that it was [predicted](Self::predict) from.
    pub fn observe(
        &mut self,
        last: Option<u8>,
        evaluated: &HypothesisMasses,
        byte: u8,
        ended: f64,
        inside: f64,
    ) {
        if !self.fixed {
            self.ended.credit(last, evaluated, byte, ended);
            self.inside.credit(last, evaluated, byte, inside);
        }
        if let Some(last) = last {
            self.inside.count(last, byte as usize, 1.0);
        }
    }

    /// A hypothesis whose token ended at `last` predicts these masses, of sum `live`.
    pub fn observe_ended(&mut self, last: Option<u8>, masses: &Row, live: f64) {
        if let Some(last) = last.filter(|_| live > 0.0) {
            for (s, &mass) in masses.iter().enumerate() {
                self.ended.count(last, s, (mass / live) as f32);
            }
        }
    }

    /// Predicts what follows unevaluated hypotheses after the byte `last`.
    pub fn predict(&mut self, last: Option<u8>, evaluated: &HypothesisMasses) {
        self.ended.predict(last, evaluated);
        self.inside.predict(last, evaluated);
    }

    /// The distribution over the next symbol for unevaluated hypotheses of a stage.
    pub fn row(&self, stage: Stage) -> &Row {
        match stage {
            Stage::Ended => &self.ended.row,
            Stage::Inside => &self.inside.row,
        }
    }
}

/// The guesses for one stage.
#[derive(Debug, Clone)]
struct Guesses {
    /// `counts[a][s]`: how often symbol s followed byte a.
    counts: Vec<[f32; SYMBOLS]>,
    totals: Vec<f32>,
    /// `[class of a][s]`, filled from [`affinity`] and the counts of the class.
    classes: Vec<[f32; SYMBOLS]>,
    class_totals: Vec<f32>,
    /// What each guess has contributed so far: bytes.
    credits: [f64; GUESSES],
    row: Box<Row>,
}

impl Default for Guesses {
    fn default() -> Self {
        let classes: Vec<[f32; SYMBOLS]> = (0..CLASSES).map(initial_class_row).collect();
        let class_totals = classes.iter().map(|row| row.iter().sum()).collect();
        Self {
            counts: vec![[0.0; SYMBOLS]; 256],
            totals: vec![0.0; 256],
            classes,
            class_totals,
            credits: SHARES.map(|share| share * CONFIDENCE),
            row: Box::new([0.0; SYMBOLS]),
        }
    }
}

impl Guesses {
    fn count(&mut self, last: u8, symbol: usize, times: f32) {
        self.counts[last as usize][symbol] += times;
        self.totals[last as usize] += times;
        let class = class(last);
        self.classes[class][symbol] += times;
        self.class_totals[class] += times;
    }

    /// Factors that turn the masses of all hypotheses, those of the ended ones, and counts into
    /// weighted probabilities, and the uniform probability, weighted. Where there are no such
    /// hypotheses, their weight goes to the other guesses.
    fn scales(&self, last: u8, evaluated: &HypothesisMasses) -> [f64; GUESSES] {
        let masses = [&evaluated.all, &evaluated.ended].map(|row| row.iter().sum::<f64>());
        let mut weights = self.credits;
        for (weight, _) in weights
            .iter_mut()
            .zip(masses)
            .filter(|(_, mass)| *mass <= 0.0)
        {
            *weight = 0.0;
        }
        let total: f64 = weights.iter().sum();
        let mut weights = weights.map(|w| w / total * (1.0 - FLOOR));
        weights[3] += FLOOR;
        let counted = f64::from(self.totals[last as usize]) + CLASS_STRENGTH;
        [
            if masses[0] > 0.0 {
                weights[0] / masses[0]
            } else {
                0.0
            },
            if masses[1] > 0.0 {
                weights[1] / masses[1]
            } else {
                0.0
            },
            weights[2] / counted,
            weights[3] / SYMBOLS as f64,
        ]
    }

    /// What each guess contributes to the probability of `symbol`.
    fn parts(
        &self,
        last: u8,
        evaluated: &HypothesisMasses,
        scales: [f64; GUESSES],
        class_scale: f64,
        symbol: usize,
    ) -> [f64; GUESSES] {
        let own = f64::from(self.counts[last as usize][symbol]);
        let class = f64::from(self.classes[class(last)][symbol]) * class_scale;
        [
            evaluated.all[symbol] * scales[0],
            evaluated.ended[symbol] * scales[1],
            (own + class) * scales[2],
            scales[3],
        ]
    }

    fn class_scale(&self, last: u8) -> f64 {
        CLASS_STRENGTH / f64::from(self.class_totals[class(last)])
    }

    fn predict(&mut self, last: Option<u8>, evaluated: &HypothesisMasses) {
        let last = last.unwrap_or(START);
        let (scales, class_scale) = (self.scales(last, evaluated), self.class_scale(last));
        for s in 0..SYMBOLS {
            let parts = self.parts(last, evaluated, scales, class_scale, s);
            self.row[s] = parts.iter().sum();
        }
    }

    /// Divides `share` of a byte among the guesses by what they contributed to its probability.
    fn credit(&mut self, last: Option<u8>, evaluated: &HypothesisMasses, byte: u8, share: f64) {
        if !(share > 0.0 && share.is_finite()) {
            return;
        }
        let last = last.unwrap_or(START);
        let (scales, class_scale) = (self.scales(last, evaluated), self.class_scale(last));
        let parts = self.parts(last, evaluated, scales, class_scale, byte as usize);
        let total: f64 = parts.iter().sum();
        for (credit, part) in self.credits.iter_mut().zip(parts) {
            *credit += share * part / total;
        }
    }
}

/// Without a byte before, the start of a line is the nearest guess.
const START: u8 = b'\n';

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

    fn masses(byte: u8) -> HypothesisMasses {
        let mut masses = HypothesisMasses::default();
        masses.all[byte as usize] = 0.3;
        masses
    }

    #[test]
    fn every_row_is_a_distribution_without_zeros() {
        let mut model = FallbackModel::default();
        for turn in 0..3u8 {
            for masses in [HypothesisMasses::default(), masses(b'x')] {
                for last in (0..=255).map(Some).chain([None]) {
                    model.predict(last, &masses);
                    for row in [Stage::Ended, Stage::Inside].map(|stage| model.row(stage)) {
                        let sum: f64 = row.iter().sum();
                        // The counts are f32; the cover rescales what it makes of a row.
                        assert!((sum - 1.0).abs() < 1e-4, "{sum}");
                        assert!(row.iter().all(|&p| p > 0.0));
                    }
                }
                model.observe(None, &masses, b'a' + turn, 0.4, 0.2);
                model.observe_ended(Some(b' '), &masses.all, masses.all.iter().sum());
            }
        }
    }

    #[test]
    fn it_learns_what_follows_inside_tokens_from_the_text() {
        let mut model = FallbackModel::default();
        let none = HypothesisMasses::default();
        model.predict(Some(b'q'), &none);
        let before = model.row(Stage::Inside)[b'u' as usize];
        for _ in 0..20 {
            model.predict(Some(b'q'), &none);
            model.observe(Some(b'q'), &none, b'u', 0.0, 0.0);
        }
        model.predict(Some(b'q'), &none);
        assert!(model.row(Stage::Inside)[b'u' as usize] > 0.5 && before < 0.1);
        assert!(model.row(Stage::Ended)[b'u' as usize] < 0.1);
    }

    #[test]
    fn it_learns_what_follows_ended_tokens_from_hypotheses() {
        let mut model = FallbackModel::default();
        let digits = masses(b'7');
        for _ in 0..20 {
            model.observe_ended(Some(b' '), &digits.all, 0.3);
        }
        model.predict(Some(b' '), &HypothesisMasses::default());
        assert!(model.row(Stage::Ended)[b'7' as usize] > 0.5);
        assert!(model.row(Stage::Inside)[b'7' as usize] < 0.1);
    }

    #[test]
    fn fixed_guesses_keep_their_say_and_learn_what_follows() {
        let mut model = FallbackModel::fixed();
        let wrong = masses(b'x');
        let say = |model: &mut FallbackModel, symbol: u8| {
            model.predict(Some(b'a'), &wrong);
            model.row(Stage::Inside)[symbol as usize]
        };
        let before = (say(&mut model, b'x'), say(&mut model, b'b'));
        for _ in 0..20 {
            say(&mut model, b'b');
            model.observe(Some(b'a'), &wrong, b'b', 0.5, 0.5);
        }
        let after = (say(&mut model, b'x'), say(&mut model, b'b'));
        assert!((after.0 - before.0).abs() < 0.02, "{before:?} {after:?}");
        assert!(after.1 > 2.0 * before.1, "{before:?} {after:?}");
    }

    #[test]
    fn a_guess_that_is_wrong_loses_its_say() {
        let mut model = FallbackModel::default();
        let wrong = masses(b'x');
        let say = |model: &mut FallbackModel| {
            model.predict(Some(b'a'), &wrong);
            model.row(Stage::Ended)[b'x' as usize]
        };
        let before = say(&mut model);
        for _ in 0..20 {
            say(&mut model);
            model.observe(Some(b'a'), &wrong, b'b', 1.0, 0.0);
        }
        assert!(say(&mut model) < before / 3.0);
    }
}
