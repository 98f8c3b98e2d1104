//! Tokens that sequences hold, each once however many share it.

use crate::backend::Token;

/// A token at a place of some sequences. Where one sequence is a copy of another, they have the
/// same cells.
pub(super) type CellId = u32;

/// All cells of a member: what they hold, and how many sequences have them.
#[derive(Debug, Default)]
pub(super) struct Cells {
    cells: Vec<Cell>,
    free: Vec<CellId>,
    /// How many of them lie in the KV cache.
    resident: usize,
}

#[derive(Debug, Clone, Copy)]
struct Cell {
    token: Token,
    /// Sequences that have it.
    owners: u32,
    /// Those of them that have it in the KV cache.
    resident: u32,
}

impl Cells {
    /// A new cell with one owner, not in the KV cache.
    pub fn add(&mut self, token: Token) -> CellId {
        let cell = Cell {
            token,
            owners: 1,
            resident: 0,
        };
        match self.free.pop() {
            Some(id) => {
                self.cells[id as usize] = cell;
                id
            }
            None => {
                self.cells.push(cell);
                self.cells.len() as CellId - 1
            }
        }
    }

    /// What a cell holds.
    pub fn token(&self, id: CellId) -> Token {
        self.cells[id as usize].token
    }

    /// Another sequence has these cells.
    pub fn share(&mut self, ids: &[CellId]) {
        ids.iter()
            .for_each(|&id| self.cells[id as usize].owners += 1);
    }

    /// A sequence has these cells no longer.
    pub fn give_up(&mut self, ids: &[CellId]) {
        for &id in ids {
            let cell = &mut self.cells[id as usize];
            cell.owners -= 1;
            if cell.owners == 0 {
                self.free.push(id);
            }
        }
    }

    /// These cells of a sequence came into the KV cache.
    pub fn came(&mut self, ids: &[CellId]) {
        for &id in ids {
            let cell = &mut self.cells[id as usize];
            self.resident += usize::from(cell.resident == 0);
            cell.resident += 1;
        }
    }

    /// These cells of a sequence left the KV cache.
    pub fn left(&mut self, ids: &[CellId]) {
        for &id in ids {
            let cell = &mut self.cells[id as usize];
            cell.resident -= 1;
            self.resident -= usize::from(cell.resident == 0);
        }
    }

    /// How many cells of the KV cache are in these sequences of it alone, whose cells are given one
    /// sequence after the other.
    pub fn only_in(&self, sequences: impl Iterator<Item = CellId>) -> usize {
        let mut seen = vec![0; self.cells.len()];
        let all = sequences.filter(|&id| {
            let id = id as usize;
            seen[id] += 1;
            seen[id] == self.cells[id].resident
        });
        all.count()
    }

    /// Cells of the KV cache in use.
    pub fn resident(&self) -> usize {
        self.resident
    }

    /// Cells that some sequence has, in the KV cache or not.
    #[cfg(test)]
    pub fn owned(&self) -> usize {
        self.cells.len() - self.free.len()
    }
}
