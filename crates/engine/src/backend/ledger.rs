//! Bookkeeping that refuses a request before llama.cpp would abort on it.

use super::{BackendError, BatchToken, Limits, PREFIX, SeqId};

/// Tracks the length of every sequence and refuses requests that would abort, corrupt memory or be
/// silently wrong: batches over the limit, unknown sequences or tokens, positions with a gap,
/// copies onto a sequence in use, reading rows that were not asked for.
#[derive(Debug, Clone)]
pub struct Ledger {
    limits: Limits,
    vocab_len: u32,
    lens: Vec<u32>,
    /// Scratch: the lengths after the batch being checked.
    after: Vec<u32>,
    outputs: Vec<bool>,
}

impl Ledger {
    /// An empty cache.
    #[must_use]
    pub fn new(limits: Limits, vocab_len: usize) -> Self {
        let lens = vec![0; limits.sequences as usize];
        Self {
            limits,
            vocab_len: vocab_len as u32,
            lens,
            after: Vec::new(),
            outputs: Vec::new(),
        }
    }

    /// The limits it enforces.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Enforces these limits from now on. Sequences that are no longer among them have to be empty.
    pub fn resize(&mut self, limits: Limits) {
        self.limits = limits;
        self.lens.resize(limits.sequences as usize, 0);
    }

    /// Length of `seq` in tokens; 0 for an unknown one.
    #[must_use]
    pub fn len(&self, seq: SeqId) -> u32 {
        self.lens.get(seq as usize).copied().unwrap_or(0)
    }

    /// Checks a batch without recording it.
    ///
    /// # Errors
    /// [`BackendError::Refused`], naming the rule that was broken.
    pub fn check(&mut self, batch: &[BatchToken]) -> Result<(), BackendError> {
        let refuse = |why: String| Err(BackendError::Refused(why));
        if batch.is_empty() {
            return refuse("an empty batch".into());
        }
        if batch.len() > self.limits.batch as usize {
            return refuse(format!(
                "a batch of {} tokens, limit {}",
                batch.len(),
                self.limits.batch
            ));
        }
        let outputs = batch.iter().filter(|e| e.output).count();
        if outputs > self.limits.outputs as usize {
            return refuse(format!(
                "{outputs} rows of logits, limit {}",
                self.limits.outputs
            ));
        }
        self.after.clone_from(&self.lens);
        for e in batch {
            if e.token >= self.vocab_len {
                return refuse(format!("token {} of {}", e.token, self.vocab_len));
            }
            let Some(len) = self.after.get_mut(e.seq as usize) else {
                return refuse(format!("sequence {} of {}", e.seq, self.lens.len()));
            };
            if e.pos != *len {
                return refuse(format!(
                    "position {} in sequence {} of length {len}",
                    e.pos, e.seq
                ));
            }
            *len += 1;
        }
        Ok(())
    }

    /// Records a batch that was evaluated.
    pub fn commit(&mut self, batch: &[BatchToken]) {
        self.outputs.clear();
        self.outputs.extend(batch.iter().map(|e| e.output));
        for e in batch {
            self.lens[e.seq as usize] = e.pos + 1;
        }
    }

    /// Forgets which rows of logits exist: a failed evaluation leaves none.
    pub fn invalidate_rows(&mut self) {
        self.outputs.clear();
    }

    /// Checks that a row of logits exists.
    ///
    /// # Errors
    /// [`BackendError::Refused`] if the last batch did not ask for it.
    pub fn check_row(&self, index: usize) -> Result<(), BackendError> {
        match self.outputs.get(index) {
            Some(true) => Ok(()),
            _ => Err(BackendError::Refused(format!(
                "logits of row {index} were not asked for"
            ))),
        }
    }

    /// Checks and records a copy of the first `len` tokens of `from` onto the empty `to`.
    ///
    /// # Errors
    /// [`BackendError::Refused`], naming the rule that was broken.
    pub fn copy(&mut self, from: SeqId, to: SeqId, len: u32) -> Result<(), BackendError> {
        let n = self.lens.len() as u32;
        if from >= n || to >= n || from == to {
            return Err(BackendError::Refused(format!(
                "copy of sequence {from} to {to}, of {n}"
            )));
        }
        let (have, taken) = (self.len(from), self.len(to));
        if len > have || taken > 0 {
            return Err(BackendError::Refused(format!(
                "copy of {len} of {have} tokens onto a sequence of {taken}"
            )));
        }
        self.lens[to as usize] = len;
        Ok(())
    }

    /// Checks and records that the empty `to` has `len` tokens that are known elsewhere.
    ///
    /// # Errors
    /// [`BackendError::Refused`], naming the rule that was broken.
    pub fn adopt(&mut self, to: SeqId, len: u32) -> Result<(), BackendError> {
        match self.lens.get_mut(to as usize) {
            Some(have @ 0) if len <= self.limits.context => {
                *have = len;
                Ok(())
            }
            _ => Err(BackendError::Refused(format!(
                "{len} tokens for sequence {to} of {} tokens",
                self.len(to)
            ))),
        }
    }

    /// Checks that no sequence but the prefix holds anything.
    ///
    /// # Errors
    /// [`BackendError::Refused`], naming the one that does.
    pub fn only_prefix(&self) -> Result<(), BackendError> {
        match self.lens.iter().skip(1).position(|&len| len > 0) {
            None => Ok(()),
            Some(i) => Err(BackendError::Refused(format!(
                "sequence {} is in use beside the prefix",
                i + 1
            ))),
        }
    }

    /// Checks that a prefix of `len` tokens can be put into the cache: it is empty and large
    /// enough.
    ///
    /// # Errors
    /// [`BackendError::Refused`], naming the rule that was broken.
    pub fn check_restore(&self, len: u32) -> Result<(), BackendError> {
        self.only_prefix()?;
        let (have, context) = (self.len(PREFIX), self.limits.context);
        if have > 0 || len > context {
            return Err(BackendError::Refused(format!(
                "{len} tokens put into a cache of {context} that holds {have}"
            )));
        }
        Ok(())
    }

    /// Records a prefix of `len` tokens that was put into the cache.
    pub fn restored(&mut self, len: u32) {
        self.outputs.clear();
        self.lens[PREFIX as usize] = len;
    }

    /// Checks and records a cut of `seq` to `len` tokens.
    ///
    /// # Errors
    /// [`BackendError::Refused`], naming the rule that was broken.
    pub fn truncate(&mut self, seq: SeqId, len: u32) -> Result<(), BackendError> {
        match self.lens.get_mut(seq as usize) {
            Some(have) if len <= *have => {
                *have = len;
                Ok(())
            }
            Some(have) => Err(BackendError::Refused(format!(
                "cut of sequence {seq} from {have} to {len}"
            ))),
            None => Err(BackendError::Refused(format!(
                "sequence {seq} does not exist"
            ))),
        }
    }
}
