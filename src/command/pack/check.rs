//! `packllm pack check`: whether a manifest can be used, and if not, what is wrong. No model is
//! loaded.

use crate::app::App;
use crate::command::facts;
use crate::command::transfer::Transfer;
use crate::plural::counted;
use crate::report::Unusable;
use crate::say::printable;
use crate::settings::{settle_fusion, template_of};
use anyhow::Result;
use packllm_engine::chat::Template;
use packllm_engine::gguf::{Header, Summary};
use packllm_engine::vocab::Alphabet;
use packllm_store::{Manifest, Member, StoreError};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// The result for a member: lines to show, and faults.
#[derive(Default)]
struct Finding {
    facts: Vec<(&'static str, String)>,
    faults: Vec<String>,
    summary: Option<Summary>,
    has_template: bool,
}

impl Finding {
    fn fact(&mut self, title: &'static str, text: impl Into<String>) {
        self.facts.push((title, text.into()));
    }

    fn fault(&mut self, title: &'static str, unusable: &Unusable) {
        let hint = unusable.hint.iter().map(|hint| format!(" ({hint})"));
        let text = format!("{}{}", unusable.reason, hint.collect::<String>());
        self.fact(title, format!("WRONG: {text}"));
        self.faults.push(text);
    }

    /// Adds an error as a fault.
    fn error(&mut self, title: &'static str, error: &StoreError) {
        self.fault(title, &Unusable::of(error));
    }
}

pub fn run(app: &App, name: &str) -> Result<ExitCode> {
    let manifest = app.store.pack(name)?;
    let mut findings = Vec::new();
    for member in &manifest.members {
        findings.push(inspect(app, &manifest, member)?);
    }
    let together = together(&manifest, &findings);
    write(&manifest, &findings, &together)?;
    let faults = findings.iter().map(|finding| finding.faults.len());
    let faults = faults.sum::<usize>() + together.faults.len();
    if faults == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    let message = format!(
        "{} found in pack {}",
        counted(faults, "fault"),
        manifest.name
    );
    crate::report::failure(&anyhow::anyhow!(message));
    Ok(ExitCode::from(1))
}

/// Checks one member; an error only if the user interrupts.
fn inspect(app: &App, manifest: &Manifest, member: &Member) -> Result<Finding> {
    let mut finding = Finding::default();
    if let Some(path) = check_file(app, manifest, member, &mut finding)? {
        match facts::read(&path) {
            Ok((header, summary)) => describe(member, &header, summary, &mut finding),
            Err(unusable) => finding.fault("model", &unusable),
        }
    }
    check_template(manifest, member, &mut finding);
    Ok(finding)
}

/// Checks that the file exists and has the right sha256.
fn check_file(
    app: &App,
    manifest: &Manifest,
    member: &Member,
    finding: &mut Finding,
) -> Result<Option<PathBuf>> {
    let path = match app.store.resolve(manifest, member) {
        Ok(path) => path,
        Err(error) => {
            finding.error("file", &error);
            return Ok(None);
        }
    };
    finding.fact("file", path.display().to_string());
    let mut transfer = Transfer::new(app, &member.file, false);
    let outcome = packllm_store::verify(&app.store, manifest, member, &mut transfer, &app.cancel);
    drop(transfer);
    match outcome {
        Ok(_) if member.sha256.is_some() => finding.fact("sha256", "as the manifest says"),
        Ok(_) => finding.fact("sha256", "none in the manifest"),
        Err(error @ StoreError::Cancelled) => return Err(error.into()),
        Err(error) => finding.error("sha256", &error),
    }
    Ok(Some(path))
}

fn describe(member: &Member, header: &Header, summary: Summary, finding: &mut Finding) {
    finding.fact("model", facts::in_short(&summary));
    let vocabulary = format!(
        "{} tokens ({})",
        summary.vocab_size,
        facts::tokenizer(&summary)
    );
    finding.fact("vocabulary", vocabulary);
    match facts::context(member.settings.ctx_size, &summary) {
        Ok(context) => finding.fact(
            "context",
            format!("{context} of {} tokens", summary.train_context),
        ),
        Err(unusable) => finding.fault("context", &unusable),
    }
    if member.chat_template.is_none() && member.chat_template_file.is_none() {
        match header.str("tokenizer.chat_template") {
            Some(source) if summary.has_chat_template => {
                template(source, "in the file", finding);
            }
            _ => finding.fact("template", "none: a plain one is used"),
        }
    }
    finding.summary = Some(summary);
}

/// The manifest's own template, if it has one.
fn check_template(manifest: &Manifest, member: &Member, finding: &mut Finding) {
    match template_of(manifest, member) {
        Ok(Some(source)) => template(&source, "in the manifest", finding),
        Ok(None) => (),
        Err(error) => finding.fault(
            "template",
            &Unusable {
                reason: format!("{error:#}"),
                hint: None,
            },
        ),
    }
}

fn template(source: &str, place: &str, finding: &mut Finding) {
    match Template::new(source, "", "") {
        Ok(_) => {
            finding.fact("template", format!("yes, {place}"));
            finding.has_template = true;
        }
        Err(error) => finding.fault("template", &Unusable::of(&error)),
    }
}

/// Checks what concerns all members: whether their vocabularies can be identical, and the
/// manifest's settings.
fn together(manifest: &Manifest, findings: &[Finding]) -> Finding {
    let mut together = Finding::default();
    let names: Vec<String> = manifest
        .members
        .iter()
        .map(|member| member.name.clone())
        .collect();
    let fusion = settle_fusion(&manifest.fusion, manifest, &names);
    let differ = differing(manifest, findings);
    if manifest.members.len() > 1 && findings.iter().all(|finding| finding.summary.is_some()) {
        together.fact(
            "vocabularies",
            match &differ {
                None => "may be identical: settled when the members are loaded".to_owned(),
                Some((left, right)) => {
                    format!("those of {left} and {right} differ: fused byte by byte")
                }
            },
        );
    }
    let fault = match (&fusion, differ) {
        (Err(error), _) => Some(Unusable {
            reason: error.to_string(),
            hint: None,
        }),
        (Ok(fusion), Some((left, right))) if fusion.alphabet == Some(Alphabet::Tokens) => {
            Some(Unusable {
                reason: format!(
                    "vocab = \"tokens\" needs members with one vocabulary, and those of {left} and {right} differ"
                ),
                hint: Some("use vocab = \"auto\"".into()),
            })
        }
        _ => None,
    };
    if let Some(unusable) = fault {
        together.fault("fusion", &unusable);
    }
    if !findings.iter().any(|finding| finding.has_template) {
        together.fact(
            "templates",
            "none: an answer ends where the next `User:` would begin, or by -n or --stop",
        );
    }
    together
}

/// Two members whose vocabularies cannot be identical, by their sizes and tokenizers.
fn differing<'a>(manifest: &'a Manifest, findings: &[Finding]) -> Option<(&'a str, &'a str)> {
    let known: Vec<(&str, &Summary)> = manifest
        .members
        .iter()
        .zip(findings)
        .filter_map(|(member, finding)| Some((member.name.as_str(), finding.summary.as_ref()?)))
        .collect();
    let ((first, one), others) = known.split_first()?;
    let differs =
        |other: &Summary| (other.vocab_size, &other.tokenizer) != (one.vocab_size, &one.tokenizer);
    let (other, _) = others.iter().find(|(_, other)| differs(other))?;
    Some((first, other))
}

fn write(manifest: &Manifest, findings: &[Finding], together: &Finding) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let members = counted(manifest.members.len(), "member");
    writeln!(out, "{}: {members}", manifest.name)?;
    let sections = manifest.members.iter().map(|member| member.name.as_str());
    for (title, finding) in sections.zip(findings).chain([("together", together)]) {
        if !finding.facts.is_empty() {
            writeln!(out, "{title}")?;
        }
        for (what, text) in &finding.facts {
            writeln!(out, "  {what:<12}  {}", printable(text))?;
        }
    }
    Ok(())
}
