//! Several texts that may come next, each scored by itself after the same prompt.
//!
//! The prompt stays in the prefix; every text gets a KV sequence of its own that shares the
//! prefix's cells, so that one batch evaluates the tokens of many texts. The last row of the prompt
//! predicts the first token of all of them. The last token of a text is not evaluated, because what
//! follows it is not asked for.

use super::MemberRuntime;
use crate::backend::{BackendError, BatchToken, PREFIX, Token};
use crate::engine::chain::{Chain, Scores};
use crate::engine::score_request::ScoreRequest;
use crate::prompt::Place;
use crate::vocab::Alphabet;
use crate::vocab::speller;

/// What a member made of texts that may come next.
#[derive(Debug, Default)]
pub(in crate::engine) struct Continuations {
    /// One entry a text; all its bytes are scored.
    pub scores: Vec<Scores>,
    /// The first byte that this member has no token for; nothing was scored then.
    pub lost: Option<u8>,
}

/// A text in tokens, those of the member and the shared ones that they stand for; the same unless
/// there is a map.
struct Spelt {
    tokens: Vec<Token>,
    shared: Vec<Token>,
}

/// A text on its way through the batches.
struct Course<'a> {
    spelt: &'a Spelt,
    chain: Chain,
    /// Bytes before the next token.
    at: usize,
}

impl MemberRuntime {
    /// Scores every byte of each text as if it came right after the prompt. The prompt must have
    /// been evaluated last, [closed](crate::engine::Ending::Closed); it stays in the prefix, but
    /// has to be evaluated again before more is asked of it.
    pub async fn continuations(
        &mut self,
        texts: &[String],
        request: ScoreRequest,
    ) -> Result<Continuations, BackendError> {
        let mut spelled = Vec::with_capacity(texts.len());
        for text in texts {
            let text = speller::plain(&mut self.member, &self.sorted, text)?;
            if let Some(&byte) = text.lost.first() {
                let lost = Some(byte);
                return Ok(Continuations {
                    lost,
                    ..Continuations::default()
                });
            }
            spelled.push(Spelt {
                shared: text.tokens.clone(),
                tokens: text.tokens,
            });
        }
        self.score_spelt(&spelled, request).await
    }

    /// Tokens of texts in this member's vocabulary, for the others to read through their maps. Err:
    /// the first byte that it has no token for.
    pub fn spell(&mut self, texts: &[String]) -> Result<Result<Vec<Vec<Token>>, u8>, BackendError> {
        let mut spelled = Vec::with_capacity(texts.len());
        for text in texts {
            let text = speller::plain(&mut self.member, &self.sorted, text)?;
            if let Some(&byte) = text.lost.first() {
                return Ok(Err(byte));
            }
            spelled.push(text.tokens);
        }
        Ok(Ok(spelled))
    }

    /// As [`MemberRuntime::continuations`], of texts in shared tokens. Shared tokens that this
    /// member has no token for are neither read nor scored.
    pub async fn continue_mapped(
        &mut self,
        texts: &[Vec<Token>],
        request: ScoreRequest,
    ) -> Result<Continuations, BackendError> {
        let spelt = texts.iter().map(|text| {
            let pairs = text.iter();
            let pairs = pairs.filter_map(|&shared| Some((self.view.token(shared)?, shared)));
            let (tokens, shared) = pairs.unzip();
            Spelt { tokens, shared }
        });
        let spelt: Vec<Spelt> = spelt.collect();
        self.score_spelt(&spelt, request).await
    }

    async fn score_spelt(
        &mut self,
        spelled: &[Spelt],
        request: ScoreRequest,
    ) -> Result<Continuations, BackendError> {
        let first = std::mem::take(&mut self.row);
        if first.is_empty() {
            return Err(BackendError::Refused("no prompt was read".into()));
        }
        let mut scores = Vec::with_capacity(spelled.len());
        let mut rest = spelled;
        while !rest.is_empty() {
            let (group, after) = rest.split_at(self.group(rest));
            let result = self.score_group(group, &first, request).await;
            for seq in 1..=group.len() as u32 {
                self.member.seq_truncate(seq, 0)?;
            }
            scores.extend(result?);
            rest = after;
        }
        Ok(Continuations { scores, lost: None })
    }

