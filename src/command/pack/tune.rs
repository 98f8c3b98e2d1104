//! `packllm pack tune`: is the pack better than its best member? Written down as a pack.

use super::{refuse_name, refuse_taken};
use crate::app::{App, STARTER};
use crate::cli::{EvalArgs, TuneArgs};
use crate::command::eval::{examine, show};
use crate::say::printable;
use anyhow::{Result, bail};
use clap::Parser;
use packllm_engine::weight::Method;
use packllm_eval::{Advice, Contestant, ContestantKind, Judge, TuneVerdict};
use packllm_store::{Manifest, Origin};
use serde_json::json;
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

/// Questions of each domain where nobody says how many.
const QUESTIONS: usize = 10;
/// Members up to which all pairs are tried.
const PAIRED: usize = 4;

/// The run that a tuning is.
#[derive(Parser)]
struct Run {
    #[command(flatten)]
    eval: EvalArgs,
}

pub fn run(app: &App, args: &TuneArgs) -> Result<ExitCode> {
    let pack = args.pack.as_ref().or(app.default_pack.as_ref());
    let pack = pack.map_or(STARTER, String::as_str).to_owned();
    let manifest = app.store.pack(&pack)?;
    if manifest.members.len() < 2 {
        bail!(
            "pack `{}` has one member: there is nothing to choose",
            manifest.name
        );
    }
    let name = args.name.clone();
    let name = name.unwrap_or_else(|| format!("{}-tuned", manifest.name));
    refuse_name(&Manifest {
        name: name.clone(),
        ..manifest.clone()
    })?;
    if !args.replace {
        refuse_taken(app, &name)?;
    }
    let eval = eval_args(app, args, &pack, &manifest.name)?;
    let names: Vec<String> = manifest.members.iter().map(|m| m.name.clone()).collect();
    let groups = groups(names.len());
    let (report, settings) = examine(app, &eval, &|judge| choose(judge, &names, &groups))?;
    let Some(verdict) = TuneVerdict::of(&report.mean) else {
        bail!("nothing was measured of the pack");
    };
    let kept: Vec<usize> = match verdict.keeps() {
        true => groups
            .into_iter()
            .find(|group| joined(&names, group) == verdict.mixture)
            .unwrap_or_default(),
        false => (0..names.len())
            .filter(|&k| names[k] == verdict.member)
            .collect(),
    };
    let path = app
        .store
        .save_pack(&tuned(app, &manifest, &name, &kept)?, args.replace)?;
    let sentence = sentence(&verdict, &names, report.mean.questions);
    let mut out = std::io::stdout().lock();
    if args.json {
        let mut document = show::document(&report, &settings);
        document["verdict"] = json!({
            "keep": verdict.keeps(),
            "member": verdict.member,
            "mixture": verdict.mixture,
            "difference": verdict.difference.mean,
            "low": verdict.difference.low,
            "high": verdict.difference.high,
            "times": verdict.times,
            "sentence": sentence,
            "pack": name,
            "path": path,
        });
        writeln!(out, "{document}")?;
    } else {
        show::tables(&mut out, &report)?;
        writeln!(out, "\n{sentence}")?;
        writeln!(out, "wrote {}", printable(&path.display().to_string()))?;
    }
    out.flush()?;
    app.dim(&format!("talk with it: packllm chat --pack {name}"));
    Ok(ExitCode::SUCCESS)
}

/// The run: our own questions if no others are given, all compared on all, in a folder that a later
/// run goes on with.
fn eval_args(app: &App, args: &TuneArgs, pack: &str, name: &str) -> Result<EvalArgs> {
    let folder = match &args.output {
        Some(folder) => folder.clone(),
        None => app.store.root().join("tune").join(name),
    };
    // One question at a time, so that times are what a user would wait.
    let fixed = "tune --dev 0 --again 0 --parallel 1 --resume --output";
    let mut line: Vec<OsString> = fixed.split(' ').map(OsString::from).collect();
    line.push(folder.into());
    line.extend(["--pack".into(), pack.into()]);
    let mut limit = args.limit;
    if args.tasks.is_empty() {
        line.extend(["--suite".into(), "full".into()]);
        limit = limit.or(Some(QUESTIONS));
    }
    if let Some(limit) = limit {
        line.extend(["--limit".into(), limit.to_string().into()]);
    }
    line.push("--".into());
    line.extend(args.tasks.iter().map(OsString::from));
    Ok(Run::try_parse_from(line)?.eval)
}

