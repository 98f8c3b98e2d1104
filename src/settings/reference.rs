//! `--reference`: whose vocabulary is the shared alphabet with `--vocab mined`.

use super::usage;
use anyhow::{Context, Result, bail};
use packllm_engine::backend::tokenizer_json::TokenizerJson;
use packllm_engine::pack::Reference;
use std::path::Path;
use std::sync::Arc;

/// A member's name wins over a file of the same name.
pub fn settle(typed: Option<&str>, mined: bool, names: &[String]) -> Result<Option<Reference>> {
    let Some(typed) = typed else {
        return Ok(None);
    };
    if !mined {
        return usage(format!("--reference {typed}: it needs --vocab mined"));
    }
    if let Some(k) = names.iter().position(|name| name == typed) {
        return Ok(Some(Reference::Member(k)));
    }
    let path = Path::new(typed);
    if !path.exists() {
        bail!(
            "--reference {typed}: no such file, and no member of that name (there are {})",
            names.join(", ")
        );
    }
    let tokenizer = TokenizerJson::open(path).with_context(|| format!("--reference {typed}"))?;
    Ok(Some(Reference::File(path.to_owned(), Arc::new(tokenizer))))
}
