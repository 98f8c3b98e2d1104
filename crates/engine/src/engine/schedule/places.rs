//! Places in the KV cache: which sequence of the member holds a conversation's sequence, and who
//! leaves where there is no room.

use super::batches::Part;
use super::tenant::{Sequence, Tenant, TenantId};
use super::{Operation, Scheduler};
use crate::backend::{BackendError, PREFIX, SeqId};

impl Scheduler {
    /// The member's sequence `from` is copied.
    fn copy(&mut self, from: SeqId, to: SeqId, len: usize) -> Result<(), BackendError> {
        self.note(Operation::Copy(from, to, len as u32));
        self.member.seq_copy(from, to, len as u32)
    }

    /// Cuts a conversation's sequence in the KV cache to `len` tokens, if more of it is there.
    pub(super) fn cut(&mut self, id: TenantId, seq: SeqId, len: usize) -> Result<(), BackendError> {
        let sequence = sequence(&mut self.tenants, id, seq)?;
        let Some(place) = sequence.place else {
            return Ok(());
        };
        if sequence.present <= len && len > 0 {
            return Ok(());
        }
        self.cells.left(&sequence.cells[len..sequence.present]);
        sequence.present = len;
        if len == 0 {
            sequence.place = None;
            self.free.push(place);
        }
        self.note(Operation::Truncate(place, len as u32));
        self.member.seq_truncate(place, len as u32)
    }

