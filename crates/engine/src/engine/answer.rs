//! AnswerOptions: the request, the events on the way, and the finished answer.

use super::draft::Drafted;
use super::meter::Spent;
use crate::sample::Params;
use std::time::Duration;

mod allowed;
mod follow;
mod generate;
mod generation;
mod predicted;
mod run;
mod symbols;

pub(super) use allowed::Allowed;
pub use generation::Generation;
pub use predicted::Predicted;
pub(super) use symbols::Symbols;

/// What to generate.
#[derive(Debug, Clone, PartialEq)]
pub struct AnswerOptions {
    /// Most tokens, counted by the member that leads at the start; None: until the end.
    pub limit: Option<usize>,
    /// How to sample.
    pub sampling: Params,
    /// Text that ends the answer and is not part of it.
    pub stops: Vec<String>,
    /// Whether to measure which member argued for which bytes.
    pub attribution: bool,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finish {
    /// The members ended it, or a stop string.
    #[default]
    Stop,
    /// The limit of tokens, or a full context.
    Length,
    /// It went in circles: see [`Repetition`](crate::sample::Repetition).
    Repetition,
    /// The cancel flag.
    Cancelled,
}

impl Finish {
    /// Its name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Finish::Stop => "stop",
            Finish::Length => "length",
            Finish::Repetition => "repetition",
            Finish::Cancelled => "cancelled",
        }
    }
}

/// What happens while an answer is made.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// More of the answer: whole characters. Where attribution is asked for, what every member
    /// [contributed](crate::mix::Mixer::contributions) to each of its bytes, in nats: the first
    /// byte's members, the second byte's, … The bytes of a token have equal parts.
    Text(&'a str, &'a [f64]),
}

/// A finished answer. The default is an empty one, to be filled in where the answer is told by another
/// process.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Answer {
    /// Its text, as it was reported.
    pub text: String,
    /// Why it ended.
    pub finish: Finish,
    /// Tokens that spell it, of the member that counts: the leading one, or another by
    /// [`Generation::count_by`].
    pub tokens: usize,
    /// Tokens by which each member spells it; 0 for one that took no part.
    pub member_tokens: Vec<usize>,
    /// Mean over the bytes of the share of each member's prediction that came from a fallback
    /// model instead of an evaluation, weighted by the members' weights.
    pub skipped_mass: f64,
    /// What each member spent on it, the prompt not counted.
    pub spent: Vec<Spent>,
    /// Time from the first prediction to the last symbol.
    pub time: Duration,
    /// Time spent mixing and sampling.
    pub mix_time: Duration,
    /// Symbols picked.
    pub steps: usize,
    /// Symbols picked that the leading member did not find likeliest. Counted where attribution is
    /// asked for.
    pub overruled: usize,
    /// The members' weights while it was made: the mean over its symbols.
    pub mean_weights: Vec<f64>,
    /// How good the drafts were.
    pub drafted: Drafted,
    /// Members that were lost on the way, with what was said of it.
    pub lost: Vec<(String, String)>,
}

impl Answer {
    /// Tokens a second, by the clock on the wall; 0 if it took no time.
    #[must_use]
    pub fn tokens_per_second(&self) -> f64 {
        let seconds = self.time.as_secs_f64();
        if seconds > 0.0 {
            self.tokens as f64 / seconds
        } else {
            0.0
        }
    }

    /// Appends `more`, which the same members said after it.
    pub fn append(&mut self, more: Answer) {
        let mean = |a: f64, n: usize, b: f64, m: usize| {
            (a * n as f64 + b * m as f64) / (n + m).max(1) as f64
        };
        let (bytes, steps) = (self.text.len(), self.steps);
        self.skipped_mass = mean(self.skipped_mass, bytes, more.skipped_mass, more.text.len());
        for (weight, later) in self.mean_weights.iter_mut().zip(more.mean_weights) {
            *weight = mean(*weight, steps, later, more.steps);
        }
        for (tokens, later) in self.member_tokens.iter_mut().zip(more.member_tokens) {
            *tokens += later;
        }
        for (spent, later) in self.spent.iter_mut().zip(more.spent) {
            *spent = *spent + later;
        }
        self.text.push_str(&more.text);
        self.finish = more.finish;
        self.tokens += more.tokens;
        self.time += more.time;
        self.mix_time += more.mix_time;
        self.steps += more.steps;
        self.overruled += more.overruled;
        self.drafted.proposed += more.drafted.proposed;
        self.drafted.accepted += more.drafted.accepted;
        self.lost.extend(more.lost);
    }
}
