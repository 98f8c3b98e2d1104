//! Accuracies, and differences between contestants that answered the same questions.

use super::layout::below;
use rand_pcg::Pcg64;
use rand_pcg::rand_core::SeedableRng;

/// How many questions were answered right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accuracy {
    /// Right answers.
    pub right: usize,
    /// Questions.
    pub questions: usize,
}

impl Accuracy {
    /// Counts right answers.
    #[must_use]
    pub fn of(right: &[bool]) -> Accuracy {
        Accuracy {
            right: right.iter().filter(|&&r| r).count(),
            questions: right.len(),
        }
    }

    /// The share of right answers, in 0..=1; 0 without questions.
    #[must_use]
    pub fn value(self) -> f64 {
        self.right as f64 / self.questions.max(1) as f64
    }

    /// Standard error of the share, from the sample's variance: √(p(1 − p)/(n − 1)). None for fewer
    /// than two questions.
    #[must_use]
    pub fn standard_error(self) -> Option<f64> {
        let p = self.value();
        (self.questions > 1).then(|| (p * (1.0 - p) / (self.questions - 1) as f64).sqrt())
    }
}

/// How much more one contestant gets right than another, in shares of the questions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// The mean difference; over several tasks the mean of theirs.
    pub mean: f64,
    /// Lower end of its 95% confidence interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Questions that the first alone got right.
    pub won: usize,
    /// Questions that the other alone got right.
    pub lost: usize,
    /// Probability of a split at least as uneven as [`won`](Self::won) to [`lost`](Self::lost) if
    /// both were equally good, see [`mcnemar`].
    pub p: f64,
}

/// Samples that a bootstrap draws.
const SAMPLES: usize = 2000;
/// Seed of its draws: the same results give the same interval.
const SEED: u64 = 2404;

/// The paired difference of two contestants on the questions of some tasks, right answers a task:
/// with `d_i` = right(a)_i − right(b)_i, the mean over the tasks of their mean `d_i`. The interval
/// is that between the 2.5% and 97.5% percentiles of 2,000 bootstrap samples, in each of which every
/// task's questions are drawn anew from its own (paired, stratified percentile bootstrap, Efron and
/// Tibshirani 1993, chapter 13). What both get right or wrong cancels. None for fewer than two
/// questions, for a task without any, or for lists of different lengths.
#[must_use]
pub fn paired(a: &[&[bool]], b: &[&[bool]]) -> Option<Difference> {
    let lengths = |lists: &[&[bool]]| lists.iter().map(|list| list.len()).collect::<Vec<_>>();
    let sizes = lengths(a);
    if sizes != lengths(b) || sizes.contains(&0) || sizes.iter().sum::<usize>() < 2 {
        return None;
    }
    let tasks: Vec<Outcomes> = a.iter().zip(b).map(|(a, b)| Outcomes::of(a, b)).collect();
    let mean =
        |of: &dyn Fn(&Outcomes) -> f64| tasks.iter().map(of).sum::<f64>() / tasks.len() as f64;
    let mut rng = Pcg64::seed_from_u64(SEED);
    let mut sampled = Vec::with_capacity(SAMPLES);
    for _ in 0..SAMPLES {
        let drawn = tasks.iter().map(|task| task.draw(&mut rng)).sum::<f64>();
        sampled.push(drawn / tasks.len() as f64);
    }
    sampled.sort_by(f64::total_cmp);
    let won = tasks.iter().map(|task| task.won).sum();
    let lost = tasks.iter().map(|task| task.lost).sum();
    Some(Difference {
        mean: mean(&Outcomes::difference),
        low: percentile(&sampled, 0.025),
        high: percentile(&sampled, 0.975),
        won,
        lost,
        p: mcnemar(won, lost),
    })
}

/// What two contestants made of a task: all that a bootstrap needs to know.
struct Outcomes {
    questions: usize,
    won: usize,
    lost: usize,
}

impl Outcomes {
    fn of(a: &[bool], b: &[bool]) -> Self {
        let count = |x: bool| a.iter().zip(b).filter(|&(&a, &b)| a == x && b != x).count();
        Outcomes {
            questions: a.len(),
            won: count(true),
            lost: count(false),
        }
    }

    fn difference(&self) -> f64 {
        (self.won as f64 - self.lost as f64) / self.questions as f64
    }

    /// The difference on as many questions, drawn from these.
    fn draw(&self, rng: &mut Pcg64) -> f64 {
        let mut sum = 0i64;
        for _ in 0..self.questions {
            let drawn = below(rng, self.questions as u64) as usize;
            sum += i64::from(drawn < self.won);
            sum -= i64::from((self.won..self.won + self.lost).contains(&drawn));
        }
        sum as f64 / self.questions as f64
    }
}

/// The value below which so much of an ascending list lies, between neighbours in proportion.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let (low, part) = (at.floor() as usize, at.fract());
    let high = (low + 1).min(sorted.len() - 1);
    sorted[low] + part * (sorted[high] - sorted[low])
}

