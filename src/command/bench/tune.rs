//! `bench --tune`: batches of every member are timed, and later commands go by it.

use crate::app::App;
use crate::command::loaded::LoadedPack;
use crate::command::table::Table;
use crate::settings::{self, PackPlan};
use anyhow::{Context, Result};
use packllm_engine::backend::Pace;
use serde_json::{Value, json};
use std::io::Write;

/// Times that each batch is evaluated.
const ROUNDS: usize = 5;

/// What was timed of a member.
struct Timed {
    name: String,
    /// Where it runs.
    placement: String,
    /// Tokens, and seconds.
    times: Vec<(usize, f64)>,
    pace: Pace,
}

pub fn run(app: &App, plan: &PackPlan, as_json: bool, out: &mut impl Write) -> Result<()> {
    let loaded = LoadedPack::open(app, plan, true)?;
    let engine = loaded.pack.engine();
    let bar = app.bar(
        plan.members.len() as u64,
        "timing batches {bar:30} {pos}/{len} members",
    );
    let mut timed = Vec::new();
    for (k, (info, member)) in engine.members().iter().zip(&plan.members).enumerate() {
        let times = engine.time_batches(k, ROUNDS)?;
        let pace = Pace::of(&times);
        let key = settings::pace::key(member, &plan.devices)?;
        let kept = app.store.keep_pace(&key, &pace);
        kept.context("what was timed is not kept")?;
        timed.push(Timed {
            name: info.name.clone(),
            placement: info.description.placement.clone(),
            times,
            pace,
        });
        bar.inc(1);
    }
    bar.finish_and_clear();
    match as_json {
        true => writeln!(out, "{}", document(&timed))?,
        false => write_table(out, &timed)?,
    }
    Ok(())
}

fn write_table(out: &mut impl Write, timed: &[Timed]) -> Result<()> {
    let titles = ["member", "tokens at once", "ms", "times one token"];
    let mut table = Table::new(&titles, &[1, 2, 3]);
    for one in timed {
        let first = one.times.first().map_or(f64::NAN, |(_, t)| *t);
        for &(tokens, time) in &one.times {
            table.row([
                one.name.clone(),
                tokens.to_string(),
                format!("{:.1}", 1e3 * time),
                format!("{:.2}", time / first),
            ]);
        }
    }
    table.write(&mut *out)?;
    writeln!(out)?;
    for Timed {
        name,
        placement,
        pace,
        ..
    } in timed
    {
        writeln!(out, "{name}: on {placement}; {}", in_words(pace))?;
    }
    writeln!(out, "kept: these members go by it wherever they run as now")?;
    Ok(())
}

/// `reads ahead by 4 tokens, drafts where 87% is expected to be said, …`
pub fn in_words(pace: &Pace) -> String {
    format!(
        "reads ahead by {} tokens, drafts where {:.0}% is expected to be said, reads {} tokens of a prompt \
         beside others' answers",
        pace.columns,
        100.0 * pace.worth,
        pace.beside
    )
}

fn document(timed: &[Timed]) -> Value {
    let members = timed.iter().map(|one| {
        let times = one.times.iter();
        let times: Vec<Value> = times
            .map(|&(tokens, t)| json!({ "tokens": tokens, "ms": 1e3 * t }))
            .collect();
        json!({
            "name": one.name,
            "placement": one.placement,
            "batches": times,
            "pace": one.pace,
        })
    });
    json!({ "members": members.collect::<Vec<_>>() })
}
