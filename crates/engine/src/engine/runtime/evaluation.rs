//! A prompt is evaluated: its tokens in batches, its evidence along the way, and then the answer
//! begins.

use super::MemberRuntime;
use super::plan::EvaluationPlan;
use crate::backend::{BackendError, BatchToken, PREFIX};
use crate::engine::chain::{Chain, Scores, push_scored};
use crate::engine::prompt_cache::CachedPrompt;
use crate::engine::prompt_prefetch::PrefetchedPrompt;
use crate::engine::score_request::ScoreRequest;
use crate::engine::tokenized::Mark;
use crate::prompt::Ending;
use crate::vocab::Alphabet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What a member made of its prompt.
#[derive(Debug)]
pub(in crate::engine) struct Evaluation {
    pub scores: Scores,
    /// Whether it was prefetched.
    pub prefetched: bool,
}

impl MemberRuntime {
    /// Evaluates the prepared prompt. Afterwards the next symbol is predicted, unless the prompt is
    /// closed.
    pub async fn evaluate(&mut self, request: ScoreRequest) -> Result<Evaluation, BackendError> {
        let known = self.prefetched.take_if(|p| p.matches(request));
        if let Some(scores) = known.map(PrefetchedPrompt::into_scores) {
            let prefetched = true;
            return Ok(Evaluation { scores, prefetched });
        }
        self.forget_prefetched()?;
        let scores = self.evaluate_prepared(request).await?;
        let prefetched = false;
        Ok(Evaluation { scores, prefetched })
    }

    pub(super) async fn evaluate_prepared(
        &mut self,
        request: ScoreRequest,
    ) -> Result<Scores, BackendError> {
        self.check_shared(request)?;
        let reading = self
            .reading
            .take()
            .ok_or_else(|| BackendError::Refused("no prompt was prepared".into()))?;
        self.branches
            .drop_cover(&mut self.cover, &mut self.member)?;
        let mut marks = self.prefix.marks.split_off(0);
        marks.truncate(reading.marks);
        let known = marks
            .last()
            .map_or((0, 0), |mark| (mark.symbols, mark.tokens));
        let recalled = self.recalled.begun(known.0, known.1);
        self.cut_prefix(reading.keep)?;
        self.read.store(0, Ordering::Relaxed);
        let plan = EvaluationPlan::new(&reading, &self.view, &self.sorted, self.alphabet, request);
        let mut chain = self.chain(request);
        if self.caches_next && plan.marks() == 0 {
            self.state = Some(self.member.save());
        }
        for mark in self.run(&plan, &mut chain).await? {
            marks.push(Mark {
                symbols: known.0 + mark.symbols,
                tokens: known.1 + mark.tokens,
                ..mark
            });
        }
        let mut scores = if known.0 > 0 {
            recalled.joined(chain.scores)
        } else {
            chain.scores
        };
        // Otherwise the marks are not all that there are in the prefix.
        if known.0 > 0 || reading.keep == 0 {
            self.publish(&marks, &scores, request);
        }
        if std::mem::take(&mut self.caches_next) {
            self.keep(marks, &scores, plan.marks() > 0);
        }
        if reading.ending != Ending::Closed || request.full {
            self.open(&plan, &mut scores, request).await?;
        }
        self.said = 0;
        Ok(scores)
    }

    /// Caches the prompt up to its last mark; `grown`: it is longer than what was restored. If the
    /// state cannot be saved, only the cached prompt is lost.
    fn keep(&mut self, marks: Vec<Mark>, scores: &Scores, grown: bool) {
        let state = self.state.take();
        self.cached = marks.last().copied().zip(state).map(|(last, state)| {
            Ok(CachedPrompt {
                tokens: self.prefix.tokens[..last.len].to_vec(),
                scores: scores.begun(last.symbols, last.tokens),
                marks,
                state: state?,
                grown,
            })
        });
    }

