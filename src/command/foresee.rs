//! What members are asked for first by a command that knows its prompt before they are loaded.

use super::session::now;
use crate::settings::PackPlan;
use packllm_engine::chat::Message;
use packllm_engine::chat::speaker::{Speakers, plain_text};
use packllm_engine::engine::{
    Ending, ExpectedPrompt, MemberInfo, Prompt, PromptPrefetch, ScoreRequest,
};
use packllm_engine::gguf::Header;
use packllm_engine::vocab::Alphabet;
use std::path::PathBuf;
use std::sync::Arc;

/// The first prompt of a session.
#[derive(Debug, Clone)]
pub enum First {
    /// Text that goes on.
    Text(String),
    /// A conversation, of which everything counts as evidence.
    Chat {
        messages: Vec<Message>,
        /// See `Template::ask_to_think`.
        may_think: bool,
    },
}

/// What member `k` may read while others load; None where there are no others, or their alphabet is one of tokens.
pub fn foresee(plan: &PackPlan, first: &Arc<First>, k: usize) -> Option<PromptPrefetch> {
    let alone = plan.members.len() == 1;
    if alone || !matches!(plan.fusion.alphabet, None | Some(Alphabet::Bytes)) {
        return None;
    }
    let others = plan.members.iter().enumerate().filter(|(j, _)| *j != k);
    let others: Vec<PathBuf> = others.map(|(_, member)| member.path.clone()).collect();
    let template = plan.members[k].chat_template.clone();
    let request = ScoreRequest::of(&plan.fusion.method, plan.members.len());
    let (budget, first) = (plan.fusion.budget, Arc::clone(first));
    Some(Box::new(move |info: &MemberInfo| {
        // Only identical vocabularies are mixed over tokens, and those have the same size.
        let size = info.vocab.len() as u64;
        let differs = |path| Header::read(path).is_ok_and(|h| h.summary().vocab_size != size);
        if !others.iter().any(differs) {
            return None;
        }
        Some(ExpectedPrompt {
            alphabet: Alphabet::Bytes,
            budget,
            prompt: prompt(&first, info, template)?,
            request,
        })
    }))
}

/// The prompt of one member; None where a template fails or hides something, which is told later.
fn prompt(first: &First, info: &MemberInfo, template: Option<String>) -> Option<Prompt> {
    match first {
        First::Text(text) => plain_text(text, 1, Ending::Continue).pop(),
        First::Chat {
            messages,
            may_think,
        } => {
            let mut speakers = Speakers::new(std::slice::from_ref(info), &[template]).ok()?;
            speakers.ask_to_think(*may_think);
            let mut reading = speakers.read(messages, 0, now()).ok()?;
            reading.prompts.pop().filter(|_| reading.apart.is_empty())
        }
    }
}
