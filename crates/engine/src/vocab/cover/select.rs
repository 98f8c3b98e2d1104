//! Which paths of a cover are evaluated next, and from where.

use super::{Cover, Cursor, Hypothesis, PathId, Unevaluated};
use crate::backend::Token;
use crate::vocab::speller;

/// An evaluation that the cover wants: share the first `keep` tokens (counted from the beginning of
/// the cover) of slot `from`, evaluate `tokens` after them, and hand the last row of logits to
/// [`Cover::admit`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation<S> {
    /// The path that becomes a hypothesis.
    pub path: PathId,
    /// The slot that holds the longest part of it; None where no slot is in use.
    pub from: Option<S>,
    /// How many tokens of the path it holds.
    pub keep: u32,
    /// The tokens to evaluate. None for the path without tokens, whose logits are those that the
    /// cover began with.
    pub tokens: Vec<Token>,
}

/// The heaviest path that spells x exactly, where a turn comes to rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Resting<S> {
    /// It is evaluated, in this slot.
    Hypothesis(S, PathId),
    /// It has to be evaluated first.
    Unevaluated(Evaluation<S>),
}

impl<S: Copy> Cover<S> {
    /// The evaluations to do now, heaviest first, at most `room` (free slots): of the unevaluated
    /// hypotheses whose share exceeds ε for every token that it takes. Empty when the step may be
    /// [finished](Cover::finish).
    #[must_use]
    pub fn wanted(&self, room: usize) -> Vec<Evaluation<S>> {
        let least = self.total() * self.budget.epsilon;
        let mut chosen: Vec<&Unevaluated> = self
            .unevaluated
            .iter()
            .filter(|u| u.share > least && u.share > least * self.cost(u))
            .collect();
        chosen.sort_by(|a, b| b.share.total_cmp(&a.share));
        if !self.budget.exact() {
            chosen.truncate(self.places_for(&chosen));
        }
        if chosen.is_empty() && self.hypotheses.is_empty() {
            // However light: without a hypothesis there is no prediction.
            chosen.extend(
                self.unevaluated
                    .iter()
                    .max_by(|a, b| a.share.total_cmp(&b.share)),
            );
        }
        chosen.truncate(room);
        chosen.iter().map(|u| self.evaluation(u.path)).collect()
    }

    /// Tokens that an evaluation takes: one for a fork, more for a late one.
    fn cost(&self, unevaluated: &Unevaluated) -> f64 {
        let (_, keep) = self.resident(unevaluated.path);
        f64::from(self.paths.len(unevaluated.path).saturating_sub(keep).max(1))
    }

    /// How many of the chosen (heaviest first) belong to the heaviest hypotheses that the budget
    /// allows.
    fn places_for(&self, chosen: &[&Unevaluated]) -> usize {
        let cap = self.budget.hypotheses.max(1);
        let mut shares: Vec<f64> = self.hypotheses.iter().map(Hypothesis::share).collect();
        shares.sort_by(|a, b| b.total_cmp(a));
        (0..chosen.len().min(cap))
            .take_while(|&i| {
                // With i + 1 more, the hypotheses beyond the cap must be lighter than this one.
                shares
                    .get(cap - i - 1)
                    .is_none_or(|&displaced| displaced < chosen[i].share)
            })
            .count()
    }

    fn evaluation(&self, path: PathId) -> Evaluation<S> {
        let (from, keep) = self.resident(path);
        Evaluation {
            path,
            from,
            keep,
            tokens: self.paths.tokens(path, keep),
        }
    }

    /// The slot that holds the longest part of `path`, and how much of it. At least the last token
    /// of the path is left to evaluate, because its logits are what is wanted.
    pub(super) fn resident(&self, path: PathId) -> (Option<S>, u32) {
        let most = self.paths.len(path).saturating_sub(1);
        self.hypotheses
            .iter()
            .chain(&self.dead)
            .map(|h| (Some(h.slot), self.paths.common(h.path, path).min(most)))
            .max_by_key(|&(_, keep)| keep)
            .unwrap_or((None, 0))
    }

    fn heaviest_hypothesis(&self) -> Option<&Hypothesis<S>> {
        self.hypotheses
            .iter()
            .max_by(|a, b| a.share().total_cmp(&b.share()))
    }

    /// The heaviest hypothesis: its slot, its path, and how many of the last bytes of x that does
    /// not spell. None between [`Cover::end`] and [`Cover::begin`].
    pub(crate) fn heaviest(&self) -> Option<(S, PathId, usize)> {
        let heaviest = self.heaviest_hypothesis()?;
        Some((heaviest.slot, heaviest.path, heaviest.at.depth()))
    }

