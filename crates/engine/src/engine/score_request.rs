//! What a caller wants from the evaluation of a prompt.

use crate::prompt::Ending;
use crate::weight::Method;

/// What is wanted from the evaluation of a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScoreRequest {
    /// Score the evidence.
    pub scores: bool,
    /// Keep whole distributions along it.
    pub rows: bool,
    /// Plain text only, by bytes: read all of it with the full cover, not by the chain.
    pub full: bool,
}

impl ScoreRequest {
    /// Nothing but the evaluation.
    pub const NOTHING: ScoreRequest = ScoreRequest {
        scores: false,
        rows: false,
        full: false,
    };

    /// What a weighting method needs in a pack of so many members.
    #[must_use]
    pub fn of(method: &Method, members: usize) -> Self {
        let (scores, rows) = match method {
            Method::Uniform | Method::Given(_) => (false, false),
            _ if members == 1 => (false, false),
            Method::Top1 | Method::Sim => (true, false),
            Method::Opt | Method::Exact | Method::Adaptive | Method::Auto => (true, true),
        };
        ScoreRequest {
            scores,
            rows,
            full: false,
        }
    }

    /// How a text ends that is only measured: the whole cover needs room for forks beside it.
    #[must_use]
    pub fn ending(self) -> Ending {
        if self.full {
            Ending::Continue
        } else {
            Ending::Closed
        }
    }
}
