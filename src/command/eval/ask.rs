//! Questions are put to the conversations: which of them fit, and what comes of them.

use super::output::Output;
use super::plan::{Exam, Laid};
use crate::app::App;
use crate::cli::EvalArgs;
use crate::hints::words;
use anyhow::Result;
use indicatif::ProgressBar;
use packllm_engine::engine::{EngineError, Lockstep};
use packllm_eval::{Answered, JournalEntry, Judge, Outcome, Sheet, Verdict, decide_all};
use std::collections::HashMap;
use std::sync::atomic::Ordering;

/// Leaves out the questions that do not fit a member's context, or fails at the first.
pub fn check_lengths(
    app: &App,
    args: &EvalArgs,
    judge: &Judge,
    engine: &mut Lockstep,
    exams: &mut [Exam],
) -> Result<()> {
    let questions: usize = exams.iter().map(|exam| exam.questions.len()).sum();
    let bar = app.bar(questions as u64, "checking {bar:30} {pos}/{len} questions");
    for exam in exams {
        let mut kept = Vec::with_capacity(exam.questions.len());
        for question in std::mem::take(&mut exam.questions) {
            bar.inc(1);
            if app.cancel.load(Ordering::Relaxed) {
                return Err(EngineError::Cancelled.into());
            }
            match judge.check(engine, &question.sheet) {
                Ok(()) => kept.push(question),
                Err(error) if is_bad_question(&error) && args.skip_bad => exam.skipped += 1,
                Err(error) => {
                    bar.finish_and_clear();
                    return Err(named(exam, question.line, error));
                }
            }
        }
        exam.questions = kept;
    }
    bar.finish_and_clear();
    Ok(())
}

/// Whether the question is the cause.
fn is_bad_question(error: &EngineError) -> bool {
    matches!(
        error,
        EngineError::TooLong { .. }
            | EngineError::Unreadable { .. }
            | EngineError::UnreadableByReference { .. }
    )
}

/// The error of a question, with its place.
fn named(exam: &Exam, line: usize, error: EngineError) -> anyhow::Error {
    if matches!(error, EngineError::Cancelled) {
        return error.into();
    }
    let bad = is_bad_question(&error);
    let place = format!("{}:{line}", exam.file.display());
    let error = anyhow::Error::new(error);
    if bad {
        error.context(format!("{place} (--skip-bad leaves such questions out)"))
    } else {
        error.context(place)
    }
}

/// What came of questions, by task and line.
type Outcomes = HashMap<(usize, usize), Outcome>;

/// The questions of a run.
pub struct Asked<'a> {
    pub app: &'a App,
    pub args: &'a EvalArgs,
    pub judge: &'a Judge,
    pub exams: &'a [Exam],
}

impl<'a> Asked<'a> {
    /// Decides every question that is not in the journal.
    pub fn answer(
        &self,
        conversations: &mut [Lockstep],
        output: &mut Output,
        decided: Vec<JournalEntry>,
    ) -> Result<Vec<Answered>> {
        let decided = decided.into_iter();
        let mut outcomes: Outcomes = decided.map(|e| ((e.task, e.line), e.outcome)).collect();
        let all: usize = self.exams.iter().map(|exam| exam.questions.len()).sum();
        let bar = self.app.bar(
            all as u64,
            "{msg} {bar:30} {pos}/{len} questions, {eta} left",
        );
        bar.set_position(outcomes.len() as u64);
        bar.reset_eta();
        let mut tasks = 0..self.exams.len();
        let done = tasks.try_for_each(|task| {
            bar.set_message(self.exams[task].name.clone());
            self.decide(task, conversations, &bar, output, &mut outcomes)
        });
        bar.finish_and_clear();
        if let Err(error) = done {
            output.say_kept(self.app);
            return Err(error);
        }
        Ok(self.sorted(outcomes))
    }

    /// Decides the questions of a task, and writes each to the journal as soon as it is decided.
    fn decide(
        &self,
        task: usize,
        conversations: &mut [Lockstep],
        bar: &ProgressBar,
        output: &mut Output,
        outcomes: &mut Outcomes,
    ) -> Result<()> {
        let exam = &self.exams[task];
        let is_open = |question: &&Laid| !outcomes.contains_key(&(task, question.line));
        let open: Vec<&Laid> = exam.questions.iter().filter(is_open).collect();
        let sheets: Vec<&Sheet> = open.iter().map(|question| &question.sheet).collect();
        let at_once = conversations.len().min(sheets.len());
        let mut take = |i: usize, verdict: Result<Verdict, EngineError>| {
            let line = open[i].line;
            let outcome = match verdict {
                Ok(verdict) => Outcome::Decided(verdict),
                Err(error) if is_bad_question(&error) && self.args.skip_bad => {
                    Outcome::Skipped(words(&error))
                }
                Err(error) => return Err(named(exam, line, error)),
            };
            output.append(&JournalEntry {
                task,
                line,
                outcome: outcome.clone(),
            })?;
            outcomes.insert((task, line), outcome);
            bar.inc(1);
            Ok(())
        };
        decide_all(
            self.judge,
            &mut conversations[..at_once],
            &sheets,
            &mut take,
        )
    }

    /// Task by task, its questions in order.
    fn sorted(&self, mut outcomes: Outcomes) -> Vec<Answered> {
        let exams = self.exams.iter().map(|exam| Answered {
            name: exam.name.clone(),
            verdicts: Vec::with_capacity(exam.questions.len()),
            skipped: exam.skipped,
        });
        let mut answered: Vec<Answered> = exams.collect();
        for (task, exam) in self.exams.iter().enumerate() {
            for question in &exam.questions {
                match outcomes.remove(&(task, question.line)) {
                    Some(Outcome::Decided(verdict)) => {
                        answered[task].verdicts.push((question.gold, verdict));
                    }
                    Some(Outcome::Skipped(_)) => answered[task].skipped += 1,
                    None => {}
                }
            }
        }
        answered
    }
}