    /// Tokens that the hypotheses' paths hold together, at most: what one shares with the heaviest
    /// counts once.
    pub(crate) fn resident_tokens(&self) -> u32 {
        let Some((_, heaviest, _)) = self.heaviest() else {
            return 0;
        };
        let own = |h: &Hypothesis<S>| self.paths.len(h.path) - self.paths.common(h.path, heaviest);
        self.paths.len(heaviest) + self.hypotheses.iter().map(own).sum::<u32>()
    }

    /// Whether x cannot be spelled by anything the cover holds.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.total() <= 0.0 || (self.hypotheses.is_empty() && self.unevaluated.is_empty())
    }

    /// Gives up the paths of a [lost](Cover::is_lost) cover and goes on from the heaviest of them
    /// with the bytes it did not spell tokenised anew. None if no token spells them: the hypothesis
    /// then stays where its path ended, as if they had not been said.
    pub fn recover(&mut self) -> Option<Evaluation<S>> {
        self.unevaluated.clear();
        self.dead.append(&mut self.hypotheses);
        let heaviest = (0..self.dead.len())
            .max_by(|&a, &b| self.dead[a].weight.total_cmp(&self.dead[b].weight))?;
        let path = self.dead[heaviest].path;
        // The cursor stopped where it could not follow: what is left is counted from the path.
        let spelled = self.spelled_bytes(path).min(self.text.len());
        let tail = self.text[spelled..].to_vec();
        let Some(path) = self.spell(path, &tail) else {
            let mut hypothesis = self.dead.swap_remove(heaviest);
            hypothesis.at = Cursor::ROOT;
            hypothesis.weight = 1.0;
            hypothesis.live =
                hypothesis
                    .dist
                    .masses(&self.vocab, hypothesis.at, &mut hypothesis.masses);
            self.hypotheses.push(hypothesis);
            return None;
        };
        Some(self.evaluation(path))
    }

    /// `path` and then the tokens of `bytes`. None if no token spells them.
    fn spell(&mut self, path: PathId, bytes: &[u8]) -> Option<PathId> {
        let tokens = speller::greedy(&self.vocab, bytes).tokens;
        let push = |path, token: &Token| self.paths.push(path, *token);
        (!tokens.is_empty()).then(|| tokens.iter().fold(path, push))
    }

    fn spelled_bytes(&self, path: PathId) -> usize {
        let lens = self.paths.tokens(path, 0);
        lens.iter().map(|&t| self.vocab.piece_len(t)).sum()
    }

    /// Where the turn comes to rest: the heaviest path that spells x exactly or, failing that, the
    /// path of the heaviest hypothesis and the bytes it did not spell, tokenised.
    pub(crate) fn resting(&mut self) -> Option<Resting<S>> {
        let evaluated = self
            .hypotheses
            .iter()
            .filter(|h| h.at.depth() == 0)
            .max_by(|a, b| a.weight.total_cmp(&b.weight));
        let unevaluated = self
            .unevaluated
            .iter()
            .filter(|u| u.since == 0)
            .max_by(|a, b| a.base.total_cmp(&b.base));
        match (evaluated, unevaluated) {
            (Some(h), Some(u)) if u.base > h.weight => {
                Some(Resting::Unevaluated(self.evaluation(u.path)))
            }
            (Some(h), _) => Some(Resting::Hypothesis(h.slot, h.path)),
            (None, Some(u)) => Some(Resting::Unevaluated(self.evaluation(u.path))),
            (None, None) => self.rest_by_tokenising(),
        }
    }

    fn rest_by_tokenising(&mut self) -> Option<Resting<S>> {
        let (slot, path, rest) = self.heaviest()?;
        let tail = self.text[self.text.len() - rest..].to_vec();
        Some(match self.spell(path, &tail) {
            Some(path) => Resting::Unevaluated(self.evaluation(path)),
            None => Resting::Hypothesis(slot, path),
        })
    }

    /// Tokens of the heaviest path that spell what x has beyond the [given](Cover::mark_given)
    /// bytes, one begun but not spelled out included, and whether they spell it exactly.
    pub(crate) fn spelling(&self) -> (u32, bool) {
        let hypotheses = &self.hypotheses;
        let evaluated = hypotheses.iter().map(|h| (h.share(), h.path, h.at.depth()));
        let unevaluated = self.unevaluated.iter().map(|u| (u.share, u.path, u.since));
        evaluated
            .chain(unevaluated)
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
