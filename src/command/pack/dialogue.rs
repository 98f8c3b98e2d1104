//! `packllm pack new` without models on a terminal: finds those on disk, proposes members, asks.

use super::proposal::{Candidate, candidates, propose};
use crate::app::App;
use crate::command::doctor::memory_available;
use crate::command::facts::{count, file_size, memory};
use crate::command::question::ask;
use crate::command::table::Table;
use crate::say::printable;
use anyhow::{Result, bail};
use packllm_store::{VALID_NAME, valid_name};
use std::path::PathBuf;

/// Tokens of context that members are given room for, unless `-c` says otherwise later.
const CONTEXT: u32 = 4096;

/// What was chosen: the pack's name, and models as `-m` takes them.
pub struct Chosen {
    pub name: String,
    pub models: Vec<PathBuf>,
}

/// Shows what there is, proposes, and asks for members and, if it is not given, the name: one that
/// no pack has, unless it is to be replaced.
pub fn choose(app: &App, name: Option<&str>, replace: bool) -> Result<Chosen> {
    let spinner = app.spinner("looking at the models on disk");
    let found = candidates(app, CONTEXT);
    spinner.finish_and_clear();
    if found.is_empty() {
        bail!(
            "no usable model on disk: `packllm models pull starter` downloads two, `-hf OWNER/REPO` one of the hub's"
        );
    }
    let room = memory_available();
    let proposed = propose(&found, room);
    show(&found, &proposed)?;
    app.dim(&reason(&found, &proposed, room));
    let models = members(app, &found, &proposed)?;
    let name = match name {
        Some(name) => name.to_owned(),
        None => new_name(app, replace)?,
    };
    Ok(Chosen { name, models })
}

fn new_name(app: &App, replace: bool) -> Result<String> {
    let packs = app.store.packs()?;
    let free = |name: &String| replace || packs.iter().all(|pack| pack.name != *name);
    let numbered = (2..).map(|number| format!("mine-{number}"));
    let mut usual = std::iter::once("mine".to_owned()).chain(numbered);
    let usual = usual.find(free).unwrap_or_default();
    loop {
        let line = ask(app, &format!("Name of the pack [{usual}]:"))?;
        let name = if line.is_empty() { usual.clone() } else { line };
        let refused = if !valid_name(&name) {
            format!("`{name}` cannot name a pack: it must be {VALID_NAME}")
        } else if !free(&name) {
            format!("pack `{name}` already exists")
        } else {
            return Ok(name);
        };
        app.dim(&printable(&refused));
    }
}

/// Why these are proposed, and what they take.
fn reason(found: &[Candidate], proposed: &[usize], room: Option<u64>) -> String {
    let why = match proposed.len() {
        0 => return "none of them fits into the memory that is free".to_owned(),
        1 => "the strongest that fits: no two of like strength and different families do",
        _ => "of like strength and different families",
    };
    let taken = proposed.iter().filter_map(|&index| found.get(index));
    let taken: u64 = taken.map(|one| one.memory).sum();
    let free = room.map_or_else(String::new, |room| {
        format!(" of the {} that are free", memory(room))
    });
    let taken = memory(taken);
    format!("marked with *: {why}; with contexts of {CONTEXT} tokens about {taken}{free}")
}

fn show(found: &[Candidate], proposed: &[usize]) -> Result<()> {
    let head = [
        "",
        "",
        "MODEL",
        "SIZE",
        "FAMILY",
        "PARAMETERS",
        "QUANT",
        "MEMORY",
    ];
    let mut table = Table::new(&head, &[1, 3, 5, 7]);
    for (index, one) in found.iter().enumerate() {
        let mark = if proposed.contains(&index) { "*" } else { "" };
        table.row([
            mark.into(),
            (index + 1).to_string(),
            one.model.clone(),
            file_size(one.size),
            one.summary.architecture.clone(),
            count(one.summary.parameters),
            one.summary.quantisation.clone(),
            memory(one.memory),
        ]);
    }
    table.write(&mut std::io::stderr().lock())?;
    Ok(())
}

/// Asks until the answer is numbers of the list.
fn members(app: &App, found: &[Candidate], proposed: &[usize]) -> Result<Vec<PathBuf>> {
    let usual: Vec<String> = proposed
        .iter()
        .map(|index| (index + 1).to_string())
        .collect();
    let usual = usual.join(" ");
    loop {
        let line = ask(app, &format!("Members, by number [{usual}]:"))?;
        let line = if line.is_empty() { usual.clone() } else { line };
        if line.is_empty() {
            bail!("no members were chosen");
        }
        let words = line.split([' ', ',']).filter(|word| !word.is_empty());
        let chosen: Option<Vec<PathBuf>> = words
            .map(|word| {
                let number: usize = word.parse().ok()?;
                let one = found.get(number.checked_sub(1)?)?;
                Some(PathBuf::from(&one.model))
            })
            .collect();
        match chosen.filter(|chosen| !chosen.is_empty()) {
            Some(chosen) => return Ok(chosen),
            None => app.dim(&printable(&format!(
                "`{line}`: numbers of the list are needed, 1 to {}",
                found.len()
            ))),
        }
    }
}
