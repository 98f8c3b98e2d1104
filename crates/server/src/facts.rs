//! What is known of a loaded pack.

use packllm_engine::competence::Frame;
use packllm_engine::engine::Fusion;
use packllm_engine::mix::Mix;
use packllm_engine::pack::Pack;
use packllm_engine::vocab::Alphabet;
use std::time::{SystemTime, UNIX_EPOCH};

/// See the module.
#[derive(Debug, Clone)]
pub struct Facts {
    pub members: Vec<MemberFacts>,
    /// Tokens of context that every member has.
    pub context: u32,
    /// The member whose tokens are counted: the first of those with the smallest context.
    pub counting: usize,
    /// How distributions are combined where a request does not say.
    pub mix: Mix,
}

/// What is known of a member.
#[derive(Debug, Clone)]
pub struct MemberFacts {
    pub name: String,
    pub architecture: String,
    pub parameters: u64,
    pub bytes: u64,
    pub train_context: u32,
    /// Whether it has a chat template.
    pub template: bool,
}

impl Facts {
    pub fn of(pack: &Pack, fusion: &Fusion) -> Self {
        let members = pack.engine().members();
        let context = pack.engine().smallest_context();
        let smallest = members.iter().position(|m| m.limits.context == context);
        // Where none has one all are rivals.
        let rivals = pack.rivals(Frame::Chat);
        let all = rivals.len() == members.len();
        let alphabet = pack.engine().alphabet_of(fusion);
        let facts = members.iter().enumerate().map(|(k, member)| MemberFacts {
            name: member.name.clone(),
            architecture: member.description.architecture.clone(),
            parameters: member.description.parameters,
            bytes: member.description.weight_bytes,
            train_context: member.description.train_context,
            template: match all {
                true => member.description.chat_template.is_some(),
                false => rivals.contains(&k),
            },
        });
        Self {
            members: facts.collect(),
            context,
            counting: smallest.unwrap_or(0),
            mix: fusion.mix_in(alphabet.unwrap_or(Alphabet::Bytes)),
        }
    }

    pub fn names(&self) -> Vec<String> {
        self.members.iter().map(|m| m.name.clone()).collect()
    }

    pub fn parameters(&self) -> u64 {
        self.members.iter().map(|m| m.parameters).sum()
    }

    pub fn bytes(&self) -> u64 {
        self.members.iter().map(|m| m.bytes).sum()
    }
}

/// Seconds since 1970.
pub fn unix_time() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
