//! What can go wrong with packs, with the facts that a message needs.

use packllm_engine::nearest;
use std::io;
use std::path::PathBuf;

/// An error about a manifest, the model store, or a download. One line when displayed.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum PackError {
    /// Not TOML.
    #[error("{origin}:{line}: {reason}")]
    Syntax {
        origin: String,
        line: usize,
        reason: String,
    },
    /// A key that its table does not have, and those that it may have.
    #[error("{origin}:{line}: unknown key `{key}`{}{}", within(section), did_you_mean(nearest(key, known).as_deref()))]
    UnknownKey {
        origin: String,
        line: usize,
        section: &'static str,
        key: String,
        known: Vec<&'static str>,
    },
    /// A key that has to be there is not; `line` is where its table starts.
    #[error("{origin}:{line}: key `{key}` is missing{}", within(section))]
    MissingKey {
        origin: String,
        line: usize,
        section: &'static str,
        key: &'static str,
    },
    /// A value of the wrong type, out of range, or in conflict with another key.
    #[error("{origin}:{line}: `{key}` must be {expected}, not {actual}")]
    BadValue {
        origin: String,
        line: usize,
        key: String,
        expected: String,
        actual: String,
    },
    /// Text that is not a source.
    #[error("source `{text}`: {reason}")]
    BadSource { text: String, reason: &'static str },
    /// No pack of that name.
    #[error("unknown pack `{name}`{}; known packs: {}", did_you_mean(nearest.as_deref()), known.join(", "))]
    UnknownPack {
        name: String,
        nearest: Option<String>,
        known: Vec<String>,
    },
    /// A pack of that name is already in the store.
    #[error("pack `{name}` already exists at {}", path.display())]
    PackExists { name: String, path: PathBuf },
    /// A name that cannot be a file of the store.
    #[error("`{name}` is not a usable file name")]
    BadName { name: String },
    /// A member's file is in none of the places where it was looked for.
    #[error("model file `{file}` not found; looked at {}", paths(looked))]
    ModelMissing {
        file: String,
        looked: Vec<PathBuf>,
        /// The pack that names sources for it.
        pack: Option<String>,
    },
    /// An imported file is no longer where it was.
    #[error("model `{file}` was imported from {}, where it no longer is", path.display())]
    ReferenceGone { file: String, path: PathBuf },
    /// The store has nothing of that name.
    #[error("no model `{file}` in the store{}", did_you_mean(nearest.as_deref()))]
    UnknownModel {
        file: String,
        nearest: Option<String>,
    },
    /// Another file of that name is in the store.
    #[error("the store already has another `{file}`, at {}", path.display())]
    NameTaken { file: String, path: PathBuf },
    /// Another process is pulling that file.
    #[error("`{file}` is being pulled by another process")]
    Busy { file: String },
    /// The store's index cannot be read.
    #[error("{}: the index of the model store is damaged: {reason}", path.display())]
    BadIndex { path: PathBuf, reason: String },
    /// Not a GGUF file: the four bytes at its start say so.
    #[error("{}: not a GGUF file ({actual})", path.display())]
    NotGguf { path: PathBuf, actual: String },
    /// One part of a model that is split over several files.
    #[error("{}: part {part} of {of} of a split model; one whole file is needed", path.display())]
    Split { path: PathBuf, part: u32, of: u32 },
    /// A file that is already there is not the one the manifest names.
    #[error("{}: sha256 is {actual}, the manifest says {expected}", path.display())]
    FileDiffers {
        path: PathBuf,
        expected: String,
        actual: String,
    },
    /// What was downloaded is not the file the manifest names.
    #[error("sha256 of the download is {actual}, expected {expected}")]
    WrongHash { expected: String, actual: String },
    /// As above, told by its size in bytes.
    #[error("the download has {actual} bytes, expected {expected}")]
    WrongSize { expected: u64, actual: u64 },
    /// HTTP answered with a status that ends the attempt.
    #[error("{url}: HTTP status {status}{}", status_word(*status))]
    Status { url: String, status: u16 },
    /// The connection failed, again and again.
    #[error("{url}: {reason}")]
    Connection { url: String, reason: String },
    /// Python could not be started.
    #[error("`{python}` cannot be run: {reason}")]
    PythonMissing { python: String, reason: String },
    /// Python has no pip.
    #[error("`{python}` has no pip")]
    PipMissing { python: String },
    /// pip could not fetch a wheel.
    #[error("pip could not download {wheel}: {reason}")]
    Pip { wheel: String, reason: String },
    /// The wheel does not hold what the source says.
    #[error("{wheel}: {reason}")]
    Wheel { wheel: String, reason: String },
    /// Every source failed.
    #[error("cannot get `{file}`: {}", failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    AllSourcesFailed {
        file: String,
        failures: Vec<SourceFailure>,
    },
    /// The model is not here, and nothing may be downloaded.
    #[error("model `{file}` would have to be downloaded, but offline mode is on")]
    Offline { file: String },
    /// The user did not accept the licence.
    #[error("the licence of `{member}` ({licence}) was not accepted")]
    LicenceRefused { member: String, licence: String },
    /// The caller asked to stop.
    #[error("interrupted")]
    Cancelled,
    /// The file system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

