//! Questions are put to the conversations: which of them fit, and what comes of them.

use super::code::Runner;
use super::output::Output;
use super::plan::{Exam, Laid, Paper};
use crate::app::App;
use crate::cli::EvalArgs;
use crate::command::loaded::told;
use crate::hints::words;
use anyhow::Result;
use indicatif::ProgressBar;
use packllm_engine::engine::EngineError;
use packllm_engine::pack::{Conversation, PackError};
use packllm_eval::{Ask, JournalEntry, Judge, Outcome, decide_all};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

/// Leaves out the questions that do not fit a member's context, or fails at the first.
pub fn check_lengths(
    app: &App,
    args: &EvalArgs,
    judge: &Judge,
    conversation: &mut Conversation,
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
            let checked = match &question.paper {
                Paper::Sheet(sheet) => {
                    let checked = judge.check(&mut conversation.lockstep, sheet);
                    checked.map_err(PackError::from)
                }
                Paper::Script(script) => judge.check_script(conversation, script),
            };
            match checked {
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
fn is_bad_question(error: &PackError) -> bool {
    matches!(
        error,
        PackError::Engine(
            EngineError::TooLong { .. }
                | EngineError::Unreadable { .. }
                | EngineError::UnreadableByReference { .. }
        )
    )
}

/// The error of a question, with its place.
fn named(exam: &Exam, line: usize, error: PackError) -> anyhow::Error {
    let bad = is_bad_question(&error);
    let error = told(error);
    if matches!(error.downcast_ref(), Some(EngineError::Cancelled)) {
        return error;
    }
    let place = format!("{}:{line}", exam.file.display());
    if bad {
        error.context(format!("{place} (--skip-bad leaves such questions out)"))
    } else {
        error.context(place)
    }
}

/// What came of questions, by task and line.
#[derive(Default)]
pub struct Outcomes {
    first: BTreeMap<(usize, usize), Outcome>,
    again: BTreeMap<(usize, usize), Outcome>,
}

impl Outcomes {
    fn of(entries: Vec<JournalEntry>) -> Self {
        let mut outcomes = Self::default();
        entries.into_iter().for_each(|entry| outcomes.add(entry));
        outcomes
    }

    fn add(&mut self, entry: JournalEntry) {
        let to = match entry.outcome {
            Outcome::Again(_) => &mut self.again,
            _ => &mut self.first,
        };
        to.insert((entry.task, entry.line), entry.outcome);
    }

    /// What the contestants made of a question.
    pub fn first(&self, task: usize, line: usize) -> Option<&Outcome> {
        self.first.get(&(task, line))
    }

    /// What one member made of it that answered again and again.
    pub fn again(&self, task: usize, line: usize) -> Option<&Outcome> {
        self.again.get(&(task, line))
    }

    pub fn all(&self) -> impl Iterator<Item = &Outcome> {
        self.first.values().chain(self.again.values())
    }
}

/// The questions of a run.
pub struct Asked<'a> {
    pub app: &'a App,
    pub args: &'a EvalArgs,
    pub judge: &'a Judge,
    pub exams: &'a [Exam],
    pub code: &'a Runner,
}

/// What comes of one question, where so many are decided at the same time.
pub type Decision<'a> =
    dyn Fn(u32, &mut Conversation, &Laid) -> Result<Result<Outcome>, PackError> + Sync + 'a;

impl Asked<'_> {
    /// Decides every question that is not in the journal.
    pub fn answer(
        &self,
        conversations: &mut [Conversation],
        output: &mut Output,
        decided: Vec<JournalEntry>,
    ) -> Result<Outcomes> {
        let mut outcomes = Outcomes::of(decided);
        let all: usize = self.exams.iter().map(|exam| exam.questions.len()).sum();
        let bar = self.bar(all, outcomes.first.len());
        let mut tasks = 0..self.exams.len();
        let done = tasks.try_for_each(|task| {
            let questions = self.exams[task].questions.iter();
            let open = questions.filter(|q| outcomes.first(task, q.line).is_none());
            let open: Vec<&Laid> = open.collect();
            let decide = |at_once: u32, conversation: &mut Conversation, question: &Laid| {
                self.decide(at_once, conversation, question)
            };
            self.put(
                task,
                &open,
                &decide,
                conversations,
                &bar,
                output,
                &mut outcomes,
            )
        });
        bar.finish_and_clear();
        if let Err(error) = done {
            output.say_kept(self.app);
            return Err(error);
        }
        Ok(outcomes)
    }

    pub fn bar(&self, all: usize, done: usize) -> ProgressBar {
        let style = "{msg} {bar:30} {pos}/{len} questions, {eta} left";
        let bar = self.app.bar(all as u64, style);
        bar.set_position(done as u64);
        bar.reset_eta();
        bar
    }

    /// What comes of a question.
    fn decide(
        &self,
        at_once: u32,
        conversation: &mut Conversation,
        question: &Laid,
    ) -> Result<Result<Outcome>, PackError> {
        let judge = self.judge;
        Ok(match (&question.paper, &question.ask) {
            (Paper::Sheet(sheet), ask) => {
                judge.gather(conversation)?;
                let lockstep = &mut conversation.lockstep;
                Ok(match ask {
                    Ask::Last { .. } => Outcome::Followed(judge.follow(at_once, lockstep, sheet)?),
                    _ => Outcome::Decided(judge.decide_among(at_once, lockstep, sheet)?),
                })
            }
            (Paper::Script(script), _) => {
                let mut answers = judge.answer(at_once, conversation, script)?;
                let mut replies = answers.replies.iter_mut();
                let run = replies.try_for_each(|reply| self.code.run(question, reply));
                run.map(|()| Outcome::Answered(answers))
            }
        })
    }

    /// Decides questions of a task, and writes each to the journal as soon as it is decided.
    #[allow(
        clippy::too_many_arguments,
        reason = "what a task is decided with, each used once"
    )]
    pub fn put(
        &self,
        task: usize,
        open: &[&Laid],
        decide: &Decision<'_>,
        conversations: &mut [Conversation],
        bar: &ProgressBar,
        output: &mut Output,
        outcomes: &mut Outcomes,
    ) -> Result<()> {
        let exam = &self.exams[task];
        bar.set_message(exam.name.clone());
        let at_once = conversations.len().min(open.len());
        let mut take = |i: usize, outcome: Result<Result<Outcome>, PackError>| {
            let line = open[i].line;
            let outcome = match outcome {
                Ok(outcome) => outcome?,
                Err(error) if is_bad_question(&error) && self.args.skip_bad => {
                    Outcome::Skipped(words(told(error).as_ref()))
                }
                Err(error) => return Err(named(exam, line, error)),
            };
            let entry = JournalEntry {
                task,
                line,
                outcome,
            };
            output.append(&entry)?;
            outcomes.add(entry);
            bar.inc(1);
            Ok(())
        };
        let share = open.first().is_some_and(|question| question.has_examples());
        let decide = |at_once: u32, conversation: &mut Conversation, question: &&Laid| {
            decide(at_once, conversation, question)
        };
        decide_all(
            &mut conversations[..at_once],
            open,
            share,
            &decide,
            &mut take,
        )
    }
}
