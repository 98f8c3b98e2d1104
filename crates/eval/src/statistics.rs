//! Accuracies, and differences between contestants that answered the same questions.

/// 97.5% quantile of the standard normal distribution.
const Z: f64 = 1.959_963_984_540_054;

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
    /// The mean difference.
    pub mean: f64,
    /// Lower end of its 95% confidence interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// The paired difference of two contestants on the same questions: with `d_i` = right(a)_i −
/// right(b)_i ∈ {−1, 0, 1}, the mean d̄ ± 1.96·s/√n, s² = Σ(d_i − d̄)²/(n − 1) (normal
/// approximation). What both get right or wrong cancels, so the interval is narrower than that of
/// two independent accuracies. None for fewer than two questions, or lists of different lengths.
#[must_use]
pub fn paired(a: &[bool], b: &[bool]) -> Option<Difference> {
    let n = a.len() as f64;
    if a.len() < 2 || a.len() != b.len() {
        return None;
    }
    let (only_a, only_b) = a.iter().zip(b).fold((0.0, 0.0), |(x, y), pair| match pair {
        (true, false) => (x + 1.0, y),
        (false, true) => (x, y + 1.0),
        _ => (x, y),
    });
    let mean = (only_a - only_b) / n;
    // Σ d² counts the questions that one of them alone got right.
    let variance = (only_a + only_b - n * mean * mean) / (n - 1.0);
    let half = Z * (variance.max(0.0) / n).sqrt();
    Some(Difference {
        mean,
        low: mean - half,
        high: mean + half,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, question by question.
    fn plain(d: &[f64]) -> (f64, f64) {
        let n = d.len() as f64;
        let mean = d.iter().sum::<f64>() / n;
        let squares: f64 = d.iter().map(|x| (x - mean) * (x - mean)).sum();
        (mean, (squares / (n - 1.0) / n).sqrt())
    }

    proptest! {
        #[test]
        fn both_agree_with_the_definition(pairs in prop::collection::vec(any::<(bool, bool)>(), 2..60)) {
            let (a, b): (Vec<bool>, Vec<bool>) = pairs.iter().copied().unzip();
            let number = |x: bool| f64::from(u8::from(x));
            let (p, error) = plain(&a.iter().map(|&x| number(x)).collect::<Vec<f64>>());
            let accuracy = Accuracy::of(&a);
            prop_assert!((accuracy.value() - p).abs() < 1e-12);
            prop_assert!((accuracy.standard_error().unwrap() - error).abs() < 1e-12);
            let d: Vec<f64> = pairs.iter().map(|&(x, y)| number(x) - number(y)).collect();
            let (mean, error) = plain(&d);
            let got = paired(&a, &b).unwrap();
            prop_assert!((got.mean - mean).abs() < 1e-12);
            prop_assert!((got.high - (mean + Z * error)).abs() < 1e-12);
            prop_assert!((got.low - (mean - Z * error)).abs() < 1e-12);
            // The other way round it is the negative.
            let other = paired(&b, &a).unwrap();
            prop_assert!((got.low + other.high).abs() < 1e-12);
        }
    }

    #[test]
    fn the_quantile_is_that_of_95_percent() {
        // Φ(z) by the trapezoid rule on the density.
        let density = |x: f64| (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let steps = 100_000;
        let h = Z / f64::from(steps);
        let inner: f64 = (1..steps).map(|i| density(h * f64::from(i))).sum();
        let area = h * (inner + (density(0.0) + density(Z)) / 2.0);
        assert!((2.0 * area - 0.95).abs() < 1e-9, "{area}");
    }

    #[test]
    fn one_question_has_no_error() {
        assert_eq!(Accuracy::of(&[true]).standard_error(), None);
        assert_eq!(paired(&[true], &[false]), None);
        assert_eq!(Accuracy::of(&[]).value(), 0.0);
    }
}
