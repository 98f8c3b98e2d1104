//! Members that were lost: where it is wished, the others go on without them.

use super::{EngineError, Lockstep};
use crate::backend::BackendError;

impl Lockstep {
    /// Whether the others go on after this failure of a member: it was lost, they are to
    /// [outlive](super::Fusion::outlive) it, and somebody is left. From then on it has no part in
    /// the conversation, until [`Lockstep::clear`].
    pub fn goes_on_without(&mut self, error: &EngineError) -> bool {
        let lost = self.lost_by(error).filter(|&k| !self.lost[k]);
        let Some(k) = lost.filter(|_| self.fusion.outlive) else {
            return false;
        };
        let left = (0..self.lost.len()).any(|other| other != k && self.is_present(other));
        if left {
            self.lose(&[k]);
        }
        left
    }

    /// Which members were lost, in order.
    #[must_use]
    pub fn lost(&self) -> &[bool] {
        &self.lost
    }

    /// The member that an error says was lost.
    pub(super) fn lost_by(&self, error: &EngineError) -> Option<usize> {
        match error {
            EngineError::Member {
                member,
                source: BackendError::Lost { .. },
            } => self
                .engine
                .members
                .iter()
                .position(|one| one.name == *member),
            _ => None,
        }
    }

    /// Whether a member could speak, if it did not rest.
    fn is_present(&self, k: usize) -> bool {
        !self.silent[k] && !self.lost[k]
    }

    pub(super) fn lose(&mut self, lost: &[usize]) {
        for &k in lost {
            self.lost[k] = true;
            self.lambda[k] = 0.0;
        }
        self.find_ending_members();
    }
}
