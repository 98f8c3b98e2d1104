//! The cover: a member's next-symbol distribution as a marginal over every token path.
//!
//! # Invariant
//!
//! Let x be the bytes since the cover began. Every token path whose bytes run through x and end
//! strictly beyond it, or exactly at it, is accounted for exactly once: by a *head* (a path that was
//! evaluated; its next token covers what is left of x) or by a *candidate* (a path that was not).
//!
//! * A head has a weight w (probability of its path, relative to the whole cover), the distribution
//!   after its path, and a cursor: the `rest` of x that its path does not spell yet. Its share is
//!   w · mass(tokens strictly longer than `rest`), END included when `rest` is empty.
//! * A candidate stands for a path whose last token ends `since` bytes ago. Its share is its path's
//!   probability times what the [prior](super::prior) gave those bytes.
//!
//! Weights are rescaled at every byte so that the shares sum to 1: p(s | x) is the sum of the shares
//! that go on with s. Advancing by a byte moves every head's cursor; tokens that end exactly there
//! become new candidates (*forks*). Candidates above ε of the whole are then evaluated and become
//! heads ([`Cover::wanted`], [`Cover::admit`]): a fork at once, an older one by replaying the bytes
//! since (a *rescue*, which must be worth ε for every token it takes). Paths that differ only long ago
//! are folded into one. At ε = 0 every candidate is evaluated, nothing is folded, and the cover
//! is exact over all segmentations.
//!
//! The cover itself evaluates nothing and knows no KV cache but the names of its sequences, so that
//! it is pure arithmetic: [`crate::engine`] drives it.

use super::dist::Dist;
use super::prior::{Heads, Prior};
use super::sorted::{Cursor, SortedVocab};
use super::{END, Row, SYMBOLS};
use crate::backend::{BackendError, SeqId, Token};
use std::sync::Arc;

mod budget;
mod path;
mod predict;
mod select;
mod twins;

pub use budget::Budget;
pub use path::{PathId, Paths};
use predict::Given;
pub use select::{Plan, Resting};

/// Candidates below this share leave: they could only matter if all others fell as far.
const NEGLIGIBLE: f64 = 1e-12;

/// Most candidates kept, the lightest leave.
const MAX_CANDIDATES: usize = 64;

/// Smallest weight, relative to its parent, of the chain's own token: its path is known to be the
/// text, however unlikely the model finds it.
const CHAIN_FLOOR: f64 = 1e-30;

/// An evaluated path.
#[derive(Debug)]
struct Head {
    path: PathId,
    seq: SeqId,
    dist: Dist,
    at: Cursor,
    weight: f64,
    /// Next-symbol masses at the cursor.
    masses: Box<Row>,
    /// Their sum.
    live: f64,
}

impl Head {
    fn share(&self) -> f64 {
        self.weight * self.live
    }
}

/// A path that was not evaluated.
#[derive(Debug, Clone)]
struct Candidate {
    path: PathId,
    /// Probability of the path, in the scale of the heads' weights.
    base: f64,
    /// `base` times what the prior gave the bytes since.
    share: f64,
    /// Bytes of x after the path.
    since: usize,
    /// How many of those bytes were already searched for forks: all for a head that was evicted.
    searched: usize,
}

/// All token paths that spell what was said since the cover began. See the module.
#[derive(Debug)]
pub struct Cover {
    vocab: Arc<SortedVocab>,
    budget: Budget,
    prior: Prior,
    paths: Paths,
    heads: Vec<Head>,
    candidates: Vec<Candidate>,
    /// Heads that lost their last token at this byte: their sequences serve until the step ends.
    dead: Vec<Head>,
    released: Vec<SeqId>,
    pool: Vec<(Dist, Box<Row>)>,
    /// x, and for each of its bytes what the prior gave it.
    text: Vec<u8>,
    priors: Vec<Given>,
    /// Bytes of x that were there when the answer began.
    given: usize,
    /// Byte before x, for the prior.
    before: Option<u8>,
    from_heads: Heads,
    predicted: Box<Row>,
    /// Share of the prediction that came from the prior, and its sum over the steps so far.
    unevaluated: f64,
    skipped: f64,
    steps: usize,
}

impl Cover {
    /// An empty cover; [`Cover::begin`] gives it a first head.
    #[must_use]
    pub fn new(vocab: Arc<SortedVocab>, budget: Budget) -> Self {
        let row = || Box::new([0.0; SYMBOLS]);
        Self {
            vocab,
            budget,
            prior: Prior::default(),
            paths: Paths::default(),
            heads: Vec::new(),
            candidates: Vec::new(),
            dead: Vec::new(),
            released: Vec::new(),
            pool: Vec::new(),
            text: Vec::new(),
            priors: Vec::new(),
            given: 0,
            before: None,
            from_heads: Heads::default(),
            predicted: row(),
            unevaluated: 0.0,
            skipped: 0.0,
            steps: 0,
        }
    }

