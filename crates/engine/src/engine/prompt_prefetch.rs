//! Prompt prefetch: what a member is expected to be asked first, and what it found when it read
//! that while others were loading.
//!
//! A small model is loaded long before a large one, and has a core to itself until then. If its
//! first prompt is known, it reads that prompt meanwhile. Asked for the very same, it answers with
//! what it has; told anything else first, it forgets it.

use super::chain::Scores;
use super::score_request::ScoreRequest;
use super::tokenized::PreparedPrompt;
use crate::backend::MemberInfo;
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

/// A prefetched prompt, until it is asked for: first the settings, then the prompt, then its
/// scores.
pub(super) struct PrefetchedPrompt {
    expected: ExpectedPrompt,
    /// Whether the alphabet and the budget were asked for.
    configured: bool,
    /// None once it was asked for.
    prepared: Option<PreparedPrompt>,
    scores: Scores,
}

impl PrefetchedPrompt {
    /// A prefetched prompt of which nothing was asked for yet.
    pub fn new(expected: ExpectedPrompt, prepared: PreparedPrompt, scores: Scores) -> Self {
        Self {
            expected,
            configured: false,
            prepared: Some(prepared),
            scores,
        }
    }

    /// Whether the settings asked for are those it was read with.
    pub fn configure(&mut self, alphabet: Alphabet, budget: Budget) -> bool {
        self.configured = (alphabet, budget) == (self.expected.alphabet, self.expected.budget);
        self.configured
    }

    /// What is known of the prompt, if it is the expected one and was not asked for before.
    pub fn prepare(&mut self, prompt: &Prompt) -> Option<PreparedPrompt> {
        let expected = self.configured && *prompt == self.expected.prompt;
        self.prepared.take_if(|_| expected)
    }

    /// Whether the prompt was asked for and was read with this request.
    pub fn matches(&self, request: ScoreRequest) -> bool {
        self.prepared.is_none() && request == self.expected.request
    }

    /// What was scored.
    pub fn into_scores(self) -> Scores {
        self.scores
    }

    /// Whether the runtime was told the settings, and the prompt that it was told to prepare.
    pub fn asked(self) -> (bool, Option<Prompt>) {
        let prompt = self.prepared.is_none().then_some(self.expected.prompt);
        (self.configured, prompt)
    }
}
