//! The loss of a mixture on the evidence, for any weights.
//!
//! Per position i the alphabet is seen as *columns*: the symbols that do not end the text, each
//! with `ln p_k(s | not END)` of every member. Dense rows have a column for each symbol. Sparse
//! rows have one for each symbol that any member lists, and a last one that stands for all others,
//! which are equally likely to every member: it counts as that many symbols. END is pooled as in
//! generation, by the same functions, so `q(x_i) = (1 − q(END)) · M(p_k(x_i | not END))` is what a
//! [`crate::mix::Mixer`] gives.

use super::{Evidence, Rows, WeightError};
use crate::mix::{Mix, MixError, Split, confidence, lift, ln_floor, pool_end, votes};

/// Evidence, prepared for asking what a mixture loses on it.
#[derive(Debug, Clone)]
pub struct Mixture<'a> {
    evidence: &'a Evidence,
    mix: Mix,
    ln_floor: f64,
    columns: Columns,
    /// Column of x_i, one a position.
    targets: Vec<usize>,
    /// `splits[k][i]`.
    splits: Vec<Vec<Split>>,
    confidence: f64,
    /// Entropies of what members say of going on, `[i][k]`; none where confidence is 0.
    entropies: Vec<Vec<f64>>,
}

/// The members that decide how the text goes on, and scratch to mix them in.
struct Blender {
    /// Index and weight.
    members: Vec<(usize, f64)>,
    /// ln of the floor. Alone, a member has none; it is normalised all the same, so that the
    /// rounding of its row is not taken for a difference between it and a mixture.
    bottom: f64,
    row: Vec<f64>,
    sum: Vec<f64>,
    /// Weights of a position, where they depend on it.
    weights: Vec<f64>,
    entropies: Vec<f64>,
}

impl Blender {
    fn of(mixture: &Mixture, lambda: &[f64]) -> Self {
        let all = lambda.iter().copied().enumerate();
        let members: Vec<(usize, f64)> = all.filter(|(_, w)| *w > 0.0).collect();
        let alone = members.len() == 1;
        Blender {
            members,
            bottom: if alone {
                f64::NEG_INFINITY
            } else {
                mixture.ln_floor
            },
            row: Vec::new(),
            sum: Vec::new(),
            weights: Vec::new(),
            entropies: Vec::new(),
        }
    }
}

/// The symbols behind the columns.
#[derive(Debug, Clone)]
enum Columns {
    /// At every position these, ascending.
    Same(Vec<u32>),
    /// At position i `ids[starts[i]..starts[i + 1]]`, ascending, and a column for the `others[i]`
    /// remaining.
    Union {
        starts: Vec<usize>,
        ids: Vec<u32>,
        others: Vec<usize>,
    },
}

impl Columns {
    fn ids(&self, i: usize) -> &[u32] {
        match self {
            Columns::Same(ids) => ids,
            Columns::Union { starts, ids, .. } => &ids[starts[i]..starts[i + 1]],
        }
    }

    fn others(&self, i: usize) -> usize {
        match self {
            Columns::Same(_) => 0,
            Columns::Union { others, .. } => others[i],
        }
    }
}

impl<'a> Mixture<'a> {
    /// Prepares evidence whose members all have
    /// [`MemberEvidence::rows`](super::MemberEvidence::rows).
    ///
    /// # Errors
    /// Rows that are missing or malformed, or a floor outside `0 ≤ floor < 1`.
    pub fn new(evidence: &'a Evidence, mix: Mix, floor: f64) -> Result<Self, WeightError> {
        let ln_floor = ln_floor(floor)?;
        evidence.check()?;
        evidence.check_rows()?;
        let alphabet = &evidence.alphabet;
        let split = |rows: &Rows, i: usize| match rows {
            Rows::None => Split::NEVER,
            Rows::Dense(ln_p) => Split::of(dense_row(ln_p, i, alphabet.size()), alphabet),
            Rows::Sparse(rows) => rows.split(i, alphabet),
        };
        let n = evidence.symbols.len();
        let splits = evidence.members.iter();
        let splits = splits.map(|m| (0..n).map(|i| split(&m.rows, i)).collect());
        let columns = columns(evidence);
        let target = |(i, x): (usize, &u32)| columns.ids(i).partition_point(|id| id < x);
        let targets = evidence.symbols.iter().enumerate().map(target).collect();
        Ok(Mixture {
            evidence,
            mix,
            ln_floor,
            splits: splits.collect(),
            targets,
            columns,
            confidence: 0.0,
            entropies: Vec::new(),
        })
    }