    /// Whether there is a place for another sequence of conversation `id`, perhaps because others
    /// left for it.
    pub(super) fn has_place(&mut self, id: TenantId) -> Result<bool, BackendError> {
        while self.free.is_empty() {
            if !self.make_room(id)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Makes sure that the cache has room for so many more tokens of conversation `id` beside those
    /// of the batch. Nobody leaves in vain.
    pub(super) fn make_cells(&mut self, id: TenantId, tokens: usize) -> Result<(), BackendError> {
        let (context, more) = (self.limits.context, self.batch.len() + tokens);
        let is_full = |held: usize| held + more > context as usize;
        if !is_full(self.cells.resident()) {
            return Ok(());
        }
        let sequences = self.may_leave_for(id).flat_map(|(_, t)| &t.sequences);
        let leaving = sequences.flat_map(|s| &s.cells[..s.present]).copied();
        if is_full(self.cells.resident() - self.cells.only_in(leaving)) {
            return Err(BackendError::ContextFull { context });
        }
        while is_full(self.cells.resident()) && self.make_room(id)? {}
        Ok(())
    }

    /// A free place. In a replay it may hold what came there later, so it is emptied then.
    pub(super) fn take_place(&mut self) -> Option<SeqId> {
        let place = self.free.pop()?;
        self.note(Operation::Truncate(place, 0));
        Some(place)
    }

    /// Moves the prefix of the only conversation to the member's first sequence.
    pub(super) fn move_prefix(&mut self, id: TenantId) -> Result<(), BackendError> {
        let prefix = sequence(&mut self.tenants, id, PREFIX)?;
        let (place, len) = (prefix.place, prefix.present);
        let Some(from) = place.filter(|&place| place != PREFIX) else {
            return Ok(());
        };
        prefix.place = Some(PREFIX);
        self.free.retain(|&place| place != PREFIX);
        self.copy(from, PREFIX, len)?;
        self.free.push(from);
        self.note(Operation::Truncate(from, 0));
        self.member.seq_truncate(from, 0)
    }

    /// Copies to `seq` what another sequence of the KV cache already holds of it. It has to have a
    /// place free of anything.
    pub(super) fn copy_present(
        &mut self,
        id: TenantId,
        seq: SeqId,
        source: (TenantId, SeqId),
    ) -> Result<(), BackendError> {
        let wanted = self.find(id, seq)?;
        let from = self.find(source.0, source.1)?;
        let len = wanted.shared_with(from);
        let Some((from, to)) = from.place.zip(wanted.place) else {
            return Ok(());
        };
        self.copy(from, to, len)?;
        let sequence = sequence(&mut self.tenants, id, seq)?;
        sequence.present = len;
        self.cells.came(&sequence.cells[..len]);
        Ok(())
    }

    /// Gives a sequence a place in the KV cache, and copies what others hold of it if that is more
    /// than it has there itself.
    pub(super) fn place(&mut self, id: TenantId, seq: SeqId) -> Result<(), BackendError> {
        if self.find(id, seq)?.place.is_none() && !self.has_place(id)? {
            return Err(BackendError::NoSequence);
        }
        let source = self.best_source(id, seq)?;
        if source.is_some() {
            self.cut(id, seq, 0)?;
        }
        if self.find(id, seq)?.place.is_none() {
            let place = self.take_place();
            sequence(&mut self.tenants, id, seq)?.place = place;
        }
        if let Some(source) = source {
            self.copy_present(id, seq, source)?;
        }
        Ok(())
    }

    /// Whether a part of the batch under way brings the next cell that a sequence misses.
    pub(super) fn is_coming(&self, id: TenantId, seq: SeqId) -> Result<bool, BackendError> {
        let wanted = self.find(id, seq)?;
        let next = wanted.cells.get(wanted.present);
        let brings = |part: &Part| {
            let coming = self.find(part.tenant, part.seq).ok()?;
            let cells = coming
                .cells
                .get(coming.present..coming.present + part.len)?;
            next.filter(|next| !part.is_request && cells.contains(next))
        };
        Ok(self.parts.iter().any(|part| brings(part).is_some()))
    }

    /// The sequence in the KV cache that has most of this one, and more than it has itself.
    fn best_source(
        &self,
        id: TenantId,
        seq: SeqId,
    ) -> Result<Option<(TenantId, SeqId)>, BackendError> {
        let wanted = self.find(id, seq)?;
        let mut best = (wanted.present, None);
        for (&owner, tenant) in &self.tenants {
            for (other, sequence) in (0..).zip(&tenant.sequences) {
                let shared = match (owner, other) == (id, seq) {
                    true => 0,
                    false => wanted.shared_with(sequence),
                };
                if shared > best.0 {
                    best = (shared, Some((owner, other)));
                }
            }
        }
        Ok(best.1)
    }

    /// Conversations that leave the KV cache where conversation `id` needs room: not those that
    /// began to work before it, stay there, or are part of the batch under way.
    fn may_leave_for(&self, id: TenantId) -> impl Iterator<Item = (TenantId, &Tenant)> {
        let own = self.tenants.get(&id).map(|t| t.presence.rank());
        let own = own.and_then(Result::ok).unwrap_or(u64::MAX);
        let leaves = move |&(other, tenant): &(TenantId, &Tenant)| {
            other != id
                && tenant.holds_places()
                && tenant.presence.may_leave()
                && tenant.presence.rank().map_or(true, |rank| rank > own)
                && self.parts.iter().all(|part| part.tenant != other)
        };
        let all = self.tenants.iter().map(|(&other, tenant)| (other, tenant));
        all.filter(leaves)
    }

    /// Lets a conversation leave the KV cache for conversation `id`. False if there is none.
    pub(super) fn make_room(&mut self, id: TenantId) -> Result<bool, BackendError> {
        // Idle ones first, the one seen longest ago; then who began to work last.
        let order = |(_, tenant): &(TenantId, &Tenant)| match tenant.presence.rank() {
            Err(seen) => (0, seen),
            Ok(rank) => (1, u64::MAX - rank),
        };
        let Some((victim, _)) = self.may_leave_for(id).min_by_key(order) else {
            return Ok(false);
        };
        self.evict(victim)?;
        Ok(true)
    }

    /// Whether others that began to work before conversation `id` hold something in the KV cache.
    /// They will not for ever, because nothing keeps the first of all from going on.
    pub(super) fn is_behind(&self, id: TenantId) -> bool {
        let rank = |id: TenantId| self.tenants.get(&id)?.presence.rank().ok();
        let own = rank(id).unwrap_or(u64::MAX);
        let mut others = self.tenants.iter();
        others.any(|(&other, t)| t.holds_places() && rank(other).is_some_and(|rank| rank < own))
    }

    /// All of a conversation leaves the KV cache. Its sequences stay what they are.
    pub(super) fn evict(&mut self, id: TenantId) -> Result<(), BackendError> {
        let sequences = self.tenants.get(&id).map_or(0, |t| t.sequences.len());
        self.evictions += 1;
        (0..sequences as SeqId).try_for_each(|seq| self.cut(id, seq, 0))
    }

    /// Idle conversations leave until they hold at most `most` cells of the KV cache.
    pub(super) fn keep_idle_within(&mut self, most: usize) -> Result<(), BackendError> {
        if self.tenants.len() < 2 {
            return Ok(());
        }
        let (mut idle, mut at_work) = (Vec::new(), 0);
        for (&id, tenant) in &self.tenants {
            let held = tenant.sequences.iter().map(|s| s.present).max();
            let held = held.unwrap_or(0);
            match tenant.presence.rank() {
                Err(seen) if held > 0 && !tenant.is_waiting() && tenant.presence.may_leave() => {
                    idle.push((seen, id))
                }
                _ => at_work += held,
            }
        }
        idle.sort_unstable();
        for (_, id) in idle {
            if self.cells.resident().saturating_sub(at_work) <= most {
                break;
            }
            self.evict(id)?;
        }
        Ok(())
    }

    fn find(&self, id: TenantId, seq: SeqId) -> Result<&Sequence, BackendError> {
        let tenant = self.tenants.get(&id).ok_or_else(unknown)?;
        tenant.sequences.get(seq as usize).ok_or_else(unknown)
    }
}

/// A sequence of a conversation.
pub(super) fn sequence(
    tenants: &mut std::collections::BTreeMap<TenantId, Tenant>,
    id: TenantId,
    seq: SeqId,
) -> Result<&mut Sequence, BackendError> {
    let tenant = tenants.get_mut(&id).ok_or_else(unknown)?;
    tenant.sequences.get_mut(seq as usize).ok_or_else(unknown)
}

pub(super) fn unknown() -> BackendError {
    BackendError::Refused("no such conversation or sequence".into())
}
