//! `packllm eval`: multiple-choice questions, answered by every member and every mixture.
//!
//! Files are checked before anything is loaded, and the lengths of all questions before anything is
//! evaluated. So a run that has begun stops for bad input only if a member has no token for a byte.
//! With `--skip-bad` bad lines and questions are left out and counted.

mod output;
mod picture;
mod plan;
mod show;

use super::loaded::{Terminal, told};
use crate::app::App;
use crate::cli::EvalArgs;
use crate::hints::words;
use crate::settings;
use anyhow::{Result, bail};
use indicatif::ProgressBar;
use output::Output;
use packllm_engine::engine::{EngineError, Lockstep, Maps, MemberInfo};
use packllm_engine::pack::{maps_to, refer_to};
use packllm_engine::vocab::Alphabet;
use packllm_eval::{Answered, JournalEntry, Judge, Outcome, Section, Sheet};
use plan::Exam;
use std::collections::HashMap;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// KV sequences beside the prefix: options of a question that are evaluated together.
const OPTIONS_AT_ONCE: u32 = 9;

pub fn run(app: &App, args: &EvalArgs) -> Result<ExitCode> {
    let mut exams = plan::exams(app, args)?;
    let mut pack = settings::plan(&app.sources(), &args.given)?;
    for member in &mut pack.members {
        member.load.sequences = member.load.sequences.max(1 + OPTIONS_AT_ONCE);
    }
    let mut judge = plan::judge(args, &pack)?;
    let settings = plan::record(args, &pack, &judge, &exams)?;
    let (mut output, decided) = Output::open(args, &settings)?;
    let mut engine = app
        .load(&pack, &|_| None)?
        .lockstep(Arc::clone(&app.cancel))?;
    engine.lease_at_least(1 + OPTIONS_AT_ONCE);
    let can_end = engine.members().iter().map(MemberInfo::has_end).collect();
    engine.configure(pack.fusion.clone(), can_end)?;
    if let Some(reference) = &pack.reference {
        refer_to(&mut engine, reference, &mut Terminal::new(app)).map_err(told)?;
    } else if pack.fusion.alphabet == Some(Alphabet::Mapped) {
        judge.maps = Some(Arc::new(all_maps(app, engine.members())?));
    }
    check_lengths(app, args, &judge, &mut engine, &mut exams)?;
    let answered = answer(app, args, &judge, &mut engine, &exams, &mut output, decided)?;
    let report = Report::new(&judge, &engine, answered)?;
    output.write(&report, &settings)?;
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", show::document(&report, &settings))?;
    } else {
        show::tables(&mut out, &report)?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// For each member as the reference, the maps of the others to it.
fn all_maps(app: &App, members: &[MemberInfo]) -> Result<Maps> {
    let mut terminal = Terminal::new(app);
    (0..members.len())
        .map(|reference| maps_to(members, reference, &mut terminal).map_err(told))
        .collect()
}

/// Everything that a run shows.
pub struct Report {
    /// Names of the members.
    pub members: Vec<String>,
    /// Names of the contestants; members come first.
    pub contestants: Vec<String>,
    /// The questions that were decided.
    pub answered: Vec<Answered>,
    /// One for each task.
    pub sections: Vec<Section>,
    /// All tasks together.
    pub pooled: Section,
}

impl Report {
    fn new(judge: &Judge, engine: &Lockstep, answered: Vec<Answered>) -> Result<Report> {
        let contestants = &judge.contestants;
        let pooled = Section::pooled(&answered, contestants);
        if pooled.questions == 0 {
            bail!("no question is left: all {} were left out", pooled.skipped);
        }
        Ok(Report {
            members: engine.names(),
            contestants: contestants.iter().map(|c| c.name.clone()).collect(),
            sections: answered
                .iter()
                .map(|task| Section::of(task, contestants))
                .collect(),
            answered,
            pooled,
        })
    }

    /// Tokens evaluated and time inside the model, member by member.
    pub fn spent(&self) -> Vec<(usize, f64)> {
        let verdicts = || self.answered.iter().flat_map(|task| &task.verdicts);
        let of = |k: usize| {
            let tokens = verdicts().map(|(_, v)| v.tokens[k]).sum();
            (tokens, verdicts().map(|(_, v)| v.seconds[k]).sum())
        };
        (0..self.members.len()).map(of).collect()
    }

    /// Time of the replay of all evaluations, if there was one.
    pub fn replay_seconds(&self) -> Option<f64> {
        let verdicts = self.answered.iter().flat_map(|task| &task.verdicts);
        verdicts.map(|(_, v)| v.replay_seconds).sum()
    }

    /// Time of all questions, without loading.
    pub fn seconds(&self) -> f64 {
        let verdicts = self.answered.iter().flat_map(|task| &task.verdicts);
        verdicts.map(|(_, v)| v.total_seconds).sum()
    }
}

/// Leaves out the questions that do not fit a member's context, or fails at the first.
fn check_lengths(
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
                Err(error) => return fail(&bar, exam, question.line, error),
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

fn fail<T>(bar: &ProgressBar, exam: &Exam, line: usize, error: EngineError) -> Result<T> {
    bar.finish_and_clear();
    if matches!(error, EngineError::Cancelled) {
        return Err(error.into());
    }
    let bad = is_bad_question(&error);
    let place = format!("{}:{line}", exam.file.display());
    let error = anyhow::Error::new(error);
    Err(if bad {
        error.context(format!("{place} (--skip-bad leaves such questions out)"))
    } else {
        error.context(place)
    })
}

/// Decides every question that is not in the journal.
fn answer(
    app: &App,
    args: &EvalArgs,
    judge: &Judge,
    engine: &mut Lockstep,
    exams: &[Exam],
    output: &mut Output,
    decided: Vec<JournalEntry>,
) -> Result<Vec<Answered>> {
    let mut known: HashMap<(usize, usize), Outcome> = decided
        .into_iter()
        .map(|e| ((e.task, e.line), e.outcome))
        .collect();
    let total: usize = exams.iter().map(|exam| exam.questions.len()).sum();
    let bar = app.bar(
        total as u64,
        "{msg} {bar:30} {pos}/{len} questions, {eta} left",
    );
    bar.set_position(known.len() as u64);
    bar.reset_eta();
    let mut answered = Vec::with_capacity(exams.len());
    for (task, exam) in exams.iter().enumerate() {
        bar.set_message(exam.name.clone());
        let mut of_task = Answered {
            name: exam.name.clone(),
            verdicts: Vec::with_capacity(exam.questions.len()),
            skipped: exam.skipped,
        };
        for question in &exam.questions {
            let line = question.line;
            let outcome = match known.remove(&(task, line)) {
                Some(outcome) => outcome,
                None => {
                    let outcome = match decide(app, args, judge, engine, &question.sheet) {
                        Ok(outcome) => outcome,
                        Err(error) => {
                            output.say_kept(app);
                            return fail(&bar, exam, line, error);
                        }
                    };
                    output.append(&JournalEntry {
                        task,
                        line,
                        outcome: outcome.clone(),
                    })?;
                    bar.inc(1);
                    outcome
                }
            };
            match outcome {
                Outcome::Decided(verdict) => of_task.verdicts.push((question.gold, verdict)),
                Outcome::Skipped(_) => of_task.skipped += 1,
            }
        }
        answered.push(of_task);
    }
    bar.finish_and_clear();
    Ok(answered)
}

fn decide(
    app: &App,
    args: &EvalArgs,
    judge: &Judge,
    engine: &mut Lockstep,
    sheet: &Sheet,
) -> Result<Outcome, EngineError> {
    if app.cancel.load(Ordering::Relaxed) {
        return Err(EngineError::Cancelled);
    }
    match judge.decide(engine, sheet) {
        Ok(verdict) => Ok(Outcome::Decided(verdict)),
        Err(error) if is_bad_question(&error) && args.skip_bad => {
            Ok(Outcome::Skipped(words(&error)))
        }
        Err(error) => Err(error),
    }
}
