//! What a run shows: outcomes → sections, and what they cost.

use super::ask::Outcomes;
use super::disagree::{Disagreements, disagreements};
use super::plan::{Exam, Laid};
use crate::cli::EvalArgs;
use anyhow::{Result, bail};
use packllm_eval::{Answered, ContestantKind, Judge, Mark, Outcome, Section, development};

/// Everything that a run shows.
pub struct Report {
    /// Names of the members.
    pub members: Vec<String>,
    /// Questions at a time.
    pub parallel: u32,
    /// Names of the contestants; members come first.
    pub contestants: Vec<String>,
    /// The questions that were decided.
    pub answered: Vec<Answered>,
    /// One for each task.
    pub sections: Vec<Section>,
    /// All tasks together, by question.
    pub pooled: Section,
    /// All tasks together, each counting alike.
    pub mean: Section,
    /// Where the pack and its best member disagree.
    pub disagreements: Vec<Disagreements>,
    /// What all that took.
    pub cost: Cost,
}

/// What questions took.
#[derive(Default)]
pub struct Cost {
    /// Tokens evaluated and time inside the model, member by member.
    pub members: Vec<(usize, f64)>,
    /// Time of all questions, without loading.
    pub seconds: f64,
    /// Time of the replay of all evaluations, if there was one.
    pub replay_seconds: Option<f64>,
}

impl Report {
    pub fn new(
        args: &EvalArgs,
        judge: &Judge,
        members: Vec<String>,
        parallel: u32,
        exams: &[Exam],
        outcomes: &Outcomes,
    ) -> Result<Report> {
        let contestants = &judge.contestants;
        let answered = answered(args, exams, outcomes);
        let pooled = Section::pooled(&answered, contestants);
        if pooled.questions == 0 {
            bail!("no question is left: all {} were left out", pooled.skipped);
        }
        let sections = answered.iter().map(|task| Section::of(task, contestants));
        let sections: Vec<Section> = sections.collect();
        let disagreements = default_mixture(judge).map_or(Vec::new(), |mixture| {
            disagreements(mixture, contestants, exams, outcomes, &sections)
        });
        Ok(Report {
            cost: Cost::of(outcomes, members.len()),
            disagreements,
            members,
            parallel,
            contestants: contestants.iter().map(|c| c.name.clone()).collect(),
            sections,
            mean: Section::mean(&answered, contestants),
            answered,
            pooled,
        })
    }

    /// The tasks, then all of them together if there are several.
    pub fn all_sections(&self) -> impl Iterator<Item = &Section> {
        let together = [&self.pooled, &self.mean];
        let together = together.into_iter().filter(|_| self.sections.len() > 1);
        self.sections.iter().chain(together)
    }
}

/// The mixture that the pack would answer with, or the last one.
fn default_mixture(judge: &Judge) -> Option<&str> {
    let mixtures = judge.contestants.iter();
    let mut mixtures = mixtures.filter(|c| c.kind.is_mixture());
    let own = ContestantKind::Mixture(judge.fusion.method.clone());
    let mut default = mixtures.clone().filter(|c| c.kind == own);
    let found = default.next().or_else(|| mixtures.next_back());
    found.map(|contestant| contestant.name.as_str())
}

/// Task by task, the marks of its questions in order.
pub fn answered(args: &EvalArgs, exams: &[Exam], outcomes: &Outcomes) -> Vec<Answered> {
    let of = |(task, exam): (usize, &Exam)| {
        let mut answered = Answered {
            name: exam.name.clone(),
            skipped: exam.skipped,
            ..Answered::default()
        };
        for question in &exam.questions {
            match outcomes.first(task, question.line) {
                Some(Outcome::Skipped(_)) => answered.skipped += 1,
                Some(outcome) => {
                    let mut marks = marks(question, outcome);
                    if let Some(Outcome::Again(reply)) = outcomes.again(task, question.line) {
                        marks.push(reply.mark(&question.ask));
                    }
                    answered.marks.push(marks);
                }
                None => {}
            }
        }
        let seed = args.seed().wrapping_add(task as u64);
        answered.development = development(answered.marks.len(), args.dev, seed);
        answered
    };
    exams.iter().enumerate().map(of).collect()
}

/// What each contestant made of a question.
fn marks(question: &Laid, outcome: &Outcome) -> Vec<Mark> {
    match outcome {
        Outcome::Decided(verdict) => verdict.marks(question.gold()),
        Outcome::Followed(followed) => followed.marks(),
        Outcome::Answered(answers) => answers.marks(&question.ask),
        Outcome::Again(_) | Outcome::Skipped(_) => Vec::new(),
    }
}

impl Cost {
    fn of(outcomes: &Outcomes, members: usize) -> Cost {
        let mut cost = Cost {
            members: vec![(0, 0.0); members],
            ..Cost::default()
        };
        let mut add = |tokens: &[usize], seconds: &[f64]| {
            for ((sum, tokens), seconds) in cost.members.iter_mut().zip(tokens).zip(seconds) {
                *sum = (sum.0 + tokens, sum.1 + seconds);
            }
        };
        let (mut total, mut replay, mut replayed) = (0.0, 0.0, true);
        for outcome in outcomes.all() {
            match outcome {
                Outcome::Decided(verdict) => {
                    add(&verdict.tokens, &verdict.seconds);
                    total += verdict.total_seconds;
                    replayed &= verdict.replay_seconds.is_some();
                    replay += verdict.replay_seconds.unwrap_or_default();
                }
                Outcome::Followed(followed) => {
                    add(&followed.tokens, &followed.seconds);
                    total += followed.total_seconds;
                    replayed = false;
                }
                Outcome::Answered(answers) => {
                    add(&answers.tokens, &answers.model_seconds);
                    total += answers.total_seconds;
                    replayed = false;
                }
                Outcome::Again(reply) => total += reply.seconds,
                Outcome::Skipped(_) => {}
            }
        }
        (cost.seconds, cost.replay_seconds) = (total, replayed.then_some(replay));
        cost
    }
}
