//! From what conversations ask for to batches.

use super::places::sequence;
use super::tenant::{State, Tenant, TenantId};
use super::{Operation, Scheduler};
use crate::backend::{BackendError, BatchToken, SeqId};
use crate::engine::meter::Part as RecordedPart;
use std::time::Instant;

/// Requests of at most so many tokens are of answers under way, and go before prompts.
const FEW: usize = 16;

/// Most tokens that a prompt adds to a batch while answers of others are under way: they wait for
/// it at every token.
pub(super) const BESIDE_ANSWERS: usize = 32;

/// Most cells that idle conversations may hold. A batch looks at all cells up to the last one in
/// use.
const IDLE_CELLS: usize = 1024;

/// What a batch does for one conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub tenant: TenantId,
    /// Tokens of the batch.
    start: usize,
    len: usize,
    /// Its request, or part of a sequence that had left the KV cache.
    is_request: bool,
    /// The sequence that comes back.
    seq: SeqId,
}

impl Scheduler {
    /// Evaluates one batch of what is asked for. Every request that is done then, or failed, is
    /// among the [finished](Scheduler::take_finished).
    pub fn evaluate(&mut self) {
        self.drop_cancelled();
        let queue = self.queue();
        let Some(&first) = queue.first() else {
            return;
        };
        match self.fill(&queue).and_then(|()| self.decode()) {
            Ok(()) => {}
            // Whoever fails alone knows its error; together, the first one tries alone.
            Err(_) if self.parts.len() > 1 => {
                let oldest = self.oldest(&queue).unwrap_or(first);
                self.evaluate_alone(oldest);
            }
            Err(error) => {
                let failed = self.parts.first().map_or(first, |part| part.tenant);
                self.fail(failed, error);
            }
        }
        self.parts.clear();
    }

    /// Gives one request a batch of its own.
    fn evaluate_alone(&mut self, id: TenantId) {
        let result = self.fill(&[id]).and_then(|()| self.decode());
        if let Err(error) = result {
            self.fail(id, error);
        }
    }

    /// Requests of conversations that are cancelled are not evaluated.
    fn drop_cancelled(&mut self) {
        for (&id, tenant) in &mut self.tenants {
            if tenant.is_waiting() && tenant.is_cancelled() {
                tenant.finish(Err(BackendError::Cancelled));
                self.finished.push(id);
            }
        }
    }

    /// Who waits, in the order in which they are served.
    fn queue(&self) -> Vec<TenantId> {
        let waiting = self.tenants.iter().filter(|(_, t)| t.is_waiting());
        let order = |tenant: &Tenant| {
            let rank = tenant.presence.rank().unwrap_or(u64::MAX);
            (tenant.request.len() > FEW, rank)
        };
        let mut queue: Vec<_> = waiting.map(|(&id, t)| (order(t), id)).collect();
        queue.sort_unstable();
        queue.into_iter().map(|(_, id)| id).collect()
    }

    /// Who began to work first of those who wait: it always goes on.
    fn oldest(&self, queue: &[TenantId]) -> Option<TenantId> {
        let rank = |id: &TenantId| self.tenants.get(id).map(|t| t.presence.rank());
        queue.iter().copied().min_by_key(|id| match rank(id) {
            Some(Ok(rank)) => (rank, *id),
            _ => (u64::MAX, *id),
        })
    }

    /// Puts a batch together. Whoever finds no room waits, unless nobody is left to wait for.
    fn fill(&mut self, queue: &[TenantId]) -> Result<(), BackendError> {
        self.batch.clear();
        self.parts.clear();
        self.keep_idle_within(IDLE_CELLS)?;
        for &id in queue {
            self.add(id)?;
        }
        if self.parts.is_empty()
            && let Some(id) = self.oldest(queue)
        {
            // It has the cache to itself by now: the member says whether that is enough.
            self.add_whatever_room(id)?;
        }
        Ok(())
    }

    /// Adds what a conversation needs next, if there is room in the batch and in the cache.
    fn add(&mut self, id: TenantId) -> Result<(), BackendError> {
        let (batch, outputs) = self.room_in_batch();
        let Some(tenant) = self.tenants.get(&id) else {
            return Ok(());
        };
        let needed = match tenant.missing() {
            Some(_) => 1,
            None => tenant.request.len(),
        };
        let rows = tenant.request.iter().filter(|entry| entry.output).count();
        if needed > batch || rows > outputs {
            return Ok(());
        }
        match tenant.missing() {
            None => {
                if self.make_cells(id, needed)? {
                    self.add_request(id);
                }
                Ok(())
            }
            Some(seq) => self.add_missing(id, seq, batch),
        }
    }

    /// As [`Scheduler::add`], with no regard to the cells that are in use.
    fn add_whatever_room(&mut self, id: TenantId) -> Result<(), BackendError> {
        match self.tenants.get(&id).and_then(Tenant::missing) {
            None => self.add_request(id),
            Some(seq) if !self.is_placed(id, seq) && !self.place(id, seq)? => {
                return Err(BackendError::NoSequence);
            }
            Some(seq) => self.add_tokens(id, seq, self.limits.batch as usize),
        }
        Ok(())
    }

    /// Tokens and rows that the batch has room for.
    fn room_in_batch(&self) -> (usize, usize) {
        let rows = self.batch.iter().filter(|entry| entry.output).count();
        let (tokens, outputs) = (self.limits.batch as usize, self.limits.outputs as usize);
        (tokens - self.batch.len(), outputs - rows)
    }

