//! Sequences of a member's KV cache for the hypotheses of a cover.
//!
//! A cover says what it wants evaluated; here that becomes batches, copies of sequences and cuts.
//! The slot of a hypothesis is its sequence.

use super::schedule::Lease;
use crate::backend::{BackendError, BatchToken, PREFIX, SeqId, Token};
use crate::vocab::cover::{Cover, Evaluation, PathId, Resting};
use prefetch::Prefetch;

pub(super) mod prefetch;
#[cfg(test)]
mod tests;

/// Hands out sequences and evaluates what a [`Cover`] wants. Sequence [`PREFIX`] holds the
/// committed tokens; every hypothesis has one of the others.
#[derive(Debug)]
pub(super) struct Branches {
    free: Vec<SeqId>,
    /// Tokens in the prefix when the cover began.
    base: u32,
    /// The last of them, evaluated again if the path without tokens is wanted back.
    last: Token,
    batch: Vec<BatchToken>,
    /// Where each evaluation's row of logits is.
    rows: Vec<(Evaluation<SeqId>, SeqId, RowPlace)>,
    prefetch: Prefetch,
}

/// Where a row of logits is.
#[derive(Debug, Clone, Copy)]
enum RowPlace {
    /// In the batch.
    Batch(usize),
    /// Among those that a draft brought.
    Prefetched(usize),
}

impl Branches {
    /// All sequences but the prefix are free.
    pub fn new(sequences: u32) -> Self {
        // Popped from the end: the lowest first.
        let free = (1..sequences).rev().collect();
        Self {
            free,
            base: 0,
            last: 0,
            batch: Vec::new(),
            rows: Vec::new(),
            prefetch: Prefetch::default(),
        }
    }

    /// Starts a cover at the end of the prefix, whose last token is `last` and is followed by
    /// `logits`. `before` is the last byte in front of the cover.
    ///
    /// # Errors
    /// From the member.
    pub fn begin(
        &mut self,
        cover: &mut Cover<SeqId>,
        member: &mut Lease,
        last: Token,
        logits: &[f32],
        before: Option<u8>,
    ) -> Result<(), BackendError> {
        self.forget(member)?;
        self.release(cover, member)?;
        self.base = member.seq_len(PREFIX);
        self.last = last;
        let seq = self.take(member)?;
        member.seq_copy(PREFIX, seq, self.base)?;
        let begun = cover.begin(seq, logits, before);
        if begun.is_err() {
            self.give_back(member, seq)?;
        }
        self.release(cover, member)?;
        begun
    }

    /// A free sequence. If there is none, what a draft brought is given up for it.
    fn take(&mut self, member: &mut Lease) -> Result<SeqId, BackendError> {
        if self.free.is_empty() {
            self.forget(member)?;
        }
        self.free.pop().ok_or(BackendError::NoSequence)
    }

    fn release(
        &mut self,
        cover: &mut Cover<SeqId>,
        member: &mut Lease,
    ) -> Result<(), BackendError> {
        for seq in cover.take_released() {
            member.seq_truncate(seq, 0)?;
            self.free.push(seq);
        }
        Ok(())
    }

    /// One step of the cover: x grows by `byte`, wanted paths are evaluated, the next symbol is
    /// predicted.
    ///
    /// # Errors
    /// From the member, or when an exact cover needs more hypotheses than there are sequences.
    pub async fn advance(
        &mut self,
        cover: &mut Cover<SeqId>,
        member: &mut Lease,
        byte: u8,
    ) -> Result<(), BackendError> {
        cover.advance(byte);
        loop {
            let wanted = self.wanted(cover, member)?;
            if wanted.is_empty() {
                break;
            }
            self.evaluate(cover, member, wanted).await?;
        }
        // Some may have been evaluated only to find that none can spell the text.
        if cover.is_lost()
            && let Some(evaluation) = cover.recover()
        {
            self.evaluate(cover, member, vec![evaluation]).await?;
        }
        cover.finish(None);
        self.follow(member, byte)?;
        self.release(cover, member)
    }

