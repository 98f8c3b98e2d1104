//! Paths that differ only long ago are one.
//!
//! Two token paths that spell the same bytes and agree in their last tokens are followed by nearly the
//! same text, whatever split the bytes before: to evaluate both tells next to nothing, and for as
//! long as both live every token would be evaluated twice. The lighter of two such *twins* is
//! therefore folded into the heavier, share for share. At ε = 0 nothing is.

use super::{Candidate, Cover, PathId, Paths};

/// How many last tokens twins share.
const SHARED: usize = 2;

impl Cover {
    /// Folds the candidates from number `first` on, which are new, into their twins, if they have any.
    pub(super) fn fold_twins(&mut self, first: usize) {
        if self.budget.exact() {
            return;
        }
        let mut i = first;
        while i < self.candidates.len() {
            let new = self.candidates[i].clone();
            let twin = |path, depth| depth == new.since && are_twins(&self.paths, path, new.path);
            let head = self.heads.iter().position(|h| twin(h.path, h.at.depth()));
            let other = self.candidates[..i]
                .iter()
                .position(|c| twin(c.path, c.since));
            if let Some(h) = head {
                let head = &mut self.heads[h];
                if head.live > 0.0 {
                    head.weight += new.share / head.live;
                    self.candidates.remove(i);
                    continue;
                }
            }
            if let Some(c) = other {
                self.candidates.remove(i);
                fold(&mut self.candidates[c], new);
                continue;
            }
            i += 1;
        }
    }
}

fn fold(into: &mut Candidate, new: Candidate) {
    let (base, share) = (into.base + new.base, into.share + new.share);
    if new.share > into.share {
        *into = new;
    }
    (into.base, into.share) = (base, share);
}

/// Whether two paths, which end at the same byte, agree in their last [`SHARED`] tokens.
fn are_twins(paths: &Paths, mut a: PathId, mut b: PathId) -> bool {
    for _ in 0..SHARED {
        if a == b {
            return true;
        }
        if paths.token(a) != paths.token(b) {
            return false;
        }
        (a, b) = (paths.parent(a), paths.parent(b));
    }
    true
}
