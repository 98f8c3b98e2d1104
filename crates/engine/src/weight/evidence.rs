//! What members predicted for a text.

use super::WeightError;
use crate::mix::{Split, SymbolSet};

/// How far above 0 rounding may lift a ln-probability.
const ROUNDING: f32 = 1e-3;

/// A text and what every member predicted for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// The alphabet of `symbols`: bytes, or the tokens of a vocabulary that all members share.
    pub alphabet: SymbolSet,
    /// Length of the text in bytes, whatever the alphabet.
    pub bytes: usize,
    /// The text x_1…x_n as symbols of the alphabet, none of them END.
    pub symbols: Vec<u32>,
    /// One entry a member.
    pub members: Vec<MemberEvidence>,
}

/// One member's view of the evidence.
#[derive(Debug, Clone, PartialEq)]
pub struct MemberEvidence {
    /// Tokens of the text in the member's own tokenizer.
    pub tokens: usize,
    /// Whether the member decides about END.
    pub can_end: bool,
    /// `−ln p(x_i | x_<i)` for every symbol, in nats.
    pub nats: Vec<f32>,
    /// Whole distributions, for methods that look at mixtures.
    pub rows: Rows,
}

/// A member's distributions along the evidence.
#[derive(Debug, Clone, PartialEq)]
pub enum Rows {
    /// No distributions.
    None,
    /// n rows of `ln p` over the whole alphabet, row-major.
    Dense(Vec<f32>),
    /// n rows of the likeliest symbols and a remainder.
    Sparse(SparseRows),
}

/// Distributions of which only the likeliest symbols are known: every other shares the remainder
/// equally.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SparseRows {
    /// Row i is `listed[starts[i]..starts[i + 1]]`; the last entry ends the last row.
    starts: Vec<usize>,
    /// Symbol and ln p, ascending by symbol within a row, no duplicates.
    listed: Vec<(u32, f32)>,
    /// Mass of all symbols that are not listed, a probability.
    remainder: Vec<f64>,
}

impl SparseRows {
    /// No rows yet.
    pub fn new() -> Self {
        SparseRows::default()
    }

    /// Adds a row: the likeliest symbols with their ln p in any order, the evidence's own symbol
    /// with its ln p (listed from then on, if it is not among them), and the mass of all symbols
    /// not in `top`.
    pub fn push(&mut self, top: &[(u32, f32)], actual: (u32, f32), remainder: f64) {
        if self.starts.is_empty() {
            self.starts.push(0);
        }
        let start = self.listed.len();
        self.listed.extend_from_slice(top);
        let known = top.iter().any(|&(symbol, _)| symbol == actual.0);
        let mut rest = remainder;
        if !known {
            self.listed.push(actual);
            rest -= f64::from(actual.1).exp();
        }
        let mut row = self.listed.split_off(start);
        row.sort_by_key(|&(symbol, _)| symbol);
        row.dedup_by_key(|&mut (symbol, _)| symbol);
        self.listed.append(&mut row);
        self.starts.push(self.listed.len());
        self.remainder.push(rest.clamp(0.0, 1.0));
    }

    /// Adds the rows of `more` after its own.
    pub fn extend(&mut self, more: &SparseRows) {
        for i in 0..more.len() {
            self.append_row(more, i);
        }
    }

    /// For the prompt cache: the number of listed symbols of each row, all those symbols, the
    /// remainders.
    pub(crate) fn parts(&self) -> (Vec<u32>, &[(u32, f32)], &[f64]) {
        let lengths = self.starts.windows(2).map(|w| (w[1] - w[0]) as u32);
        (lengths.collect(), &self.listed, &self.remainder)
    }