/// McNemar's exact test (McNemar 1947; the exact form is the sign test): the two-sided probability
/// that questions on which only one of two is right are divided at least as unevenly, if each is as
/// likely to go to either. 1 without such questions.
#[must_use]
pub fn mcnemar(won: usize, lost: usize) -> f64 {
    let (n, fewer) = (won + lost, won.min(lost));
    // Σ C(n, k)/2^n for k ≤ fewer, each term from the one before, in log space.
    let mut term = -(n as f64) * std::f64::consts::LN_2;
    let mut tail = 0.0;
    for k in 0..=fewer {
        tail += term.exp();
        term += ((n - k) as f64).ln() - ((k + 1) as f64).ln();
    }
    (2.0 * tail).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(x: bool) -> f64 {
        f64::from(u8::from(x))
    }

    /// The definition, question by question: every sample draws indices of pairs.
    fn plain_bootstrap(pairs: &[Vec<(bool, bool)>]) -> (f64, f64) {
        let mut rng = Pcg64::seed_from_u64(SEED);
        // The order of the questions does not matter; the fast one has those won first, then those
        // lost.
        let rank = |&(a, b): &(bool, bool)| match (a, b) {
            (true, false) => 0,
            (false, true) => 1,
            _ => 2,
        };
        let mut sampled = Vec::new();
        for _ in 0..SAMPLES {
            let mut sum = 0.0;
            for task in pairs {
                let mut task = task.clone();
                task.sort_by_key(rank);
                let mut d = 0.0;
                for _ in 0..task.len() {
                    let (a, b) = task[below(&mut rng, task.len() as u64) as usize];
                    d += number(a) - number(b);
                }
                sum += d / task.len() as f64;
            }
            sampled.push(sum / pairs.len() as f64);
        }
        sampled.sort_by(f64::total_cmp);
        // Position 0.025·(2000 − 1) = 49.975, and its mirror image.
        let low = sampled[49] + 0.975 * (sampled[50] - sampled[49]);
        let high = sampled[1949] + 0.025 * (sampled[1950] - sampled[1949]);
        (low, high)
    }

    fn plain_mcnemar(won: usize, lost: usize) -> f64 {
        let n = won + lost;
        let choose = |k: usize| (0..k).fold(1.0, |c, i| c * (n - i) as f64 / (i + 1) as f64);
        let tail: f64 = (0..=won.min(lost)).map(choose).sum();
        (tail / 2f64.powi(n as i32 - 1)).min(1.0)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(30))]

        #[test]
        fn both_agree_with_the_definition(
            pairs in prop::collection::vec(prop::collection::vec(any::<(bool, bool)>(), 2..40), 1..4)
        ) {
            let (a, b): (Vec<Vec<bool>>, Vec<Vec<bool>>) =
                pairs.iter().map(|task| task.iter().copied().unzip()).unzip();
            let a: Vec<&[bool]> = a.iter().map(Vec::as_slice).collect();
            let b: Vec<&[bool]> = b.iter().map(Vec::as_slice).collect();
            let got = paired(&a, &b).unwrap();
            let d = |task: &Vec<(bool, bool)>| {
                task.iter().map(|&(x, y)| number(x) - number(y)).sum::<f64>() / task.len() as f64
            };
            let mean = pairs.iter().map(d).sum::<f64>() / pairs.len() as f64;
            prop_assert!((got.mean - mean).abs() < 1e-12);
            let (low, high) = plain_bootstrap(&pairs);
            prop_assert!((got.low - low).abs() < 1e-12 && (got.high - high).abs() < 1e-12);
                        prop_assert!((got.p - plain_mcnemar(got.won, got.lost)).abs() < 1e-9);
            let accuracy = Accuracy::of(a[0]);
            let p = a[0].iter().map(|&x| number(x)).sum::<f64>() / a[0].len() as f64;
            prop_assert!((accuracy.value() - p).abs() < 1e-12);
        }
    }

    #[test]
    fn the_interval_of_many_questions_is_the_normal_one() {
        let a: Vec<bool> = (0..1000).map(|i| i % 10 < 6).collect();
        let b: Vec<bool> = (0..1000).map(|i| i % 4 < 2).collect();
        let got = paired(&[&a], &[&b]).unwrap();
        let d: Vec<f64> = a
            .iter()
            .zip(&b)
            .map(|(&a, &b)| number(a) - number(b))
            .collect();
        let squares: f64 = d.iter().map(|x| (x - got.mean) * (x - got.mean)).sum();
        let half = 1.96 * (squares / 999.0 / 1000.0).sqrt();
        assert!((got.low - (got.mean - half)).abs() < 0.1 * half, "{got:?}");
        assert!((got.high - (got.mean + half)).abs() < 0.1 * half, "{got:?}");
    }

    #[test]
    fn the_test_of_mcnemar_is_that_of_the_tables() {
        for (won, lost, p) in [
            (0, 0, 1.0),
            (5, 5, 1.0),
            (0, 6, 0.03125),
            (9, 1, 0.021_484_375),
        ] {
            assert!((mcnemar(won, lost) - p).abs() < 1e-12, "{won} {lost}");
            assert_eq!(mcnemar(won, lost), mcnemar(lost, won));
        }
        // Far out nothing overflows.
        assert!(mcnemar(5000, 4000) < 1e-20);
        assert!((0.9..=1.0).contains(&mcnemar(50_000, 50_010)));
    }

    #[test]
    fn one_question_has_no_error() {
        assert_eq!(Accuracy::of(&[true]).standard_error(), None);
        assert_eq!(paired(&[&[true]], &[&[false]]), None);
        assert_eq!(paired(&[&[true, true], &[]], &[&[true, true], &[]]), None);
        assert_eq!(Accuracy::of(&[]).value(), 0.0);
    }
}