    /// The same where those that are sure count for more: κ of [`confidence`]. Weights are derived
    /// without it.
    #[must_use]
    pub fn with_confidence(mut self, confidence: f64) -> Self {
        if confidence > 0.0 {
            let all = |i: usize| (0..self.members()).map(|k| self.entropy(k, i)).collect();
            self.entropies = (0..self.len()).map(all).collect();
            self.confidence = confidence;
        }
        self
    }

    fn entropy(&self, k: usize, i: usize) -> f64 {
        let mut row = vec![0.0; self.width(i)];
        self.conditional(k, i, &mut row);
        let seen = row
            .iter()
            .enumerate()
            .filter(|(_, x)| **x > f64::NEG_INFINITY);
        -seen
            .map(|(c, x)| self.copies(i, c) * x * x.exp())
            .sum::<f64>()
    }

    /// Puts the weights that position i is mixed with into `blender.weights`.
    fn share_out(&self, i: usize, blender: &mut Blender) {
        let Blender {
            members,
            weights,
            entropies,
            ..
        } = blender;
        weights.clear();
        weights.extend(members.iter().map(|(_, w)| *w));
        if let Some(all) = self.entropies.get(i) {
            entropies.clear();
            entropies.extend(members.iter().map(|(k, _)| all[*k]));
            confidence::share_out(weights, self.confidence, entropies);
        }
    }

    /// L(λ) / ln 2, the mixture's loss in bits per byte; 0 on empty evidence.
    ///
    /// `lambda[k]` ≥ 0 need not sum to 1. Costs one exponential a column and position (log), or one
    /// a member and position (linear).
    ///
    /// # Errors
    /// Weights of another count than the members, negative, NaN, or all 0.
    pub fn bits_per_byte(&self, lambda: &[f64]) -> Result<f64, WeightError> {
        let lambda = self.normalised(lambda)?;
        Ok(self.nats_per_byte_of(&lambda) / std::f64::consts::LN_2)
    }

    /// Weights that sum to 1.
    fn normalised(&self, lambda: &[f64]) -> Result<Vec<f64>, WeightError> {
        let expected = self.evidence.members.len();
        if lambda.len() != expected {
            let actual = lambda.len();
            return Err(WeightError::Count { expected, actual });
        }
        let bad = |w: &&f64| !(**w >= 0.0 && w.is_finite());
        if let Some((member, &value)) = lambda.iter().enumerate().find(|(_, w)| bad(w)) {
            return Err(MixError::Weight { member, value }.into());
        }
        let total: f64 = lambda.iter().sum();
        if !(total > 0.0 && total.is_finite()) {
            return Err(MixError::NoMember.into());
        }
        Ok(lambda.iter().map(|w| w / total).collect())
    }

    /// Whether each symbol of the evidence, in turn, is the likeliest to the mixture where it stands,
    /// so that greedy decoding says exactly this text. END counts among what could come instead,
    /// and a tie counts for the text.
    ///
    /// # Errors
    /// As [`Mixture::bits_per_byte`].
    pub fn likeliest(&self, lambda: &[f64]) -> Result<Vec<bool>, WeightError> {
        let lambda = self.normalised(lambda)?;
        let mut blender = Blender::of(self, &lambda);
        let votes = self.votes(&lambda);
        Ok((0..self.len())
            .map(|i| self.is_likeliest(i, &votes, &mut blender))
            .collect())
    }

    fn is_likeliest(&self, i: usize, votes: &[f64], blender: &mut Blender) -> bool {
        let end = pool_end(self.mix, self.ln_floor, votes, |k| self.splits[k][i]);
        let z = self.blend(i, blender);
        let target = blender.sum[self.target(i)];
        let best = blender
            .sum
            .iter()
            .copied()
            .fold(f64::NEG_INFINITY, f64::max);
        target >= best && end.go_on + target - z.ln() >= end.end
    }