/// Why one source did not give the file.
#[derive(Debug)]
pub struct SourceFailure {
    /// The source, as the manifest spells it.
    pub source: String,
    /// What happened.
    pub error: Box<PackError>,
}

impl std::fmt::Display for SourceFailure {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}: {}", self.source, self.error)
    }
}

impl PackError {
    /// What the user can do about it, if there is something to say.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::UnknownKey { known, .. } => format!("known keys here: {}", known.join(", ")),
            Self::UnknownPack { .. } => "`packllm pack list` shows them; a path to a .toml file works too".into(),
            Self::PackExists { .. } => "choose another name, or remove that file".into(),
            Self::ModelMissing { pack: Some(pack), .. } => format!("`packllm models pull {pack}` downloads it; `packllm models import` takes files that are on disk"),
            Self::ModelMissing { pack: None, .. } => "`packllm models import` takes files that are on disk; `packllm models list` shows those in the store".into(),
            Self::ReferenceGone { file, .. } => format!("import it again, or `packllm models remove {file}` and pull"),
            Self::UnknownModel { .. } => "`packllm models list` shows what is there".into(),
            Self::NameTaken { file, .. } => format!("import under another name, or `packllm models remove {file}`"),
            Self::BadIndex { .. } => "move that file away: downloaded models stay, imports have to be repeated".into(),
            Self::Split { .. } => "join the parts with `llama-gguf-split --merge FIRST OUT`, then import the result".into(),
            Self::FileDiffers { .. } => "move that file away, then pull again".into(),
            Self::WrongHash { .. } | Self::WrongSize { .. } => "the file was changed at its source; correct sha256 and size in the manifest if that is meant".into(),
            Self::Status { status: 401 | 403, .. } => "the model may be gated: accept its licence on its page and set a token (HF_TOKEN)".into(),
            Self::Status { status: 404, .. } => "check the owner, the repository and the file name".into(),
            Self::Connection { .. } => "check the network; what was downloaded is kept and resumed".into(),
            Self::PythonMissing { .. } => "install Python 3 with pip (Debian: apt install python3-pip; macOS: brew install python), or get the file yourself and import it".into(),
            Self::PipMissing { python } => format!("install it (Debian: apt install python3-pip; elsewhere: {python} -m ensurepip)"),
            Self::Pip { .. } => "pip uses its own configuration: `python3 -m pip config list` shows it".into(),
            Self::AllSourcesFailed { failures, .. } => return failures.iter().find_map(|failure| failure.error.hint()),
            Self::Offline { .. } => "leave --offline away once, or import the file".into(),
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    "free some space, or set PACKLLM_HOME to a folder on a larger disk".into()
                }
                io::ErrorKind::PermissionDenied => "check who owns it, or set PACKLLM_HOME to a folder of your own".into(),
                _ => return None,
            },
            _ => return None,
        })
    }
}

/// For `map_err`: the file system refused `action` on `path`.
pub(super) fn io_error(
    action: &'static str,
    path: impl Into<PathBuf>,
) -> impl FnOnce(io::Error) -> PackError {
    let path = path.into();
    move |source| PackError::Io {
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
