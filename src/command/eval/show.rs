//! Results as JSON, as tables for a terminal, and as Markdown.

use super::Report;
use crate::command::table::Table;
use anyhow::Result;
use packllm_eval::{Difference, NEAR_TIE, Row, Section};
use serde_json::{Map, Value, json};
use std::io::Write;

/// The document of `--json`, see `docs/json.md`.
pub fn document(report: &Report, settings: &Map<String, Value>) -> Value {
    let members: Vec<Value> = report
        .members
        .iter()
        .zip(report.spent())
        .map(|(name, (tokens, seconds))| {
            json!({"name": name, "evaluated_tokens": tokens, "eval_seconds": seconds})
        })
        .collect();
    json!({
        "tasks": report.sections.iter().map(section).collect::<Vec<Value>>(),
        "pooled": section(&report.pooled),
        "members": members,
        "seconds": report.seconds(),
        "replay_seconds": report.replay_seconds(),
        "parallel": report.parallel,
        "settings": settings,
    })
}

fn section(section: &Section) -> Value {
    json!({
        "task": section.name,
        "questions": section.questions,
        "skipped": section.skipped,
        "best_member": section.best,
        "results": section.rows.iter().map(row).collect::<Vec<Value>>(),
    })
}

fn row(row: &Row) -> Value {
    let difference = |d: Option<Difference>| {
        d.map(|d| json!({"difference": d.mean, "low": d.low, "high": d.high}))
    };
    json!({
        "method": row.name,
        "member": row.member,
        "accuracy": row.accuracy.value(),
        "stderr": row.accuracy.standard_error(),
        "near_ties": row.near_ties,
        "seconds": row.seconds,
        "vs_best_member": difference(row.vs_best),
        "vs_uniform": difference(row.vs_uniform),
    })
}

/// The cells of a row; accuracies and differences in per cent.
fn cells(row: &Row) -> [String; 5] {
    let error = row.accuracy.standard_error();
    let error = error.map_or(String::new(), |e| format!(" ± {:.1}", 100.0 * e));
    let difference = |d: Option<Difference>| {
        d.map_or("–".to_owned(), |d| {
            let [mean, low, high] = [d.mean, d.low, d.high].map(|x| 100.0 * x);
            format!("{mean:+.1} [{low:+.1}, {high:+.1}]")
        })
    };
    [
        row.name.clone(),
        format!("{:.1}{error}", 100.0 * row.accuracy.value()),
        difference(row.vs_best),
        difference(row.vs_uniform),
        format!("{:.1}", row.seconds),
    ]
}

/// The titles of the columns of [`cells`].
fn head(section: &Section) -> [String; 5] {
    let best = format!("vs {} [95%]", section.best);
    let fixed = ["method", "accuracy %", "", "vs uniform [95%]", "seconds"];
    let mut head = fixed.map(str::to_owned);
    head[2] = best;
    head
}

fn title(section: &Section) -> String {
    let skipped = match section.skipped {
        0 => String::new(),
        n => format!(", {n} left out"),
    };
    format!("{}: {} questions{skipped}", section.name, section.questions)
}

/// The tasks, then all of them together if there are several.
fn sections(report: &Report) -> impl Iterator<Item = &Section> {
    let pooled = Some(&report.pooled).filter(|_| report.sections.len() > 1);
    report.sections.iter().chain(pooled)
}

/// A line about what was evaluated.
fn cost(report: &Report) -> String {
    let parts = report.members.iter().zip(report.spent());
    let parts =
        parts.map(|(name, (tokens, seconds))| format!("{name} {tokens} tok in {seconds:.1} s"));
    let parts: Vec<String> = parts.collect();
    let all = report.seconds();
    let replay = report.replay_seconds().map_or(String::new(), |replay| {
        let ratio = all / replay.max(1e-9);
        format!("; the same evaluations and nothing else: {replay:.1} s (ratio {ratio:.2})")
    });
    format!(
        "{all:.1} s for all; evaluated: {}{replay}",
        parts.join(", ")
    )
}

/// Where picks may depend on what shared a batch; None where nothing did.
fn doubt(report: &Report) -> Option<String> {
    let most = report.pooled.rows.iter().map(|row| row.near_ties).max()?;
    let within = 100.0 * NEAR_TIE;
    let line = format!(
        "{} questions at a time: a pick can differ from --parallel 1 where the two best scores are \
         within {within:.0}%, in at most {most} of {} questions of a method",
        report.parallel, report.pooled.questions
    );
    (report.parallel > 1).then_some(line)
}

/// The tables for a terminal.
pub fn tables(out: &mut impl Write, report: &Report) -> Result<()> {
    for section in sections(report) {
        writeln!(out, "{}", title(section))?;
        let head = head(section);
        let head: Vec<&str> = head.iter().map(String::as_str).collect();
        let mut table = Table::new(&head, &[1, 2, 3, 4]);
        for row in &section.rows {
            table.row(cells(row));
        }
        table.write(out)?;
        writeln!(out)?;
    }
    writeln!(out, "{}", cost(report))?;
    if let Some(line) = doubt(report) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// The same as a page of Markdown, with an explanation.
pub fn markdown(out: &mut impl Write, report: &Report) -> Result<()> {
    writeln!(out, "# Multiple choice\n")?;
    for section in sections(report) {
        writeln!(out, "## {}\n", escape(&title(section)))?;
        let line = |cells: [String; 5]| format!("| {} |", cells.map(|c| escape(&c)).join(" | "));
        writeln!(out, "{}", line(head(section)))?;
        writeln!(out, "| --- | ---: | ---: | ---: | ---: |")?;
        for row in &section.rows {
            writeln!(out, "{}", line(cells(row)))?;
        }
        writeln!(out)?;
    }
    writeln!(out, "{}.\n", escape(&cost(report)))?;
    if let Some(line) = doubt(report) {
        writeln!(out, "{line}.\n")?;
    }
    writeln!(
        out,
        "Accuracy with its standard error. Differences are paired, in points, with 95% confidence \
         intervals (normal approximation); the member compared with is the best on the same questions. \
         Seconds: for a member the time inside its model, for a mixture the evaluation of all members \
         and its own weights and mixing. Settings are in results.json."
    )?;
    Ok(())
}

fn escape(cell: &str) -> String {
    cell.replace('|', "\\|")
}
