//! How members are fused: flags over the manifest over defaults.

use super::{Usage, usage};
use crate::cli::{FusionArgs, VocabName};
use crate::hints::words;
use anyhow::Result;
use packllm_engine::engine::{Fusion, MAX_HEADS};
use packllm_engine::mix::Mix;
use packllm_engine::vocab::Alphabet;
use packllm_engine::vocab::cover::Budget;
use packllm_engine::weight::Method;
use packllm_store::Manifest;

/// How the members `names` are fused; flags win over the manifest.
pub fn settle_fusion(manifest: &Manifest, typed: &FusionArgs, names: &[String]) -> Result<Fusion> {
    let (request, numbers) = (&manifest.fusion, &typed.numbers);
    let defaults = Fusion::default();
    let alphabet = match (typed.vocab, request.vocab.as_deref()) {
        (Some(VocabName::Tokens), _) | (None, Some("tokens")) => Some(Alphabet::Tokens),
        (Some(VocabName::Bytes), _) | (None, Some("bytes")) => Some(Alphabet::Bytes),
        (Some(VocabName::Mined), _) | (None, Some("mined")) => Some(Alphabet::Mapped),
        (Some(VocabName::Auto), _) | (None, Some("auto") | None) => None,
        (None, Some(other)) => {
            return usage(format!(
                "vocab `{other}` in the manifest: it is auto, tokens, bytes or mined"
            ));
        }
    };
    let mix = match typed.mix.as_deref().or(request.mix.as_deref()) {
        Some(text) => text.parse::<Mix>().map_err(|e| Usage(words(&e)))?,
        None => defaults.mix,
    };
    let method = match typed.weights.as_deref().or(request.weights.as_deref()) {
        Some(text) => Method::parse(text, names).map_err(|e| Usage(words(&e)))?,
        None => defaults.method,
    };
    let number = |flag: &str,
                  typed: Option<f64>,
                  request: Option<f64>,
                  default: f64,
                  range: std::ops::RangeInclusive<f64>| {
        let value = typed.or(request).unwrap_or(default);
        if range.contains(&value) {
            return Ok(value);
        }
        usage(format!(
            "--{flag} {value}: it must be from {} to {}",
            range.start(),
            range.end()
        ))
    };
    let heads = numbers
        .heads
        .or(request.heads)
        .unwrap_or(defaults.budget.hypotheses);
    if !(1..=MAX_HEADS).contains(&heads) {
        return usage(format!(
            "--heads {heads}: it must be from 1 to {}",
            MAX_HEADS
        ));
    }
    if typed.follow_answer && method != Method::Adaptive {
        return usage(format!(
            "--follow-answer is for --weights adaptive; the weights are {method}"
        ));
    }
    Ok(Fusion {
        alphabet,
        mix,
        follow_answer: typed.follow_answer,
        method,
        tau: number("tau", numbers.tau, request.tau, defaults.tau, 1e-6..=1e6)?,
        prior_bytes: number(
            "prior-bytes",
            numbers.prior_bytes,
            request.prior_bytes,
            defaults.prior_bytes,
            0.0..=1e9,
        )?,
        prior: prior(manifest)?,
        rate: number("rate", numbers.rate, request.rate, defaults.rate, 0.0..=1.0)?,
        drop: number("drop", numbers.drop, request.drop, defaults.drop, 0.0..=1.0)?,
        floor: number(
            "floor",
            numbers.floor,
            request.floor,
            defaults.floor,
            0.0..=0.5,
        )?,
        budget: Budget {
            epsilon: number(
                "epsilon",
                numbers.epsilon,
                request.epsilon,
                defaults.budget.epsilon,
                0.0..=1.0,
            )?,
            hypotheses: heads,
        },
    })
}

/// The members' prior weights; empty if the manifest has none. A member without one counts as 1.
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