    /// Starts anew: x is empty, one head in sequence `seq` predicts it with `logits`. `before` is the
    /// byte in front of x. What the prior has learnt stays. All earlier sequences are released.
    ///
    /// # Errors
    /// [`BackendError::NotANumber`].
    pub fn begin(
        &mut self,
        seq: SeqId,
        logits: &[f32],
        before: Option<u8>,
    ) -> Result<(), BackendError> {
        self.end();
        self.before = before;
        let head = self.new_head(PathId::START, seq, logits, 1.0)?;
        self.heads.push(head);
        self.finish(None);
        Ok(())
    }

    /// Forgets what the prior has learnt.
    pub fn unlearn(&mut self) {
        self.prior = Prior::default();
    }

    /// Forgets all paths and releases their sequences.
    pub fn end(&mut self) {
        self.dead.append(&mut self.heads);
        self.bury();
        self.candidates.clear();
        self.paths.clear();
        self.text.clear();
        self.priors.clear();
        self.given = 0;
        (self.skipped, self.steps) = (0.0, 0);
    }

    /// p(s | x) over the 257 symbols; sums to 1.
    #[must_use]
    pub fn predicted(&self) -> &Row {
        &self.predicted
    }

    /// Mean over the bytes so far of the share of the prediction that came from the prior.
    #[must_use]
    pub fn skipped_mass(&self) -> f64 {
        if self.steps == 0 {
            0.0
        } else {
            self.skipped / self.steps as f64
        }
    }

    /// Share of the present prediction that came from the prior.
    #[must_use]
    pub fn unevaluated(&self) -> f64 {
        self.unevaluated
    }

    /// How much of it is evaluated.
    #[must_use]
    pub fn budget(&self) -> Budget {
        self.budget
    }

    /// What x holds by now is the prompt's; [`Cover::spelling`] counts tokens from here on.
    pub fn mark_given(&mut self) {
        self.given = self.text.len();
    }

    /// How many bytes of x are the prompt's.
    #[must_use]
    pub fn given(&self) -> usize {
        self.given
    }

    /// x.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Token paths.
    #[must_use]
    pub fn paths(&self) -> &Paths {
        &self.paths
    }

    /// Sequences no longer needed since this was last asked.
    pub fn take_released(&mut self) -> Vec<SeqId> {
        std::mem::take(&mut self.released)
    }

    fn new_head(
        &mut self,
        path: PathId,
        seq: SeqId,
        logits: &[f32],
        weight: f64,
    ) -> Result<Head, BackendError> {
        let precision = self.budget.precision();
        let (mut dist, mut masses) = self
            .pool
            .pop()
            .unwrap_or_else(|| (Dist::new(precision), Box::new([0.0; SYMBOLS])));
        dist.fill(&self.vocab, logits)?;
        let live = dist.masses(&self.vocab, Cursor::ROOT, &mut masses);
        Ok(Head {
            path,
            seq,
            dist,
            at: Cursor::ROOT,
            weight,
            masses,
            live,
        })
    }

    /// First part of a step: x grows by `byte`; heads that cannot spell it die, tokens that end here
    /// become candidates. Then [`Cover::wanted`] and [`Cover::admit`] until nothing is wanted, then
    /// [`Cover::finish`].
    pub fn advance(&mut self, byte: u8) {
        self.observe(byte);
        let known = self.candidates.len();
        for mut head in std::mem::take(&mut self.heads) {
            match self.vocab.child(head.at, byte) {
                Some(at) => {
                    head.at = at;
                    self.fork(&head, 0);
                    head.live = head.dist.masses(&self.vocab, at, &mut head.masses);
                    if self.vocab.branches(at).next().is_some() {
                        self.heads.push(head);
                    } else {
                        self.dead.push(head);
                    }
                }
                None => self.dead.push(head),
            }
        }
        self.fold_twins(known);
    }

    fn last_byte(&self) -> Option<u8> {
        self.text.last().copied().or(self.before)
    }

    /// Adds a candidate for every token that ends at the head's cursor, `since` bytes ago.
    fn fork(&mut self, head: &Head, since: usize) {
        let given = self.given_since(since);
        let vocab = Arc::clone(&self.vocab);
        for &token in vocab.exact(head.at) {
            let base = head.weight * head.dist.token(token);
            if base > 0.0 {
                let path = self.paths.push(head.path, token);
                let share = base * given;
                self.candidates.push(Candidate {
                    path,
                    base,
                    share,
                    since,
                    searched: 0,
                });
            }
        }
    }

