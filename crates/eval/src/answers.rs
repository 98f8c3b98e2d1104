//! One question, answered with a text by every contestant.
//!
//! The question is read once by all members, and every mixture's weights come from that. Then the
//! contestants answer one after the other, greedily, from the same KV caches. A member by itself
//! answers as if it were loaded alone: in its own tokens, the others silent. Mixtures whose weights
//! are the same say the same, and answer once.

use super::contestant::{Contestant, ContestantKind};
use super::judge::{Judge, first_best, seconds, spent_since};
use super::script::{Framing, Script};
use packllm_engine::engine::{Answer, AnswerOptions, EngineError, Finish, Fusion, ScoreRequest};
use packllm_engine::pack::{Conversation, PackError};
use packllm_engine::sample::Params;
use packllm_engine::vocab::Alphabet;
use packllm_engine::weight::Method;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// What a contestant said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// The text.
    pub text: String,
    /// Whether it ended by itself, not at the limit.
    pub ended: bool,
    /// Tokens of the leading member that spell it.
    pub tokens: usize,
    /// The weights at its beginning; empty for a member.
    pub lambda: Vec<f64>,
    /// For a mixture: whether one member answered in its own tokens, and the others did nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub alone: bool,
    /// Symbols picked.
    pub steps: usize,
    /// Symbols that the leading member alone would not have picked.
    pub overruled: usize,
    /// Time to answer, without reading the question; its share where questions are answered at the
    /// same time.
    pub answer_seconds: f64,
    /// The same with reading: for a member the time inside its model, for a mixture that of all.
    pub seconds: f64,
    /// For code: whether it passed its test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed: Option<bool>,
}

/// What all contestants said to a question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answers {
    /// One a contestant.
    pub replies: Vec<Reply>,
    /// Tokens evaluated, member by member.
    pub tokens: Vec<usize>,
    /// Time inside each model.
    pub model_seconds: Vec<f64>,
    /// Time of everything, or its share.
    pub total_seconds: f64,
}

/// How the best of several answers is found.
const TEMPERATURE: f64 = 0.7;

/// A question that was read.
struct Reading {
    /// Where evidence begins.
    new: usize,
    request: ScoreRequest,
    time: Duration,
    /// Time inside each member.
    members: Vec<Duration>,
}

impl Judge {
    /// Checks that a question fits every member and leaves room to answer. Nothing is evaluated.
    ///
    /// # Errors
    /// [`EngineError::TooLong`], which says by how much; a template that fails.
    pub fn check_script(
        &self,
        conversation: &mut Conversation,
        script: &Script,
    ) -> Result<(), PackError> {
        match script.framing {
            Framing::Chat => {
                conversation.measure(&script.messages(), "", &mut ())?;
            }
            Framing::Raw => {
                let n = conversation.lockstep.members().len();
                let prompts = vec![script.prompt(); n];
                conversation.refer(&prompts, &mut ())?;
                conversation.lockstep.prepare(prompts)?;
            }
        }
        Ok(())
    }

    /// Lets every contestant answer, where so many questions are answered at the same time.
    ///
    /// # Errors
    /// A template that fails; from the engine, as [`Conversation::read_chat`] and
    /// [`Lockstep::answer`](packllm_engine::engine::Lockstep::answer).
    pub fn answer(
        &self,
        at_once: u32,
        conversation: &mut Conversation,
        script: &Script,
    ) -> Result<Answers, PackError> {
        let start = Instant::now();
        let before = conversation.lockstep.spent()?;
        let reading = self.read_question(conversation, script)?;
        let mut replies: Vec<Reply> = Vec::with_capacity(self.contestants.len());
        for contestant in &self.contestants {
            let reply = self.reply(
                at_once,
                conversation,
                script,
                &reading,
                contestant,
                &replies,
            )?;
            replies.push(reply);
        }
        let spent = spent_since(&conversation.lockstep, &before)?;
        Ok(Answers {
            replies,
            tokens: spent.iter().map(|s| s.tokens).collect(),
            model_seconds: spent.iter().map(|s| seconds(s.time)).collect(),
            total_seconds: seconds(start.elapsed() / at_once),
        })
    }

