//! Who answers in a conversation: a pack that is loaded here, or a server.

mod busy;
mod here;
mod server;
mod told;

pub use here::Here;
pub use server::Server;

use super::parameters::{Elsewhere, Settings};
use super::talk::Turn;
use crate::command::loaded::Shown;
use anyhow::Result;
use packllm_client::ClientError;
use packllm_engine::backend::BackendError;
use packllm_engine::chat::{Message, RemovedMessages};
use packllm_engine::engine::{Answer, EngineError};
use packllm_engine::mix::Mix;
use packllm_engine::pack::Read;
use packllm_engine::weight::Method;
use packllm_grammar::Form;
use packllm_parameter::Vocab;
use std::time::Instant;

/// What is to be answered.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// What the members read.
    pub context: &'a [Message],
    /// From this message on it is new evidence.
    pub new: usize,
    /// The part of the answer that exists already.
    pub begun: &'a str,
    /// Most tokens of the answer; None: until it ends.
    pub limit: Option<usize>,
    /// What the answer has to look like; None: any text.
    pub form: Option<&'a Form>,
    pub settings: &'a Settings,
}

/// A member as it stands.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    pub name: String,
    /// 0 if it was dropped; None if it is not known yet.
    pub weight: Option<f64>,
    pub silent: bool,
    /// What is known of it, in a few words.
    pub facts: String,
}

/// Where weights come from.
#[derive(Debug, Clone, Default)]
pub struct Weighing {
    /// The method, in a word.
    pub method: String,
    /// The text that they follow, in words.
    pub text: String,
    /// What that text cost each member, in bits per byte; None where it was not measured.
    pub bits: Vec<Option<f64>>,
    /// What the question seems to be about, and what can be expected of the members.
    pub outlook: Option<String>,
}

/// Tokens of a member, and the size of its context.
pub type Gauge = (usize, usize);

/// See the module.
pub trait Partner {
    /// The name of its pack.
    fn name(&self) -> &str;
    /// The members, in order; none if it tells of none.
    fn members(&self) -> Vec<Standing>;
    /// What it is, line by line.
    fn described(&self) -> Vec<String>;
    /// The question as member `k` reads it.
    fn rendered(&mut self, k: usize, question: &Question<'_>) -> Result<String>;
    /// Parameters that `/set` cannot set here, and why.
    fn elsewhere(&self) -> &'static Elsewhere;

    /// How it fuses; None if that is not known yet.
    fn fusion(&self) -> Option<Fused>;
    /// Where the present weights come from.
    fn weighing(&self) -> Result<Weighing>;
    /// What message number `message` of the context cost the members, in bits per byte.
    fn bits_of(&self, message: usize) -> Option<Vec<f64>>;
    /// Another method from now on; returns whether the members have to be measured anew.
    fn weigh_by(&mut self, method: Method) -> Result<bool>;
    fn mix_by(&mut self, mix: Mix) -> Result<()>;
    /// Another alphabet from now on.
    fn spell_by(&mut self, vocab: Vocab) -> Result<()>;
    /// Who speaks.
    fn silence(&mut self, silent: Vec<bool>) -> Result<()>;
    /// Fuses as it was told to above.
    fn fuse(&mut self) -> Result<()>;
    /// What was measured no longer counts.
    fn forget_evidence(&mut self);
    /// Derives the weights anew.
    fn weigh(&mut self) -> Result<()>;

    /// Whether it can read what is not to be answered yet.
    fn reads_ahead(&self) -> bool;
    /// The tokens of each member for what is asked, without reading it; none if that is not known.
    fn measure(&mut self, question: &Question<'_>) -> Result<Vec<Gauge>>;
    /// How full the contexts are after the last prompt, and an answer that follows it.
    fn gauges(&self, last: Option<&Turn>) -> Vec<Gauge>;
    /// The same for what was said, counted anew; None where only the last prompt is known.
    fn size(&mut self, _: &Question<'_>) -> Result<Option<Vec<Gauge>>> {
        Ok(None)
    }
    /// Forgets all that was read.
    fn clear(&mut self) -> Result<()>;
    /// Messages left the context: what was scored of them no longer counts.
    fn forget(&mut self, gone: &RemovedMessages);
    /// Waits until the interrupted work has stopped.
    fn settle(&self);

    /// Reads the question.
    fn read(&mut self, question: &Question<'_>) -> Result<Read>;
    /// Writes the answer to the question that was read to stdout. The time to its first byte is
    /// counted from `start`.
    fn stream(&mut self, read: &Read, start: Instant) -> Result<Shown>;
    /// Whether it was a full context that ended an answer by its length, of at most `limit` tokens.
    fn is_full(&self, answer: &Answer, limit: Option<usize>) -> bool;
    /// A turn has ended.
    fn end_turn(&mut self, read: &mut Read);
    /// What the members spent on a turn, line by line.
    fn stats(&self, turn: &Turn) -> Vec<String>;

    /// What is asked until [`Partner::turn_back`] leaves no trace, and is no evidence.
    fn turn_aside(&mut self) -> Result<()>;
    fn turn_back(&mut self);
}

/// How members are fused, in words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fused {
    pub weights: String,
    pub mix: String,
    pub alphabet: String,
}

/// Whether the prompt does not fit.
pub fn is_too_long(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(EngineError::TooLong { .. }))
        || error.downcast_ref().and_then(ClientError::sizes).is_some()
}

/// Whether a member is gone with the machine that it was on.
pub fn is_lost(error: &anyhow::Error) -> bool {
    let lost = |source: &BackendError| matches!(source, BackendError::Lost { .. });
    matches!(error.downcast_ref(), Some(EngineError::Member { source, .. }) if lost(source))
}

/// Whether the user stopped it.
pub fn is_cancelled(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(EngineError::Cancelled))
        || matches!(error.downcast_ref(), Some(ClientError::Cancelled))
}