    /// Turns a wanted candidate into a head, given the logits after its path: replays the bytes
    /// since, true masses in place of the prior's.
    ///
    /// # Errors
    /// [`BackendError::NotANumber`].
    pub fn admit(&mut self, plan: &Plan, seq: SeqId, logits: &[f32]) -> Result<(), BackendError> {
        let Some(i) = self.candidates.iter().position(|c| c.path == plan.path) else {
            // Made by `recover`: a path that was never a candidate.
            let head = self.new_head(plan.path, seq, logits, 1.0)?;
            self.heads.push(head);
            return Ok(());
        };
        let candidate = self.candidates.remove(i);
        let known = self.candidates.len();
        let mut head = self.new_head(candidate.path, seq, logits, candidate.base)?;
        let from = self.text.len() - candidate.since;
        let mut alive = true;
        for i in 0..candidate.since {
            let Some(at) = self.vocab.child(head.at, self.text[from + i]) else {
                alive = false;
                break;
            };
            head.at = at;
            if i >= candidate.searched {
                self.fork(&head, candidate.since - i - 1);
            }
        }
        if alive && candidate.since > 0 {
            head.live = head.dist.masses(&self.vocab, head.at, &mut head.masses);
            alive = self.vocab.branches(head.at).next().is_some();
        }
        if alive {
            self.heads.push(head)
        } else {
            self.dead.push(head)
        }
        self.fold_twins(known);
        Ok(())
    }

    /// Last part of a step: bounds heads and candidates, rescales the shares to 1, and predicts the
    /// next symbol. A `pinned` path (the chain's) is never evicted.
    pub fn finish(&mut self, pinned: Option<PathId>) {
        if !self.budget.exact() {
            self.evict(pinned);
        }
        self.bury();
        self.drop_negligible(pinned);
        let total = self.total();
        if total > 0.0 {
            let scale = 1.0 / total;
            self.heads.iter_mut().for_each(|h| h.weight *= scale);
            for c in &mut self.candidates {
                c.base *= scale;
                c.share *= scale;
            }
        }
        self.predict();
    }

    /// Sum of all shares.
    fn total(&self) -> f64 {
        self.heads.iter().map(Head::share).sum::<f64>()
            + self.candidates.iter().map(|c| c.share).sum::<f64>()
    }

    /// The lightest heads over the cap become candidates that know their true mass.
    fn evict(&mut self, pinned: Option<PathId>) {
        while self.heads.len() > self.budget.heads.max(1) {
            let lightest = self
                .heads
                .iter()
                .enumerate()
                .filter(|(_, h)| Some(h.path) != pinned)
                .min_by(|(_, a), (_, b)| a.share().total_cmp(&b.share()))
                .map(|(i, _)| i);
            let Some(i) = lightest else { return };
            let head = self.heads.remove(i);
            let since = head.at.depth();
            self.candidates.push(Candidate {
                path: head.path,
                base: head.weight,
                share: head.share(),
                since,
                searched: since,
            });
            self.dead.push(head);
        }
    }

    fn drop_negligible(&mut self, pinned: Option<PathId>) {
        let least = self.total() * NEGLIGIBLE;
        self.candidates
            .retain(|c| c.share > least || Some(c.path) == pinned);
        if self.candidates.len() > MAX_CANDIDATES && !self.budget.exact() {
            self.candidates.sort_by(|a, b| b.share.total_cmp(&a.share));
            self.candidates.truncate(MAX_CANDIDATES);
        }
    }

    /// Releases the sequences of the dead and keeps their buffers.
    fn bury(&mut self) {
        while let Some(head) = self.dead.pop() {
            self.release(head);
        }
    }

    fn release(&mut self, head: Head) {
        self.released.push(head.seq);
        self.pool.push((head.dist, head.masses));
    }

    /// Evaluates nothing but the chain: makes the head for the chain's next token, which ends here,
    /// from the logits after it. Returns its path, to be pinned.
    ///
    /// # Errors
    /// [`BackendError::NotANumber`].
    pub fn follow(
        &mut self,
        parent: PathId,
        token: Token,
        logits: &[f32],
    ) -> Result<PathId, BackendError> {
        let found = self.candidates.iter().position(|c| {
            c.since == 0
                && self.paths.token(c.path) == Some(token)
                && self.paths.parent(c.path) == parent
        });
        let (path, weight) = match found {
            Some(i) => {
                let c = self.candidates.remove(i);
                (c.path, c.base)
            }
            None => {
                let weight = self
                    .heads
                    .iter()
                    .chain(&self.dead)
                    .find(|h| h.path == parent)
                    .map_or(1.0, |h| h.weight);
                (self.paths.push(parent, token), weight * CHAIN_FLOOR)
            }
        };
        let head = self.new_head(path, SeqId::MAX, logits, weight)?;
        self.heads.push(head);
        Ok(path)
    }

    /// Probability of END here, over all heads.
    #[must_use]
    pub fn end_probability(&self) -> f64 {
        self.predicted[END]
    }
}
