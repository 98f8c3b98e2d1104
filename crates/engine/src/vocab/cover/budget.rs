//! How much of a cover is evaluated.

use crate::vocab::dist::Precision;

/// How much of the cover is evaluated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    /// Smallest share of the whole, in 0..1, that a path must have to be evaluated. 0: all of them,
    /// in f64 and without a cap.
    pub epsilon: f64,
    /// Most hypotheses (evaluated paths) alive after a byte.
    pub hypotheses: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            epsilon: 0.03,
            hypotheses: 8,
        }
    }
}

impl Budget {
    /// Whether every path is evaluated.
    #[must_use]
    pub fn exact(self) -> bool {
        self.epsilon <= 0.0
    }

    pub(super) fn precision(self) -> Precision {
        if self.exact() {
            Precision::Exact
        } else {
            Precision::Fast
        }
    }
}
