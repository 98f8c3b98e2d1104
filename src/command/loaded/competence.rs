//! What the members of a pack are good at: known of shipped models, kept of others, or measured now.

use crate::app::App;
use crate::settings::PackPlan;
use anyhow::Result;
use packllm_engine::competence::{Competence, Frame, Standings, key, pairs};
use packllm_engine::engine::prompt_cache::fingerprint;
use packllm_engine::pack::{Pack, PackError};
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// See [`Shipped`].
const SHIPPED: &str = include_str!("../../../models/competence.json");

/// Of the models in shipped packs, by their keys.
#[derive(Deserialize)]
struct Shipped {
    chat: HashMap<String, Competence>,
    plain: HashMap<String, Competence>,
}

impl Shipped {
    fn of(frame: Frame) -> serde_json::Result<HashMap<String, Competence>> {
        let Shipped { chat, plain } = serde_json::from_str(SHIPPED)?;
        Ok(match frame {
            Frame::Chat => chat,
            Frame::Plain => plain,
        })
    }
}

/// What to do where it is not known yet what a member is good at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// It is measured, once a model file, which is said.
    Measure,
    /// The pack does without.
    Leave,
}

/// Lets the pack know what its members are good at.
pub fn learn(
    app: &App,
    plan: &PackPlan,
    pack: &mut Pack,
    frame: Frame,
    missing: Unknown,
) -> Result<()> {
    let rivals = pack.rivals(frame);
    if rivals.len() < 2 || pack.knows(frame) {
        return Ok(());
    }
    let shipped = Shipped::of(frame)?;
    let mut found = HashMap::new();
    let mut unknown = Vec::new();
    for &k in &rivals {
        let member = &plan.members[k];
        let template = member.chat_template.as_deref().unwrap_or_default();
        let key = key(&fingerprint(&member.path)?, template, frame);
        match app
            .store
            .competence(&key)
            .or_else(|| shipped.get(&key).cloned())
        {
            Some(competence) => drop(found.insert(k, competence)),
            None => unknown.push((k, key)),
        }
    }
    if !unknown.is_empty() {
        if missing == Unknown::Leave {
            return Ok(());
        }
        let members: Vec<usize> = unknown.iter().map(|(k, _)| *k).collect();
        let measured = measure(app, pack, &members, frame)?;
        for ((k, key), competence) in unknown.into_iter().zip(measured) {
            if let Err(error) = app.store.keep_competence(&key, &competence) {
                app.dim(&format!("note: what was measured is not kept: {error}"));
            }
            found.insert(k, competence);
        }
    }
    // Who is left out needs a place, and nothing else.
    let filler = found.values().next().cloned().unwrap_or_default();
    let members = 0..plan.members.len();
    let members: Vec<Competence> = members
        .map(|k| found.remove(&k).unwrap_or_else(|| filler.clone()))
        .collect();
    match Standings::of(&members) {
        Some(standings) => pack.know(frame, standings),
        None => app.dim("note: a member predicts nothing of the probe: weights go by the prompt"),
    }
    Ok(())
}

/// Measures these members at the same time.
fn measure(app: &App, pack: &Pack, members: &[usize], frame: Frame) -> Result<Vec<Competence>> {
    let names: Vec<&str> = members
        .iter()
        .map(|&k| pack.engine().members()[k].name.as_str())
        .collect();
    let all = pairs().len() * members.len();
    let read_as = match frame {
        Frame::Chat => "",
        Frame::Plain => " as plain text",
    };
    app.dim(&format!(
        "measuring {} on {} short questions{read_as}, once for this file",
        names.join(" and "),
        pairs().len()
    ));
    let bar = app.bar(all as u64, "measuring {bar:30} {percent}% {eta} left");
    let now = super::now();
    let done = AtomicUsize::new(0);
    let measured: Vec<Result<Competence, PackError>> = std::thread::scope(|threads| {
        let threads = members.iter().map(|&k| {
            let (bar, done, cancel) = (&bar, &done, Arc::clone(&app.cancel));
            threads.spawn(move || {
                pack.measure(k, frame, now, &cancel, &mut |_| {
                    bar.set_position(done.fetch_add(1, Ordering::Relaxed) as u64 + 1);
                })
            })
        });
        let threads: Vec<_> = threads.collect();
        let joined = threads.into_iter().map(|thread| match thread.join() {
            Ok(measured) => measured,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.collect()
    });
    bar.finish_and_clear();
    let measured: Result<Vec<Competence>, PackError> = measured.into_iter().collect();
    measured.map_err(super::told)
}
