//! A conversation's part of a member.

use super::Scheduler;
use super::places::{sequence, unknown};
use super::presence::Presence;
use super::tenant::{Sequence, State, Tenant, TenantId};
use crate::backend::{
    BackendError, BatchToken, Limits, PREFIX, Pace, SeqId, Token, Tokenize, Vocab,
};
use crate::engine::meter::Spent;
use std::cell::{Ref, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::{Context, Poll, Waker};

/// What a conversation has in a member: it looks like a [`Member`](crate::backend::Member) of its
/// own whose evaluations are waited for. When it is dropped, everything in it is given back.
pub(in crate::engine) struct Lease {
    scheduler: Rc<RefCell<Scheduler>>,
    id: TenantId,
    limits: Limits,
    vocab: Arc<Vocab>,
}

impl Lease {
    /// A lease for conversation `id`, of the prefix's sequence alone.
    pub fn new(
        scheduler: &Rc<RefCell<Scheduler>>,
        id: TenantId,
        presence: Arc<Presence>,
        cancel: Arc<AtomicBool>,
    ) -> Self {
        let mut inner = scheduler.borrow_mut();
        let vocab = Arc::clone(inner.member.vocab());
        let limits = Limits {
            sequences: 1,
            ..inner.limits
        };
        let tenant = Tenant::new(presence, cancel, limits, vocab.len());
        inner.tenants.insert(id, tenant);
        drop(inner);
        Self {
            scheduler: Rc::clone(scheduler),
            id,
            limits,
            vocab,
        }
    }

    /// Leases so many sequences from now on, or all that the member has. Those beyond the prefix
    /// have to be empty.
    pub fn resize(&mut self, sequences: u32) {
        let mut scheduler = self.scheduler.borrow_mut();
        self.limits.sequences = sequences.clamp(1, scheduler.limits.sequences);
        let (n, limits) = (self.limits.sequences as usize, self.limits);
        if let Some(tenant) = scheduler.tenants.get_mut(&self.id) {
            tenant.sequences.resize_with(n, Sequence::default);
            tenant.ledger.resize(limits);
        }
    }

    /// The conversation gets its name.
    pub fn move_in(&mut self, id: TenantId, presence: Arc<Presence>, cancel: Arc<AtomicBool>) {
        let mut scheduler = self.scheduler.borrow_mut();
        if let Some(tenant) = scheduler.tenants.remove(&self.id) {
            let tenant = Tenant {
                presence,
                cancel,
                ..tenant
            };
            scheduler.tenants.insert(id, tenant);
        }
        drop(scheduler);
        self.id = id;
    }

    /// The conversation.
    pub fn id(&self) -> TenantId {
        self.id
    }

    fn tenant<T>(&self, look: impl FnOnce(&Tenant) -> T) -> Option<T> {
        self.scheduler.borrow().tenants.get(&self.id).map(look)
    }

    /// The member's vocabulary.
    pub fn vocab(&self) -> &Arc<Vocab> {
        &self.vocab
    }

    /// How the member's batches are shaped.
    pub fn pace(&self) -> Pace {
        self.scheduler.borrow().pace
    }

    /// What the member's context holds, with the sequences of this lease.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Most tokens of a prompt to ask for at once: few while answers of others are under way.
    pub fn prompt_batch(&self) -> u32 {
        let scheduler = self.scheduler.borrow();
        let mut others = scheduler.tenants.iter().filter(|(id, _)| **id != self.id);
        match others.any(|(_, tenant)| tenant.is_answering()) {
            true => self.limits.batch.min(scheduler.pace.beside as u32),
            false => self.limits.batch,
        }
    }

    /// Evaluates a batch, perhaps together with what others ask for; rows are readable afterwards,
    /// up to the next wait.
    ///
    /// # Errors
    /// As [`Member::decode`](crate::backend::Member::decode).
    pub async fn decode(&mut self, batch: &[BatchToken]) -> Result<(), BackendError> {
        self.scheduler.borrow_mut().submit(self.id, batch)?;
        poll_fn(|_| {
            let mut scheduler = self.scheduler.borrow_mut();
            let Some(tenant) = scheduler.tenants.get_mut(&self.id) else {
                return Poll::Ready(Err(unknown()));
            };
            match std::mem::replace(&mut tenant.state, State::Idle) {
                State::Done(result) => Poll::Ready(result),
                other => {
                    tenant.state = other;
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Logits after entry `index` of the last batch.
    ///
    /// # Errors
    /// [`BackendError::Refused`] if it did not ask for them, or another batch came since.
    pub fn logits(&self, index: usize) -> Result<Ref<'_, [f32]>, BackendError> {
        let scheduler = self.scheduler.borrow();
        let tenant = scheduler.tenants.get(&self.id).ok_or_else(unknown)?;
        tenant.ledger.check_row(index)?;
        let (start, batch) = tenant.rows;
        if batch != scheduler.batches {
            let gone = "rows of logits that are gone: another batch was evaluated";
            return Err(BackendError::Refused(gone.into()));
        }
        let row = start + index;
        scheduler.member.logits(row)?;
        Ok(Ref::map(scheduler, |s| {
            s.member.logits(row).unwrap_or_default()
        }))
    }

    /// Makes the empty sequence `to` share the first `len` tokens of `from`.
    ///
    /// # Errors
    /// As [`Member::seq_copy`](crate::backend::Member::seq_copy).
    pub fn seq_copy(&mut self, from: SeqId, to: SeqId, len: u32) -> Result<(), BackendError> {
        self.copy_from((self.id, from), to, len)
    }

    /// As [`Lease::seq_copy`], from a sequence of another conversation.
    ///
    /// # Errors
    /// As [`Lease::seq_copy`].
    pub fn copy_from(
        &mut self,
        (owner, from): (TenantId, SeqId),
        to: SeqId,
        len: u32,
    ) -> Result<(), BackendError> {
        let mut guard = self.scheduler.borrow_mut();
        let scheduler = &mut *guard;
        let source = sequence(&mut scheduler.tenants, owner, from)?;
        let cells = source
            .cells
            .get(..len as usize)
            .ok_or_else(unknown)?
            .to_vec();
        let is_present = source.present >= len as usize;
        let tenant = scheduler.tenants.get_mut(&self.id).ok_or_else(unknown)?;
        match owner == self.id {
            true => tenant.ledger.copy(from, to, len)?,
            false => tenant.ledger.adopt(to, len)?,
        }
        scheduler.cells.share(&cells);
        tenant.sequences[to as usize].cells = cells;
        // Otherwise it gets a place when it is first needed.
        if is_present && len > 0 && scheduler.has_place(self.id)? {
            let place = scheduler.take_place();
            sequence(&mut scheduler.tenants, self.id, to)?.place = place;
            scheduler.copy_present(self.id, to, (owner, from))?;
        }
        Ok(())
    }

    /// Cuts a sequence down to its first `len` tokens (0 frees it).
    ///
    /// # Errors
    /// As [`Member::seq_truncate`](crate::backend::Member::seq_truncate).
    pub fn seq_truncate(&mut self, seq: SeqId, len: u32) -> Result<(), BackendError> {
        let mut guard = self.scheduler.borrow_mut();
        let scheduler = &mut *guard;
        let tenant = scheduler.tenants.get_mut(&self.id).ok_or_else(unknown)?;
        tenant.ledger.truncate(seq, len)?;
        scheduler.cut(self.id, seq, len as usize)?;
        let sequence = sequence(&mut scheduler.tenants, self.id, seq)?;
        sequence.shorten(len as usize, &mut scheduler.cells);
        Ok(())
    }

    /// Length of a sequence: tokens.
    pub fn seq_len(&self, seq: SeqId) -> u32 {
        self.tenant(|t| t.ledger.len(seq)).unwrap_or(0)
    }

    /// Whether the conversation is cancelled, for long work between two evaluations.
    pub fn cancelled(&self) -> bool {
        self.tenant(Tenant::is_cancelled).unwrap_or(false)
    }

    /// What the conversation has spent so far.
    pub fn spent(&self) -> Spent {
        self.tenant(|t| t.spent).unwrap_or_default()
    }

    /// Whether no other conversation is open.
    fn alone<'a>(&self, scheduler: &'a mut Scheduler) -> Result<&'a mut Scheduler, BackendError> {
        match scheduler.tenants.len() {
            1 => Ok(scheduler),
            n => Err(BackendError::Refused(format!(
                "the state of a KV cache that {n} conversations share"
            ))),
        }
    }

    /// The prefix's part of the KV cache as bytes. No other conversation may be open.
    ///
    /// # Errors
    /// As [`Member::save`](crate::backend::Member::save).
    pub fn save(&mut self) -> Result<Vec<u8>, BackendError> {
        let mut guard = self.scheduler.borrow_mut();
        let scheduler = self.alone(&mut guard)?;
        let tenant = scheduler.tenants.get(&self.id).ok_or_else(unknown)?;
        tenant.ledger.only_prefix()?;
        let prefix = &tenant.sequences[PREFIX as usize];
        if prefix.present < prefix.cells.len() {
            let gone = "the state of a prefix that has left the KV cache";
            return Err(BackendError::Refused(gone.into()));
        }
        scheduler.move_prefix(self.id)?;
        scheduler.member.save()
    }

    /// Fills the empty cache with a prefix that was [saved](Lease::save).
    ///
    /// # Errors
    /// As [`Member::restore`](crate::backend::Member::restore).
    pub fn restore(&mut self, state: &[u8], tokens: &[Token]) -> Result<(), BackendError> {
        let mut guard = self.scheduler.borrow_mut();
        let scheduler = self.alone(&mut guard)?;
        let len = tokens.len() as u32;
        let tenant = scheduler.tenants.get_mut(&self.id).ok_or_else(unknown)?;
        tenant.ledger.check_restore(len)?;
        scheduler.member.restore(state, len)?;
        tenant.ledger.restored(len);
        let cells = tokens.iter().map(|&token| scheduler.cells.add(token));
        let cells: Vec<_> = cells.collect();
        scheduler.cells.came(&cells);
        scheduler.free.retain(|&place| place != PREFIX);
        let prefix = &mut tenant.sequences[PREFIX as usize];
        (prefix.present, prefix.cells, prefix.place) = (cells.len(), cells, Some(PREFIX));
        Ok(())
    }
}

impl Tokenize for Lease {
    fn pieces(&self) -> &Arc<Vocab> {
        &self.vocab
    }

    fn split(&mut self, text: &str, markup: bool) -> Result<Vec<Token>, BackendError> {
        self.scheduler.borrow_mut().member.tokenize(text, markup)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // It is borrowed where a panic came from inside; then nobody uses it any more.
        let Ok(mut guard) = self.scheduler.try_borrow_mut() else {
            return;
        };
        let scheduler = &mut *guard;
        let sequences = scheduler
            .tenants
            .get(&self.id)
            .map_or(0, |t| t.sequences.len());
        for seq in 0..sequences as SeqId {
            // A sequence that cannot be freed is lost, and nothing else.
            drop(scheduler.cut(self.id, seq, 0));
        }
        let Some(mut tenant) = scheduler.tenants.remove(&self.id) else {
            return;
        };
        for sequence in &mut tenant.sequences {
            sequence.shorten(0, &mut scheduler.cells);
        }
        if tenant.is_waiting() {
            tenant.presence.go_on();
        }
    }
}

/// Runs what one conversation does to its end, evaluating all that is asked for meanwhile.
pub(in crate::engine) fn drive<T>(
    scheduler: &RefCell<Scheduler>,
    work: impl Future<Output = T>,
) -> T {
    let mut work = pin!(work);
    loop {
        match work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(done) => return done,
            Poll::Pending => {
                scheduler.borrow_mut().evaluate();
            }
        }
    }
}
