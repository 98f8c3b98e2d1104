//! The cover: a member's next-symbol distribution as a marginal over every token path.
//!
//! # Invariant
//!
//! Let x be the bytes since the cover began. Every token path whose bytes run through x and end
//! exactly at its end or beyond it is accounted for exactly once: by a *hypothesis* (a path that
//! was evaluated; its next token covers what is left of x) or by an *unevaluated hypothesis* (a
//! path that was not).
//!
//! * A hypothesis has a weight w (probability of its path, relative to the whole cover), the
//!   distribution after its path, and a cursor: the `rest` of x that its path does not spell yet.
//!   Its share is w · mass(tokens strictly longer than `rest`), END included when `rest` is empty.
//! * An unevaluated hypothesis stands for a path whose last token ended `since` bytes ago. Its
//!   share is its path's probability times what the fallback model gave those bytes.
//!
//! Weights are rescaled at every byte so that the shares sum to 1: p(s | x) is the sum of the
//! shares that go on with s. A byte moves the cursor of every hypothesis; tokens that end exactly
//! there become new unevaluated hypotheses (*forks*). Those above ε of the whole are then evaluated
//! ([`Cover::wanted`], [`Cover::admit`]): a fork at once, an older one by replaying the bytes since
//! (a *late evaluation*, which must be worth ε for every token it takes). Paths that differ only
//! long ago are recombined into one. At ε = 0 every hypothesis is evaluated, nothing is recombined,
//! and the cover is exact over all segmentations.
//!
//! # Use
//!
//! The cover is arithmetic alone: it evaluates nothing. It says which paths it wants evaluated, and
//! is given the logits after each. With every hypothesis it keeps a *slot* of any type S, which
//! says where its evaluation lives, a sequence of a KV cache for example, and gives slots back when
//! they are no longer needed. Here every path is evaluated alone, from the first token on, so that
//! nothing has to be remembered and a slot is `()`:
//!
//! ```
//! use packllm_engine::backend::fake::{FakeMember, FakeOptions};
//! use packllm_engine::backend::{BackendError, Member};
//! use packllm_engine::vocab::cover::{Budget, Cover};
//! use packllm_engine::vocab::sorted::SortedVocab;
//! use std::sync::Arc;
//!
//! let vocab = FakeMember::vocab_of(&[b"a", b"b", b"ab"], true);
//! let member = FakeMember::new(vocab, FakeOptions::default());
//! let mut cover = Cover::new(Arc::new(SortedVocab::new(member.vocab())), Budget::default());
//! cover.begin((), &member.rule(&[]), None)?;
//! for byte in *b"abba" {
//!     cover.advance(byte);
//!     loop {
//!         let wanted = cover.wanted(usize::MAX);
//!         if wanted.is_empty() {
//!             break;
//!         }
//!         for evaluation in wanted {
//!             let path = cover.paths().tokens(evaluation.path, 0);
//!             cover.admit(&evaluation, (), &member.rule(&path))?;
//!         }
//!     }
//!     cover.finish(None);
//! }
//! let sum: f64 = cover.predicted().iter().sum();
//! assert!((sum - 1.0).abs() < 1e-12);
//! # Ok::<(), BackendError>(())
//! ```
//!
//! A text that no tokens spell leaves the cover [lost](Cover::is_lost), and it can
//! [recover](Cover::recover). In a pack the engine does all this, the paths of a byte in one batch.

use super::dist::Dist;
use super::fallback::{FallbackModel, HypothesisMasses};
use super::sorted::{Cursor, SortedVocab};
use super::{Row, SYMBOLS};
use crate::backend::BackendError;
use std::sync::Arc;

mod bounds;
mod budget;
mod follow;
mod path;
mod predict;
mod recombine;
mod select;

pub use budget::Budget;
pub use path::{PathId, Paths};
use predict::ByteFallback;
pub use select::Evaluation;
pub(crate) use select::Resting;

/// An evaluated path.
#[derive(Debug)]
struct Hypothesis<S> {
    path: PathId,
    slot: S,
    dist: Dist,
    at: Cursor,
    weight: f64,
    /// Next-symbol masses at the cursor.
    masses: Box<Row>,
    /// Their sum.
    live: f64,
}

impl<S> Hypothesis<S> {
    fn share(&self) -> f64 {
        self.weight * self.live
    }
}

