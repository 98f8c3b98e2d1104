//! `packllm score`: bits per byte of members and mixtures on held-out text.
//!
//! For each alphabet every member is evaluated once over a text, and its distributions are kept;
//! all mixtures are computed from these. Weights come from the first part, losses from the rest.
//! `adaptive` goes on to follow the rest while it is scored, as it follows a user who goes on
//! writing.

mod show;
mod text;

use super::loaded::{LoadedPack, read_showing};
use crate::app::App;
use crate::cli::ScoreArgs;
use crate::report::Unusable;
use crate::settings::{self, Scoring};
use anyhow::Result;
use packllm_engine::chat::speaker::plain_text;
use packllm_engine::competence::Frame;
use packllm_engine::engine::{
    Ending, EngineError, Fusion, Lockstep, MemberInfo, Place, ScoreRequest,
};
use packllm_engine::mix::Mix;
use packllm_engine::vocab::Alphabet;
use packllm_engine::weight::{self, Evidence, Method};
use serde::Serialize;
use std::io::Write;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use text::Text;

/// What was measured on one text.
#[derive(Debug, Serialize)]
struct Measured {
    file: String,
    /// Bytes that the weights were derived from; below, bytes that were scored.
    prompt_bytes: usize,
    scored_bytes: usize,
    members: Vec<MemberRow>,
    mixtures: Vec<MixtureRow>,
}

#[derive(Debug, Clone, Serialize)]
struct MemberRow {
    name: String,
    /// On the scored bytes.
    bits_per_byte: f64,
    /// Tokens evaluated ÷ tokens of the text in the member's own tokenisation, over the whole text.
    evaluations_per_token: f64,
    /// Mean share of its predictions that came from the fallback model, over the whole text.
    skipped_mass: f64,
}

#[derive(Debug, Clone, Serialize)]
struct MixtureRow {
    vocab: &'static str,
    mix: String,
    weights: String,
    lambda: Vec<f64>,
    bits_per_byte: f64,
    /// As for a member, over all members with a weight.
    evaluations_per_token: f64,
}

/// What the members predicted for a text, over one alphabet.
struct Predictions {
    evidence: Evidence,
    /// Tokens evaluated, and tokens of the text, member by member.
    evaluated: Vec<usize>,
    tokens: Vec<usize>,
    skipped_mass: Vec<f64>,
}

