//! A text is written in the user's own editor.

use anyhow::{Context, Result};
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Command;

/// `$VISUAL`, `$EDITOR` or vi, on a file.
fn editor(file: &OsStr) -> Command {
    let set = |name| std::env::var(name).ok().filter(|v| !v.trim().is_empty());
    let typed = set("VISUAL").or_else(|| set("EDITOR"));
    let typed = typed.unwrap_or_else(|| "vi".into());
    let mut words = typed.split_whitespace().map(OsString::from);
    let mut command = Command::new(words.next().unwrap_or_else(|| "vi".into()));
    command.args(words).arg(file);
    command
}

/// Lets the user write on at a text, in a file for the user alone, in the user's own folder:
/// elsewhere another user could lay a link there. Nothing of it is left.
///
/// # Errors
/// If the editor cannot be started or says that it failed: the text is as it was then.
pub fn compose(state: &Path, begun: &str) -> Result<String> {
    std::fs::create_dir_all(state).with_context(|| state.display().to_string())?;
    let draft = tempfile::Builder::new()
        .prefix("draft-")
        .suffix(".md")
        .tempfile_in(state)
        .with_context(|| state.display().to_string())?;
    let context = || draft.path().display().to_string();
    std::fs::write(draft.path(), begun).with_context(context)?;
    let mut command = editor(draft.path().as_os_str());
    let name = command.get_program().to_string_lossy().into_owned();
    let status = crate::guard::lend(|| command.status());
    if !status
        .with_context(|| format!("{name} ($EDITOR)"))?
        .success()
    {
        anyhow::bail!("{name} ($EDITOR) failed: nothing was changed");
    }
    std::fs::read_to_string(draft.path()).with_context(context)
}
