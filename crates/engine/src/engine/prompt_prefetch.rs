//! TokenizedPrompt, while other members still load, what will be asked for first.
//!
//! A small model is loaded long before a large one, and has a core to itself until then. Where it is known what
//! comes, it reads that; asked for the very same, it answers with what it has. Told anything else first, it forgets.

use super::chain::Scores;
use super::runtime::{MemberRuntime, ScoreRequest};
use super::worker::{Command, Reply, prepared};
use crate::backend::MemberInfo;
use crate::backend::{BackendError, Member};
use crate::prompt::Prompt;
use crate::vocab::Alphabet;
use crate::vocab::cover::Budget;

/// What a member will be asked for first.
#[derive(Debug, Clone, PartialEq)]
pub struct ExpectedPrompt {
    /// The alphabet that the pack will have, which is not known before all have loaded.
    pub alphabet: Alphabet,
    /// How much of a cover is evaluated.
    pub budget: Budget,
    /// The prompt of this member.
    pub prompt: Prompt,
    /// What is wanted from it.
    pub request: ScoreRequest,
}

/// Says, on the member's own thread, what it will be asked for; None if that is not known.
pub type PromptPrefetch = Box<dyn FnOnce(&MemberInfo) -> Option<ExpectedPrompt> + Send>;

/// What was read ahead, until it is asked for.
pub(super) struct PrefetchedPrompt {
    ahead: ExpectedPrompt,
    /// Whether the alphabet and the budget were asked for.
    configured: bool,
    /// Of the prompt: see [`Reply::Prepared`]. None once it was asked for.
    prepared: Option<Reply>,
    scores: Scores,
}

/// Longest prompt that is read ahead: tokens. One that takes long may be wrong for another member, which is to be told
/// before; and next to it a second of loading is little.
const MAX_TOKENS: usize = 512;

impl PrefetchedPrompt {
    /// Reads ahead. Whatever goes wrong will go wrong again, and be told, when it is asked for.
    pub fn read(runtime: &mut MemberRuntime, ahead: ExpectedPrompt) -> Option<Self> {
        if let Ok(Some(foreseen)) = Self::try_read(runtime, ahead) {
            return Some(foreseen);
        }
        // A runtime that cannot be emptied says so with the next command as well.
        drop(runtime.begin_again());
        None
    }

    fn try_read(
        runtime: &mut MemberRuntime,
        ahead: ExpectedPrompt,
    ) -> Result<Option<Self>, BackendError> {
        runtime.configure(ahead.alphabet, ahead.budget)?;
        // What leaves no room for an answer is refused later.
        let room = runtime.member.limits().context as usize / 2;
        let reading = runtime.prepare(&ahead.prompt)?;
        if !(1..=room.min(MAX_TOKENS)).contains(&reading.total) {
            return Ok(None);
        }
        let prepared = Some(prepared(reading));
        let scores = runtime.evaluate(ahead.request)?;
        Ok(Some(Self {
            ahead,
            configured: false,
            prepared,
            scores,
        }))
    }

    /// The answer to a command, if it is the next of those foreseen.
    pub fn answer(&mut self, command: &Command) -> Option<Reply> {
        match command {
            Command::Ready => Some(Reply::Done),
            Command::Configure(alphabet, budget) if !self.configured => {
                let asked = (*alphabet, *budget);
                self.configured = asked == (self.ahead.alphabet, self.ahead.budget);
                self.configured.then_some(Reply::Done)
            }
            Command::Prepare(prompt) if self.configured && *prompt == self.ahead.prompt => {
                self.prepared.take()
            }
            Command::Evaluate(request)
                if self.prepared.is_none() && *request == self.ahead.request =>
            {
                Some(Reply::PrefetchedPrompt(std::mem::take(&mut self.scores)))
            }
            _ => None,
        }
    }

    /// Something else is wanted: the runtime is as if it had read nothing, and knows what it was told meanwhile.
    pub fn forget(self, runtime: &mut MemberRuntime) -> Result<(), BackendError> {
        match self.configured {
            true => runtime.clear()?,
            false => runtime.begin_again()?,
        }
        if self.prepared.is_none() {
            runtime.prepare(&self.ahead.prompt)?;
        }
        Ok(())
    }
}