    /// Evaluates the plan's tokens in batches of a fixed division, feeding the chain row by row.
    /// Returns the ends of scored segments that others follow; a batch ends at each of them.
    async fn run(
        &mut self,
        plan: &EvaluationPlan,
        chain: &mut Chain,
    ) -> Result<Vec<Mark>, BackendError> {
        let limits = self.member.limits();
        let mut marks = Vec::new();
        let mut next = 0;
        while next < plan.upto {
            let first = next;
            let most = self.member.prompt_batch() as usize;
            let mut outputs = 0;
            self.batch.clear();
            while next < plan.upto
                && self.batch.len() < most
                && outputs < limits.outputs as usize
                && !(next > first && plan.tokens[next - 1].ends.is_some())
            {
                let output = plan.wants_row(next);
                outputs += usize::from(output);
                let pos = (self.prefix.tokens.len() + self.batch.len()) as u32;
                let token = plan.tokens[next].token;
                self.batch.push(BatchToken {
                    token,
                    pos,
                    seq: PREFIX,
                    output,
                });
                next += 1;
            }
            self.member.decode(&self.batch).await?;
            self.prefix
                .tokens
                .extend(self.batch.iter().map(|e| e.token));
            let mut scored = (0, 0);
            for i in first..next {
                scored = chain.scored();
                // A row of a large vocabulary takes a millisecond, a batch of them half a second.
                if self.member.cancelled() {
                    return Err(BackendError::Cancelled);
                }
                self.feed(plan, i, i - first, chain)?;
            }
            if let Some(place) = plan.tokens[next - 1].ends {
                // Over tokens, the last row has scored the first token of what follows already.
                if !chain.alphabet().is_tokens() {
                    scored = chain.scored();
                }
                marks.push(Mark {
                    len: self.prefix.tokens.len(),
                    place,
                    symbols: scored.0,
                    tokens: scored.1,
                });
                if self.caches_next && marks.len() == plan.marks() {
                    self.state = Some(self.member.save());
                }
            }
            if next == plan.upto {
                // It is asked for once all have read.
                self.keep_row(next - first - 1)?;
            }
            self.read.fetch_add(self.batch.len(), Ordering::Relaxed);
        }
        Ok(marks)
    }

    /// Gives the chain token `i`, whose logits are row `row` of the batch.
    fn feed(
        &self,
        plan: &EvaluationPlan,
        i: usize,
        row: usize,
        chain: &mut Chain,
    ) -> Result<(), BackendError> {
        let planned = &plan.tokens[i];
        if chain.alphabet() == Alphabet::Bytes && planned.in_stretch {
            let after = match planned.goes_on {
                true => Some(self.member.logits(row)?),
                false => None,
            };
            let (scored, after) = (planned.scored.clone(), after.as_deref());
            chain.step(planned.token, scored, planned.place, after)?;
        }
        let Some(following) = plan.tokens.get(i + 1).filter(|_| plan.wants_row(i)) else {
            return Ok(());
        };
        if chain.alphabet().is_tokens() {
            if !following.scored.is_empty() {
                let logits = self.member.logits(row)?;
                chain.token(following.shared, following.place, &logits)?;
            }
        } else if following.in_stretch && !planned.goes_on {
            let before = self.last_byte(planned.token);
            chain.begin(&self.member.logits(row)?, before)?;
        }
        Ok(())
    }

    /// Begins the answer: in bytes a cover after the prefix, which then reads the tail of raw text.
    async fn open(
        &mut self,
        plan: &EvaluationPlan,
        scores: &mut Scores,
        request: ScoreRequest,
    ) -> Result<(), BackendError> {
        if self.alphabet.is_tokens() {
            return Ok(());
        }
        let last = *self
            .prefix
            .tokens
            .last()
            .ok_or_else(|| BackendError::Refused("an empty prompt".into()))?;
        let before = self.last_byte(last);
        self.branches
            .begin(&mut self.cover, &mut self.member, last, &self.row, before)?;
        for planned in &plan.tokens[plan.upto..] {
            let vocab = Arc::clone(self.member.vocab());
            for (i, &byte) in vocab.piece(planned.token).iter().enumerate() {
                if planned.scored.contains(&i) {
                    push_scored(
                        scores,
                        &self.cover,
                        byte,
                        planned.place.plus(i),
                        request.rows,
                    );
                }
                let Self {
                    branches,
                    cover,
                    member,
                    ..
                } = self;
                branches.advance(cover, member, byte).await?;
            }
            if !planned.scored.is_empty() {
                scores.tokens.push(planned.place.plus(planned.scored.start));
            }
            self.read.fetch_add(1, Ordering::Relaxed);
        }
        self.cover.mark_given();
        Ok(())
    }
}