    /// What the cover wants, as far as there are sequences. It is the same whether or not one of
    /// them holds what a draft brought.
    fn wanted(
        &mut self,
        cover: &mut Cover<SeqId>,
        member: &mut Lease,
    ) -> Result<Vec<Evaluation<SeqId>>, BackendError> {
        if cover.budget().exact() {
            // An exact cover leaves nothing out: without a free sequence there is an error instead.
            return Ok(cover.wanted(usize::MAX));
        }
        let lent = usize::from(self.prefetch.seq().is_some());
        if self.free.is_empty() && lent == 0 {
            cover.make_room();
            self.release(cover, member)?;
        }
        Ok(cover.wanted(self.free.len() + lent))
    }

    /// Evaluates what is wanted, in as few batches as the member's limits allow, and admits it.
    /// After a failure nothing of the batch is left.
    async fn evaluate(
        &mut self,
        cover: &mut Cover<SeqId>,
        member: &mut Lease,
        wanted: Vec<Evaluation<SeqId>>,
    ) -> Result<(), BackendError> {
        let result = self.evaluate_all(cover, member, wanted).await;
        self.batch.clear();
        for (_, seq, _) in std::mem::take(&mut self.rows) {
            self.give_back(member, seq)?;
        }
        result
    }

    async fn evaluate_all(
        &mut self,
        cover: &mut Cover<SeqId>,
        member: &mut Lease,
        wanted: Vec<Evaluation<SeqId>>,
    ) -> Result<(), BackendError> {
        let limits = member.limits();
        for mut evaluation in wanted {
            let start = self.locate(&mut evaluation);
            let full = self.batch.len() + evaluation.tokens.len() > limits.batch as usize
                || self.rows.len() >= limits.outputs as usize;
            if full {
                self.flush(cover, member).await?;
            }
            let seq = self.take(member)?;
            let kept = self.prefetch.find(cover.paths(), evaluation.path);
            let place = match kept.zip(self.prefetch.seq()) {
                Some((i, from)) => member
                    .seq_copy(from, seq, self.base + self.prefetch.len_at(i))
                    .map(|()| RowPlace::Prefetched(i)),
                None => match member.seq_copy(source(&evaluation), seq, start) {
                    Ok(()) => {
                        let row = self.append(member, &evaluation.tokens, seq, start).await;
                        row.map(RowPlace::Batch)
                    }
                    Err(error) => Err(error),
                },
            };
            if place.is_err() {
                self.give_back(member, seq)?;
            }
            self.rows.push((evaluation, seq, place?));
        }
        self.flush(cover, member).await
    }

    /// Puts tokens into the batch, the last with its logits, and returns its place there. What is
    /// longer than a batch may be is evaluated first.
    async fn append(
        &mut self,
        member: &mut Lease,
        tokens: &[Token],
        seq: SeqId,
        start: u32,
    ) -> Result<usize, BackendError> {
        let most = member.limits().batch as usize;
        let ahead = tokens.len().saturating_sub(most);
        let entry = |i: usize| BatchToken {
            token: tokens[i],
            pos: start + i as u32,
            seq,
            output: i + 1 == tokens.len(),
        };
        for first in (0..ahead).step_by(most) {
            let chunk: Vec<BatchToken> = (first..ahead.min(first + most)).map(entry).collect();
            self.decode(member, &chunk).await?;
        }
        self.batch.extend((ahead..tokens.len()).map(entry));
        Ok(self.batch.len() - 1)
    }

    /// Where the tokens to evaluate begin. For the path without tokens, the prefix's last one is
    /// put in.
    fn locate(&self, evaluation: &mut Evaluation<SeqId>) -> u32 {
        if evaluation.tokens.is_empty() {
            evaluation.tokens.push(self.last);
            return self.base - 1;
        }
        self.base + evaluation.keep
    }