    /// L(λ) for weights that sum to 1.
    pub(super) fn nats_per_byte_of(&self, lambda: &[f64]) -> f64 {
        (self.end_loss(lambda) + self.go_on_loss(lambda)) / self.bytes()
    }

    /// −ln q(x_i) for weights that sum to 1, in nats.
    pub(super) fn nats_at(&self, i: usize, lambda: &[f64]) -> f64 {
        let mut blender = Blender::of(self, lambda);
        self.end_nats(i, &self.votes(lambda)) + self.go_on_nats(i, &mut blender)
    }

    /// Σ −ln(1 − q(END)), in nats.
    pub(super) fn end_loss(&self, lambda: &[f64]) -> f64 {
        let shares = self.votes(lambda);
        (0..self.len()).map(|i| self.end_nats(i, &shares)).sum()
    }

    fn votes(&self, lambda: &[f64]) -> Vec<f64> {
        let mut shares = Vec::new();
        votes(lambda, |k| self.may_end(k), &mut shares);
        shares
    }

    fn end_nats(&self, i: usize, shares: &[f64]) -> f64 {
        -pool_end(self.mix, self.ln_floor, shares, |k| self.splits[k][i]).go_on
    }

    /// Σ −ln M(p_k(x_i | not END)), in nats.
    fn go_on_loss(&self, lambda: &[f64]) -> f64 {
        let mut blender = Blender::of(self, lambda);
        (0..self.len())
            .map(|i| self.go_on_nats(i, &mut blender))
            .sum()
    }

    fn go_on_nats(&self, i: usize, blender: &mut Blender) -> f64 {
        if let Mix::Linear = self.mix {
            self.share_out(i, blender);
            let parts = blender.members.iter().zip(&blender.weights);
            let part =
                |(&(k, _), w): (&(usize, f64), &f64)| w * self.conditional_target(k, i).exp();
            return -parts.map(part).sum::<f64>().ln();
        }
        let z = self.blend(i, blender);
        if z > 0.0 {
            z.ln() - blender.sum[self.target(i)]
        } else {
            f64::INFINITY
        }
    }

    /// ln of what every column has in the mixture, into `blender.sum`. Returns what its exponentials
    /// sum to.
    fn blend(&self, i: usize, blender: &mut Blender) -> f64 {
        self.share_out(i, blender);
        let Blender {
            members,
            bottom,
            row,
            sum,
            weights,
            ..
        } = blender;
        row.resize(self.width(i), 0.0);
        sum.clear();
        sum.resize(self.width(i), 0.0);
        for (&(k, _), w) in members.iter().zip(weights.iter()) {
            self.conditional(k, i, row);
            for (s, x) in sum.iter_mut().zip(row.iter()) {
                *s += match self.mix {
                    Mix::Log => w * lift(*x, *bottom),
                    Mix::Linear => w * x.exp(),
                };
            }
        }
        if let Mix::Linear = self.mix {
            sum.iter_mut().for_each(|s| *s = s.ln());
        }
        let p = |(c, s): (usize, &f64)| self.copies(i, c) * s.exp();
        sum.iter().enumerate().map(p).sum()
    }

    fn may_end(&self, k: usize) -> bool {
        self.evidence.members[k].can_end && !self.evidence.alphabet.ends().is_empty()
    }

    /// The members that decide about END.
    pub(super) fn ending_members(&self) -> Vec<usize> {
        (0..self.members()).filter(|&k| self.may_end(k)).collect()
    }

    /// Member k's end or go on at position i.
    pub(super) fn split(&self, k: usize, i: usize) -> Split {
        self.splits[k][i]
    }

    /// Number of members.
    pub(super) fn members(&self) -> usize {
        self.evidence.members.len()
    }

    pub(super) fn mix(&self) -> Mix {
        self.mix
    }

    pub(super) fn ln_floor(&self) -> f64 {
        self.ln_floor
    }

