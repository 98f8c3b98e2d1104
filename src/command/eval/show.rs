//! Results as JSON, as tables for a terminal, and as Markdown.

use super::disagree::Disagreements;
use super::report::Report;
use crate::command::table::Table;
use crate::plural::counted;
use crate::say::printable;
use anyhow::Result;
use packllm_eval::{Difference, NEAR_TIE, Row, Section};
use serde_json::{Map, Value, json};
use std::io::Write;

/// The document of `--json`, see `docs/json.md`.
pub fn document(report: &Report, settings: &Map<String, Value>) -> Value {
    let members = report.members.iter().zip(&report.cost.members);
    let members: Vec<Value> = members
        .map(|(name, (tokens, seconds))| {
            json!({"name": name, "evaluated_tokens": tokens, "eval_seconds": seconds})
        })
        .collect();
    json!({
        "tasks": report.sections.iter().map(section).collect::<Vec<Value>>(),
        "pooled": section(&report.pooled),
        "mean": section(&report.mean),
        "members": members,
        "seconds": report.cost.seconds,
        "replay_seconds": report.cost.replay_seconds,
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
        "development": section.development,
        "results": section.rows.iter().map(row).collect::<Vec<Value>>(),
    })
}

fn row(row: &Row) -> Value {
    let difference = |d: Option<Difference>| {
        d.map(|d| {
            json!({
                "difference": d.mean, "low": d.low, "high": d.high,
                "won": d.won, "lost": d.lost, "p": d.p,
            })
        })
    };
    let texts = row.texts.map(|texts| {
        json!({
            "ended": texts.ended.value(),
            "exact": texts.exact.value(),
            "bytes": texts.bytes,
            "tokens": texts.tokens,
            "tokens_per_second": texts.tokens_per_second,
        })
    });
    json!({
        "method": row.name,
        "member": row.member,
        "right": row.accuracy.right,
        "accuracy": row.share,
        "stderr": row.error,
        "texts": texts,
        "near_ties": row.near_ties,
        "fused": row.fused,
        "overruled": row.overruled,
        "seconds": row.seconds,
        "vs_best_member": difference(row.vs_best),
        "vs_uniform": difference(row.vs_uniform),
    })
}

/// The cells of a row; shares and differences in per cent.
fn cells(section: &Section, row: &Row) -> Vec<String> {
    let error = row
        .error
        .map_or(String::new(), |e| format!(" ± {:.1}", 100.0 * e));
    let none = || "–".to_owned();
    let difference = |d: Option<Difference>| {
        d.map_or_else(none, |d| {
            let [mean, low, high] = [d.mean, d.low, d.high].map(|x| 100.0 * x);
            format!("{mean:+.1} [{low:+.1}, {high:+.1}]")
        })
    };
    let split = |d: Difference| format!("{}:{} p {:.2}", d.won, d.lost, d.p);
    let percent = |share: f64| format!("{:.0}", 100.0 * share);
    let mut cells = vec![
        row.name.clone(),
        format!("{:.1}{error}", 100.0 * row.share),
        difference(row.vs_best),
        row.vs_best.map_or_else(none, split),
    ];
    match row.texts {
        Some(texts) => cells.extend([
            percent(texts.ended.value()),
            percent(texts.exact.value()),
            format!("{:.0}", texts.tokens),
            format!("{:.1}", texts.tokens_per_second),
        ]),
        None if has_texts(section) => cells.extend([none(), none(), none(), none()]),
        None => cells.push(difference(row.vs_uniform)),
    }
    if has_steps(section) {
        let shown = row.overruled.filter(|_| !row.member);
        cells.push(shown.map_or_else(none, |share| format!("{:.1}", 100.0 * share)));
    }
    cells.push(format!("{:.1}", row.seconds));
    cells
}

fn has_texts(section: &Section) -> bool {
    section.rows.iter().any(|row| row.texts.is_some())
}

fn has_steps(section: &Section) -> bool {
    section.rows.iter().any(|row| row.overruled.is_some())
}

/// The titles of the columns of [`cells`].
fn head(section: &Section) -> Vec<String> {
    let best = format!("vs {} [95%]", section.best);
    let mut head = vec!["method", "right %", &best, "won:lost"];
    if has_texts(section) {
        head.extend(["ended %", "exact %", "tok", "tok/s"]);
    } else {
        head.push("vs uniform [95%]");
    }
    if has_steps(section) {
        head.push("overruled %");
    }
    head.push("seconds");
    head.into_iter().map(str::to_owned).collect()
}