    async fn flush(
        &mut self,
        cover: &mut Cover<SeqId>,
        member: &mut Lease,
    ) -> Result<(), BackendError> {
        let batch = std::mem::take(&mut self.batch);
        let mut result = match batch.is_empty() {
            true => Ok(()),
            false => self.decode(member, &batch).await,
        };
        self.batch = batch;
        self.batch.clear();
        for (evaluation, seq, row) in self.rows.drain(..) {
            if result.is_ok() {
                result = match row {
                    RowPlace::Batch(i) => member
                        .logits(i)
                        .and_then(|logits| cover.admit(&evaluation, seq, &logits)),
                    RowPlace::Prefetched(i) => cover.admit(&evaluation, seq, self.prefetch.row(i)),
                };
            }
            if result.is_err() {
                // Nothing was admitted, so the sequence is free again.
                self.free.push(seq);
                member.seq_truncate(seq, 0)?;
            }
        }
        result
    }

    /// Evaluates what the cover wants. Where the context is full, what a draft brought is given up.
    async fn decode(
        &mut self,
        member: &mut Lease,
        batch: &[BatchToken],
    ) -> Result<(), BackendError> {
        match member.decode(batch).await {
            Err(BackendError::ContextFull { .. }) if self.prefetch.seq().is_some() => {
                self.forget(member)?;
                member.decode(batch).await
            }
            result => result,
        }
    }

    fn give_back(&mut self, member: &mut Lease, seq: SeqId) -> Result<(), BackendError> {
        self.free.push(seq);
        member.seq_truncate(seq, 0)
    }

    /// Ends the cover: the heaviest path that spells its text becomes part of the prefix, all other
    /// sequences are freed. Returns the tokens that joined the prefix.
    ///
    /// # Errors
    /// From the member. The prefix is then as it was.
    pub async fn commit(
        &mut self,
        cover: &mut Cover<SeqId>,
        member: &mut Lease,
    ) -> Result<Vec<Token>, BackendError> {
        self.forget(member)?;
        let tokens = match cover.resting() {
            None => Vec::new(),
            Some(Resting::Hypothesis(seq, path)) => self.join(cover, member, seq, path)?,
            Some(Resting::Unevaluated(mut evaluation)) => {
                let start = self.locate(&mut evaluation);
                let seq = self.take(member)?;
                let evaluated = self.extend(member, &evaluation, seq, start).await;
                self.batch.clear();
                let joined = match evaluated {
                    Ok(()) => self.join(cover, member, seq, evaluation.path),
                    Err(error) => Err(error),
                };
                self.give_back(member, seq)?;
                joined?
            }
        };
        self.drop_cover(cover, member)?;
        Ok(tokens)
    }

    /// Evaluates a path in a free sequence.
    async fn extend(
        &mut self,
        member: &mut Lease,
        evaluation: &Evaluation<SeqId>,
        seq: SeqId,
        start: u32,
    ) -> Result<(), BackendError> {
        member.seq_copy(source(evaluation), seq, start)?;
        self.append(member, &evaluation.tokens, seq, start).await?;
        member.decode(&self.batch).await
    }

    /// Ends the cover and leaves the prefix as it was when it began.
    ///
    /// # Errors
    /// From the member.
    pub fn drop_cover(
        &mut self,
        cover: &mut Cover<SeqId>,
        member: &mut Lease,
    ) -> Result<(), BackendError> {
        cover.end();
        self.forget(member)?;
        self.release(cover, member)
    }

    fn join(
        &mut self,
        cover: &Cover<SeqId>,
        member: &mut Lease,
        seq: SeqId,
        path: PathId,
    ) -> Result<Vec<Token>, BackendError> {
        let tokens = cover.paths().tokens(path, 0);
        let len = self.base + tokens.len() as u32;
        member.seq_truncate(PREFIX, 0)?;
        member.seq_copy(seq, PREFIX, len)?;
        Ok(tokens)
    }
}

/// The sequence that an evaluation branches off from.
fn source(evaluation: &Evaluation<SeqId>) -> SeqId {
    evaluation.from.unwrap_or(PREFIX)
}
