//! Which paths of a cover are evaluated next, and from where.

use super::{Candidate, Cover, Head, PathId};
use crate::backend::{SeqId, Token};
use crate::vocab::speller;

/// An evaluation that the cover wants: share the first `keep` tokens (counted from the beginning of
/// the cover) of sequence `from`, evaluate `tokens` after them, and hand the last row of logits to
/// [`Cover::admit`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The path that becomes a head.
    pub path: PathId,
    /// A sequence that holds the longest part of it.
    pub from: SeqId,
    /// How many tokens of the path it holds.
    pub keep: u32,
    /// The tokens to evaluate; empty only in [`Resting::Head`].
    pub tokens: Vec<Token>,
}

/// The heaviest path that spells x exactly, where a turn comes to rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resting {
    /// It is evaluated, in this sequence.
    Head(SeqId, PathId),
    /// It has to be evaluated first.
    Plan(Plan),
}

impl Cover {
    /// The candidates to evaluate now, heaviest first, at most `room` (free sequences): those whose
    /// share exceeds ε for every token that it takes. Empty when the step may be
    /// [finished](Cover::finish).
    #[must_use]
    pub fn wanted(&self, room: usize) -> Vec<Plan> {
        let least = self.total() * self.budget.epsilon;
        let mut chosen: Vec<&Candidate> = self
            .candidates
            .iter()
            .filter(|c| c.share > least && c.share > least * self.cost(c))
            .collect();
        chosen.sort_by(|a, b| b.share.total_cmp(&a.share));
        if !self.budget.exact() {
            chosen.truncate(self.places_for(&chosen));
        }
        if chosen.is_empty() && self.heads.is_empty() {
            // However light: without a head there is no prediction.
            chosen.extend(
                self.candidates
                    .iter()
                    .max_by(|a, b| a.share.total_cmp(&b.share)),
            );
        }
        chosen.truncate(room);
        chosen.iter().map(|c| self.plan(c.path)).collect()
    }

    /// Tokens that evaluating a candidate takes: one for a fork, more for a rescue.
    fn cost(&self, candidate: &Candidate) -> f64 {
        let (_, keep) = self.resident(candidate.path);
        f64::from(self.paths.len(candidate.path).saturating_sub(keep).max(1))
    }

    /// How many of the candidates (heaviest first) belong to the heaviest `heads` of all.
    fn places_for(&self, chosen: &[&Candidate]) -> usize {
        let cap = self.budget.heads.max(1);
        let mut shares: Vec<f64> = self.heads.iter().map(Head::share).collect();
        shares.sort_by(|a, b| b.total_cmp(a));
        (0..chosen.len().min(cap))
            .take_while(|&i| {
                // With i + 1 candidates in, the heads beyond the cap must be lighter than this one.
                shares
                    .get(cap - i - 1)
                    .is_none_or(|&displaced| displaced < chosen[i].share)
            })
            .count()
    }

    fn plan(&self, path: PathId) -> Plan {
        let (from, keep) = self.resident(path);
        Plan {
            path,
            from,
            keep,
            tokens: self.paths.tokens(path, keep),
        }
    }

    /// The sequence that holds the longest part of `path`, and how much of it. At least the last
    /// token of the path is left to evaluate, because its logits are what is wanted.
    fn resident(&self, path: PathId) -> (SeqId, u32) {
        let most = self.paths.len(path).saturating_sub(1);
        self.heads
            .iter()
            .chain(&self.dead)
            .map(|h| (h.seq, self.paths.common(h.path, path).min(most)))
            .max_by_key(|&(_, keep)| keep)
            .unwrap_or((crate::backend::PREFIX, 0))
    }

    /// The heaviest head: its sequence, its path, and how many of the last bytes of x that does not
    /// spell. None between [`Cover::end`] and [`Cover::begin`].
    #[must_use]
    pub fn heaviest(&self) -> Option<(SeqId, PathId, usize)> {
        let heads = self.heads.iter();
        let heaviest = heads.max_by(|a, b| a.share().total_cmp(&b.share()))?;
        Some((heaviest.seq, heaviest.path, heaviest.at.depth()))
    }

    /// Tokens that the heads' paths hold together, at most: what one shares with the heaviest counts
    /// once.
    #[must_use]
    pub fn resident_tokens(&self) -> u32 {
        let Some((_, heaviest, _)) = self.heaviest() else {
            return 0;
        };
        let own = |h: &Head| self.paths.len(h.path) - self.paths.common(h.path, heaviest);
        self.paths.len(heaviest) + self.heads.iter().map(own).sum::<u32>()
    }