/// A path that was not evaluated.
#[derive(Debug, Clone)]
struct Unevaluated {
    path: PathId,
    /// Probability of the path, in the scale of the hypotheses' weights.
    base: f64,
    /// `base` times what the fallback model gave the bytes since.
    share: f64,
    /// Bytes of x after the path.
    since: usize,
    /// How many of those bytes were already searched for forks: all, if it was evicted.
    searched: usize,
}

/// All token paths that spell what was said since the cover began. See the module.
#[derive(Debug)]
pub struct Cover<S> {
    vocab: Arc<SortedVocab>,
    budget: Budget,
    fallback: FallbackModel,
    paths: Paths,
    hypotheses: Vec<Hypothesis<S>>,
    unevaluated: Vec<Unevaluated>,
    /// Hypotheses that lost their last token at this byte: their slots serve until the step ends.
    dead: Vec<Hypothesis<S>>,
    released: Vec<S>,
    pool: Vec<(Dist, Box<Row>)>,
    /// x, and for each of its bytes what the fallback model gave it.
    text: Vec<u8>,
    fallbacks: Vec<ByteFallback>,
    /// Bytes of x that were there when the answer began.
    given: usize,
    /// Byte before x, for the fallback model.
    before: Option<u8>,
    from_hypotheses: HypothesisMasses,
    predicted: Box<Row>,
    /// Share of the prediction that came from the fallback model, and its sum over the steps so
    /// far.
    skipped: f64,
    skipped_sum: f64,
    steps: usize,
}

impl<S: Copy> Cover<S> {
    /// An empty cover; [`Cover::begin`] gives it a first hypothesis.
    #[must_use]
    pub fn new(vocab: Arc<SortedVocab>, budget: Budget) -> Self {
        Self {
            vocab,
            budget,
            fallback: FallbackModel::default(),
            paths: Paths::default(),
            hypotheses: Vec::new(),
            unevaluated: Vec::new(),
            dead: Vec::new(),
            released: Vec::new(),
            pool: Vec::new(),
            text: Vec::new(),
            fallbacks: Vec::new(),
            given: 0,
            before: None,
            from_hypotheses: HypothesisMasses::default(),
            predicted: Box::new([0.0; SYMBOLS]),
            skipped: 0.0,
            skipped_sum: 0.0,
            steps: 0,
        }
    }

    /// Starts anew: x is empty, one hypothesis in `slot` predicts it with `logits`. `before` is the
    /// byte in front of x. What the fallback model has learnt stays. All earlier slots are
    /// released.
    ///
    /// # Errors
    /// [`BackendError::NotANumber`].
    pub fn begin(
        &mut self,
        slot: S,
        logits: &[f32],
        before: Option<u8>,
    ) -> Result<(), BackendError> {
        self.end();
        self.before = before;
        let first = self.hypothesis(PathId::START, slot, logits, 1.0)?;
        self.hypotheses.push(first);
        self.finish(None);
        Ok(())
    }

    /// Forgets what the fallback model has learnt.
    pub(crate) fn unlearn(&mut self) {
        self.fallback = FallbackModel::default();
    }

    /// Forgets all paths and releases their slots.
    pub fn end(&mut self) {
        self.dead.append(&mut self.hypotheses);
        self.bury();
        self.unevaluated.clear();
        self.paths.clear();
        self.text.clear();
        self.fallbacks.clear();
        self.given = 0;
        (self.skipped_sum, self.steps) = (0.0, 0);
    }

    /// p(s | x) over the 257 symbols; sums to 1.
    #[must_use]
    pub fn predicted(&self) -> &Row {
        &self.predicted
    }

    /// Share of the present prediction that came from the fallback model.
    #[must_use]
    pub fn skipped(&self) -> f64 {
        self.skipped
    }

    /// Mean of that share over the bytes so far.
    #[must_use]
    pub fn skipped_mass(&self) -> f64 {
        if self.steps == 0 {
            0.0
        } else {
            self.skipped_sum / self.steps as f64
        }
    }

    /// How much of it is evaluated.
    #[must_use]
    pub fn budget(&self) -> Budget {
        self.budget
    }

    /// What x holds by now is the prompt's; [`Cover::spelling`] counts tokens from here on.
    pub(crate) fn mark_given(&mut self) {
        self.given = self.text.len();
    }

