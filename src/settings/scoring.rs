//! What `packllm score` measures.

use super::{PackPlan, Sources, Usage, plan, reference, usage};
use crate::cli::ScoreArgs;
use anyhow::Result;
use packllm_engine::mix::Mix;
use packllm_engine::vocab::Alphabet;
use packllm_engine::weight::Method;
use packllm_parameter::{Values, Vocab};

/// Every combination of these is a mixture.
#[derive(Debug, Clone)]
pub struct Scoring {
    /// Alphabets; None: tokens if all vocabularies are identical, else bytes.
    pub alphabets: Vec<Option<Alphabet>>,
    /// Ways to combine distributions.
    /// None: what is usual over the alphabet.
    pub mixes: Vec<Option<Mix>>,
    /// Ways to derive weights.
    pub methods: Vec<Method>,
    /// Share of a text that the weights are derived from, between 0 and 1.
    pub split: f64,
    /// Most bytes taken of a text.
    pub max_bytes: usize,
}

/// Settles what is measured, and the pack that it is measured with.
pub fn scoring(sources: &Sources, typed: &ScoreArgs) -> Result<(PackPlan, Scoring)> {
    if !(typed.split > 0.0 && typed.split < 1.0) {
        return usage(format!(
            "--split {}: it must be above 0 and below 1",
            typed.split
        ));
    }
    if typed.max_bytes.is_some_and(|n| n < 2) {
        return usage("--max-bytes must be at least 2: one byte for the weights, one to score");
    }
    // The alphabet that the pack is loaded for: tokens need fewer sequences.
    let vocab = match typed.vocab.split_first() {
        Some((first, others)) if others.iter().all(|v| v == first) => Some(*first),
        Some(_) => Some(Vocab::Auto),
        None => None,
    };
    let mut mixes: Vec<Mix> = Vec::new();
    for text in &typed.mix {
        add(&mut mixes, text.parse().map_err(wrong)?);
    }
    let fusion = Values {
        vocab,
        mix: mixes.first().copied(),
        ..Values::default()
    };
    let mut plan = plan(sources, &fusion.or(&typed.loading).or(&typed.numbers))?;
    let mut alphabets: Vec<Option<Alphabet>> = typed.vocab.iter().map(|v| v.alphabet()).collect();
    if alphabets.is_empty() {
        alphabets.push(plan.fusion.alphabet);
    }
    let names: Vec<String> = plan.members.iter().map(|m| m.name.clone()).collect();
    let mined = alphabets.contains(&Some(Alphabet::Mapped));
    plan.reference = reference::settle(typed.reference.reference.as_deref(), mined, &names)?;
    // Lengths are checked before there is a reference.
    plan.fusion.alphabet = plan.fusion.alphabet.filter(|&a| a != Alphabet::Mapped);
    let mut mixes: Vec<Option<Mix>> = mixes.into_iter().map(Some).collect();
    if mixes.is_empty() {
        mixes.push(plan.fusion.mix);
    }
    let methods = methods(&plan, &typed.weights)?;
    let scoring = Scoring {
        alphabets,
        mixes,
        methods,
        split: typed.split,
        max_bytes: typed.max_bytes.unwrap_or(usize::MAX),
    };
    Ok((plan, scoring))
}

/// The methods listed; a value with `=` is one set of weights. If none is listed: all methods with
/// a name, and the weights that the manifest gives.
fn methods(plan: &PackPlan, typed: &[String]) -> Result<Vec<Method>> {
    let names: Vec<&str> = plan.members.iter().map(|m| m.name.as_str()).collect();
    let mut methods = Vec::new();
    for value in typed {
        let given = value.contains('=');
        let parts = value.split(',').filter(|_| !given);
        for part in parts.chain(given.then_some(value.as_str())) {
            add(&mut methods, Method::parse(part, &names).map_err(wrong)?);
        }
    }
    if methods.is_empty() {
        let given = Some(plan.fusion.method.clone()).filter(|m| matches!(m, Method::Given(_)));
        methods.extend(Method::named().map(|(_, method)| method).chain(given));
    }
    Ok(methods)
}

fn add<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}

fn wrong(error: impl std::error::Error + 'static) -> Usage {
    Usage(crate::hints::words(&error))
}
