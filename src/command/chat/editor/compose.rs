//! A text is written in the user's own editor.

use anyhow::{Context, Result};
use std::ffi::{OsStr, OsString};
use std::io::Write;
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

/// Lets the user write on at a text, in a file for the user alone, in the user's own folder: elsewhere another user
/// could lay a link there. Nothing of it is left.
///
/// # Errors
/// If the editor cannot be started or says that it failed: the text is as it was then.
pub fn compose(state: &Path, begun: &str) -> Result<String> {
    std::fs::create_dir_all(state).with_context(|| state.display().to_string())?;
    let draft = state.join(format!("draft-{}.md", std::process::id()));
    let context = || draft.display().to_string();
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&draft).with_context(context)?;
    let written = file.write_all(begun.as_bytes()).with_context(context);
    drop(file);
    let mut command = editor(draft.as_os_str());
    let name = command.get_program().to_string_lossy().into_owned();
    let started = written.and_then(|()| {
        let status = crate::guard::lend(|| command.status());
        status.with_context(|| format!("{name} ($EDITOR)"))
    });
    let text = std::fs::read_to_string(&draft).with_context(context);
    std::fs::remove_file(&draft).with_context(context)?;
    if !started?.success() {
        anyhow::bail!("{name} ($EDITOR) failed: nothing was changed");
    }
    text
}
