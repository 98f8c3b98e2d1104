//! What can go wrong with packs, with the facts that a message needs.

use packllm_engine::nearest;
use std::io;
use std::path::PathBuf;

/// An error about a manifest, the model store, or a download. One line when displayed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Not TOML.
    #[error("{origin}:{line}: {reason}")]
    Syntax {
        /// The manifest, or the file, by its name.
        origin: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it, in words.
        reason: String,
    },
    /// A key that its table does not have, and those that it may have.
    #[error("{origin}:{line}: unknown key `{key}`{}{}", within(section), did_you_mean(nearest(key, known).as_deref()))]
    UnknownKey {
        /// The manifest, or the file, by its name.
        origin: String,
        /// The line, from 1.
        line: usize,
        /// The table; empty for the top one.
        section: &'static str,
        /// The key.
        key: String,
        /// The keys of that table.
        known: Vec<&'static str>,
    },
    /// A key that has to be there is not; `line` is where its table starts.
    #[error("{origin}:{line}: key `{key}` is missing{}", within(section))]
    MissingKey {
        /// The manifest, or the file, by its name.
        origin: String,
        /// The line, from 1.
        line: usize,
        /// The table; empty for the top one.
        section: &'static str,
        /// The key.
        key: &'static str,
    },
    /// A value of the wrong type, out of range, or in conflict with another key.
    #[error("{origin}:{line}: `{key}` must be {expected}, not {actual}")]
    BadValue {
        /// The manifest, or the file, by its name.
        origin: String,
        /// The line, from 1.
        line: usize,
        /// The key.
        key: String,
        /// What it may be.
        expected: String,
        /// What stands there.
        actual: String,
    },
    /// Text that is not a source.
    #[error("source `{text}`: {reason}")]
    BadSource {
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// No pack of that name.
    #[error("unknown pack `{name}`{}; known packs: {}", did_you_mean(nearest.as_deref()), known.join(", "))]
    UnknownPack {
        /// What was asked for.
        name: String,
        /// The name of a pack that is like it.
        nearest: Option<String>,
        /// The names of all.
        known: Vec<String>,
    },
    /// A pack of that name is already in the store.
    #[error("pack `{name}` already exists at {}", path.display())]
    PackExists {
        /// The pack's name.
        name: String,
        /// Where it is.
        path: PathBuf,
    },
    /// A name that cannot be a file of the store.
    #[error("`{name}` is not a usable file name")]
    BadName {
        /// What was given.
        name: String,
    },
    /// A member's file is in none of the places where it was looked for.
    #[error("model file `{file}` not found; looked at {}", paths(looked))]
    ModelMissing {
        /// The file, as the manifest names it.
        file: String,
        /// The places.
        looked: Vec<PathBuf>,
        /// The pack that names sources for it.
        pack: Option<String>,
    },
    /// A named model is not on disk.
    #[error("model `{name}` is not on this machine")]
    NotHere {
        /// Its name.
        name: String,
    },
    /// An imported file is no longer where it was.
    #[error("model `{file}` was imported from {}, where it no longer is", path.display())]
    ReferenceGone {
        /// The file's name in the store.
        file: String,
        /// Where it was.
        path: PathBuf,
    },
    /// The store has nothing of that name.
    #[error("no model `{file}` in the store{}", did_you_mean(nearest.as_deref()))]
    UnknownModel {
        /// What was asked for.
        file: String,
        /// The name of a model that is like it.
        nearest: Option<String>,
    },
    /// Another file of that name is in the store.
    #[error("the store already has another `{file}`, at {}", path.display())]
    NameTaken {
        /// The file's name in the store.
        file: String,
        /// Where that one is.
        path: PathBuf,
    },
    /// Another process is pulling that file.
    #[error("`{file}` is being pulled by another process")]
    Busy {
        /// The file's name in the store.
        file: String,
    },
    /// The store's index cannot be read.
    #[error("{}: the index of the model store is damaged: {reason}", path.display())]
    BadIndex {
        /// The index.
        path: PathBuf,
        /// What went wrong, in words.
        reason: String,
    },
    /// Not a GGUF file: the four bytes at its start say so.
    #[error("{}: not a GGUF file ({actual})", path.display())]
    NotGguf {
        /// The file.
        path: PathBuf,
        /// What its first bytes are.
        actual: String,
    },
    /// One part of a model that is split over several files.
    #[error("{}: part {part} of {of} of a split model; one whole file is needed", path.display())]
    Split {
        /// The file.
        path: PathBuf,
        /// This part, from 1.
        part: u32,
        /// Number of parts.
        of: u32,
    },
    /// A file that is already there is not the one the manifest names.
    #[error("{}: sha256 is {actual}, the manifest says {expected}", path.display())]
    FileDiffers {
        /// The file.
        path: PathBuf,
        /// The hash in the manifest.
        expected: String,
        /// The hash of the file.
        actual: String,
    },
    /// What was downloaded is not the file the manifest names.
    #[error("sha256 of the download is {actual}, expected {expected}")]
    WrongHash {
        /// The hash in the manifest.
        expected: String,
        /// The hash of what came.
        actual: String,
    },
    /// The same fault, seen from the size in bytes.
    #[error("the download has {actual} bytes, expected {expected}")]
    WrongSize {
        /// The size in the manifest.
        expected: u64,
        /// The size of what came.
        actual: u64,
    },
    /// HTTP answered with a status that ends the attempt.
    #[error("{url}: HTTP status {status}{}", status_word(*status))]
    Status {
        /// The address.
        url: String,
        /// The status.
        status: u16,
    },
    /// The hub refused, and said why.
    #[error("{page}: {why}")]
    Refused {
        /// The repository's page.
        page: String,
        /// The reason.
        why: Refused,
    },
    /// The server wants to be left alone for longer than we wait.
    #[error("{url}: too many requests; the server asks to wait {seconds} s")]
    TooMany {
        /// The address.
        url: String,
        /// For how long.
        seconds: u64,
    },
    /// The hub has no repository of that name, or does not show it.
    #[error("hf:{repo}: no such repository on the hub{}", or_like(near))]
    NoRepository {
        /// What was asked for.
        repo: String,
        /// Repositories of names that are like it.
        near: Vec<String>,
    },
    /// A repository, or a folder of another program, has no such file.
    #[error("{wanted}: no such GGUF file there{}", there(had))]
    NoSuchFile {
        /// What was asked for.
        wanted: String,
        /// What is there.
        had: Vec<String>,
    },
    /// Not all files of a split model are there.
    #[error("{file}: of the {of} files of this split model {found} are there")]
    PartsMissing {
        /// The first file.
        file: String,
        /// How many it takes.
        of: u32,
        /// How many there are.
        found: usize,
    },
    /// What the hub says cannot be read.
    #[error("{url}: not what the hub's API answers: {reason}")]
    BadAnswer {
        /// The address.
        url: String,
        /// What is wrong, in words.
        reason: String,
    },
    /// There is not enough room on the disk.
    #[error("{}: {needed} more bytes are needed, {free} are free", path.display())]
    NoRoom {
        /// The folder.
        path: PathBuf,
        /// What is left to download.
        needed: u64,
        /// What is free.
        free: u64,
    },
    /// The connection failed, again and again.
    #[error("{url}: {reason}")]
    Connection {
        /// The address.
        url: String,
        /// What went wrong, in words.
        reason: String,
    },
    /// Python could not be started.
    #[error("`{python}` cannot be run: {reason}")]
    PythonMissing {
        /// The program, as it was named.
        python: String,
        /// What went wrong, in words.
        reason: String,
    },
    /// Python has no pip.
    #[error("`{python}` has no pip")]
    PipMissing {
        /// The program, as it was named.
        python: String,
    },
    /// pip could not fetch a wheel.
    #[error("pip could not download {wheel}: {reason}")]
    Pip {
        /// The wheel, as the source names it.
        wheel: String,
        /// What went wrong, in words.
        reason: String,
    },
    /// The wheel does not hold what the source says.
    #[error("{wheel}: {reason}")]
    Wheel {
        /// The wheel, as the source names it.
        wheel: String,
        /// What went wrong, in words.
        reason: String,
    },
    /// Every source failed.
    #[error("cannot get `{file}`: {}", failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    AllSourcesFailed {
        /// The file's name in the store.
        file: String,
        /// One a source.
        failures: Vec<SourceFailure>,
    },
    /// The model is not here, and nothing may be downloaded.
    #[error("model `{file}` would have to be downloaded, but offline mode is on")]
    Offline {
        /// The file's name in the store.
        file: String,
    },
    /// The user did not accept the licence.
    #[error("the licence of `{member}` ({licence}) was not accepted")]
    LicenceRefused {
        /// The member.
        member: String,
        /// Its licence.
        licence: String,
    },
    /// The caller asked to stop.
    #[error("interrupted")]
    Cancelled,
    /// The file system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was to be done.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Why the hub refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Gated, and nobody is signed in.
    #[error(
        "the model is gated: it is given to those who are signed in and have accepted its terms"
    )]
    Gated,
    /// Gated, and the token's owner is not on the list.
    #[error("the model is gated, and the token's owner has not been given access")]
    NotYours,
    /// Nothing of that name, or private.
    #[error("no such repository, or it is private")]
    NoRepository,
    /// No branch, tag or commit of that name.
    #[error("no such revision")]
    NoRevision,
    /// No such file at that revision.
    #[error("no such file")]
    NoFile,
    /// Taken down.
    #[error("access to the repository is disabled")]
    Disabled,
    /// The token is none of the hub's.
    #[error("the token is not valid")]
    BadToken,
}

