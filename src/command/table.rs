//! Tables with aligned columns, whose cells are safe on a terminal.

use crate::say::printable;
use std::io::{self, Write};

/// Rows of cells; every column is as wide as its widest cell.
pub struct Table {
    rows: Vec<Vec<String>>,
    right: &'static [usize],
}

impl Table {
    /// A table with these titles. The columns `right`, counted from 0, are aligned to the right:
    /// numbers.
    pub fn new(head: &[&str], right: &'static [usize]) -> Self {
        let head = head.iter().map(|title| (*title).to_owned()).collect();
        let rows = vec![head];
        Self { rows, right }
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.cells(&cells);
    }

    /// Adds a row of as many cells as there are.
    pub fn cells(&mut self, cells: &[String]) {
        let cells = cells.iter().map(|cell| printable(cell));
        self.rows.push(cells.collect());
    }

    /// Writes the table, with two spaces between columns and none at the ends of lines.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let cells = row.iter().zip(&widths).enumerate();
            let padded = cells.map(|(column, (cell, &width))| {
                if self.right.contains(&column) {
                    format!("{cell:>width$}")
                } else {
                    format!("{cell:<width$}")
                }
            });
            let line = padded.collect::<Vec<_>>().join("  ");
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_escape_codes_are_gone() {
        let mut table = Table::new(&["NAME", "SIZE", "WHERE"], &[1]);
        table.row(["é".into(), "12 MB".into(), "store".into()]);
        table.row(["long name".into(), "7 B".into(), "\x1b[31mred".into()]);
        let mut out = Vec::new();
        table.write(&mut out).unwrap();
        let expected = "NAME        SIZE  WHERE\n\
                        é          12 MB  store\n\
                        long name    7 B  \u{fffd}[31mred\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
