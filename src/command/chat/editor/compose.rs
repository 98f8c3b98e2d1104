//! Writing a text in the user's own editor.

use anyhow::{Context, Result};
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Command;

/// The command that opens a file in `$VISUAL`, `$EDITOR` or vi.
fn editor(file: &OsStr) -> Command {
    let set = |name| std::env::var(name).ok().filter(|v| !v.trim().is_empty());
    let typed = set("VISUAL").or_else(|| set("EDITOR"));
    let typed = typed.unwrap_or_else(|| "vi".into());
    let mut words = typed.split_whitespace().map(OsString::from);
    let mut command = Command::new(words.next().unwrap_or_else(|| "vi".into()));
    command.args(words).arg(file);
    command
}

/// Lets the user edit a text. The file is in the user's own folder, and only the user can read it:
/// in a shared folder another user could put a link in its place. It is removed afterwards.
///
/// # Errors
/// The editor cannot be started, or reports a failure; the text is then unchanged.
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