/// Why one source did not give the file.
#[derive(Debug)]
pub struct SourceFailure {
    /// The source, as the manifest spells it.
    pub source: String,
    /// What happened.
    pub error: Box<StoreError>,
}

impl std::fmt::Display for SourceFailure {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}: {}", self.source, self.error)
    }
}

/// For `map_err`: the file system refused `action` on `path`.
pub(super) fn io_error(
    action: &'static str,
    path: impl Into<PathBuf>,
) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.into();
    move |source| StoreError::Io {
        action,
        path,
        source,
    }
}

fn did_you_mean(nearest: Option<&str>) -> String {
    packllm_engine::did_you_mean(nearest.map(|name| format!("`{name}`")))
}

fn within(section: &str) -> String {
    if section.is_empty() {
        String::new()
    } else {
        format!(" in {section}")
    }
}

fn paths(looked: &[PathBuf]) -> String {
    looked
        .iter()
        .map(|path| path.display().to_string())
        .collect::<Vec<_>>()
        .join(", ")
}

fn status_word(status: u16) -> &'static str {
    match status {
        401 | 403 => " (access denied)",
        404 | 410 => " (not found)",
        429 => " (too many requests)",
        500..=599 => " (the server's fault)",
        _ => "",
    }
}

/// What may have been meant.
fn or_like(near: &[String]) -> String {
    match near {
        [] => String::new(),
        near => format!("; there is {}", near.join(", ")),
    }
}

/// What there is instead.
fn there(had: &[String]) -> String {
    match had {
        [] => "; there is none at all".to_owned(),
        had => format!("; there is {}", had.join(", ")),
    }
}
