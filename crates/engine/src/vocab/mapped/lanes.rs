//! Edit distances of several patterns to all targets of a trie, in the lanes of a vector register.
//!
//! # Method
//!
//! For a pattern of m symbols and a target t, let `D[i][j]` be the Levenshtein distance between the
//! first i symbols of the pattern and the first j of the target. Neighbours in a column differ by
//! −1, 0 or 1, so a column is two bit vectors, `plus` and `minus`, and the next one follows with a
//! dozen word operations (Myers 1999, in the form of Hyyrö 2003 for the distance between whole
//! strings). Targets with a common prefix share its columns: the trie is walked depth first with
//! one column per depth. Patterns with at most as many symbols as a word has bits share a register,
//! one a lane, so that a step of the walk serves them all.
//!
//! # Pruning
//!
//! Further along a target, `D[m][·]` never falls below the minimum of column j. That is at least
//! `j − popcount(minus)`, counted from the top (`D[0][j]` = j), and at least
//! `D[m][j] − popcount(plus)`, counted from the bottom. And `D[m][·]` falls by at most 1 a symbol.
//! A subtree is left out if for every lane one of these bounds exceeds the best distance so far, or
//! equals it and no target below has a lower rank. Nothing that could win is left out: the search
//! is exact.

use std::ops::{BitAnd, BitOr, BitXor, Not};

use super::symbols::FOREIGN;
use super::trie::{NO_RANK, Trie};

/// A target and its distance: symbols inserted, deleted or replaced. Ordered by distance, then
/// rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Found {
    pub distance: u32,
    pub rank: u32,
}

/// An unsigned integer: a bit vector, with one bit for each symbol of a pattern, or a distance.
pub(super) trait Word:
    Copy
    + Ord
    + BitAnd<Output = Self>
    + BitOr<Output = Self>
    + BitXor<Output = Self>
    + Not<Output = Self>
{
    const ZERO: Self;
    const ONE: Self;
    /// More than any distance, with room for 1 more.
    const FAR: Self;
    fn of(number: u32) -> Self;
    fn plus(self, other: Self) -> Self;
    /// Not below 0.
    fn less(self, other: Self) -> Self;
    fn double(self) -> Self;
    fn popcount(self) -> Self;
    fn number(self) -> u32;
}

macro_rules! word {
    ($($int:ty),*) => {$(
        impl Word for $int {
            const ZERO: Self = 0;
            const ONE: Self = 1;
            const FAR: Self = u16::MAX as Self / 2;
            #[inline(always)]
            fn of(number: u32) -> Self { number as Self }
            #[inline(always)]
            fn plus(self, other: Self) -> Self { self.wrapping_add(other) }
            #[inline(always)]
            fn less(self, other: Self) -> Self { self.saturating_sub(other) }
            #[inline(always)]
            fn double(self) -> Self { self << 1 }
            #[inline(always)]
            fn popcount(self) -> Self { self.count_ones() as Self }
            #[inline(always)]
            fn number(self) -> u32 { self as u32 }
        }
    )*};
}
word!(u16, u32, u64, u128);

/// One column of N matrices.
#[derive(Debug, Clone, Copy)]
struct Column<W, const N: usize> {
    /// Bit i: `D[i + 1][j]` − `D[i][j]` = 1.
    plus: [W; N],
    /// Bit i: that difference is −1.
    minus: [W; N],
    /// `D[m][j]`.
    distance: [W; N],
}

/// The search of N patterns at a time, with its buffers.
pub(super) struct Search<'t, W, const N: usize> {
    trie: &'t Trie,
    /// By symbol: its row in `matches`, 0 if no pattern has it.
    row_of: Vec<u16>,
    /// Row by row: where each pattern has the symbol.
    matches: Vec<[W; N]>,
    columns: Vec<Column<W, N>>,
}

impl<'t, W: Word, const N: usize> Search<'t, W, N> {
    /// A search among the targets of `trie`, made of `symbols` different symbols.
    pub fn new(trie: &'t Trie, symbols: usize) -> Self {
        let column = Column {
            plus: [W::ZERO; N],
            minus: [W::ZERO; N],
            distance: [W::ZERO; N],
        };
        Self {
            trie,
            row_of: vec![0; symbols],
            matches: vec![[W::ZERO; N]],
            columns: vec![column; trie.height + 1],
        }
    }

    /// Replaces `found[l]`, some target and its distance, by the best target for `patterns[l]`: the
    /// nearest, of several the one of lowest rank. There are at most N patterns, none of them empty
    /// or with more symbols than a word has bits.
    pub fn run(&mut self, patterns: &[&[u32]], found: &mut [Found]) {
        let mut lanes = Lanes::new(found);
        for (l, pattern) in patterns.iter().enumerate().take(N) {
            let mut bit = W::ONE;
            for &symbol in *pattern {
                lanes.full[l] = lanes.full[l] | bit;
                lanes.last[l] = bit;
                if symbol != FOREIGN {
                    let row = self.row(symbol);
                    self.matches[row][l] = self.matches[row][l] | bit;
                }
                bit = bit.double();
            }
            self.columns[0].distance[l] = W::of(pattern.len() as u32);
        }
        self.columns[0].plus = lanes.full;
        self.columns[0].minus = [W::ZERO; N];
        for l in patterns.len()..N {
            // An empty lane is never near, and never keeps a subtree.
            self.columns[0].distance[l] = W::FAR;
        }
        pulp::Arch::new().dispatch(Walk {
            search: self,
            lanes: &mut lanes,
        });
        for &symbol in patterns
            .iter()
            .copied()
            .flatten()
            .filter(|&&s| s != FOREIGN)
        {
            self.row_of[symbol as usize] = 0;
        }
        self.matches.truncate(1);
        found.copy_from_slice(&lanes.found[..found.len()]);
    }

