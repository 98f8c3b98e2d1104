//! A member without weights: logits by a seeded rule over a small vocabulary.
//!
//! The logits after a sequence depend on every token of it, so a mistake in the KV bookkeeping of
//! the caller changes them. What llama.cpp would abort on, or silently accept, is refused.

use super::{
    BackendError, BatchToken, Description, Ledger, Limits, Member, PREFIX, SeqId, Special, Token,
    TokenKind, Vocab, VocabBuilder, Watch,
};
use std::sync::Arc;

/// How a [`FakeMember`] behaves.
#[derive(Debug, Clone)]
pub struct FakeOptions {
    /// Seed of the rule: same seed and vocabulary, same model.
    pub seed: u64,
    /// Half the range of the logits.
    pub spread: f32,
    /// What the context holds.
    pub limits: Limits,
    /// Text shown as its chat template.
    pub chat_template: Option<String>,
    /// Says when nobody waits for a decode any more.
    pub watch: Arc<Watch>,
    /// Fail every decode from this one on.
    pub fail_at: Option<usize>,
    /// Answer with NaN from this decode on.
    pub nan_at: Option<usize>,
}

impl Default for FakeOptions {
    fn default() -> Self {
        Self {
            seed: 1,
            spread: 3.0,
            limits: Limits {
                context: 4096,
                batch: 512,
                outputs: 64,
                sequences: 64,
            },
            chat_template: None,
            watch: Arc::default(),
            fail_at: None,
            nan_at: None,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct FakeMember {
    vocab: Arc<Vocab>,
    options: FakeOptions,
    description: Description,
    ledger: Ledger,
    sequences: Vec<Vec<Token>>,
    /// The cell of each of their tokens, shared by copies.
    cells: Vec<Vec<Arc<()>>>,
    rows: Vec<Option<Vec<f32>>>,
    decodes: usize,
}

impl FakeMember {
    /// A model of this vocabulary.
    #[must_use]
    pub fn new(vocab: Vocab, options: FakeOptions) -> Self {
        let ledger = Ledger::new(options.limits, vocab.len());
        let description = Description {
            architecture: "fake".into(),
            parameters: vocab.len() as u64,
            weight_bytes: 0,
            train_context: options.limits.context,
            chat_template: options.chat_template.clone(),
            placement: "nowhere".into(),
        };
        Self {
            vocab: Arc::new(vocab),
            sequences: vec![Vec::new(); options.limits.sequences as usize],
            cells: vec![Vec::new(); options.limits.sequences as usize],
            ledger,
            description,
            options,
            rows: Vec::new(),
            decodes: 0,
        }
    }

    /// A vocabulary of the given text pieces, an optional END token last.
    #[must_use]
    pub fn vocab_of(pieces: &[&[u8]], end: bool) -> Vocab {
        let mut builder = VocabBuilder::default();
        for piece in pieces {
            builder.push(piece, TokenKind::Text);
        }
        builder.push(b"<unk>", TokenKind::Control);
        let mut special = Special::default();
        if end {
            special.eos = Some(pieces.len() as Token + 1);
            builder.push(b"<end>", TokenKind::End);
        }
        builder.build(special)
    }

    /// Cells of the cache that some sequence holds: what several share counts once.
    #[must_use]
    pub fn cells_in_use(&self) -> usize {
        let shares = |cell: &Arc<()>| 1.0 / Arc::strong_count(cell) as f64;
        let cells = self.cells.iter().flatten();
        cells.map(shares).sum::<f64>().round() as usize
    }

    /// The rule: logits after `tokens`.
    #[must_use]
    pub fn rule(&self, tokens: &[Token]) -> Vec<f32> {
        let context = tokens.iter().fold(mix(self.options.seed), |h, &t| {
            mix(h ^ mix(u64::from(t) + 0x9e37))
        });
        (0..self.vocab.len() as u64)
            .map(|t| {
                let unit = (mix(context ^ mix(t)) >> 40) as f32 / (1u64 << 24) as f32;
                (unit * 2.0 - 1.0) * self.options.spread
            })
            .collect()
    }
}

/// SplitMix64's finaliser.
fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Member for FakeMember {
    fn vocab(&self) -> &Arc<Vocab> {
        &self.vocab
    }

    fn limits(&self) -> Limits {
        self.options.limits
    }

    fn description(&self) -> &Description {
        &self.description
    }

    /// The longest piece first, like many tokenizers; bytes without a piece are dropped.
    fn tokenize(&mut self, text: &str, markup: bool) -> Result<Vec<Token>, BackendError> {
        let mut tokens = Vec::new();
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let fits = |&t: &Token| {
                let allowed = markup || self.vocab.kind(t) == TokenKind::Text;
                allowed && rest.starts_with(self.vocab.piece(t))
            };
            let longest = (0..self.vocab.len() as Token)
                .filter(fits)
                .max_by_key(|&t| self.vocab.piece(t).len());
            let n = longest.map_or(1, |t| self.vocab.piece(t).len());
            tokens.extend(longest);
            rest = &rest[n..];
        }
        Ok(tokens)
    }

    fn decode(&mut self, batch: &[BatchToken]) -> Result<(), BackendError> {
        self.ledger.check(batch)?;
        if self.options.watch.is_cancelled() {
            return Err(BackendError::Cancelled);
        }
        self.decodes += 1;
        if self.options.fail_at.is_some_and(|n| self.decodes >= n) {
            self.ledger.invalidate_rows();
            return Err(BackendError::Decode {
                code: -3,
                log: "told to fail".into(),
            });
        }
        if self.cells_in_use() + batch.len() > self.options.limits.context as usize {
            return Err(BackendError::ContextFull {
                context: self.options.limits.context,
            });
        }
        self.ledger.commit(batch);
        self.rows.clear();
        for entry in batch {
            self.sequences[entry.seq as usize].push(entry.token);
            self.cells[entry.seq as usize].push(Arc::default());
            let row = entry
                .output
                .then(|| self.rule(&self.sequences[entry.seq as usize]));
            self.rows.push(row);
        }
        if self.options.nan_at.is_some_and(|n| self.decodes >= n) {
            self.rows
                .iter_mut()
                .flatten()
                .for_each(|row| row.fill(f32::NAN));
        }
        Ok(())
    }

    fn logits(&self, index: usize) -> Result<&[f32], BackendError> {
        self.ledger.check_row(index)?;
        match self.rows.get(index) {
            Some(Some(row)) => Ok(row),
            _ => Err(BackendError::Refused(format!("row {index} is not there"))),
        }
    }

    fn seq_copy(&mut self, from: SeqId, to: SeqId, len: u32) -> Result<(), BackendError> {
        self.ledger.copy(from, to, len)?;
        self.sequences[to as usize] = self.sequences[from as usize][..len as usize].to_vec();
        self.cells[to as usize] = self.cells[from as usize][..len as usize].to_vec();
        Ok(())
    }

    fn seq_truncate(&mut self, seq: SeqId, len: u32) -> Result<(), BackendError> {
        self.ledger.truncate(seq, len)?;
        self.sequences[seq as usize].truncate(len as usize);
        self.cells[seq as usize].truncate(len as usize);
        Ok(())
    }

    fn seq_len(&self, seq: SeqId) -> u32 {
        self.ledger.len(seq)
    }

    /// The prefix's tokens are all its state.
    fn save(&mut self) -> Result<Vec<u8>, BackendError> {
        self.ledger.only_prefix()?;
        let prefix = &self.sequences[PREFIX as usize];
        Ok(prefix.iter().flat_map(|t| t.to_le_bytes()).collect())
    }

    fn restore(&mut self, state: &[u8], len: u32) -> Result<(), BackendError> {
        self.ledger.check_restore(len)?;
        let (tokens, rest) = state.as_chunks::<4>();
        if tokens.len() != len as usize || !rest.is_empty() {
            return Err(BackendError::Refused(format!(
                "a state of {} bytes for {len} tokens",
                state.len()
            )));
        }
        self.sequences[PREFIX as usize] = tokens.iter().map(|t| Token::from_le_bytes(*t)).collect();
        self.cells[PREFIX as usize] = tokens.iter().map(|_| Arc::default()).collect();
        self.rows.clear();
        self.ledger.restored(len);
        Ok(())
    }
}
