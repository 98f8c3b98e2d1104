//! What contestants made of a question, kind by kind → marks, which can be counted.

use super::answers::{Answers, Reply};
use super::follow::Followed;
use super::grade::{Grade, grade};
use super::judge::{Verdict, first_best, is_near_tie};
use super::task::Ask;

/// What a contestant made of a question.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Mark {
    /// It was right.
    pub right: bool,
    /// It was right and said nothing else; the same where nothing is generated.
    pub exact: bool,
    /// Its two best options are [nearly equal](is_near_tie).
    pub near_tie: bool,
    /// Time, as in [`Verdict::seconds`].
    pub seconds: f64,
    /// The weights; empty for a member by itself.
    pub lambda: Vec<f64>,
    /// Symbols picked, or looked at.
    pub steps: usize,
    /// Of these, how many the leading member would not have picked; of a fixed text, those on which
    /// it and the mixture disagree.
    pub overruled: usize,
    /// What it said, if it said anything.
    pub said: Option<Said>,
}

/// A text that was generated.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Said {
    /// Whether it ended by itself.
    pub ended: bool,
    /// Its length in bytes.
    pub bytes: usize,
    /// Its length in tokens.
    pub tokens: usize,
    /// Time to say it.
    pub seconds: f64,
}

/// The weight from which a second member counts as taking part.
const TAKES_PART: f64 = 0.1;

impl Mark {
    /// Whether a second member had more than a tenth of the weight.
    #[must_use]
    pub fn is_fused(&self) -> bool {
        let taking_part = self.lambda.iter().filter(|&&weight| weight > TAKES_PART);
        taking_part.count() > 1
    }
}

impl Verdict {
    /// One mark a contestant, where option `gold` is right.
    #[must_use]
    pub fn marks(&self, gold: usize) -> Vec<Mark> {
        let mark = |c: usize| {
            let right = self.picked[c] == gold;
            Mark {
                right,
                exact: right,
                near_tie: is_near_tie(&self.scores[c]),
                seconds: self.seconds[c],
                lambda: self.lambda[c].clone(),
                ..Mark::default()
            }
        };
        (0..self.picked.len()).map(mark).collect()
    }
}

impl Followed {
    /// One mark a contestant. Members come first.
    #[must_use]
    pub fn marks(&self) -> Vec<Mark> {
        let mark = |c: usize| {
            let likeliest = &self.likeliest[c];
            let right = likeliest.iter().all(|&likeliest| likeliest);
            let lambda = &self.lambda[c];
            let lead = (!lambda.is_empty()).then(|| first_best(lambda));
            let lead = lead.and_then(|lead| self.likeliest.get(lead));
            let differs =
                |lead: &Vec<bool>| lead.iter().zip(likeliest).filter(|(a, b)| a != b).count();
            Mark {
                right,
                exact: right,
                seconds: self.seconds[c],
                lambda: lambda.clone(),
                steps: likeliest.len(),
                overruled: lead.map_or(0, differs),
                ..Mark::default()
            }
        };
        (0..self.likeliest.len()).map(mark).collect()
    }
}

impl Answers {
    /// One mark a contestant.
    #[must_use]
    pub fn marks(&self, ask: &Ask) -> Vec<Mark> {
        self.replies.iter().map(|reply| reply.mark(ask)).collect()
    }
}

impl Reply {
    /// What the reply is worth.
    #[must_use]
    pub fn mark(&self, ask: &Ask) -> Mark {
        let Grade { right, exact } = match self.passed {
            Some(passed) => Grade {
                right: passed,
                exact: passed,
            },
            None => grade(ask, &self.text),
        };
        Mark {
            right,
            exact,
            near_tie: false,
            seconds: self.seconds,
            lambda: self.lambda.clone(),
            steps: self.steps,
            overruled: self.overruled,
            said: Some(Said {
                ended: self.ended,
                bytes: self.text.len(),
                tokens: self.tokens,
                seconds: self.answer_seconds,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_followed_is_right_if_every_symbol_is() {
        let followed = Followed {
            likeliest: vec![vec![true, true], vec![false, true], vec![true, false]],
            lambda: vec![vec![], vec![], vec![0.4, 0.6]],
            seconds: vec![1.0, 2.0, 3.0],
            tokens: vec![5, 5],
            total_seconds: 3.0,
        };
        let marks = followed.marks();
        let right: Vec<bool> = marks.iter().map(|m| m.right).collect();
        assert_eq!(right, [true, false, false]);
        // The mixture is led by the second member, and disagrees with it on both symbols.
        let overruled: Vec<usize> = marks.iter().map(|m| m.overruled).collect();
        assert_eq!(overruled, [0, 0, 2]);
        assert!(marks[2].is_fused() && !marks[0].is_fused());
    }

    #[test]
    fn code_is_right_if_it_passed() {
        let reply = Reply {
            text: "def f(): pass".into(),
            ended: true,
            tokens: 4,
            lambda: vec![0.95, 0.05],
            alone: false,
            steps: 13,
            overruled: 2,
            answer_seconds: 1.0,
            seconds: 2.0,
            passed: Some(true),
        };
        let ask = Ask::Code {
            test: String::new(),
            entry_point: "f".into(),
        };
        let mark = reply.mark(&ask);
        assert!(mark.right && !mark.is_fused());
        assert_eq!(mark.said.unwrap().bytes, 13);
        let not_run = Reply {
            passed: None,
            ..reply
        };
        assert!(!not_run.mark(&ask).right);
    }
}
