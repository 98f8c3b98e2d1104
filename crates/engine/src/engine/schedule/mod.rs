//! A member's scheduler: what several conversations want evaluated goes into one batch.
//!
//! Every conversation of a pack is a *tenant* of every member. It has sequences of its own,
//! numbered from [`PREFIX`](crate::backend::PREFIX) on, and asks for evaluations through its
//! [`Lease`] as if it had the member to itself. The scheduler gives those sequences places in the
//! member's KV cache ([`places`]), puts what is asked for into batches ([`batches`]), and gives
//! every conversation its rows.
//!
//! * **Who goes first.** Who found no room in the last batch; then few tokens (answers under way)
//!   before many (prompts), and who began to work first before later ones.
//! * **When a batch begins.** Once no conversation could join it soon: all are idle, or wait for an
//!   evaluation somewhere ([`presence`]).
//! * **What does not fit** makes room: idle conversations leave the KV cache, those that were seen
//!   longest ago first, then those that began to work later. Who has left is read again when it
//!   asks for something. Where only those are left that began to work earlier, it waits for them.
//!   The first of those at work always goes on, so all do in the end; only what would not fit alone,
//!   or beside conversations that [stay](Presence::stay), is an error.
//!
//! All of it lives on the member's thread. Nothing here knows what sequences are for.

mod batches;
mod cells;
mod lease;
mod places;
mod presence;
mod tenant;
#[cfg(test)]
mod tests;

pub(super) use lease::{Lease, drive};
pub(super) use presence::{Presence, Pulse};
pub(super) use tenant::TenantId;

use super::meter::Operation;
use crate::backend::{BatchToken, Limits, Member, Pace, SeqId, Watch};
use cells::Cells;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use tenant::Tenant;

/// See the module.
pub(super) struct Scheduler {
    member: Box<dyn Member>,
    limits: Limits,
    pace: Pace,
    watch: Arc<Watch>,
    tenants: BTreeMap<TenantId, Tenant>,
    cells: Cells,
    /// Sequences of the member that hold nothing. Popped from the end: the lowest first.
    free: Vec<SeqId>,
    /// Batches so far.
    batches: u64,
    /// The batch under way.
    batch: Vec<BatchToken>,
    parts: Vec<batches::Part>,
    /// Conversations whose common batch failed: each tries alone.
    apart: VecDeque<TenantId>,
    /// Conversations whose request is done, in the order of their rows.
    finished: Vec<TenantId>,
    /// How often a conversation had to leave the KV cache.
    evictions: u64,
    /// Everything asked of the member since recording began.
    record: Option<Vec<Operation>>,
}

impl Scheduler {
    /// Of a member that nobody has used.
    pub fn new(member: Box<dyn Member>, watch: Arc<Watch>, pace: Pace) -> Self {
        let limits = member.limits();
        Self {
            member,
            limits,
            pace,
            watch,
            tenants: BTreeMap::new(),
            cells: Cells::default(),
            free: (0..limits.sequences).rev().collect(),
            batches: 0,
            batch: Vec::new(),
            parts: Vec::new(),
            apart: VecDeque::new(),
            finished: Vec::new(),
            evictions: 0,
            record: None,
        }
    }

    /// Whether a conversation waits for an evaluation.
    pub fn has_requests(&self) -> bool {
        self.tenants.values().any(Tenant::is_waiting)
    }

    /// The conversations whose requests are done, in the order of their rows, which are there until
    /// the next batch.
    pub fn take_finished(&mut self, into: &mut Vec<TenantId>) {
        into.append(&mut self.finished);
    }

    /// Records what is asked of the member from now on.
    pub fn start_record(&mut self) {
        self.record = Some(Vec::new());
    }

    /// What was recorded.
    pub fn take_record(&mut self) -> Vec<Operation> {
        self.record.take().unwrap_or_default()
    }

    /// Conversations, and how often one of them had to leave the KV cache.
    pub fn occupancy(&self) -> Occupancy {
        Occupancy {
            conversations: self.tenants.len(),
            sequences: self.limits.sequences as usize - self.free.len(),
            cells: self.cells.resident(),
            evictions: self.evictions,
        }
    }

    /// The member itself, for replays.
    pub fn member(&mut self) -> &mut dyn Member {
        &mut *self.member
    }

    fn note(&mut self, operation: Operation) {
        if let Some(record) = &mut self.record {
            record.push(operation);
        }
    }
}

/// How full a member's KV cache is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Occupancy {
    /// Conversations that are open.
    pub conversations: usize,
    /// Sequences of the KV cache that hold something.
    pub sequences: usize,
    /// Its cells that hold something.
    pub cells: usize,
    /// How often a conversation had to leave it so far.
    pub evictions: u64,
}