    /// Makes sure that the cache has room for so many more tokens. False if it has not.
    fn make_cells(&mut self, id: TenantId, tokens: usize) -> Result<bool, BackendError> {
        let context = self.limits.context as usize;
        while self.cells.resident() + self.batch.len() + tokens > context {
            if !self.make_room(id)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The request of a conversation whose sequences are all in the cache.
    fn add_request(&mut self, id: TenantId) {
        let Some(tenant) = self.tenants.get(&id) else {
            return;
        };
        let start = self.batch.len();
        let placed = tenant.request.iter().filter_map(|entry| {
            let place = tenant.sequences[entry.seq as usize].place;
            place.map(|seq| BatchToken { seq, ..*entry })
        });
        self.batch.extend(placed);
        self.parts.push(Part {
            tenant: id,
            start,
            len: self.batch.len() - start,
            is_request: true,
            seq: 0,
        });
    }

    fn is_placed(&self, id: TenantId, seq: SeqId) -> bool {
        let sequence = self.tenants.get(&id).map(|t| &t.sequences[seq as usize]);
        sequence.is_some_and(|s| s.place.is_some())
    }

    /// A part of a sequence that has left the cache, or all of it.
    fn add_missing(&mut self, id: TenantId, seq: SeqId, room: usize) -> Result<(), BackendError> {
        if !self.is_placed(id, seq) && !self.place(id, seq)? {
            return Ok(());
        }
        let others = self
            .tenants
            .iter()
            .any(|(&other, t)| other != id && t.is_answering());
        let most = match others {
            true => room.min(BESIDE_ANSWERS),
            false => room,
        };
        let missing = self.tenants.get(&id).map_or(0, |t| {
            let sequence = &t.sequences[seq as usize];
            sequence.cells.len() - sequence.present
        });
        if missing == 0 {
            // Another conversation had all of it: what is missing next, or the request.
            return self.add(id);
        }
        let tokens = missing.min(most);
        if self.make_cells(id, tokens)? {
            self.add_tokens(id, seq, tokens);
        }
        Ok(())
    }

    /// So many of the next tokens of a sequence that is not all in the cache.
    fn add_tokens(&mut self, id: TenantId, seq: SeqId, most: usize) {
        let Some(sequence) = self.tenants.get(&id).map(|t| &t.sequences[seq as usize]) else {
            return;
        };
        let Some(place) = sequence.place else { return };
        let start = self.batch.len();
        let cells = sequence.cells[sequence.present..].iter().take(most);
        let entries = (sequence.present as u32..).zip(cells);
        self.batch.extend(entries.map(|(pos, &cell)| BatchToken {
            token: self.cells.token(cell),
            pos,
            seq: place,
            output: false,
        }));
        self.parts.push(Part {
            tenant: id,
            start,
            len: self.batch.len() - start,
            is_request: false,
            seq,
        });
    }

    /// Evaluates the batch and tells the conversations.
    fn decode(&mut self) -> Result<(), BackendError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let flags = self.parts.iter();
        let flags = flags.filter_map(|part| self.tenants.get(&part.tenant));
        self.watch.is_for(flags.map(|tenant| &tenant.cancel));
        self.record_batch();
        let start = Instant::now();
        let result = self.member.decode(&self.batch);
        let time = start.elapsed();
        self.watch.is_for(std::iter::empty());
        self.batches += 1;
        for part in &self.parts {
            if let Some(tenant) = self.tenants.get_mut(&part.tenant) {
                let share = part.len as f64 / self.batch.len() as f64;
                tenant.spent.time += time.mul_f64(share);
                tenant.spent.tokens += part.len;
                tenant.spent.decodes += 1;
            }
        }
        result?;
        for part in std::mem::take(&mut self.parts) {
            self.settle(part)?;
        }
        Ok(())
    }

    fn record_batch(&mut self) {
        if self.record.is_none() {
            return;
        }
        let parts = self.parts.iter().map(|part| RecordedPart {
            conversation: part.tenant,
            call: self.tenants.get(&part.tenant).map_or(0, |t| t.call),
            tokens: part.len,
        });
        let parts = parts.collect();
        self.note(Operation::Decode(self.batch.clone(), parts));
    }

    /// A part of the batch is in the cache.
    fn settle(&mut self, part: Part) -> Result<(), BackendError> {
        if !part.is_request {
            let sequence = sequence(&mut self.tenants, part.tenant, part.seq)?;
            let came = sequence.present..sequence.present + part.len;
            sequence.present = came.end;
            self.cells.came(&sequence.cells[came]);
            return Ok(());
        }
        let Some(tenant) = self.tenants.get_mut(&part.tenant) else {
            return Ok(());
        };
        for entry in &tenant.request {
            let sequence = &mut tenant.sequences[entry.seq as usize];
            let cell = self.cells.add(entry.token);
            self.cells.came(&[cell]);
            sequence.cells.push(cell);
            sequence.present += 1;
        }
        tenant.rows = (part.start, self.batches);
        tenant.finish(Ok(()));
        self.finished.push(part.tenant);
        Ok(())
    }

    fn fail(&mut self, id: TenantId, error: BackendError) {
        if let Some(tenant) = self.tenants.get_mut(&id)
            && tenant.is_waiting()
        {
            tenant.finish(Err(error));
            self.finished.push(id);
        }
    }
}

impl Scheduler {
    /// Puts a request into the queue.
    pub(super) fn submit(
        &mut self,
        id: TenantId,
        batch: &[BatchToken],
    ) -> Result<(), BackendError> {
        let tenant = self
            .tenants
            .get_mut(&id)
            .ok_or_else(super::places::unknown)?;
        tenant.ledger.check(batch)?;
        tenant.request.clear();
        tenant.request.extend_from_slice(batch);
        tenant.call = tenant.presence.call();
        tenant.state = State::Waiting;
        tenant.presence.wait();
        Ok(())
    }
}
