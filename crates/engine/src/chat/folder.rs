//! The folder of the sessions: a file each, which has the session's name.

use chrono::NaiveDateTime;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

const EXTENSION: &str = "jsonl";

/// A name that no session may have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("session name `{0}`: use letters, digits, spaces, and - _ . inside it")]
pub struct BadName(String);

/// Names of the sessions in a folder, and when they were changed, the newest first.
#[must_use]
pub fn sessions(folder: &Path) -> Vec<(SystemTime, String)> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let named = entries.flatten().filter_map(|entry| {
        let path = entry.path();
        let changed = entry.metadata().and_then(|m| m.modified());
        let fits = path.extension().is_some_and(|e| e == EXTENSION);
        let name = path.file_stem()?.to_str()?.to_owned();
        fits.then(|| (changed.unwrap_or(SystemTime::UNIX_EPOCH), name))
    });
    let mut named: Vec<(SystemTime, String)> = named.collect();
    named.sort_by(|a, b| b.cmp(a));
    named
}

/// The file of a session's name.
///
/// # Errors
/// A name that could lead elsewhere, or be taken for a flag.
pub fn path(folder: &Path, name: &str) -> Result<PathBuf, BadName> {
    let plain = |c: char| c.is_alphanumeric() || "._- ".contains(c);
    if name.is_empty() || name.starts_with(['.', '-']) || !name.chars().all(plain) {
        return Err(BadName(name.to_owned()));
    }
    Ok(folder.join(format!("{name}.{EXTENSION}")))
}

/// The name of a session that begins now. Several may begin in one second, also of one program.
#[must_use]
pub fn new_name(now: NaiveDateTime, taken: &dyn Fn(&str) -> bool) -> String {
    let stem = format!("{}-{}", now.format("%Y%m%d-%H%M%S"), std::process::id());
    let more = (2u64..).map(|n| format!("{stem}.{n}"));
    let mut names = std::iter::once(stem.clone()).chain(more);
    names.find(|name| !taken(name)).unwrap_or(stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_the_folder() {
        let folder = Path::new("f");
        for name in ["a", "A b.c-d_e", "20260102-030405-7.2", "日本"] {
            let file = folder.join(format!("{name}.jsonl"));
            assert_eq!(path(folder, name), Ok(file));
        }
        for name in [
            "", ".", "..", "../a", "a/b", "a\\b", "-a", ".a", "a\0", "a\n",
        ] {
            assert!(path(folder, name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn every_session_gets_a_name_of_its_own() {
        let mut names = Vec::<String>::new();
        let now = NaiveDateTime::default();
        for _ in 0..3 {
            let next = new_name(now, &|name| names.iter().any(|n| n == name));
            assert!(!names.contains(&next));
            names.push(next);
        }
        assert!(names[0].starts_with("19700101-000000-"));
        assert!(names[2].ends_with(".3"));
    }
}
