//! Packllm's own, under the key `packllm` of requests and answers: only where it is asked for.

use crate::desk::{Begun, Ended, Word};
use crate::error::Refusal;
use crate::request::Draft;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The key `packllm` of a request: `true`, or an object, possibly empty.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Asked {
    Plainly(bool),
    Settings(Box<Settings>),
}

/// How the members are fused for this answer, and what is told of it.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
pub struct Settings {
    /// `auto`, `uniform`, `top1`, `sim`, `opt`, `exact`, `adaptive`, or `NAME=WEIGHT,…`.
    pub weights: Option<String>,
    /// `log` or `linear`.
    pub mix: Option<String>,
    /// The members that may take part.
    pub members: Option<Vec<String>>,
    /// Whether to tell which member argued for which word.
    pub attribution: Option<bool>,
    /// The form of the answer: a grammar in the notation of Lark.
    pub grammar: Option<String>,
    pub tau: Option<f64>,
    pub prior_bytes: Option<f64>,
    pub rate: Option<f64>,
    pub drop: Option<f64>,
    pub floor: Option<f64>,
    pub confidence: Option<f64>,
    pub epsilon: Option<f64>,
    pub heads: Option<i64>,
}

/// Puts the settings into a request; returns whether the answer is to have the key.
///
/// # Errors
/// A value out of its range, or a grammar beside another form.
pub fn settle(asked: Option<Asked>, draft: &mut Draft<'_>) -> Result<bool, Refusal> {
    let settings = match asked {
        None | Some(Asked::Plainly(false)) => return Ok(false),
        Some(Asked::Plainly(true)) => return Ok(true),
        Some(Asked::Settings(settings)) => *settings,
    };
    draft.text("packllm.weights", "weights", settings.weights)?;
    draft.text("packllm.mix", "mix", settings.mix)?;
    draft.members(settings.members);
    draft.attribution(settings.attribution.unwrap_or(false));
    draft.grammar("packllm.grammar", settings.grammar)?;
    draft.number("packllm.tau", "tau", settings.tau)?;
    draft.number("packllm.prior_bytes", "prior-bytes", settings.prior_bytes)?;
    draft.number("packllm.rate", "rate", settings.rate)?;
    draft.number("packllm.drop", "drop", settings.drop)?;
    draft.number("packllm.floor", "floor", settings.floor)?;
    draft.number("packllm.confidence", "confidence", settings.confidence)?;
    draft.number("packllm.epsilon", "epsilon", settings.epsilon)?;
    draft.whole("packllm.heads", "heads", settings.heads)?;
    Ok(true)
}

/// The key `packllm` of an answer. In a stream, weights and evidence come with the first piece,
/// words with the pieces that end them, and the rest with the last.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct Told {
    /// The members, in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub members: Option<Vec<MemberTold>>,
    /// How the members were fused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fusion: Option<FusionTold>,
    /// Which member argued for which word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribution: Option<Vec<Word>>,
    /// Why the answer ended: `stop`, `length` or `repetition`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<&'static str>,
    /// The seed of the draw.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The members' weights while the answer was made: the mean over its symbols.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_weights: Option<Vec<f64>>,
}

/// A member and its say.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MemberTold {
    pub name: String,
    /// Its weight as the answer begins.
    pub weight: f64,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Those of them that it had read before.
    pub cached_tokens: usize,
    /// The evidence: what the last message that was measured cost it, in bits per byte.
    pub bits_per_byte: Option<f64>,
    /// What it can be expected to lose on the answer, the best's loss as 1: what `auto` goes by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_loss: Option<f64>,
    /// Whether it takes part.
    pub takes_part: bool,
}

/// How members were fused.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FusionTold {
    /// The method of weighting.
    pub weights: String,
    pub mix: String,
    /// The shared alphabet: `bytes` or `tokens`.
    pub alphabet: &'static str,
    /// What the weights go by, in words.
    pub reason: String,
}

impl Told {
    /// At the beginning.
    pub fn begun(begun: &Begun) -> Self {
        Self {
            members: Some(begun.members.clone()),
            fusion: Some(begun.fusion.clone()),
            ..Self::default()
        }
    }

    /// Words that are whole now; None: there are none.
    pub fn words(words: Vec<Word>) -> Option<Self> {
        (!words.is_empty()).then(|| Self {
            attribution: Some(words),
            ..Self::default()
        })
    }

    /// At the end of a choice.
    pub fn ended(ended: &Ended) -> Self {
        Self {
            attribution: (!ended.words.is_empty()).then(|| ended.words.clone()),
            finish_reason: Some(ended.finish.name()),
            seed: Some(ended.seed),
            mean_weights: Some(ended.mean_weights.clone()),
            ..Self::default()
        }
    }

    /// All of an answer.
    pub fn whole(begun: &Begun, words: Vec<Word>, ended: &Ended) -> Self {
        Self {
            attribution: (!words.is_empty()).then_some(words),
            members: Some(begun.members.clone()),
            fusion: Some(begun.fusion.clone()),
            ..Self::ended(ended)
        }
    }
}