    /// From [`SparseRows::parts`]; None if they do not fit each other.
    pub(crate) fn from_parts(
        lengths: &[u32],
        listed: Vec<(u32, f32)>,
        remainder: Vec<f64>,
    ) -> Option<Self> {
        let mut rows = SparseRows::new();
        if !lengths.is_empty() {
            rows.starts.push(0);
        }
        let mut end = 0;
        for &length in lengths {
            end += length as usize;
            rows.starts.push(end);
        }
        let fits = end == listed.len() && lengths.len() == remainder.len();
        (rows.listed, rows.remainder) = (listed, remainder);
        fits.then_some(rows)
    }

    /// The rows with the given indices, in that order.
    pub fn select(&self, indices: &[usize]) -> SparseRows {
        let mut selected = SparseRows::new();
        for &i in indices {
            selected.append_row(self, i);
        }
        selected
    }

    fn append_row(&mut self, from: &SparseRows, i: usize) {
        if self.starts.is_empty() {
            self.starts.push(0);
        }
        self.listed.extend_from_slice(from.listed(i));
        self.starts.push(self.listed.len());
        self.remainder.push(from.remainder[i]);
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.remainder.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.remainder.is_empty()
    }

    /// The listed symbols of row i, ascending, with ln p.
    pub(super) fn listed(&self, i: usize) -> &[(u32, f32)] {
        &self.listed[self.starts[i]..self.starts[i + 1]]
    }

    /// ln p of a symbol of an alphabet of `size` that row i does not list.
    pub(super) fn ln_unlisted(&self, i: usize, size: usize) -> f64 {
        let others = size.saturating_sub(self.listed(i).len());
        if others == 0 {
            f64::NEG_INFINITY
        } else {
            (self.remainder[i] / others as f64).ln()
        }
    }

    /// Row i split into END and the rest.
    pub(super) fn split(&self, i: usize, alphabet: &SymbolSet) -> Split {
        let unlisted = self.ln_unlisted(i, alphabet.size()).exp();
        let (mut end, mut go_on, mut ends) = (0.0, 0.0, 0);
        for &(symbol, ln_p) in self.listed(i) {
            let p = f64::from(ln_p).exp();
            if alphabet.is_end(symbol as usize) {
                end += p;
                ends += 1;
            } else {
                go_on += p;
            }
        }
        end += (alphabet.ends().len() - ends) as f64 * unlisted;
        let listed = self.listed(i).len() - ends;
        let others = (alphabet.size() - alphabet.ends().len()).saturating_sub(listed);
        Split::new(end, go_on + others as f64 * unlisted)
    }
}

impl Evidence {
    /// The evidence of some members alone, by index; indices beyond the members are left out.
    #[must_use]
    pub fn of(&self, members: &[usize]) -> Evidence {
        Evidence {
            alphabet: self.alphabet.clone(),
            bytes: self.bytes,
            symbols: self.symbols.clone(),
            members: members
                .iter()
                .filter_map(|&k| self.members.get(k).cloned())
                .collect(),
        }
    }

    /// This text and then `more`, of the same members and alphabet.
    #[must_use]
    pub fn joined(&self, more: &Evidence) -> Evidence {
        let mut joined = self.clone();
        joined.bytes += more.bytes;
        joined.symbols.extend_from_slice(&more.symbols);
        for (member, after) in joined.members.iter_mut().zip(&more.members) {
            member.tokens += after.tokens;
            member.nats.extend_from_slice(&after.nats);
            match (&mut member.rows, &after.rows) {
                (Rows::Dense(rows), Rows::Dense(more)) => rows.extend_from_slice(more),
                (Rows::Sparse(rows), Rows::Sparse(more)) => rows.extend(more),
                (rows, _) => *rows = Rows::None,
            }
        }
        joined
    }

