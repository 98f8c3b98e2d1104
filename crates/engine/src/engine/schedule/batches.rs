//! From what conversations ask for to batches.

use super::places::sequence;
use super::tenant::{State, Tenant, TenantId};
use super::{Operation, Scheduler};
use crate::backend::{BackendError, BatchToken, SeqId};
use crate::engine::meter::Part as RecordedPart;
use std::time::Instant;

/// Requests of at most so many tokens are of answers under way, and go before prompts.
const FEW: usize = 16;

/// Most cells that idle conversations may hold. A batch looks at all cells up to the last one in
/// use.
const IDLE_CELLS: usize = 1024;

/// What a batch does for one conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub tenant: TenantId,
    /// Tokens of the batch.
    start: usize,
    pub len: usize,
    /// Its request, or part of a sequence that had left the KV cache.
    pub is_request: bool,
    /// The sequence that comes back.
    pub seq: SeqId,
}

impl Scheduler {
    /// Evaluates one batch of what is asked for. Every request that is done then, or failed, is
    /// among the [finished](Scheduler::take_finished). False if nothing was done, because all wait
    /// for room that others, who began to work before them, still need.
    pub fn evaluate(&mut self) -> bool {
        self.drop_cancelled();
        let queue = match self.next_apart() {
            Some(id) => vec![id],
            None => self.queue(),
        };
        let Some(&first) = queue.first() else {
            return true;
        };
        let result = self.fill(&queue).and_then(|()| self.decode());
        let nobody = result.is_ok() && self.batch.is_empty() && self.finished.is_empty();
        match result {
            Ok(()) => {}
            // Whoever fails alone knows its error; of several, each tries alone.
            Err(_) if self.parts.len() > 1 => {
                let together = self.parts.iter().map(|part| part.tenant);
                self.apart.extend(together);
            }
            Err(error) => {
                let failed = self.parts.first().map_or(first, |part| part.tenant);
                self.fail(failed, error);
            }
        }
        self.parts.clear();
        !nobody
    }

    /// Requests of conversations that are cancelled are not evaluated.
    fn drop_cancelled(&mut self) {
        let unwanted = |tenant: &Tenant| tenant.is_waiting() && tenant.is_cancelled();
        let cancelled = self.tenants.iter().filter(|(_, t)| unwanted(t));
        let cancelled: Vec<_> = cancelled.map(|(&id, _)| id).collect();
        for id in cancelled {
            self.fail(id, BackendError::Cancelled);
        }
    }

    /// Who has to try alone next, and still waits.
    fn next_apart(&mut self) -> Option<TenantId> {
        let waits = |id: &TenantId| self.tenants.get(id).is_some_and(Tenant::is_waiting);
        std::iter::from_fn(|| self.apart.pop_front()).find(waits)
    }

    /// Who waits, in the order in which they are served. Who found no room last time is first, so
    /// that nobody is passed over for ever.
    fn queue(&self) -> Vec<TenantId> {
        let waiting = self.tenants.iter().filter(|(_, t)| t.is_waiting());
        let order = |tenant: &Tenant| {
            let rank = tenant.presence.rank().unwrap_or(u64::MAX);
            let many = tenant.request.len() > FEW;
            (!tenant.left_out, many && !tenant.left_out, rank)
        };
        let mut queue: Vec<_> = waiting.map(|(&id, t)| (order(t), id)).collect();
        queue.sort_unstable();
        queue.into_iter().map(|(_, id)| id).collect()
    }

    /// Puts a batch together. Whoever finds no room waits, unless there is nobody to wait for: it
    /// would not fit alone. The batch may be empty.
    fn fill(&mut self, queue: &[TenantId]) -> Result<(), BackendError> {
        self.batch.clear();
        self.parts.clear();
        self.keep_idle_within(IDLE_CELLS)?;
        for &id in queue {
            let added = self.add(id);
            let is_in = self.parts.last().is_some_and(|part| part.tenant == id);
            if let Some(tenant) = self.tenants.get_mut(&id) {
                tenant.left_out = !is_in;
            }
            match added {
                Err(error @ (BackendError::ContextFull { .. } | BackendError::NoSequence)) => {
                    if self.parts.is_empty() && !self.is_behind(id) {
                        self.fail(id, error);
                    }
                }
                added => added?,
            }
        }
        Ok(())
    }

    /// Adds what a conversation needs next, if the batch has room for it.
    ///
    /// # Errors
    /// [`BackendError::ContextFull`], [`BackendError::NoSequence`] if the cache has none.
    fn add(&mut self, id: TenantId) -> Result<(), BackendError> {
        let (batch, outputs) = self.room_in_batch();
        let Some(tenant) = self.tenants.get(&id) else {
            return Ok(());
        };
        let missing = tenant.missing();
        let needed = match missing {
            Some(_) => 1,
            None => tenant.request.len(),
        };
        let rows = tenant.request.iter().filter(|entry| entry.output).count();
        if needed > batch || rows > outputs {
            return Ok(());
        }
        match missing {
            None => {
                self.make_cells(id, needed)?;
                self.add_request(id);
                Ok(())
            }
            Some(seq) => self.add_missing(id, seq, batch),
        }
    }

    /// Tokens and rows that the batch has room for.
    fn room_in_batch(&self) -> (usize, usize) {
        let rows = self.batch.iter().filter(|entry| entry.output).count();
        let (tokens, outputs) = (self.limits.batch as usize, self.limits.outputs as usize);
        (tokens - self.batch.len(), outputs - rows)
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

    /// A part of a sequence that has left the cache, or all of it.
    fn add_missing(&mut self, id: TenantId, seq: SeqId, room: usize) -> Result<(), BackendError> {
        // What another conversation reads again now is copied once it is there.
        self.place(id, seq)?;
        if self.is_coming(id, seq)? {
            return Ok(());
        }
        let others = self
            .tenants
            .iter()
            .any(|(&other, t)| other != id && t.is_answering());
        let most = match others {
            true => room.min(self.pace.beside),
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
        // Who came back in part would have to leave again where others grow.
        let request = self.tenants.get(&id).map_or(0, |t| t.request.len());
        self.make_cells(id, missing + request)?;
        self.add_tokens(id, seq, missing.min(most));
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

    /// A request failed. Places that it was to fill are given back.
    fn fail(&mut self, id: TenantId, error: BackendError) {
        let Some(tenant) = self.tenants.get_mut(&id).filter(|t| t.is_waiting()) else {
            return;
        };
        tenant.finish(Err(error));
        self.finished.push(id);
        let sequences = (0..).zip(&tenant.sequences);
        let empty = sequences.filter(|(_, s)| s.cells.is_empty());
        let empty: Vec<SeqId> = empty.map(|(seq, _)| seq).collect();
        for seq in empty {
            // A place that cannot be freed is lost, and nothing else.
            drop(self.cut(id, seq, 0));
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
        tenant.left_out = false;
        tenant.presence.wait();
        Ok(())
    }
}