    /// Number of positions.
    pub(super) fn len(&self) -> usize {
        self.evidence.symbols.len()
    }

    /// Bytes of evidence, at least 1.
    pub(super) fn bytes(&self) -> f64 {
        self.evidence.bytes.max(1) as f64
    }

    /// Number of columns at position i.
    pub(super) fn width(&self, i: usize) -> usize {
        self.columns.ids(i).len() + usize::from(self.columns.others(i) > 0)
    }

    /// How many symbols column c of position i stands for.
    pub(super) fn copies(&self, i: usize, c: usize) -> f64 {
        if c < self.columns.ids(i).len() {
            1.0
        } else {
            self.columns.others(i) as f64
        }
    }

    /// The column of x_i.
    pub(super) fn target(&self, i: usize) -> usize {
        self.targets[i]
    }

    /// `ln p_k(x_i | not END)`.
    pub(super) fn conditional_target(&self, k: usize, i: usize) -> f64 {
        let symbol = self.evidence.symbols[i];
        let ln_p = match &self.evidence.members[k].rows {
            Rows::None => f32::NEG_INFINITY,
            Rows::Dense(ln_p) => ln_p[i * self.evidence.alphabet.size() + symbol as usize],
            Rows::Sparse(rows) => {
                let row = rows.listed(i);
                let at = row.binary_search_by_key(&symbol, |entry| entry.0);
                at.map_or(f32::NEG_INFINITY, |at| row[at].1)
            }
        };
        self.splits[k][i].condition(f64::from(ln_p), &self.evidence.alphabet)
    }

    /// Writes `ln p_k(s | not END)` of every column of position i; `out` is [`Self::width`] long.
    pub(super) fn conditional(&self, k: usize, i: usize, out: &mut [f64]) {
        let alphabet = &self.evidence.alphabet;
        let split = self.splits[k][i];
        let ids = self.columns.ids(i);
        match &self.evidence.members[k].rows {
            Rows::None => out.fill(f64::NEG_INFINITY),
            Rows::Dense(ln_p) => {
                let row = dense_row(ln_p, i, alphabet.size());
                for (x, &id) in out.iter_mut().zip(ids) {
                    *x = split.condition(f64::from(row[id as usize]), alphabet);
                }
            }
            Rows::Sparse(rows) => {
                let unlisted = split.condition(rows.ln_unlisted(i, alphabet.size()), alphabet);
                out.fill(unlisted);
                let mut listed = rows.listed(i).iter().peekable();
                for (x, &id) in out.iter_mut().zip(ids) {
                    while listed.next_if(|entry| entry.0 < id).is_some() {}
                    if let Some(entry) = listed.next_if(|entry| entry.0 == id) {
                        *x = split.condition(f64::from(entry.1), alphabet);
                    }
                }
            }
        }
    }
}

fn dense_row(ln_p: &[f32], i: usize, size: usize) -> &[f32] {
    &ln_p[i * size..(i + 1) * size]
}

/// The columns of evidence whose rows were checked.
fn columns(evidence: &Evidence) -> Columns {
    let alphabet = &evidence.alphabet;
    let go_on = |id: &u32| !alphabet.is_end(*id as usize);
    let sparse: Vec<_> = evidence
        .members
        .iter()
        .filter_map(|member| match &member.rows {
            Rows::Sparse(rows) => Some(rows),
            _ => None,
        })
        .collect();
    if sparse.is_empty() {
        return Columns::Same((0..alphabet.size() as u32).filter(go_on).collect());
    }
    let (mut starts, mut ids, mut others) = (vec![0], Vec::new(), Vec::new());
    let mut union = Vec::new();
    for i in 0..evidence.symbols.len() {
        union.clear();
        let listed = sparse.iter().flat_map(|rows| rows.listed(i));
        union.extend(listed.map(|entry| entry.0).filter(go_on));
        union.sort_unstable();
        union.dedup();
        ids.extend_from_slice(&union);
        starts.push(ids.len());
        others.push(alphabet.size() - alphabet.ends().len() - union.len());
    }
    Columns::Union {
        starts,
        ids,
        others,
    }
}