    /// Member `k` answers `count` times, drawn at temperature 0.7 by the seeds 1 to `count`; the
    /// answer is the one that is most [like](super::grade::likeness) the others, the first of equals
    /// (with numbers: the one that most end with). Its cost is that of all.
    ///
    /// # Errors
    /// As [`Judge::answer`].
    pub fn answer_again(
        &self,
        at_once: u32,
        conversation: &mut Conversation,
        script: &Script,
        k: usize,
        count: usize,
        likeness: &dyn Fn(&str, &str) -> f64,
    ) -> Result<Reply, PackError> {
        let start = Instant::now();
        let mut replies = Vec::with_capacity(count);
        begin(conversation, script)?;
        conversation.lockstep.solo(k)?;
        for seed in 1..=count as u64 {
            let opening = read(conversation, script, usize::MAX, ScoreRequest::NOTHING)?;
            let sampling = Params {
                temperature: TEMPERATURE,
                seed,
                ..Params::default()
            };
            let answer = answer(conversation, script, sampling)?;
            replies.push(said(&answer, &opening, Vec::new()));
        }
        let like = |i: usize| -> f64 {
            let others = replies.iter().enumerate().filter(|(j, _)| *j != i);
            others
                .map(|(_, other)| likeness(&replies[i].text, &other.text))
                .sum()
        };
        let scores: Vec<f64> = (0..replies.len()).map(like).collect();
        let time = seconds(start.elapsed() / at_once);
        let tokens = replies.iter().map(|reply| reply.tokens).sum();
        let mut reply = replies.swap_remove(first_best(&scores));
        (reply.seconds, reply.answer_seconds, reply.tokens) = (time, time, tokens);
        Ok(reply)
    }

    /// All members read the question, and are measured on it as far as a mixture needs it.
    fn read_question(
        &self,
        conversation: &mut Conversation,
        script: &Script,
    ) -> Result<Reading, PackError> {
        let (start, before) = (Instant::now(), conversation.lockstep.spent()?);
        // Weights are derived later, for each mixture.
        self.fuse(conversation, &Method::Uniform)?;
        begin(conversation, script)?;
        let request = self.request(conversation);
        let new = 2 * script.shots.len();
        read(conversation, script, new, request)?;
        let spent = spent_since(&conversation.lockstep, &before)?;
        Ok(Reading {
            new,
            request,
            time: start.elapsed(),
            members: spent.iter().map(|s| s.time).collect(),
        })
    }

    /// All that some mixture needs.
    fn request(&self, conversation: &Conversation) -> ScoreRequest {
        let of = |contestant: &Contestant| match &contestant.kind {
            ContestantKind::Member(_) | ContestantKind::Again(..) => ScoreRequest::NOTHING,
            ContestantKind::Mixture(method) => conversation.lockstep.score_request_for(method),
            ContestantKind::Among(_) => {
                conversation.lockstep.score_request_for(&self.fusion.method)
            }
        };
        let all = self.contestants.iter().map(of);
        all.fold(ScoreRequest::NOTHING, |a, b| ScoreRequest {
            scores: a.scores || b.scores,
            rows: a.rows || b.rows,
            full: false,
        })
    }

    /// Lets all members take part in a question that is decided by all, whoever answered before.
    ///
    /// # Errors
    /// As [`Conversation::fuse_by`] and [`Conversation::refer`].
    pub fn gather(&self, conversation: &mut Conversation) -> Result<(), PackError> {
        let lockstep = &conversation.lockstep;
        if lockstep.soloist().is_none() && !lockstep.someone_rests() {
            return Ok(());
        }
        self.fuse(conversation, &self.fusion.method)?;
        match self.maps {
            Some(_) => Ok(()),
            None => conversation.refer(&[], &mut ()),
        }
    }

    /// All members speak, with weights by this method.
    fn fuse(&self, conversation: &mut Conversation, method: &Method) -> Result<(), EngineError> {
        let n = conversation.lockstep.members().len();
        conversation.lockstep.silence(vec![false; n])?;
        conversation.fuse_by(Fusion {
            method: method.clone(),
            ..self.fusion.clone()
        })
    }

    /// The members of a mixture speak, with its weights.
    fn fuse_as(
        &self,
        conversation: &mut Conversation,
        kind: &ContestantKind,
    ) -> Result<(), EngineError> {
        match kind {
            ContestantKind::Mixture(method) => self.fuse(conversation, method),
            ContestantKind::Among(members) => {
                self.fuse(conversation, &self.fusion.method)?;
                let n = conversation.lockstep.members().len();
                let silent = (0..n).map(|k| !members.contains(&k)).collect();
                conversation.lockstep.silence(silent)
            }
            ContestantKind::Member(_) | ContestantKind::Again(..) => Ok(()),
        }
    }

