//! What the weights of an answer go by, in words.

use packllm_engine::competence::words;
use packllm_engine::engine::Lockstep;
use packllm_engine::weight::{Method, Outlook};

/// What `auto` goes by, where it is what weighs.
pub fn outlook(lockstep: &Lockstep) -> Option<&Outlook> {
    let outlook = lockstep.outlook()?;
    (lockstep.fusion().method == Method::Auto && asked(lockstep) > 1).then_some(outlook)
}

/// Members that are not off.
fn asked(lockstep: &Lockstep) -> usize {
    lockstep.silent().iter().filter(|silent| !**silent).count()
}

/// `from the probe: german 96%; expected loss on the answer: qwen 1.00 · smollm2 1.65`
pub fn reason(lockstep: &Lockstep) -> String {
    if lockstep.silent().len() == 1 {
        return "there is one member".into();
    }
    if asked(lockstep) == 1 {
        return "the other members are off".into();
    }
    let method = &lockstep.fusion().method;
    match (outlook(lockstep), method) {
        (Some(outlook), _) => words::line(&lockstep.names(), outlook, "the answer"),
        (None, Method::Auto) => "it is not known what the members are good at".into(),
        (None, Method::Uniform) => "all members count the same".into(),
        (None, Method::Given(_)) => "they were given".into(),
        (None, method) => {
            let bytes = lockstep.evidence().map_or(0, |evidence| evidence.bytes);
            format!("by {method} on {bytes} bytes of what was written")
        }
    }
}
