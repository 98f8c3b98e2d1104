//! `packllm eval`: questions, decided or answered by every member and every mixture.
//!
//! Files are checked before anything is loaded, and the lengths of all questions before anything is
//! evaluated. So a run that has begun stops for bad input only if a member has no token for a byte.
//! With `--skip-bad` bad lines and questions are left out and counted.

mod again;
mod ask;
pub mod code;
mod disagree;
mod output;
mod picture;
mod plan;
mod record;
mod report;
pub mod show;

use super::loaded::{Terminal, load_knowing, told};
use crate::app::App;
use crate::cli::EvalArgs;
use crate::settings::{self, PackPlan};
use anyhow::Result;
use output::Output;
use packllm_engine::competence::Frame;
use packllm_engine::engine::{MAX_SEQUENCES, Maps, MemberInfo};
use packllm_engine::pack::{Conversation, maps_to, refer_to};
use packllm_engine::vocab::Alphabet;
use packllm_engine::weight::Method;
use packllm_eval::Judge;
use report::Report;
use serde_json::{Map, Value};
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

/// KV sequences of a conversation that decides: its prompt, and options that are evaluated together.
const SEQUENCES: u32 = 1 + 9;
/// Rows of logits of a conversation where several share a batch.
const ROWS: u32 = 32;

pub fn run(app: &App, args: &EvalArgs) -> Result<ExitCode> {
    let (report, settings) = examine(app, args, &|_| {})?;
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", show::document(&report, &settings))?;
    } else {
        show::tables(&mut out, &report)?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// Puts all questions to all contestants, as `choose` has changed them, and writes the folder of the
/// run. Returns what it shows, and its settings.
pub fn examine(
    app: &App,
    args: &EvalArgs,
    choose: &dyn Fn(&mut Judge),
) -> Result<(Report, Map<String, Value>)> {
    plan::check(args)?;
    let parallel = plan::parallel(args)?;
    let mut exams = plan::exams(app, args)?;
    let code = code::Runner::new(app, args, &exams)?;
    let mut pack = settings::plan(&app.sources(), &args.given)?;
    for member in &mut pack.members {
        let (load, sequences) = (&mut member.load, SEQUENCES.max(pack.fusion.sequences()));
        let sequences = (parallel * sequences).min(MAX_SEQUENCES as u32);
        load.sequences = load.sequences.max(sequences);
        // A batch of the prompts and options of several questions asks for many rows.
        load.outputs = load.outputs.max(ROWS * parallel).min(load.batch);
    }
    let mut judge = plan::judge(args, &pack)?;
    choose(&mut judge);
    let settings = record::record(args, &pack, &judge, &exams)?;
    let (mut output, decided) = Output::open(args, &settings)?;
    let mut known = vec![Frame::Chat, Frame::Plain];
    known.retain(|&frame| plan::has(&exams, frame) && judge.weighs_by(&Method::Auto));
    let chats = plan::has(&exams, Frame::Chat);
    let mut conversations = converse(app, &pack, chats, &known, parallel)?;
    let first = &mut conversations[0];
    if pack.fusion.alphabet == Some(Alphabet::Mapped) && pack.reference.is_none() {
        judge.maps = Some(Arc::new(all_maps(app, first.lockstep.members())?));
    }
    ask::check_lengths(app, args, &judge, first, &mut exams)?;
    let names = first.lockstep.names();
    let asked = ask::Asked {
        app,
        args,
        judge: &judge,
        exams: &exams,
        code: &code,
    };
    let mut outcomes = asked.answer(&mut conversations, &mut output, decided)?;
    let sizes = plan::sizes(&pack);
    if let Some(again) = again::Again::new(&asked, &outcomes, &sizes)? {
        again.answer(&mut conversations, &mut output, &mut outcomes)?;
        let contestant = again.contestant();
        judge.contestants.push(contestant);
    }
    let report = Report::new(args, &judge, names, parallel, &exams, &outcomes)?;
    output.write(&report, &settings)?;
    Ok((report, settings))
}

/// Loads the pack and opens so many conversations, all configured alike; without chats there are no
/// templates. It has to be known what members are good at in `known`.
fn converse(
    app: &App,
    plan: &PackPlan,
    chats: bool,
    known: &[Frame],
    count: u32,
) -> Result<Vec<Conversation>> {
    let mut terminal = Terminal::new(app);
    let pack = load_knowing(app, plan, !chats, known, &|_| None, &mut terminal)?;
    let open = |_| -> Result<Conversation> {
        let mut conversation = pack.conversation(Arc::clone(&app.cancel))?;
        conversation.lockstep.lease_at_least(SEQUENCES);
        Ok(conversation)
    };
    let mut conversations = (0..count).map(open).collect::<Result<Vec<_>>>()?;
    if let Some(reference) = &plan.reference {
        for conversation in &mut conversations {
            let lockstep = std::slice::from_mut(&mut conversation.lockstep);
            refer_to(lockstep, reference, &mut terminal).map_err(told)?;
        }
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
