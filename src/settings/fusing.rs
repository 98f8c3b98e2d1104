//! How members are fused.

use super::{Usage, usage};
use crate::hints::words;
use anyhow::Result;
use packllm_engine::engine::Fusion;
use packllm_engine::vocab::cover::Budget;
use packllm_engine::weight::Method;
use packllm_parameter::{OnLoss, Values};
use packllm_store::Manifest;

/// How the members `names` of a pack are fused, by the parameters `held`.
pub fn settle_fusion(held: &Values, manifest: &Manifest, names: &[String]) -> Result<Fusion> {
    let method = Method::parse(&held.weights(), names).map_err(|e| Usage(words(&e)))?;
    if held.follow_answer() && method != Method::Adaptive {
        return usage(format!(
            "--follow-answer is for --weights adaptive; the weights are {method}"
        ));
    }
    Ok(Fusion {
        alphabet: held.vocab().alphabet(),
        mix: held.mix,
        follow_answer: held.follow_answer(),
        method,
        tau: held.tau(),
        prior_bytes: held.prior_bytes(),
        prior: prior(manifest)?,
        rate: held.rate(),
        drop: held.drop(),
        floor: held.floor(),
        confidence: held.confidence,
        budget: Budget {
            epsilon: held.epsilon(),
            hypotheses: held.heads(),
        },
        outlive: held.on_loss() == OnLoss::Drop,
    })
}

/// The members' prior weights; empty if the manifest has none. A member without one has 1.
fn prior(manifest: &Manifest) -> Result<Vec<f64>> {
    let members = &manifest.members;
    if members.iter().all(|m| m.prior.is_none()) {
        return Ok(Vec::new());
    }
    let prior: Vec<f64> = members.iter().map(|m| m.prior.unwrap_or(1.0)).collect();
    if prior.iter().all(|p| *p == 0.0) {
        return usage("`prior` in the manifest: at least one member needs more than 0");
    }
    Ok(prior)
}
