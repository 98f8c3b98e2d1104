//! The tables of `packllm score`.

use super::{Measured, MemberRow, MixtureRow};
use crate::command::table::Table;
use crate::say::printable;
use std::io::{self, Write};

/// Two tables for each text, and the means over the texts if there are several.
pub fn tables(out: &mut impl Write, measured: &[Measured]) -> io::Result<()> {
    for (i, of) in measured.iter().enumerate() {
        if i > 0 {
            writeln!(out)?;
        }
        let (file, prompt, scored) = (printable(&of.file), of.prompt_bytes, of.scored_bytes);
        writeln!(
            out,
            "{file}: weights from {prompt} bytes, {scored} scored\n"
        )?;
        members(out, &of.members)?;
        writeln!(out)?;
        mixtures(out, &of.mixtures, &of.members)?;
    }
    if measured.len() > 1 {
        writeln!(out, "\nmean of {} texts\n", measured.len())?;
        members(out, &mean_members(measured))?;
        writeln!(out)?;
        mixtures(out, &mean_mixtures(measured), &measured[0].members)?;
    }
    Ok(())
}

fn members(out: &mut impl Write, rows: &[MemberRow]) -> io::Result<()> {
    let head = ["member", "bits/byte", "evaluations/token", "skipped"];
    let mut table = Table::new(&head, &[1, 2, 3]);
    for row in rows {
        table.row([
            row.name.clone(),
            format!("{:.4}", row.bits_per_byte),
            format!("{:.3}", row.evaluations_per_token),
            format!("{:.2}%", 100.0 * row.skipped_mass),
        ]);
    }
    table.write(out)
}

fn mixtures(out: &mut impl Write, rows: &[MixtureRow], members: &[MemberRow]) -> io::Result<()> {
    let head = [
        "vocab",
        "mix",
        "method",
        "bits/byte",
        "evaluations/token",
        "weights",
    ];
    let mut table = Table::new(&head, &[3, 4]);
    for row in rows {
        let lambda = members.iter().zip(&row.lambda);
        let lambda: Vec<String> = lambda.map(|(m, w)| format!("{} {w:.3}", m.name)).collect();
        table.row([
            row.vocab.to_owned(),
            row.mix.clone(),
            row.weights.clone(),
            format!("{:.4}", row.bits_per_byte),
            format!("{:.3}", row.evaluations_per_token),
            lambda.join("  "),
        ]);
    }
    table.write(out)
}

/// The mean of a number over the texts.
fn mean(measured: &[Measured], number: impl Fn(&Measured) -> f64) -> f64 {
    measured.iter().map(number).sum::<f64>() / measured.len() as f64
}

fn mean_members(measured: &[Measured]) -> Vec<MemberRow> {
    let row = |(k, member): (usize, &MemberRow)| MemberRow {
        name: member.name.clone(),
        bits_per_byte: mean(measured, |of| of.members[k].bits_per_byte),
        evaluations_per_token: mean(measured, |of| of.members[k].evaluations_per_token),
        skipped_mass: mean(measured, |of| of.members[k].skipped_mass),
    };
    measured[0].members.iter().enumerate().map(row).collect()
}

fn mean_mixtures(measured: &[Measured]) -> Vec<MixtureRow> {
    let row = |(i, mixture): (usize, &MixtureRow)| MixtureRow {
        lambda: (0..mixture.lambda.len())
            .map(|k| mean(measured, |of| of.mixtures[i].lambda[k]))
            .collect(),
        bits_per_byte: mean(measured, |of| of.mixtures[i].bits_per_byte),
        evaluations_per_token: mean(measured, |of| of.mixtures[i].evaluations_per_token),
        ..mixture.clone()
    };
    measured[0].mixtures.iter().enumerate().map(row).collect()
}
