//! `packllm weigh`: how well each member predicts a text, and the weights that follow.

use super::loaded::LoadedPack;
use super::outlook;
use crate::app::App;
use crate::cli::WeighArgs;
use crate::settings::{self, usage};
use anyhow::Result;
use packllm_engine::chat::Message;
use packllm_engine::competence::{DOMAINS, Frame};
use packllm_engine::engine::{Fusion, ScoreRequest};
use packllm_engine::weight::{self, Certificate, Evidence, Method, Mixture, Outlook};
use serde_json::{Map, Value, json};
use std::io::Write;
use std::process::ExitCode;

/// The weights by one method, and the mixture's bits per byte with them.
struct WeightsByMethod {
    method: String,
    lambda: Vec<f64>,
    bits_per_byte: f64,
    /// Of `exact`.
    certificate: Option<Certificate>,
}

pub fn run(app: &App, args: &WeighArgs) -> Result<ExitCode> {
    let Some(text) = settings::read_prompt(&args.prompt)? else {
        return usage("no text: give -p TEXT, -f FILE, or text on stdin");
    };
    let plan = settings::plan(&app.sources(), &args.given)?;
    let mut loaded = LoadedPack::open(app, &plan, args.prompt.raw)?;
    let request = ScoreRequest {
        scores: true,
        rows: true,
        full: args.full,
    };
    // All members are to be measured, whoever would answer.
    loaded.fuse_by(Fusion {
        method: Method::Exact,
        ..plan.fusion.clone()
    })?;
    let (evidence, expected) = match args.prompt.raw {
        true => {
            loaded.learn(&plan, Frame::Plain)?;
            read_text(&mut loaded, &text, request)?
        }
        false => read_chat(&mut loaded, args, &text, request)?,
    };
    if evidence.is_empty() {
        return usage("the text is empty: there is nothing to measure");
    }
    let rows = weigh(&evidence, &plan.fusion, &expected)?;
    let mut out = std::io::stdout().lock();
    if args.json {
        let mut document = document(&loaded, &evidence, &rows);
        if let Some(outlook) = &expected.outlook {
            let subject = DOMAINS.into_iter().zip(&outlook.subject);
            let subject: Map<String, Value> = subject
                .map(|(domain, p)| (domain.to_owned(), json!(p)))
                .collect();
            if !subject.is_empty() {
                document["subject"] = json!(subject);
            }
            document["expected_loss"] = json!(outlook::expected(outlook));
        }
        writeln!(out, "{document}")?;
    } else {
        write_table(&mut out, &loaded, &evidence, &rows)?;
        if let Some(outlook) = &expected.outlook {
            let names = loaded.conversation.lockstep.names();
            let next = match expected.frame {
                Frame::Chat => "the answer",
                Frame::Plain => "such text",
            };
            writeln!(out, "\nauto: {}", outlook::line(&names, outlook, next))?;
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// What members can be expected to lose, if that is known, and in which frame.
struct Expected {
    outlook: Option<Outlook>,
    frame: Frame,
}

/// All members read the text as it is.
fn read_text(
    loaded: &mut LoadedPack<'_>,
    text: &str,
    request: ScoreRequest,
) -> Result<(Evidence, Expected)> {
    loaded.read_text(text, request.ending(), request)?;
    let lockstep = &loaded.conversation.lockstep;
    let evidence = lockstep.evidence()?;
    let expected = Expected {
        outlook: lockstep.text_outlook(&evidence),
        frame: Frame::Plain,
    };
    Ok((evidence, expected))
}

/// All members read the text as a question, by their templates.
fn read_chat(
    loaded: &mut LoadedPack<'_>,
    args: &WeighArgs,
    text: &str,
    request: ScoreRequest,
) -> Result<(Evidence, Expected)> {
    let system = args.prompt.system_prompt.iter().map(Message::system);
    let messages: Vec<Message> = system.chain([Message::user(text)]).collect();
    loaded.read_chat(&messages, 0, request)?;
    let expected = Expected {
        outlook: loaded.conversation.outlook(&messages),
        frame: Frame::Chat,
    };
    Ok((loaded.conversation.lockstep.evidence()?, expected))
}

/// All methods, and the given weights if there are any.
fn weigh(
    evidence: &Evidence,
    fusion: &Fusion,
    expected: &Expected,
) -> Result<Vec<WeightsByMethod>> {
    // What the methods minimise: without confidence at the step.
    let mix = fusion.mix_over(&evidence.alphabet);
    let mixture = Mixture::new(evidence, mix, fusion.floor)?;
    let given = Some(fusion.method.clone()).filter(|m| matches!(m, Method::Given(_)));
    let outlook = expected.outlook.clone();
    let (outlook, leaning) = match expected.frame {
        Frame::Chat => (outlook, None),
        Frame::Plain => (None, outlook),
    };
    let options = weight::Options {
        outlook,
        leaning,
        ..fusion.weighing(&evidence.alphabet)
    };
    let row = |method: Method| -> Result<WeightsByMethod> {
        let weights = weight::weights(&method, evidence, &options)?;
        let bits_per_byte = mixture.bits_per_byte(&weights.lambda)?;
        let certificate = weights.certificate.filter(|_| method == Method::Exact);
        let method = match method {
            Method::Given(_) => "given".to_owned(),
            named => named.to_string(),
        };
        Ok(WeightsByMethod {
            method,
            lambda: weights.lambda,
            bits_per_byte,
            certificate,
        })
    };
    let named = Method::named().map(|(_, method)| method);
    named.chain(given).map(row).collect()
}

fn write_table(
    out: &mut impl Write,
    loaded: &LoadedPack<'_>,
    evidence: &Evidence,
    rows: &[WeightsByMethod],
) -> Result<()> {
    let members = loaded.conversation.lockstep.members();
    let width = members
        .iter()
        .map(|m| m.name.chars().count())
        .max()
        .unwrap_or(0)
        .max(10);
    writeln!(
        out,
        "{:width$}  {:>7}  {:>7}  {:>9}  {:>10}",
        "member", "bytes", "tokens", "bits/byte", "perplexity"
    )?;
    for (k, member) in members.iter().enumerate() {
        writeln!(
            out,
            "{:width$}  {:>7}  {:>7}  {:>9.4}  {:>10.2}",
            member.name,
            evidence.bytes,
            evidence.members[k].tokens,
            evidence.bits_per_byte(k),
            evidence.token_perplexity(k),
        )?;
    }
    writeln!(out)?;
    writeln!(out, "{:width$}  {:>9}  weights", "method", "bits/byte")?;
    for row in rows {
        let weights: Vec<String> = members
            .iter()
            .zip(&row.lambda)
            .map(|(m, w)| format!("{} {w:.3}", m.name))
            .collect();
        writeln!(
            out,
            "{:width$}  {:>9.4}  {}",
            row.method,
            row.bits_per_byte,
            weights.join("  ")
        )?;
    }
    for row in rows {
        if let Some(certificate) = &row.certificate {
            writeln!(out, "\n{}: {}", row.method, solved(certificate))?;
        }
    }
    Ok(())
}

/// How well a problem was solved, in words.
fn solved(certificate: &Certificate) -> String {
    let Certificate {
        gap,
        passes,
        convex,
    } = certificate;
    let of = if *convex {
        "gap"
    } else {
        "gap (first-order: only some members can end a turn)"
    };
    format!("{of} {gap:.0e} nats per byte after {passes} passes")
}

fn document(loaded: &LoadedPack<'_>, evidence: &Evidence, rows: &[WeightsByMethod]) -> Value {
    let members: Vec<Value> = loaded
        .conversation
        .lockstep
        .members()
        .iter()
        .enumerate()
        .map(|(k, m)| {
            json!({
                "name": m.name,
                "architecture": m.description.architecture,
                "vocab_size": m.vocab.len(),
                "tokens": evidence.members[k].tokens,
                "bits_per_byte": evidence.bits_per_byte(k),
                "token_perplexity": evidence.token_perplexity(k),
            })
        })
        .collect();
    let by_method = |value: &dyn Fn(&WeightsByMethod) -> Value| -> Map<String, Value> {
        rows.iter()
            .map(|row| (row.method.clone(), value(row)))
            .collect()
    };
    json!({
        "bytes": evidence.bytes,
        "members": members,
        "weights": by_method(&|row| json!(row.lambda)),
        "bits_per_byte": by_method(&|row| json!(row.bits_per_byte)),
    })
}
