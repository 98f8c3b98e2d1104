//! `packllm models show`: what a model file says of itself. All of it comes from the file, which may
//! be anybody's, so nothing of it reaches the terminal as it is.

use crate::app::App;
use crate::command::facts::{self, count, file_size};
use crate::say::printable;
use crate::settings::{ad_hoc, usage};
use anyhow::{Context, Result};
use packllm_engine::backend::{Token, TokenKind, Vocab};
use packllm_engine::gguf::{Header, Summary};
use packllm_store::Source;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Longest value of the metadata that is shown: characters.
const LONGEST: usize = 100;

/// Tokens that are shown as examples.
const EXAMPLES: usize = 12;

pub fn run(app: &App, model: &Path) -> Result<ExitCode> {
    let path = find(app, model)?;
    let header = Header::read(&path).map_err(crate::report::Unusable::from);
    let header = header.with_context(|| printable(&path.display().to_string()))?;
    let summary = header.summary();
    let mut out = std::io::stdout().lock();
    write_facts(app, &mut out, &path, &header, &summary)?;
    writeln!(out, "\nmetadata")?;
    for (key, value) in header.entries() {
        if key == "tokenizer.chat_template" {
            continue;
        }
        let value: String = value.to_string().chars().take(LONGEST).collect();
        writeln!(out, "  {} = {}", printable(key), printable(&value))?;
    }
    match header.str("tokenizer.chat_template") {
        Some(template) => {
            writeln!(out, "\nchat template")?;
            for line in template.lines() {
                writeln!(out, "  {}", printable(line))?;
            }
        }
        None => writeln!(out, "\nchat template: none in the file")?,
    }
    match header.vocabulary() {
        Ok(vocab) => write_vocabulary(&mut out, &summary, &vocab)?,
        Err(error) => writeln!(out, "\nvocabulary: {}", printable(&error.fault.to_string()))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The file of a model on disk; nothing is fetched to be shown.
fn find(app: &App, model: &Path) -> Result<PathBuf> {
    let text = model.to_string_lossy();
    if let Err(error) = Source::named(&text) {
        return usage(error.to_string());
    }
    let manifest = ad_hoc(&app.sources(), &[model.to_owned()])?;
    let member = manifest.members.first().context("no model")?;
    Ok(app.store.resolve(&manifest, member)?)
}

fn write_facts(
    app: &App,
    out: &mut impl Write,
    path: &Path,
    header: &Header,
    summary: &Summary,
) -> Result<()> {
    let listed = app.store.list()?.into_iter().find(|one| one.path == path);
    let mut fact = |name: &str, value: &str| writeln!(out, "{name:<13} {}", printable(value));
    fact("file", &path.display().to_string())?;
    let real = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if real != path {
        fact("bytes at", &real.display().to_string())?;
    }
    if let Some(name) = &summary.name {
        fact("name", name)?;
    }
    fact("model", &facts::in_short(summary))?;
    fact("size", &file_size(header.file_bytes))?;
    if let Some(source) = listed.as_ref().and_then(|one| one.model.source.as_ref()) {
        fact("source", source)?;
    }
    if let Some(sha256) = listed.as_ref().and_then(|one| one.model.sha256.as_ref()) {
        fact("sha256", sha256)?;
    }
    let licence = super::licence(app, path, header);
    fact("licence", licence.as_deref().unwrap_or("not known"))?;
    let packs = super::packs_with(app, path).join(", ");
    fact("packs", if packs.is_empty() { "none" } else { &packs })?;
    fact("trained with", &format!("{} tokens", summary.train_context))?;
    let usable = match (facts::read(path), crate::trial::known_fault(app, path)) {
        (Err(unusable), _) => unusable.reason,
        (Ok(_), Some(fault)) => format!("no: {fault}"),
        (Ok(_), None) => "yes".to_owned(),
    };
    fact("can be used", &usable)?;
    Ok(())
}

fn write_vocabulary(out: &mut impl Write, summary: &Summary, vocab: &Vocab) -> Result<()> {
    let kinds = |kind| vocab.kinds().iter().filter(|one| **one == kind).count() as u64;
    writeln!(
        out,
        "\nvocabulary: {}, {} tokens: {} of text, {} of control, {} that end a text",
        printable(&facts::tokenizer(summary)),
        vocab.len(),
        count(kinds(TokenKind::Text)),
        kinds(TokenKind::Control),
        kinds(TokenKind::End)
    )?;
    let ends: Vec<String> = vocab.ends().map(|token| spelled(vocab, token)).collect();
    writeln!(out, "  ends: {}", ends.join(" "))?;
    // The last ones of text are the rarest, and say most about what the vocabulary was made for.
    let all = 0..Token::try_from(vocab.len()).unwrap_or(Token::MAX);
    let text = all
        .rev()
        .filter(|&token| vocab.kind(token) == TokenKind::Text);
    let last: Vec<String> = text
        .take(EXAMPLES)
        .map(|token| spelled(vocab, token))
        .collect();
    writeln!(out, "  the last of text: {}", last.join(" "))?;
    Ok(())
}

/// A token's bytes, quoted and escaped.
fn spelled(vocab: &Vocab, token: Token) -> String {
    let text = String::from_utf8_lossy(vocab.piece(token));
    let short: String = text.chars().take(24).collect();
    printable(&format!("{short:?}"))
}