pub fn run(app: &App, args: &ScoreArgs) -> Result<ExitCode> {
    let (plan, scoring) = settings::scoring(&app.sources(), args)?;
    let texts: Vec<Text> = args
        .files
        .iter()
        .map(|file| Text::open(file, scoring.max_bytes, scoring.split))
        .collect::<Result<_>>()?;
    let mut loaded = LoadedPack::open(app, &plan, true)?;
    if scoring.methods.contains(&Method::Auto) {
        loaded.learn(&plan, Frame::Plain)?;
    }
    let request = ScoreRequest {
        scores: true,
        rows: true,
        full: !args.chain,
    };
    for text in &texts {
        prepare(&mut loaded.conversation.lockstep, text, request)?;
    }
    let measured: Vec<Measured> = texts
        .iter()
        .map(|text| measure(app, &mut loaded, text, request, &plan.fusion, &scoring))
        .collect::<Result<_>>()?;
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::json!({ "files": measured }))?;
    } else {
        show::tables(&mut out, &measured)?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// Measures one text over every alphabet.
fn measure(
    app: &App,
    loaded: &mut LoadedPack<'_>,
    text: &Text,
    request: ScoreRequest,
    fusion: &Fusion,
    scoring: &Scoring,
) -> Result<Measured> {
    let mut measured = Measured {
        file: text.name.clone(),
        prompt_bytes: text.cut,
        scored_bytes: text.content.len() - text.cut,
        members: Vec::new(),
        mixtures: Vec::new(),
    };
    let mut done: Vec<Alphabet> = Vec::new();
    let members = loaded.conversation.lockstep.members();
    let can_end: Vec<bool> = members.iter().map(MemberInfo::has_end).collect();
    for &alphabet in &scoring.alphabets {
        let fusion = Fusion {
            alphabet,
            ..fusion.clone()
        };
        // This also clears what the fallback models have learnt, so that the order of the texts
        // does not matter.
        loaded
            .conversation
            .lockstep
            .configure(fusion, can_end.clone())?;
        // As published, the first part decides which vocabulary is the reference.
        let first_part = &text.content[..text.cut];
        loaded.refer(&plain_text(first_part, can_end.len(), Ending::Closed))?;
        let engine = &mut loaded.conversation.lockstep;
        if done.contains(&engine.alphabet()) {
            continue;
        }
        done.push(engine.alphabet());
        let reading = read(app, engine, text, request)?;
        let place = Place::default().plus(text.cut);
        let (first, second) = reading.evidence.clone().split_at(&engine.cut(place))?;
        if first.is_empty() || second.is_empty() {
            return Err(text.too_short());
        }
        if measured.members.is_empty() {
            measured.members = member_rows(engine, &reading, &second);
        }
        for mix in &scoring.mixes {
            let mix = mix.unwrap_or(engine.mix());
            let fusion = Fusion {
                mix: Some(mix),
                ..engine.fusion().clone()
            };
            let mixture = fusion.mixture(&second)?;
            for method in &scoring.methods {
                if app.cancel.load(Ordering::Relaxed) {
                    return Err(EngineError::Cancelled.into());
                }
                let lambda = engine.weights(method, mix, &first)?.lambda;
                let bits_per_byte = if matches!(method, Method::Adaptive | Method::Auto) {
                    following(engine, mix, &lambda, &second)?
                } else {
                    mixture.bits_per_byte(&lambda)?
                };
                measured.mixtures.push(MixtureRow {
                    vocab: engine.alphabet().name(),
                    mix: mix.to_string(),
                    weights: method.to_string(),
                    bits_per_byte,
                    evaluations_per_token: reading.evaluations(|k| lambda[k] > 0.0),
                    lambda,
                });
            }
        }
    }
    Ok(measured)
}

/// Bits per byte with weights that begin at `lambda` and follow the text: each symbol is predicted
/// with the weights before it. A dropped member stays out.
fn following(engine: &Lockstep, mix: Mix, lambda: &[f64], text: &Evidence) -> Result<f64> {
    let present: Vec<usize> = (0..lambda.len()).filter(|&k| lambda[k] > 0.0).collect();
    let text = text.of(&present);
    let lambda = present.iter().map(|&k| lambda[k]).collect();
    let options = weight::Options {
        mix,
        ..engine.fusion().weighing(&text.alphabet)
    };
    let course = weight::follow(lambda, &text, &options)?;
    let nats: f64 = course.nats.iter().sum();
    Ok(nats / std::f64::consts::LN_2 / text.bytes as f64)
}

/// Tokenises a text for every member; returns how many tokens that is.
fn prepare(engine: &mut Lockstep, text: &Text, request: ScoreRequest) -> Result<Vec<usize>> {
    engine.clear()?;
    let prompts = plain_text(&text.content, engine.members().len(), request.ending());
    let prepared = engine.prepare(prompts).map_err(|error| match error {
        EngineError::TooLong { tokens, room, .. } => text.too_long(&error, tokens, room),
        other => other.into(),
    })?;
    match prepared.lost.iter().position(|lost| !lost.is_empty()) {
        Some(k) => Err(Unusable {
            reason: format!(
                "{}: {} has no token for byte 0x{:02x}, so its loss on the text is infinite",
                text.name,
                engine.members()[k].name,
                prepared.lost[k][0]
            ),
            hint: None,
        }
        .into()),
        None => Ok(prepared.tokens),
    }
}

/// Evaluates all members over a text.
fn read(
    app: &App,
    engine: &mut Lockstep,
    text: &Text,
    request: ScoreRequest,
) -> Result<Predictions> {
    let tokens = prepare(engine, text, request)?;
    let before = engine.spent()?;
    read_showing(app, engine, &text.name, &tokens, request)?;
    let spent = engine.spent()?.into_iter().zip(before);
    Ok(Predictions {
        evidence: engine.evidence()?,
        evaluated: spent
            .map(|(after, before)| (after - before).tokens)
            .collect(),
        tokens,
        skipped_mass: engine.skipped_mass(),
    })
}

impl Predictions {
    /// Tokens evaluated by the members that count ÷ tokens of the text in their own tokenisations.
    fn evaluations(&self, counts: impl Fn(usize) -> bool) -> f64 {
        let sum = |of: &[usize]| -> usize {
            let counted = of.iter().enumerate().filter(|&(k, _)| counts(k));
            counted.map(|(_, n)| n).sum()
        };
        sum(&self.evaluated) as f64 / sum(&self.tokens).max(1) as f64
    }
}

fn member_rows(engine: &Lockstep, reading: &Predictions, scored: &Evidence) -> Vec<MemberRow> {
    let row = |(k, member): (usize, &MemberInfo)| MemberRow {
        name: member.name.clone(),
        bits_per_byte: scored.bits_per_byte(k),
        evaluations_per_token: reading.evaluations(|j| j == k),
        skipped_mass: reading.skipped_mass[k],
    };
    engine.members().iter().enumerate().map(row).collect()
}