    /// Gives up sequences in the middle of a step: the heads over the cap, and the dead but the one
    /// that holds most of the heaviest candidate. A step whose rescues die and lead to further ones
    /// may need more than there are.
    pub fn make_room(&mut self) {
        self.evict(None);
        let heaviest = self
            .candidates
            .iter()
            .max_by(|a, b| a.share.total_cmp(&b.share));
        let needed = heaviest.map(|c| self.resident(c.path).0);
        for i in (0..self.dead.len()).rev() {
            if Some(self.dead[i].seq) != needed {
                let head = self.dead.swap_remove(i);
                self.release(head);
            }
        }
    }

    /// Whether x cannot be spelled by anything the cover holds.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.total() <= 0.0 || (self.heads.is_empty() && self.candidates.is_empty())
    }

    /// Gives up the paths of a [lost](Cover::is_lost) cover and goes on from the heaviest of them
    /// with the bytes it did not spell tokenised anew. None if no token spells them: the head then
    /// stays where its path ended, as if they had not been said.
    pub fn recover(&mut self) -> Option<Plan> {
        self.candidates.clear();
        self.dead.append(&mut self.heads);
        let heaviest = (0..self.dead.len())
            .max_by(|&a, &b| self.dead[a].weight.total_cmp(&self.dead[b].weight))?;
        let path = self.dead[heaviest].path;
        // A head's cursor stopped where it could not follow: what is left is counted from the path.
        let spelled = self.spelled_bytes(path).min(self.text.len());
        let tail = self.text[spelled..].to_vec();
        let tokens = speller::greedy(&self.vocab, &tail).tokens;
        if tokens.is_empty() {
            let mut head = self.dead.swap_remove(heaviest);
            head.at = super::Cursor::ROOT;
            head.weight = 1.0;
            head.live = head.dist.masses(&self.vocab, head.at, &mut head.masses);
            self.heads.push(head);
            return None;
        }
        let path = tokens.iter().fold(path, |p, &t| self.paths.push(p, t));
        Some(self.plan(path))
    }

    fn spelled_bytes(&self, path: PathId) -> usize {
        let lens = self.paths.tokens(path, 0);
        lens.iter().map(|&t| self.vocab.piece_len(t)).sum()
    }

    /// Where the turn comes to rest: the heaviest path that spells x exactly or, failing that, the
    /// heaviest head's path and the bytes it did not spell, tokenised.
    pub fn resting(&mut self) -> Option<Resting> {
        let head = self
            .heads
            .iter()
            .filter(|h| h.at.depth() == 0)
            .max_by(|a, b| a.weight.total_cmp(&b.weight));
        let candidate = self
            .candidates
            .iter()
            .filter(|c| c.since == 0)
            .max_by(|a, b| a.base.total_cmp(&b.base));
        match (head, candidate) {
            (Some(h), Some(c)) if c.base > h.weight => Some(Resting::Plan(self.plan(c.path))),
            (Some(h), _) => Some(Resting::Head(h.seq, h.path)),
            (None, Some(c)) => Some(Resting::Plan(self.plan(c.path))),
            (None, None) => self.rest_by_tokenising(),
        }
    }

    fn rest_by_tokenising(&mut self) -> Option<Resting> {
        let heaviest = self
            .heads
            .iter()
            .max_by(|a, b| a.share().total_cmp(&b.share()))?;
        let (seq, path, rest) = (heaviest.seq, heaviest.path, heaviest.at.depth());
        let tail = &self.text[self.text.len() - rest..];
        let tokens = speller::greedy(&self.vocab, tail).tokens;
        if tokens.is_empty() {
            return Some(Resting::Head(seq, path));
        }
        let path = tokens.iter().fold(path, |p, &t| self.paths.push(p, t));
        Some(Resting::Plan(self.plan(path)))
    }

    /// Tokens of the heaviest path that spell what x has beyond the [given](Cover::mark_given) bytes,
    /// one begun but not spelled out included, and whether they spell it exactly.
    #[must_use]
    pub fn spelling(&self) -> (u32, bool) {
        let heads = self.heads.iter().map(|h| (h.share(), h.path, h.at.depth()));
        let candidates = self.candidates.iter().map(|c| (c.share, c.path, c.since));
        heads
            .chain(candidates)
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map_or((0, true), |(_, path, open)| {
                let whole = self.tokens_beyond_given(path, self.text.len().saturating_sub(open));
                // What is given may be all that the token begun has spelled so far.
                let begun = open > 0 && self.text.len() > self.given;
                (whole + u32::from(begun), open == 0)
            })
    }

    /// Tokens of a path that ends at byte `end` of x which reach beyond the given bytes.
    fn tokens_beyond_given(&self, mut path: PathId, mut end: usize) -> u32 {
        let mut tokens = 0;
        while let Some(token) = self.paths.token(path).filter(|_| end > self.given) {
            tokens += 1;
            end = end.saturating_sub(self.vocab.piece_len(token));
            path = self.paths.parent(path);
        }
        tokens
    }
}
