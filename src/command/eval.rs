//! `packllm eval`: multiple-choice questions, answered by every member and every mixture.
//!
//! Files are checked before anything is loaded, and the lengths of all questions before anything is
//! evaluated. So a run that has begun stops for bad input only if a member has no token for a byte.
//! With `--skip-bad` bad lines and questions are left out and counted.

mod ask;
mod output;
mod picture;
mod plan;
mod show;

use super::loaded::{Terminal, told};
use crate::app::App;
use crate::cli::EvalArgs;
use crate::settings::{self, PackPlan};
use anyhow::{Result, bail};
use output::Output;
use packllm_engine::engine::{Lockstep, MAX_SEQUENCES, Maps, MemberInfo};
use packllm_engine::pack::{maps_to, refer_to};
use packllm_engine::vocab::Alphabet;
use packllm_eval::{Answered, Judge, Section};
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

/// KV sequences of a conversation: its prompt, and options that are evaluated together.
const SEQUENCES: u32 = 1 + 9;

/// Rows of logits of a conversation where several share a batch.
const ROWS: u32 = 32;

pub fn run(app: &App, args: &EvalArgs) -> Result<ExitCode> {
    let parallel = plan::parallel(args)?;
    let mut exams = plan::exams(app, args)?;
    let mut pack = settings::plan(&app.sources(), &args.given)?;
    for member in &mut pack.members {
        let (load, sequences) = (&mut member.load, parallel * SEQUENCES);
        load.sequences = load.sequences.max(sequences.min(MAX_SEQUENCES as u32));
        // A batch of the prompts and options of several questions asks for many rows.
        load.outputs = load.outputs.max(ROWS * parallel).min(load.batch);
    }
    let mut judge = plan::judge(args, &pack)?;
    let settings = plan::record(args, &pack, &judge, &exams)?;
    let (mut output, decided) = Output::open(args, &settings)?;
    let mut conversations = converse(app, &pack, parallel)?;
    let first = &mut conversations[0];
    if pack.fusion.alphabet == Some(Alphabet::Mapped) && pack.reference.is_none() {
        judge.maps = Some(Arc::new(all_maps(app, first.members())?));
    }
    ask::check_lengths(app, args, &judge, first, &mut exams)?;
    let names = first.names();
    let asked = ask::Asked {
        app,
        args,
        judge: &judge,
        exams: &exams,
    };
    let answered = asked.answer(&mut conversations, &mut output, decided)?;
    let report = Report::new(&judge, names, parallel, answered)?;
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

/// Loads the pack and opens so many conversations, all configured alike.
fn converse(app: &App, pack: &PackPlan, count: u32) -> Result<Vec<Lockstep>> {
    let engine = app.load(pack, &|_| None)?;
    let can_end: Vec<bool> = engine.members().iter().map(MemberInfo::has_end).collect();
    let open = |_| -> Result<Lockstep> {
        let mut conversation = engine.lockstep(Arc::clone(&app.cancel))?;
        conversation.lease_at_least(SEQUENCES);
        conversation.configure(pack.fusion.clone(), can_end.clone())?;
        Ok(conversation)
    };
    let mut conversations = (0..count).map(open).collect::<Result<Vec<_>>>()?;
    if let Some(reference) = &pack.reference {
        refer_to(&mut conversations, reference, &mut Terminal::new(app)).map_err(told)?;
    }
    Ok(conversations)
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
    /// Questions at a time.
    pub parallel: u32,
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
    fn new(
        judge: &Judge,
        members: Vec<String>,
        parallel: u32,
        answered: Vec<Answered>,
    ) -> Result<Report> {
        let contestants = &judge.contestants;
        let pooled = Section::pooled(&answered, contestants);
        if pooled.questions == 0 {
            bail!("no question is left: all {} were left out", pooled.skipped);
        }
        Ok(Report {
            members,
            parallel,
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