    /// How many of the texts, at least one, have room beside the prefix at the same time.
    fn group(&self, texts: &[Spelt]) -> usize {
        let limits = self.member.limits();
        let room = (limits.context as usize).saturating_sub(self.prefix.tokens.len());
        let mut used = 0;
        let fits = texts.iter().take_while(|text| {
            used += text.tokens.len();
            used <= room
        });
        fits.take(limits.sequences as usize - 1).count().max(1)
    }

    /// Text i of the group goes through sequence i + 1.
    async fn score_group(
        &mut self,
        group: &[Spelt],
        first: &[f32],
        request: ScoreRequest,
    ) -> Result<Vec<Scores>, BackendError> {
        let base = self.prefix.tokens.len() as u32;
        let mut courses = Vec::with_capacity(group.len());
        for (seq, spelt) in (1..).zip(group) {
            self.member.seq_copy(PREFIX, seq, base)?;
            courses.push(self.start(spelt, first, request)?);
        }
        // Texts in turn, so that each chain is fed in order, however the tokens are divided into
        // batches.
        let evaluated: Vec<(usize, usize)> = (0..group.len())
            .flat_map(|i| (0..group[i].tokens.len().saturating_sub(1)).map(move |j| (i, j)))
            .collect();
        let limits = self.member.limits();
        for part in evaluated.chunks(limits.batch.min(limits.outputs) as usize) {
            let entry = |&(i, j): &(usize, usize)| BatchToken {
                token: group[i].tokens[j],
                pos: base + j as u32,
                seq: i as u32 + 1,
                output: true,
            };
            self.batch.clear();
            self.batch.extend(part.iter().map(entry));
            self.member.decode(&self.batch).await?;
            for (row, &(i, j)) in part.iter().enumerate() {
                courses[i].step(j, &self.member.logits(row)?)?;
            }
        }
        courses.into_iter().map(Course::finish).collect()
    }

    /// A chain at the end of the prompt, whose last logits are `first`.
    fn start<'a>(
        &self,
        spelt: &'a Spelt,
        first: &[f32],
        request: ScoreRequest,
    ) -> Result<Course<'a>, BackendError> {
        let mut chain = self.chain(request);
        match (self.alphabet, spelt.shared.first()) {
            (_, None) => {}
            (Alphabet::Tokens | Alphabet::Mapped, Some(&token)) => {
                chain.token(token, Place::default(), first)?
            }
            (Alphabet::Bytes, Some(_)) => {
                let last = self.prefix.tokens.last();
                let before = last.and_then(|&token| self.last_byte(token));
                chain.begin(first, before)?;
            }
        }
        Ok(Course {
            spelt,
            chain,
            at: 0,
        })
    }
}

impl Course<'_> {
    /// `after` are the logits that follow token `j`, which is not the last.
    fn step(&mut self, j: usize, after: &[f32]) -> Result<(), BackendError> {
        let len = self.chain.piece_len(self.spelt.shared[j]);
        let place = Place::default().plus(self.at);
        self.at += len;
        if self.chain.alphabet() != Alphabet::Bytes {
            let next = Place::default().plus(self.at);
            return self.chain.token(self.spelt.shared[j + 1], next, after);
        }
        self.chain
            .step(self.spelt.tokens[j], 0..len, place, Some(after))
    }

    /// The last token, after which nothing comes.
    fn finish(mut self) -> Result<Scores, BackendError> {
        if let (Alphabet::Bytes, Some(&last)) = (self.chain.alphabet(), self.spelt.tokens.last()) {
            let len = self.chain.piece_len(last);
            let place = Place::default().plus(self.at);
            self.chain.step(last, 0..len, place, None)?;
        }
        Ok(self.chain.scores)
    }
}
