//! What a member evaluates ahead, along a draft.

use super::MemberRuntime;
use crate::backend::{BackendError, BatchToken, Member, PREFIX, Token};
use crate::engine::branches::prefetch::{reserve, spell};
use crate::engine::draft::Draft;
use crate::vocab::Alphabet;

impl MemberRuntime {
    /// Evaluates what is expected. See [`crate::engine::draft`].
    pub fn prefetch(&mut self, draft: &Draft) -> Result<(), BackendError> {
        match self.alphabet {
            Alphabet::Bytes => {
                let first = u8::try_from(draft.symbol).ok();
                let ahead: Vec<u8> = first
                    .into_iter()
                    .chain(draft.ahead.iter().copied())
                    .collect();
                self.branches.prefetch(
                    &self.cover,
                    &mut self.member,
                    &self.sorted,
                    &ahead,
                    1 + draft.worth,
                )
            }
            Alphabet::Tokens => self.prefetch_tokens(draft),
            // A mode for comparison alone, which does without drafts.
            Alphabet::Mapped => Ok(()),
        }
    }

    /// The symbol and the expected tokens after it join the prefix's sequence, not yet the prefix.
    fn prefetch_tokens(&mut self, draft: &Draft) -> Result<(), BackendError> {
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
        let all = std::iter::once(draft.symbol).chain(tokens).take(n);
        self.ahead.extend(all);
        self.batch.clear();
        let start = self.member.seq_len(PREFIX);
        self.batch.extend(
            self.ahead
                .iter()
                .zip(start..)
                .map(|(&token, pos)| BatchToken {
                    token,
                    pos,
                    seq: PREFIX,
                    output: true,
                }),
        );
        match self.member.decode(&self.batch) {
            Ok(()) => Ok(()),
            Err(error) => {
                self.ahead.clear();
                match error {
                    BackendError::ContextFull { .. } => Ok(()),
                    error => Err(error),
                }
            }
        }
    }

    /// The answer grows by `token`, whose row may be there already.
    pub(super) fn advance_token(&mut self, token: Token) -> Result<(), BackendError> {
        if self.ahead.front() == Some(&token) {
            // Rows of the draft's batch are read one after the other, from the first.
            self.row = self.batch.len() - self.ahead.len();
            self.ahead.pop_front();
        } else {
            self.forget_ahead()?;
            let pos = self.member.seq_len(PREFIX);
            self.member.decode(&[BatchToken {
                token,
                pos,
                seq: PREFIX,
                output: true,
            }])?;
            self.row = 0;
        }
        self.prefix.tokens.push(token);
        self.said += 1;
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
