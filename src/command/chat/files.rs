//! `/read`: text files as a message.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// Most bytes that are read: much more than any context holds.
const MOST: u64 = 16 << 20;

/// What separates the files from what is asked about them.
const QUESTION: &str = " -- ";

/// The message that `FILE… [-- TEXT]` makes: the text of the file, or of several files each under
/// its name, and TEXT below.
///
/// # Errors
/// Names the file and says why it cannot be sent.
pub fn message(typed: &str) -> Result<String> {
    let (files, question) = match typed.split_once(QUESTION) {
        Some((files, question)) if !Path::new(typed).exists() => (files.trim(), question.trim()),
        _ => (typed, ""),
    };
    let paths = paths(files)?;
    let mut texts = Vec::new();
    let mut left = MOST;
    for path in &paths {
        let text = text(path, left)?;
        left -= text.len() as u64;
        texts.push(match paths.len() {
            1 => text.trim_end().to_owned(),
            _ => format!("{}:\n\n{}", path.display(), text.trim_end()),
        });
    }
    texts.extend((!question.is_empty()).then(|| question.to_owned()));
    Ok(texts.join("\n\n"))
}

/// The files that are meant: the one whose name is the whole text with its spaces, or several names
/// and patterns.
fn paths(typed: &str) -> Result<Vec<PathBuf>> {
    let whole = at_home(typed);
    if whole.exists() {
        return Ok(vec![whole]);
    }
    let mut paths = Vec::new();
    for word in words(typed) {
        let path = at_home(&word);
        if path.exists() || !word.contains(['*', '?', '[']) {
            paths.push(path);
            continue;
        }
        let matches = glob::glob(&path.to_string_lossy()).with_context(|| word.clone())?;
        let before = paths.len();
        for found in matches {
            let found = found?;
            if found.is_file() {
                paths.push(found);
            }
        }
        if paths.len() == before {
            bail!("{word}: no file is called like that");
        }
    }
    Ok(paths)
}

/// Names separated by spaces; a space inside a name is quoted or has a backslash, as in a shell.
pub fn words(typed: &str) -> Vec<String> {
    let plain = || typed.split_whitespace().map(str::to_owned).collect();
    match cfg!(windows) {
        true => plain(),
        false => shell_words::split(typed).unwrap_or_else(|_| plain()),
    }
}

/// `~/` stands for the home folder.
pub fn at_home(typed: &str) -> PathBuf {
    let under = typed.strip_prefix("~/").zip(dirs::home_dir());
    under.map_or_else(|| typed.into(), |(rest, home)| home.join(rest))
}

/// The text of a file of at most `most` bytes.
fn text(path: &Path, most: u64) -> Result<String> {
    let name = || path.display().to_string();
    let facts = std::fs::metadata(path).with_context(name)?;
    if !facts.is_file() {
        bail!("{}: it is not a file of text", name());
    }
    if facts.len() > most {
        let most = MOST >> 20;
        bail!(
            "{}: more than {most} MiB in all are more than any context holds",
            name()
        );
    }
    let bytes = std::fs::read(path).with_context(name)?;
    let text = String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        anyhow::anyhow!("{}: not valid UTF-8 at byte {at}", name())
    })?;
    if text.trim().is_empty() {
        bail!("{}: it is empty", name());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::write;

    #[test]
    fn files_patterns_and_a_question_make_one_message() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        write(at("a.md"), "one\n").unwrap();
        write(at("b.md"), "two\n\n").unwrap();
        write(at("c d.txt"), "three").unwrap();
        let (a, b) = (at("a.md"), at("b.md"));
        assert_eq!(message(&a).unwrap(), "one");
        assert_eq!(message(&at("c d.txt")).unwrap(), "three");
        let both = format!("{a}:\n\none\n\n{b}:\n\ntwo");
        assert_eq!(message(&format!("{a} {b}")).unwrap(), both);
        assert_eq!(message(&at("*.md")).unwrap(), both);
        let spaced = at("c d.txt").replace(' ', "\\ ");
        let quoted = format!("'{}'", at("c d.txt"));
        for typed in [format!("{spaced} {a}"), format!("{quoted} {a}")] {
            let both = format!("{}:\n\nthree\n\n{a}:\n\none", at("c d.txt"));
            assert_eq!(message(&typed).unwrap(), both);
        }
        let asked = message(&format!("{a} -- What -- is it?")).unwrap();
        assert_eq!(asked, "one\n\nWhat -- is it?");
    }

    #[test]
    fn what_is_no_text_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        write(at("bad"), b"ab\xff").unwrap();
        write(at("empty"), " \n").unwrap();
        std::fs::File::create(at("huge"))
            .unwrap()
            .set_len(MOST + 1)
            .unwrap();
        let error = |typed: &str| format!("{:#}", message(typed).unwrap_err());
        for (typed, said) in [
            (at("bad"), "bad: not valid UTF-8 at byte 2"),
            (at("empty"), "empty: it is empty"),
            (at("huge"), "huge: more than 16 MiB"),
            (at(""), "it is not a file of text"),
            (at("none"), "none: No such file"),
            (at("*.rs"), "*.rs: no file is called like that"),
        ] {
            assert!(error(&typed).contains(said), "{}", error(&typed));
        }
    }
}