    /// What member `k` said by itself, if it was asked.
    fn reply_of_member<'r>(&self, k: usize, replies: &'r [Reply]) -> Option<&'r Reply> {
        let is = |c: &Contestant| c.kind == ContestantKind::Member(k);
        let at = self.contestants.iter().position(is)?;
        replies.get(at)
    }

    fn reply(
        &self,
        at_once: u32,
        conversation: &mut Conversation,
        script: &Script,
        reading: &Reading,
        contestant: &Contestant,
        others: &[Reply],
    ) -> Result<Reply, PackError> {
        let start = Instant::now();
        let (mut new, mut request) = (usize::MAX, ScoreRequest::NOTHING);
        let reading_time = match &contestant.kind {
            ContestantKind::Member(k) | ContestantKind::Again(k, _) => {
                conversation.lockstep.solo(*k)?;
                reading.members[*k]
            }
            ContestantKind::Mixture(_) | ContestantKind::Among(_) => {
                self.fuse_as(conversation, &contestant.kind)?;
                if conversation.lockstep.alphabet() == Alphabet::Mapped {
                    // A reference is chosen anew, and what was read before it is forgotten.
                    conversation.lockstep.forget_evidence();
                    (new, request) = (reading.new, reading.request);
                }
                reading.time / at_once
            }
        };
        let opening = read(conversation, script, new, request)?;
        let is_mixture = contestant.kind.is_mixture();
        let lambda = match is_mixture {
            true => conversation.lockstep.lambda().to_vec(),
            false => Vec::new(),
        };
        let follows = contestant.kind == ContestantKind::Mixture(Method::Adaptive)
            && self.fusion.follow_answer;
        // A mixture of one member that answers in its own tokens says what that member says.
        let soloist = conversation.lockstep.soloist();
        let same = match soloist {
            Some(k) if is_mixture => self.reply_of_member(k, others),
            _ => others.iter().find(|r| r.lambda == lambda && !r.alone),
        };
        if let Some(same) = same.filter(|_| is_mixture && !follows) {
            let alone = soloist.is_some();
            return Ok(Reply {
                lambda,
                alone,
                ..same.clone()
            });
        }
        let sampling = Params {
            temperature: 0.0,
            ..Params::default()
        };
        let answer = answer(conversation, script, sampling)?;
        let mut reply = said(&answer, &opening, lambda);
        reply.alone = soloist.is_some() && is_mixture;
        let answering = start.elapsed() / at_once;
        reply.answer_seconds = seconds(answering);
        reply.seconds = seconds(reading_time + answering);
        Ok(reply)
    }
}

/// Forgets the question before. Its cells would lie where this one's go, in another run elsewhere,
/// and what is in them rounds differently: a run that goes on would not come to the same texts.
/// Examples are worth more than that.
fn begin(conversation: &mut Conversation, script: &Script) -> Result<(), EngineError> {
    match script.shots.is_empty() {
        true => conversation.lockstep.clear(),
        false => {
            conversation.lockstep.forget_evidence();
            Ok(())
        }
    }
}

/// Reads the question; messages from number `new` on are evidence. Returns what opens the answer.
fn read(
    conversation: &mut Conversation,
    script: &Script,
    new: usize,
    request: ScoreRequest,
) -> Result<String, PackError> {
    match script.framing {
        Framing::Chat => {
            let messages = script.messages();
            let new = new.min(messages.len());
            let read = conversation.read_chat(&messages, new, "", request, &mut ())?;
            Ok(read.opening)
        }
        Framing::Raw => {
            let prompts = vec![script.prompt(); conversation.lockstep.members().len()];
            conversation.refer(&prompts, &mut ())?;
            conversation.lockstep.prepare(prompts)?;
            conversation.lockstep.read(request)?;
            conversation.lockstep.weigh()?;
            Ok(String::new())
        }
    }
}

fn answer(
    conversation: &mut Conversation,
    script: &Script,
    sampling: Params,
) -> Result<Answer, EngineError> {
    let mut stops = script.stops.clone();
    if script.framing == Framing::Chat {
        stops.extend(conversation.stops());
    }
    let options = AnswerOptions {
        limit: Some(script.limit),
        sampling,
        stops,
        attribution: conversation.lockstep.members().len() > 1,
    };
    let answer = conversation.lockstep.answer(&options, &mut |_| {})?;
    match answer.finish {
        Finish::Cancelled => Err(EngineError::Cancelled),
        _ => Ok(answer),
    }
}

fn said(answer: &Answer, opening: &str, lambda: Vec<f64>) -> Reply {
    Reply {
        text: format!("{opening}{}", answer.text),
        ended: answer.finish == Finish::Stop,
        tokens: answer.tokens,
        lambda,
        alone: false,
        steps: answer.steps,
        overruled: answer.overruled,
        answer_seconds: 0.0,
        seconds: 0.0,
        passed: None,
    }
}