    /// How many bytes of x are the prompt's.
    pub(crate) fn given(&self) -> usize {
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

    /// Slots no longer needed since this was last asked.
    pub fn take_released(&mut self) -> Vec<S> {
        std::mem::take(&mut self.released)
    }

    /// A hypothesis whose path ends at the end of x, from the logits after it.
    fn hypothesis(
        &mut self,
        path: PathId,
        slot: S,
        logits: &[f32],
        weight: f64,
    ) -> Result<Hypothesis<S>, BackendError> {
        let precision = self.budget.precision();
        let (mut dist, mut masses) = self
            .pool
            .pop()
            .unwrap_or_else(|| (Dist::new(precision), Box::new([0.0; SYMBOLS])));
        dist.fill(&self.vocab, logits)?;
        let live = dist.masses(&self.vocab, Cursor::ROOT, &mut masses);
        Ok(Hypothesis {
            path,
            slot,
            dist,
            at: Cursor::ROOT,
            weight,
            masses,
            live,
        })
    }

    /// First part of a step: x grows by `byte`; hypotheses that cannot spell it die, and tokens
    /// that end here become unevaluated hypotheses. Then [`Cover::wanted`] and [`Cover::admit`]
    /// until nothing is wanted, then [`Cover::finish`].
    pub fn advance(&mut self, byte: u8) {
        self.observe(byte);
        let known = self.unevaluated.len();
        for mut hypothesis in std::mem::take(&mut self.hypotheses) {
            match self.vocab.child(hypothesis.at, byte) {
                Some(at) => {
                    hypothesis.at = at;
                    self.fork(&hypothesis, 0);
                    hypothesis.live =
                        hypothesis
                            .dist
                            .masses(&self.vocab, at, &mut hypothesis.masses);
                    if self.vocab.branches(at).next().is_some() {
                        self.hypotheses.push(hypothesis);
                    } else {
                        self.dead.push(hypothesis);
                    }
                }
                None => self.dead.push(hypothesis),
            }
        }
        self.recombine(known);
    }

    fn last_byte(&self) -> Option<u8> {
        self.text.last().copied().or(self.before)
    }

    /// Adds an unevaluated hypothesis for every token that ends at the cursor, `since` bytes ago.
    fn fork(&mut self, from: &Hypothesis<S>, since: usize) {
        let given = self.fallback_since(since);
        let vocab = Arc::clone(&self.vocab);
        for &token in vocab.exact(from.at) {
            let base = from.weight * from.dist.token(token);
            if base > 0.0 {
                let path = self.paths.push(from.path, token);
                let share = base * given;
                self.unevaluated.push(Unevaluated {
                    path,
                    base,
                    share,
                    since,
                    searched: 0,
                });
            }
        }
    }

    /// An [evaluation](Cover::wanted) is done: its path becomes a hypothesis in `slot`, given the
    /// logits after it. The bytes since are replayed, with true masses in place of the fallback
    /// model's.
    ///
    /// # Errors
    /// [`BackendError::NotANumber`].
    pub fn admit(
        &mut self,
        evaluation: &Evaluation<S>,
        slot: S,
        logits: &[f32],
    ) -> Result<(), BackendError> {
        let path = evaluation.path;
        let Some(i) = self.unevaluated.iter().position(|u| u.path == path) else {
            // Made by `recover`: a path that the cover did not hold.
            let hypothesis = self.hypothesis(path, slot, logits, 1.0)?;
            self.hypotheses.push(hypothesis);
            return Ok(());
        };
        let late = self.unevaluated.remove(i);
        let known = self.unevaluated.len();
        let mut hypothesis = self.hypothesis(path, slot, logits, late.base)?;
        let from = self.text.len() - late.since;
        let mut alive = true;
        for i in 0..late.since {
            let Some(at) = self.vocab.child(hypothesis.at, self.text[from + i]) else {
                alive = false;
                break;
            };
            hypothesis.at = at;
            if i >= late.searched {
                self.fork(&hypothesis, late.since - i - 1);
            }
        }
        if alive && late.since > 0 {
            let at = hypothesis.at;
            hypothesis.live = hypothesis
                .dist
                .masses(&self.vocab, at, &mut hypothesis.masses);
            alive = self.vocab.branches(at).next().is_some();
        }
        if alive {
            self.hypotheses.push(hypothesis)
        } else {
            self.dead.push(hypothesis)
        }
        self.recombine(known);
        Ok(())
    }

    /// Sum of all shares.
    fn total(&self) -> f64 {
        self.hypotheses.iter().map(Hypothesis::share).sum::<f64>()
            + self.unevaluated.iter().map(|u| u.share).sum::<f64>()
    }
}
