//! What a cover keeps at the end of a step.

use super::{Cover, Hypothesis, PathId, Unevaluated};

/// Unevaluated hypotheses below this share leave: they could only matter if all others fell as far.
const NEGLIGIBLE: f64 = 1e-12;

/// Largest probability of an unevaluated hypothesis's path, relative to the whole, which has shrunk
/// with every byte since: what is that old leaves before it overflows.
const LARGEST_BASE: f64 = 1e280;

/// Most unevaluated hypotheses kept, the lightest leave.
const MAX_UNEVALUATED: usize = 64;

impl<S: Copy> Cover<S> {
    /// Last part of a step: bounds the number of hypotheses, rescales the shares to 1, and predicts
    /// the next symbol. A `pinned` path is never evicted.
    pub fn finish(&mut self, pinned: Option<PathId>) {
        if !self.budget.exact() {
            self.evict(pinned);
        }
        self.bury();
        self.drop_negligible(pinned);
        let total = self.total();
        if total > 0.0 {
            let scale = 1.0 / total;
            self.hypotheses.iter_mut().for_each(|h| h.weight *= scale);
            for u in &mut self.unevaluated {
                u.base *= scale;
                u.share *= scale;
            }
        }
        self.predict();
    }

    /// The lightest hypotheses over the cap become unevaluated ones that know their true mass.
    pub(super) fn evict(&mut self, pinned: Option<PathId>) {
        while self.hypotheses.len() > self.budget.hypotheses.max(1) {
            let lightest = self
                .hypotheses
                .iter()
                .enumerate()
                .filter(|(_, h)| Some(h.path) != pinned)
                .min_by(|(_, a), (_, b)| a.share().total_cmp(&b.share()))
                .map(|(i, _)| i);
            let Some(i) = lightest else { return };
            let evicted = self.hypotheses.remove(i);
            let since = evicted.at.depth();
            self.unevaluated.push(Unevaluated {
                path: evicted.path,
                base: evicted.weight,
                share: evicted.share(),
                since,
                searched: since,
            });
            self.dead.push(evicted);
        }
    }

    fn drop_negligible(&mut self, pinned: Option<PathId>) {
        let least = self.total() * NEGLIGIBLE;
        self.unevaluated
            .retain(|u| (u.share > least && u.base < LARGEST_BASE) || Some(u.path) == pinned);
        if self.unevaluated.len() > MAX_UNEVALUATED && !self.budget.exact() {
            self.unevaluated.sort_by(|a, b| b.share.total_cmp(&a.share));
            self.unevaluated.truncate(MAX_UNEVALUATED);
        }
    }

    /// Releases the slots of the dead and keeps their buffers.
    pub(super) fn bury(&mut self) {
        while let Some(dead) = self.dead.pop() {
            self.release(dead);
        }
    }

    fn release(&mut self, dead: Hypothesis<S>) {
        self.released.push(dead.slot);
        self.pool.push((dead.dist, dead.masses));
    }

    /// Gives up slots in the middle of a step: those of the hypotheses over the cap, and of the
    /// dead but the one that holds most of the heaviest unevaluated hypothesis. A step whose late
    /// evaluations die and lead to further ones may need more slots than there are.
    pub fn make_room(&mut self)
    where
        S: PartialEq,
    {
        self.evict(None);
        let heaviest = self
            .unevaluated
            .iter()
            .max_by(|a, b| a.share.total_cmp(&b.share));
        let needed = heaviest.and_then(|u| self.resident(u.path).0);
        for i in (0..self.dead.len()).rev() {
            if Some(self.dead[i].slot) != needed {
                let dead = self.dead.swap_remove(i);
                self.release(dead);
            }
        }
    }
}