fn title(section: &Section) -> String {
    let skipped = match section.skipped {
        0 => String::new(),
        n => format!(", {n} left out"),
    };
    let chosen = match section.development {
        0 => String::new(),
        n => format!(
            ", {} is the best member on {n} of them and compared on the others",
            section.best
        ),
    };
    let questions = counted(section.questions, "question");
    format!("{}: {questions}{skipped}{chosen}", section.name)
}

/// A line about what was evaluated.
fn cost(report: &Report) -> String {
    let parts = report.members.iter().zip(&report.cost.members);
    let parts =
        parts.map(|(name, (tokens, seconds))| format!("{name} {tokens} tok in {seconds:.1} s"));
    let parts: Vec<String> = parts.collect();
    let all = report.cost.seconds;
    let replay = report.cost.replay_seconds.map_or(String::new(), |replay| {
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
    let rows = report.pooled.rows.iter();
    let most = rows
        .map(|row| row.near_ties)
        .max()
        .filter(|&most| most > 0)?;
    let within = 100.0 * NEAR_TIE;
    let line = format!(
        "{} questions at a time: a pick can differ from --parallel 1 where the two best scores are \
         within {within:.0}%, in at most {most} of {} questions of a method",
        report.parallel, report.pooled.questions
    );
    (report.parallel > 1).then_some(line)
}

/// What the columns say.
const EXPLANATION: &str = "Right answers with their standard error. Differences are paired, in \
    points, with 95% confidence intervals (bootstrap); won and lost are questions that only one of \
    the two has right, and p is McNemar's. Overruled: symbols that the leading member alone would \
    not have picked. Seconds: for a member the time inside its model, for a mixture that of all \
    members, its own weights and mixing.";

/// The tables for a terminal.
pub fn tables(out: &mut impl Write, report: &Report) -> Result<()> {
    for section in report.all_sections() {
        writeln!(out, "{}", title(section))?;
        let head = head(section);
        let head: Vec<&str> = head.iter().map(String::as_str).collect();
        let mut table = Table::new(&head, &[1, 2, 3, 4, 5, 6, 7, 8, 9]);
        for row in &section.rows {
            table.cells(&cells(section, row));
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
    writeln!(out, "# Results\n")?;
    for section in report.all_sections() {
        writeln!(out, "## {}\n", escape(&title(section)))?;
        let line = |cells: Vec<String>| {
            let cells: Vec<String> = cells.iter().map(|cell| escape(cell)).collect();
            format!("| {} |", cells.join(" | "))
        };
        let head = head(section);
        writeln!(out, "{}", line(head.clone()))?;
        writeln!(out, "| --- |{}", " ---: |".repeat(head.len() - 1))?;
        for row in &section.rows {
            writeln!(out, "{}", line(cells(section, row)))?;
        }
        writeln!(out)?;
    }
    writeln!(out, "{}.\n", escape(&cost(report)))?;
    if let Some(line) = doubt(report) {
        writeln!(out, "{line}.\n")?;
    }
    writeln!(out, "{EXPLANATION} Settings are in results.json.")?;
    for task in &report.disagreements {
        disagreements(out, task)?;
    }
    Ok(())
}

/// What two said where one of them was right.
fn disagreements(out: &mut impl Write, task: &Disagreements) -> Result<()> {
    let [ours, theirs] = task.names.each_ref().map(|name| escape(name));
    let shown = match task.shown.len() {
        n if n < task.all => format!("the first {n} of {}", task.all),
        n => n.to_string(),
    };
    let name = escape(&task.task);
    writeln!(
        out,
        "\n## {name}: where {ours} and {theirs} disagree ({shown})\n"
    )?;
    writeln!(out, "| line | asked | right | {ours} | {theirs} |")?;
    writeln!(out, "| ---: | --- | --- | --- | --- |")?;
    for question in &task.shown {
        let right = if question.won { &ours } else { &theirs };
        let [own, other] = question
            .said
            .each_ref()
            .map(|text| escape(&printable(text)));
        let query = escape(&printable(&question.query));
        writeln!(
            out,
            "| {} | {query} | {right} | {own} | {other} |",
            question.line
        )?;
    }
    Ok(())
}

fn escape(cell: &str) -> String {
    cell.replace('|', "\\|")
}
