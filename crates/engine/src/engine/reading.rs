//! Prompts: tokenised by every member, and read by all at the same time.

use super::branches::prefetch::reserve;
use super::runtime::ScoreRequest;
use super::worker::{Command, Reply};
use super::{Engine, EngineError, MemberInfo};
use crate::prompt::{Ending, Prompt};
use crate::vocab::Alphabet;

/// What [`Engine::prepare`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prepared {
    /// Tokens of the whole prompt, member by member.
    pub tokens: Vec<usize>,
    /// Tokens that have to be evaluated, member by member.
    pub new_tokens: Vec<usize>,
    /// Bytes that a member has no token for and will not see, member by member.
    pub lost: Vec<Vec<u8>>,
}

impl Engine {
    /// Tokenises one prompt a member and checks that each fits its member's context. Nothing is
    /// evaluated.
    ///
    /// # Errors
    /// [`EngineError::TooLong`], which says by how much; [`EngineError::Empty`].
    pub fn prepare(&mut self, prompts: Vec<Prompt>) -> Result<Prepared, EngineError> {
        let closed = prompts.iter().all(|p| p.ending == Ending::Closed);
        self.prompt_text.clear();
        let said = prompts.first().into_iter().flat_map(|p| &p.segments);
        said.for_each(|s| self.prompt_text.extend_from_slice(s.text.as_bytes()));
        let replies = match self.alphabet {
            Alphabet::Mapped => self.prepare_by_reference(prompts)?,
            Alphabet::Tokens | Alphabet::Bytes => self.prepare_each(prompts)?,
        };
        let prepared = self.take_prepared(replies, closed)?;
        self.prompt_tokens.clone_from(&prepared.tokens);
        Ok(prepared)
    }

    /// What the members say of their prompts, if all fit. A `closed` prompt may fill the context.
    pub(super) fn take_prepared(
        &self,
        replies: Vec<Reply>,
        closed: bool,
    ) -> Result<Prepared, EngineError> {
        let mut prepared = Prepared::default();
        for (k, reply) in replies.into_iter().enumerate() {
            let Reply::Prepared {
                tokens,
                new_tokens,
                lost,
            } = reply
            else {
                continue;
            };
            let info = &self.members[k];
            if tokens == 0 {
                return Err(EngineError::Empty {
                    member: info.name.clone(),
                });
            }
            let reserve = if closed {
                0
            } else {
                reserve(info.limits.context)
            };
            check_room(info, tokens, reserve)?;
            prepared.tokens.push(tokens);
            prepared.new_tokens.push(new_tokens);
            prepared.lost.push(lost);
        }
        Ok(prepared)
    }

    /// Every member tokenises a prompt of its own.
    pub(super) fn prepare_each(&self, prompts: Vec<Prompt>) -> Result<Vec<Reply>, EngineError> {
        let mut prompts: Vec<Option<Prompt>> = prompts.into_iter().map(Some).collect();
        self.all(|k| Command::Prepare(prompts[k].take().unwrap_or_default()))
    }

    /// Evaluates the prepared prompts, all members at the same time, and adds what they predicted for
    /// the scored bytes to the evidence.
    ///
    /// # Errors
    /// From a member; [`EngineError::Cancelled`].
    pub fn read(&mut self, request: ScoreRequest) -> Result<(), EngineError> {
        self.read_watched(request, &mut |_| {})
    }

    /// As [`Engine::read`]. While members evaluate, `progress` is told now and then how many of the
    /// [new tokens](Prepared::new_tokens) each has read. If it is cancelled, members may be at work for a moment
    /// longer, see [`Engine::settle`]: nothing is thrown away within a large matrix product.
    ///
    /// # Errors
    /// As [`Engine::read`].
    pub fn read_watched(
        &mut self,
        request: ScoreRequest,
        progress: &mut dyn FnMut(&[usize]),
    ) -> Result<(), EngineError> {
        let replies = self.all_watched(|_| Command::Evaluate(request), progress)?;
        let foreseen = |reply: &Reply| matches!(reply, Reply::PrefetchedPrompt(_));
        self.read_ahead = replies.iter().all(foreseen);
        for (scores, reply) in self.scores.iter_mut().zip(replies) {
            if let Reply::Scored(new) | Reply::PrefetchedPrompt(new) = reply {
                scores.extend(new);
            }
        }
        Ok(())
    }

    /// Whether all members had read the last prompt when it was asked for, see [`MemberSpec::prefetch`](super::MemberSpec::prefetch).
    #[must_use]
    pub fn read_ahead(&self) -> bool {
        self.read_ahead
    }

    /// Scores one member on a prompt of its own, which leaves its cache empty.
    ///
    /// # Errors
    /// As [`Engine::prepare`] and [`Engine::read`].
    pub fn read_apart(
        &mut self,
        k: usize,
        prompt: Prompt,
        request: ScoreRequest,
    ) -> Result<(), EngineError> {
        let mut prompt = Some(prompt);
        let info = &self.members[k];
        let prepared = self.some(&[k], |_| {
            Command::Prepare(prompt.take().unwrap_or_default())
        })?;
        if let Some(Reply::Prepared { tokens, .. }) = prepared.first() {
            check_room(info, *tokens, 0)?;
        }
        for reply in self.some(&[k], |_| Command::Evaluate(request))? {
            if let Reply::Scored(new) = reply {
                self.scores[k].extend(new);
            }
        }
        self.some(&[k], |_| Command::Clear)?;
        Ok(())
    }
}

/// Whether a prompt fits a member whose context keeps `reserve` tokens free.
fn check_room(info: &MemberInfo, tokens: usize, reserve: u32) -> Result<(), EngineError> {
    let context = info.limits.context;
    let room = (context - reserve) as usize;
    if tokens <= room {
        return Ok(());
    }
    Err(EngineError::TooLong {
        member: info.name.clone(),
        tokens,
        room,
        context,
    })
}