    /// Whether there is no evidence.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0 || self.symbols.is_empty()
    }

    /// L_k, member k's loss in nats per byte; 0 on empty evidence, infinite if the text is
    /// impossible to it.
    pub fn nats_per_byte(&self, k: usize) -> f64 {
        self.total_nats(k) / self.bytes.max(1) as f64
    }

    /// `L_k / ln 2`.
    pub fn bits_per_byte(&self, k: usize) -> f64 {
        self.nats_per_byte(k) / std::f64::consts::LN_2
    }

    /// `exp` of member k's loss per token of its own. It does not compare across tokenizers.
    pub fn token_perplexity(&self, k: usize) -> f64 {
        let tokens = self.members.get(k).map_or(1, |member| member.tokens.max(1));
        (self.total_nats(k) / tokens as f64).exp()
    }

    /// Bytes per token, the mean over members.
    pub fn bytes_per_token(&self) -> f64 {
        let rate = |member: &MemberEvidence| self.bytes as f64 / member.tokens.max(1) as f64;
        self.members.iter().map(rate).sum::<f64>() / self.members.len().max(1) as f64
    }

    fn total_nats(&self, k: usize) -> f64 {
        let nats = self.members.get(k).map_or(&[][..], |member| &member.nats);
        nats.iter().map(|&x| f64::from(x)).sum()
    }

    /// Checks that symbols are text and that losses are numbers; rows are checked where they are
    /// read.
    pub(super) fn check(&self) -> Result<(), WeightError> {
        if self.members.is_empty() {
            return Err(WeightError::NoMembers);
        }
        for (index, &symbol) in self.symbols.iter().enumerate() {
            if symbol as usize >= self.alphabet.size() || self.alphabet.is_end(symbol as usize) {
                return Err(WeightError::NotText { index, symbol });
            }
        }
        for (member, of) in self.members.iter().enumerate() {
            if of.nats.len() != self.symbols.len() {
                return Err(WeightError::Length {
                    member,
                    what: "losses",
                    expected: self.symbols.len(),
                    actual: of.nats.len(),
                });
            }
            if let Some(index) = of.nats.iter().position(|x| !is_ln_p(-x)) {
                return Err(WeightError::NotAProbability { member, index });
            }
        }
        Ok(())
    }

    /// Checks that every member has well-formed rows of the same kind.
    pub(super) fn check_rows(&self) -> Result<(), WeightError> {
        let kind = self
            .members
            .first()
            .map(|first| std::mem::discriminant(&first.rows));
        let n = self.symbols.len();
        let size = self.alphabet.size();
        for (member, of) in self.members.iter().enumerate() {
            if Some(std::mem::discriminant(&of.rows)) != kind {
                return Err(WeightError::NoRows { member });
            }
            let length = |what, expected, actual| WeightError::Length {
                member,
                what,
                expected,
                actual,
            };
            let bad = |index| WeightError::NotAProbability { member, index };
            match &of.rows {
                Rows::None => return Err(WeightError::NoRows { member }),
                Rows::Dense(ln_p) => {
                    if ln_p.len() != n * size {
                        return Err(length("probabilities", n * size, ln_p.len()));
                    }
                    if let Some(at) = ln_p.iter().position(|&x| !is_ln_p(x)) {
                        return Err(bad(at / size));
                    }
                }
                Rows::Sparse(rows) => {
                    if rows.len() != n {
                        return Err(length("rows", n, rows.len()));
                    }
                    let fine =
                        |&(symbol, ln_p): &(u32, f32)| (symbol as usize) < size && is_ln_p(ln_p);
                    let fine = |i: &usize| {
                        rows.listed(*i).iter().all(fine) && !rows.remainder[*i].is_nan()
                    };
                    if let Some(index) = (0..n).find(|i| !fine(i)) {
                        return Err(bad(index));
                    }
                    let own = |i: usize| {
                        rows.listed(i)
                            .binary_search_by_key(&self.symbols[i], |e| e.0)
                    };
                    if let Some(index) = (0..n).find(|&i| own(i).is_err()) {
                        return Err(bad(index));
                    }
                }
            }
        }
        Ok(())
    }
}

fn is_ln_p(x: f32) -> bool {
    x <= ROUNDING
}
