//! Facts from a model file's header, checked as the loader checks them, and how numbers are
//! printed.

use crate::report::Unusable;
use anyhow::{Context, Result};
use indicatif::{DecimalBytes, HumanBytes};
use packllm_engine::backend::context_size;
use packllm_engine::gguf::{GgufError, Header, Summary};
use std::path::Path;

impl From<GgufError> for Unusable {
    fn from(error: GgufError) -> Self {
        Self::of(&error.fault)
    }
}

/// Reads a header; an error that names the file if it cannot be a member.
pub fn require(path: &Path) -> Result<Summary> {
    let read = read(path).map_err(anyhow::Error::from);
    let (_, summary) = read.with_context(|| path.display().to_string())?;
    Ok(summary)
}

/// Reads a header; an error if the file cannot be a member.
pub fn read(path: &Path) -> Result<(Header, Summary), Unusable> {
    let header = Header::read(path)?;
    let summary = header.member()?;
    if !summary.family.rolls_back() {
        return Err(Unusable {
            reason: format!(
                "architecture `{}` is {}, whose state cannot be forked at any position; only attention \
                 models can be members",
                summary.architecture, summary.family
            ),
            hint: None,
        });
    }
    Ok((header, summary))
}

/// The size of a member's context: tokens.
pub fn context(asked: Option<u32>, summary: &Summary) -> Result<u32, Unusable> {
    let trained = u32::try_from(summary.train_context).unwrap_or(u32::MAX);
    context_size(asked, trained).map_err(|error| {
        let Unusable { reason, hint } = Unusable::of(&error);
        let hint = hint.map(|hint| format!("{hint} (ctx_size in a manifest)"));
        Unusable { reason, hint }
    })
}

/// The model in a few words: architecture, parameters, quantisation.
pub fn in_short(summary: &Summary) -> String {
    format!(
        "{}, {} parameters, {}",
        summary.architecture,
        count(summary.parameters),
        summary.quantisation
    )
}

/// The tokenizer in a few words.
pub fn tokenizer(summary: &Summary) -> String {
    let kind = summary.tokenizer.as_deref().unwrap_or("unknown");
    match &summary.pre_tokenizer {
        Some(pre) => format!("{kind}, {pre}"),
        None => kind.to_owned(),
    }
}

/// Length of a file, in decimal units as for downloads.
pub fn file_size(bytes: u64) -> String {
    DecimalBytes(bytes).to_string()
}

/// An amount of memory, in binary units.
pub fn memory(bytes: u64) -> String {
    HumanBytes(bytes).to_string()
}

/// A number with three digits and a letter: `134.5M`.
pub fn count(number: u64) -> String {
    let (unit, letter) = match number {
        0..1_000 => return number.to_string(),
        1_000..1_000_000 => (1e3, 'k'),
        1_000_000..1_000_000_000 => (1e6, 'M'),
        _ => (1e9, 'B'),
    };
    format!("{:.1}{letter}", number as f64 / unit)
}
