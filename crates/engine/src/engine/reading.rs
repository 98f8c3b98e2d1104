//! Prompts: tokenised by every member, and read by all at the same time.

use super::branches::prefetch::reserve;
use super::runtime::MemberRuntime;
use super::score_request::ScoreRequest;
use super::tokenized::PreparedPrompt;
use super::{EngineError, Lockstep, MemberInfo};
use crate::prompt::{Ending, Prompt};
use crate::vocab::Alphabet;

/// What [`Lockstep::prepare`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Prepared {
    /// Tokens of the whole prompt, member by member.
    pub tokens: Vec<usize>,
    /// Tokens that have to be evaluated, member by member.
    pub new_tokens: Vec<usize>,
    /// Bytes that a member has no token for and will not see, member by member.
    pub lost: Vec<Vec<u8>>,
}

impl Lockstep {
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
        let prepared = match self.alphabet {
            Alphabet::Mapped => self.prepare_by_reference(prompts)?,
            Alphabet::Tokens | Alphabet::Bytes => self.prepare_each(prompts)?,
        };
        let prepared = self.check_prepared(prepared, closed)?;
        self.prompt_tokens.clone_from(&prepared.tokens);
        Ok(prepared)
    }

    /// What the members say of their prompts, if all fit. A `closed` prompt may fill the context.
    pub(super) fn check_prepared(
        &self,
        prompts: Vec<PreparedPrompt>,
        closed: bool,
    ) -> Result<Prepared, EngineError> {
        let mut prepared = Prepared::default();
        for (k, (info, prompt)) in self.engine.members.iter().zip(prompts).enumerate() {
            if !self.reads(k) {
                prepared.tokens.push(prompt.tokens);
                prepared.new_tokens.push(0);
                prepared.lost.push(Vec::new());
                continue;
            }
            if prompt.tokens == 0 {
                return Err(EngineError::Empty {
                    member: info.name.clone(),
                });
            }
            let reserve = if closed {
                0
            } else {
                reserve(info.limits.context)
            };
            check_room(info, prompt.tokens, reserve)?;
            prepared.tokens.push(prompt.tokens);
            prepared.new_tokens.push(prompt.new_tokens);
            prepared.lost.push(prompt.lost);
        }
        Ok(prepared)
    }

    /// Every member tokenises a prompt of its own.
    pub(super) fn prepare_each(
        &self,
        prompts: Vec<Prompt>,
    ) -> Result<Vec<PreparedPrompt>, EngineError> {
        let mut prompts = prompts;
        let there: Vec<usize> = (0..self.lost.len()).filter(|&k| !self.lost[k]).collect();
        let prepared = self.some(&there, |k| {
            let prompt = prompts.get_mut(k).map(std::mem::take).unwrap_or_default();
            async move |runtime: &mut MemberRuntime| runtime.prepare(&prompt)
        })?;
        let mut all: Vec<PreparedPrompt> = Vec::new();
        all.resize_with(self.lost.len(), PreparedPrompt::default);
        there
            .into_iter()
            .zip(prepared)
            .for_each(|(k, of)| all[k] = of);
        Ok(all)
    }

    /// Whether a member reads what is prepared.
    fn reads(&self, k: usize) -> bool {
        !self.resting[k] && !self.lost[k]
    }

    /// Evaluates the prepared prompts, all members at the same time but those that rest, and adds
    /// what they predicted for the scored bytes to the evidence.
    ///
    /// # Errors
    /// From a member; [`EngineError::Cancelled`].
    pub fn read(&mut self, request: ScoreRequest) -> Result<(), EngineError> {
        self.read_watched(request, &mut |_| {})
    }

    /// As [`Lockstep::read`]. While members evaluate, `progress` is called now and then with the
    /// number of [new tokens](Prepared::new_tokens) that each has read. If it is cancelled, members
    /// may be at work for a moment longer, see [`Lockstep::settle`]: a large matrix product is not
    /// interrupted.
    ///
    /// # Errors
    /// As [`Lockstep::read`].
    pub fn read_watched(
        &mut self,
        request: ScoreRequest,
        progress: &mut dyn FnMut(&[usize]),
    ) -> Result<(), EngineError> {
        let evaluate = async move |runtime: &mut MemberRuntime| runtime.evaluate(request).await;
        let readers = (0..self.resting.len()).filter(|&k| self.reads(k));
        let readers: Vec<usize> = readers.collect();
        if std::mem::take(&mut self.read_in_part) {
            // Some have learnt from the end of a prompt that is now read again.
            self.unlearn()?;
        }
        let read = self.some_watched(&readers, |_| evaluate, progress);
        self.read_in_part = read.is_err();
        let read = read?;
        self.prefetched = read.iter().all(|read| read.prefetched);
        for (&k, read) in readers.iter().zip(read) {
            self.scores[k].extend(read.scores);
        }
        Ok(())
    }

    /// Whether all members had prefetched the last prompt, see
    /// [`MemberSpec::prefetch`](super::MemberSpec::prefetch).
    #[must_use]
    pub fn prefetched(&self) -> bool {
        self.prefetched
    }

    /// Scores one member on a prompt of its own, which leaves its cache empty.
    ///
    /// # Errors
    /// As [`Lockstep::prepare`] and [`Lockstep::read`].
    pub fn read_apart(
        &mut self,
        k: usize,
        prompt: Prompt,
        request: ScoreRequest,
    ) -> Result<(), EngineError> {
        let prepare = async move |runtime: &mut MemberRuntime| runtime.prepare(&prompt);
        let prepared = self.one(k, prepare)?;
        check_room(&self.engine.members[k], prepared.tokens, 0)?;
        let evaluate = async move |runtime: &mut MemberRuntime| runtime.evaluate(request).await;
        let read = self.one(k, evaluate)?;
        self.scores[k].extend(read.scores);
        self.one(k, async |runtime: &mut MemberRuntime| runtime.clear())
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