/// Every group of members that could answer together: all pairs, and the whole pack.
fn groups(members: usize) -> Vec<Vec<usize>> {
    let pairs = (0..members).flat_map(|a| (a + 1..members).map(move |b| vec![a, b]));
    let mut groups: Vec<Vec<usize>> = match members {
        0..=PAIRED => pairs.collect(),
        _ => Vec::new(),
    };
    if members != 2 {
        groups.push((0..members).collect());
    }
    groups
}

/// The contestants: every member, and every group with the weights that a chat would have.
fn choose(judge: &mut Judge, names: &[String], groups: &[Vec<usize>]) {
    judge.fusion.method = Method::Auto;
    let members = |c: &Contestant| matches!(c.kind, ContestantKind::Member(_));
    judge.contestants.retain(members);
    let group = |members: &Vec<usize>| Contestant {
        name: joined(names, members),
        kind: ContestantKind::Among(members.clone()),
    };
    judge.contestants.extend(groups.iter().map(group));
}

fn joined(names: &[String], group: &[usize]) -> String {
    let names: Vec<&str> = group.iter().map(|&k| names[k].as_str()).collect();
    names.join(" + ")
}

/// The manifest with these members alone.
fn tuned(app: &App, manifest: &Manifest, name: &str, kept: &[usize]) -> Result<Manifest> {
    let mut tuned = manifest.clone();
    tuned.name = name.to_owned();
    tuned.about = None;
    tuned.fusion.weights = Some(Method::Auto.to_string());
    let members = tuned.members.into_iter().enumerate();
    let members = members.filter(|(k, _)| kept.contains(k));
    tuned.members = members.map(|(_, member)| member).collect();
    if let Origin::File(_) = manifest.origin {
        // What lies beside a manifest is not found from the store.
        for member in &mut tuned.members {
            let path = std::path::absolute(app.store.resolve(manifest, member)?)?;
            member.file = path.to_string_lossy().into_owned();
        }
    }
    Ok(tuned)
}

/// The verdict in a sentence.
fn sentence(verdict: &TuneVerdict, names: &[String], questions: usize) -> String {
    let TuneVerdict {
        member, mixture, ..
    } = verdict;
    let half = 50.0 * (verdict.difference.high - verdict.difference.low);
    let points = format!("{:+.1} ± {half:.1} points", 100.0 * verdict.difference.mean);
    let times = format!("{:.1} times its time", verdict.times);
    let adds: Vec<&str> = names
        .iter()
        .map(String::as_str)
        .filter(|name| name != member)
        .collect();
    let (adds, add) = (
        adds.join(" and "),
        if adds.len() == 1 { "adds" } else { "add" },
    );
    match verdict.advice {
        Advice::Keep => {
            format!("{mixture} answers {points} above {member} alone at {times}: keep it")
        }
        Advice::KeepForNothing => {
            format!("{mixture} answers as well as {member} alone ({points}) at {times}: keep it")
        }
        Advice::Alone => format!(
            "{mixture} answers {points} above {member} alone at {times}, which {questions} questions \
             do not tell from luck: use {member} alone, or ask more (--limit)"
        ),
        Advice::AloneForSure => {
            format!("use {member} alone; {adds} {add} nothing ({mixture}: {points} at {times})")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use packllm_eval::Difference;

    #[test]
    fn all_pairs_and_the_whole() {
        assert_eq!(groups(2), [vec![0, 1]]);
        assert_eq!(
            groups(3),
            [vec![0, 1], vec![0, 2], vec![1, 2], vec![0, 1, 2]]
        );
        assert_eq!(groups(5), [vec![0, 1, 2, 3, 4]]);
    }

    #[test]
    fn two_packs_two_verdicts() {
        let names = ["qwen".to_owned(), "smollm2".to_owned()];
        let verdict = |advice, mean: f64| TuneVerdict {
            member: "qwen".into(),
            mixture: "qwen + smollm2".into(),
            difference: Difference {
                mean,
                low: mean - 0.014,
                high: mean + 0.014,
                won: 0,
                lost: 0,
                p: 1.0,
            },
            times: 2.3,
            advice,
        };
        assert_eq!(
            sentence(&verdict(Advice::Keep, 0.021), &names, 100),
            "qwen + smollm2 answers +2.1 ± 1.4 points above qwen alone at 2.3 times its time: keep it"
        );
        assert_eq!(
            sentence(&verdict(Advice::AloneForSure, -0.01), &names, 100),
            "use qwen alone; smollm2 adds nothing (qwen + smollm2: -1.0 ± 1.4 points at 2.3 times its time)"
        );
    }
}