    /// The row of a symbol that a pattern has.
    fn row(&mut self, symbol: u32) -> usize {
        let row = &mut self.row_of[symbol as usize];
        if *row == 0 {
            // At most N × W::BITS = 256 symbols.
            *row = self.matches.len() as u16;
            self.matches.push([W::ZERO; N]);
        }
        usize::from(*row)
    }
}

/// The walk over the trie, compiled for the widest registers that the machine has. It is no
/// closure, because the compiler calls a closure instead of inlining it, and then uses the narrow
/// registers.
struct Walk<'s, 't, W, const N: usize> {
    search: &'s mut Search<'t, W, N>,
    lanes: &'s mut Lanes<W, N>,
}

impl<W: Word, const N: usize> pulp::WithSimd for Walk<'_, '_, W, N> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let Self { search, lanes } = self;
        let nodes = search.trie.nodes.as_slice();
        let mut at = 0;
        while let Some(node) = nodes.get(at) {
            let depth = node.depth as usize;
            let row = usize::from(search.row_of[node.symbol as usize]);
            let column = lanes.next(&search.columns[depth - 1], &search.matches[row]);
            search.columns[depth] = column;
            if node.rank != NO_RANK {
                lanes.offer(&column, node.rank);
            }
            at = if lanes.hopeless(&column, node.depth, node.longest, node.lowest) {
                node.skip as usize
            } else {
                at + 1
            };
        }
    }
}

/// What belongs to each of N patterns.
struct Lanes<W, const N: usize> {
    /// The bits that the pattern uses, and the highest of them.
    full: [W; N],
    last: [W; N],
    found: [Found; N],
    /// `found`'s distances.
    best: [W; N],
    /// The highest of `found`'s ranks.
    highest: u32,
}

impl<W: Word, const N: usize> Lanes<W, N> {
    fn new(start: &[Found]) -> Self {
        let none = Found {
            distance: 0,
            rank: 0,
        };
        let mut lanes = Self {
            full: [W::ZERO; N],
            last: [W::ZERO; N],
            found: [none; N],
            best: [W::ZERO; N],
            highest: 0,
        };
        lanes.found[..start.len()].copy_from_slice(start);
        lanes.note();
        lanes
    }

    fn note(&mut self) {
        for l in 0..N {
            self.best[l] = W::of(self.found[l].distance);
        }
        self.highest = self.found.iter().map(|f| f.rank).max().unwrap_or(0);
    }

    /// The column after `column` for a target's symbol that the patterns have at `matches`.
    #[inline(always)]
    fn next(&self, column: &Column<W, N>, matches: &[W; N]) -> Column<W, N> {
        let mut next = *column;
        for (l, &eq) in matches.iter().enumerate() {
            let (plus, minus) = (column.plus[l], column.minus[l]);
            let same = ((eq & plus).plus(plus) ^ plus) | eq | minus;
            let up = minus | !(same | plus);
            let down = plus & same;
            let rises = if up & self.last[l] == W::ZERO {
                W::ZERO
            } else {
                W::ONE
            };
            let falls = if down & self.last[l] == W::ZERO {
                W::ZERO
            } else {
                W::ONE
            };
            next.distance[l] = column.distance[l].plus(rises).less(falls);
            // D[0][j] grows with every symbol.
            let (up, down) = (up.double() | W::ONE, down.double());
            next.plus[l] = down | !(same | up);
            next.minus[l] = up & same;
        }
        next
    }

    /// A target of this rank ends at `column`.
    #[inline(always)]
    fn offer(&mut self, column: &Column<W, N>, rank: u32) {
        let mut near = false;
        for l in 0..N {
            near |= column.distance[l] <= self.best[l];
        }
        if near {
            self.take(column, rank);
        }
    }

    #[cold]
    fn take(&mut self, column: &Column<W, N>, rank: u32) {
        for l in 0..N {
            let distance = column.distance[l].number();
            self.found[l] = self.found[l].min(Found { distance, rank });
        }
        self.note();
    }

    /// Whether no target that goes on from this column can be better for any lane. `depth` symbols
    /// of them are in it, the longest has `longest`, and their lowest rank is `lowest`.
    #[inline(always)]
    fn hopeless(&self, column: &Column<W, N>, depth: u32, longest: u32, lowest: u32) -> bool {
        let tie = W::of(u32::from(lowest >= self.highest));
        let (depth, left) = (W::of(depth), W::of(longest - depth));
        let mut hope = false;
        for l in 0..N {
            let distance = column.distance[l];
            let from_top = depth.less((column.minus[l] & self.full[l]).popcount());
            let from_bottom = distance.less((column.plus[l] & self.full[l]).popcount());
            let bound = from_top.max(from_bottom).max(distance.less(left));
            hope |= bound.plus(tie) <= self.best[l];
        }
        !hope
    }
}
