//! What an answer has to look like: `--json-schema`, `--grammar`, and `/set schema`.

use crate::cli::FormArgs;
use crate::exit::usage;
use anyhow::{Context, Result};
use packllm_grammar::{Alphabet, Form, Thought};
use std::path::Path;

/// The form that is asked for, checked before anything is loaded.
pub fn form(typed: &FormArgs) -> Result<Option<Form>> {
    let (flag, form) = match (&typed.json_schema, &typed.grammar) {
        (Some(schema), _) => ("--json-schema", schema_form(schema)),
        (None, Some(path)) => ("--grammar", grammar_form(path)),
        (None, None) => return Ok(None),
    };
    match form {
        Ok(form) => Ok(Some(form)),
        Err(error) => usage(format!("{flag}: {error:#}")),
    }
}

/// The form of a schema: of a file, or itself.
pub fn schema_form(typed: &str) -> Result<Form> {
    let form = match typed.trim_start().starts_with('{') {
        true => Form::schema(typed)?,
        false => {
            let text = std::fs::read_to_string(typed).with_context(|| typed.to_owned())?;
            Form::schema(&text).with_context(|| typed.to_owned())?
        }
    };
    check(&form)?;
    Ok(form)
}

fn grammar_form(path: &Path) -> Result<Form> {
    let name = || path.display().to_string();
    let form = Form::Lark(std::fs::read_to_string(path).with_context(name)?);
    check(&form).with_context(name)?;
    Ok(form)
}

/// What is not supported over bytes is not over tokens.
fn check(form: &Form) -> Result<()> {
    form.over(&Alphabet::bytes()?, Thought::None)?;
    Ok(())
}
