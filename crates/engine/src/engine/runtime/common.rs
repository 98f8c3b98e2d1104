//! What conversations have in common: a fork, and the beginning of a prompt that another one has
//! read, a system prompt for example. Both hold the same cells of the KV cache, and what was scored
//! of it is not scored again.
//!
//! A beginning ends where a scored segment ends: batches end there too, so what follows is
//! evaluated the same, bit by bit, whether the beginning was read or is shared.

use super::MemberRuntime;
use crate::backend::{BackendError, PREFIX, Token};
use crate::engine::chain::Scores;
use crate::engine::schedule::TenantId;
use crate::engine::score_request::ScoreRequest;
use crate::engine::tokenized::{Mark, Prefix, TokenizedPrompt, kept, read};
use crate::engine::view::View;
use crate::prompt::Prompt;
use crate::vocab::Alphabet;
use crate::vocab::cover::Budget;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Most scored symbols of a beginning. With whole distributions, each byte has 1 KB.
const MOST: usize = 4096;

/// The beginning of a prompt, as a conversation has read it.
pub(in crate::engine) struct Beginning {
    prefix: Prefix,
    scores: Scores,
    alphabet: Alphabet,
    budget: Budget,
    request: ScoreRequest,
}

/// The beginnings that conversations with one member have read.
pub(in crate::engine) type Beginnings = Rc<RefCell<BTreeMap<TenantId, Rc<Beginning>>>>;

/// What a fork begins with.
pub(in crate::engine) struct Snapshot {
    id: TenantId,
    tokens: Vec<Token>,
    alphabet: Alphabet,
    budget: Budget,
    sequences: u32,
    view: View,
}

impl MemberRuntime {
    /// What a fork of this conversation begins with: its prefix and its settings.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            id: self.member.id(),
            tokens: self.prefix.tokens.clone(),
            alphabet: self.alphabet,
            budget: self.budget,
            sequences: self.member.limits().sequences,
            view: self.view.clone(),
        }
    }

    /// Begins as a fork.
    pub fn begin_as(&mut self, of: Snapshot) -> Result<(), BackendError> {
        self.configure(of.alphabet, of.budget, of.sequences)?;
        self.view = of.view;
        self.share(of.id, of.tokens)
    }

    /// Has the first tokens of another conversation's prefix in place of its own.
    fn share(&mut self, owner: TenantId, tokens: Vec<Token>) -> Result<(), BackendError> {
        self.cut_prefix(0)?;
        let len = tokens.len() as u32;
        self.member.copy_from((owner, PREFIX), PREFIX, len)?;
        self.prefix.tokens = tokens;
        Ok(())
    }

    /// Shares the beginning of the prompt with another conversation, if one has read more of it than
    /// the `own` tokens that this one has: what is left to read.
    pub(super) fn share_beginning(
        &mut self,
        prompt: &Prompt,
        own: usize,
    ) -> Result<Option<TokenizedPrompt>, BackendError> {
        let Some((owner, known)) = self.longest_beginning(prompt, own) else {
            return Ok(None);
        };
        let reading = read(&mut self.member, &self.sorted, prompt, &known.prefix)?;
        if reading.keep <= own {
            return Ok(None);
        }
        let prefix = known.prefix.begun(reading.marks);
        self.share(owner, prefix.tokens)?;
        self.prefix.marks = prefix.marks;
        self.recalled = known.scores.clone();
        self.shared = Some((prompt.clone(), known.request));
        Ok(Some(reading))
    }

    /// The beginning that most of the prompt agrees with, and whose it is.
    fn longest_beginning(&self, prompt: &Prompt, own: usize) -> Option<(TenantId, Rc<Beginning>)> {
        let beginnings = self.beginnings.borrow();
        let vocab = self.member.vocab();
        let others = beginnings.iter().filter(|(owner, known)| {
            let settings = (known.alphabet, known.budget) == (self.alphabet, self.budget);
            **owner != self.member.id() && settings && known.prefix.tokens.len() > own
        });
        let kept = others.map(|(&owner, known)| (kept(vocab, prompt, &known.prefix), owner, known));
        let best = kept.max_by_key(|&(kept, owner, _)| (kept, std::cmp::Reverse(owner)));
        best.filter(|(kept, ..)| *kept > own)
            .map(|(_, owner, known)| (owner, Rc::clone(known)))
    }

    /// Before a shared prompt is evaluated: reads all of it where other scores are wanted than those
    /// that are shared.
    pub(super) fn check_shared(&mut self, request: ScoreRequest) -> Result<(), BackendError> {
        let Some((prompt, scored)) = self.shared.take() else {
            return Ok(());
        };
        if scored != request {
            self.cut_prefix(0)?;
            let reading = read(&mut self.member, &self.sorted, &prompt, &self.prefix)?;
            self.reading = Some(reading);
        }
        Ok(())
    }

    /// Lets others share the beginning of what was read, up to the last of these marks.
    pub(super) fn publish(&mut self, marks: &[Mark], scores: &Scores, request: ScoreRequest) {
        let marks: Vec<Mark> = marks
            .iter()
            .copied()
            .take_while(|m| m.symbols <= MOST)
            .collect();
        let Some(last) = marks.last().copied() else {
            return;
        };
        let beginning = Beginning {
            prefix: Prefix {
                tokens: self.prefix.tokens[..last.len].to_vec(),
                marks,
            },
            scores: scores.begun(last.symbols, last.tokens),
            alphabet: self.alphabet,
            budget: self.budget,
            request,
        };
        let mut beginnings = self.beginnings.borrow_mut();
        beginnings.insert(self.member.id(), Rc::new(beginning));
    }

    /// The prefix has only so many tokens left: what was published of it is there no longer if it
    /// had more.
    pub(super) fn retract(&mut self, len: usize) {
        let mut beginnings = self.beginnings.borrow_mut();
        let own = self.member.id();
        if beginnings
            .get(&own)
            .is_some_and(|b| b.prefix.tokens.len() > len)
        {
            beginnings.remove(&own);
        }
    }
}

impl Drop for MemberRuntime {
    fn drop(&mut self) {
        self.retract(0);
    }
}
