//! What a member evaluates ahead, along a draft.

use super::MemberRuntime;
use crate::backend::{BackendError, BatchToken, PREFIX, Token};
use crate::engine::branches::prefetch::{reserve, spell};
use crate::engine::draft::Draft;
use crate::vocab::Alphabet;

impl MemberRuntime {
    /// Evaluates what is expected. See [`crate::engine::draft`].
    pub async fn prefetch(&mut self, draft: &Draft) -> Result<(), BackendError> {
        match self.alphabet {
            Alphabet::Bytes => {
                let first = u8::try_from(draft.symbol).ok();
                let ahead: Vec<u8> = first
                    .into_iter()
                    .chain(draft.ahead.iter().copied())
                    .collect();
                let Self {
                    branches,
                    cover,
                    member,
                    sorted,
                    ..
                } = self;
                let worth = 1 + draft.worth;
                let prefetched = branches.prefetch(cover, member, sorted, &ahead, worth);
                prefetched.await
            }
            Alphabet::Tokens => self.prefetch_tokens(draft).await,
            // A mode for comparison alone, which does without drafts.
            Alphabet::Mapped => Ok(()),
        }
    }

    /// The symbol and the expected tokens after it join the prefix's sequence, not yet the prefix.
    async fn prefetch_tokens(&mut self, draft: &Draft) -> Result<(), BackendError> {
        let tokens = spell(&mut self.member, &self.sorted, &draft.ahead)?;
        let mut spelled = 0;
        let worth = tokens.iter().take_while(|&&t| {
            spelled += self.sorted.piece_len(t);
            spelled <= draft.worth
        });
        let limits = self.member.limits();
        let used = self.prefix.tokens.len() as u32 + reserve(limits.context);
        let room = limits.context.saturating_sub(used) as usize;
        let most = room.min(limits.batch as usize).min(limits.outputs as usize);
        let n = (1 + worth.count()).min(most);
        if n < 2 {
            return Ok(());
        }
        self.forget_ahead()?;
        self.batch.clear();
        let start = self.member.seq_len(PREFIX);
        let all = std::iter::once(draft.symbol).chain(tokens).take(n);
        self.batch
            .extend(all.zip(start..).map(|(token, pos)| BatchToken {
                token,
                pos,
                seq: PREFIX,
                output: true,
            }));
        match self.member.decode(&self.batch).await {
            Ok(()) => self.keep_ahead(),
            Err(BackendError::ContextFull { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Keeps the rows of a draft, which others' batches would overwrite.
    fn keep_ahead(&mut self) -> Result<(), BackendError> {
        for (i, entry) in self.batch.iter().enumerate() {
            let row = self.member.logits(i)?.to_vec();
            self.ahead.push_back((entry.token, row));
        }
        Ok(())
    }

    /// The answer grows by `token`, whose row may be there already.
    pub(super) async fn advance_token(&mut self, token: Token) -> Result<(), BackendError> {
        if self.ahead.front().is_some_and(|(ahead, _)| *ahead == token) {
            self.row = self
                .ahead
                .pop_front()
                .map(|(_, row)| row)
                .unwrap_or_default();
        } else {
            self.forget_ahead()?;
            let pos = self.member.seq_len(PREFIX);
            let entry = BatchToken {
                token,
                pos,
                seq: PREFIX,
                output: true,
            };
            self.member.decode(&[entry]).await?;
            self.keep_row(0)?;
        }
        self.prefix.tokens.push(token);
        self.said += 1;
        Ok(())
    }

    /// Keeps a row of the batch to predict from it.
    pub(super) fn keep_row(&mut self, row: usize) -> Result<(), BackendError> {
        self.row.clear();
        self.row.extend_from_slice(&self.member.logits(row)?);
        Ok(())
    }

    /// Cuts off what was evaluated ahead and not said.
    pub(super) fn forget_ahead(&mut self) -> Result<(), BackendError> {
        if self.ahead.is_empty() {
            return Ok(());
        }
        self.ahead.clear();
        let said = self.prefix.tokens.len() as u32;
        self.member.seq_truncate(PREFIX, said)
    }
}
