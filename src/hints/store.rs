//! Manifests, the model store and downloads.

use packllm_store::{Refused, StoreError};
use std::error::Error;
use std::io::{self, ErrorKind};

/// See [`super::hint`].
pub fn hint(error: &(dyn Error + 'static)) -> Option<String> {
    let error = error.downcast_ref::<StoreError>()?;
    named(error).or_else(|| fixed(error).map(str::to_owned))
}

/// Hints that contain a part of the error.
fn named(error: &StoreError) -> Option<String> {
    Some(match error {
        StoreError::UnknownKey { known, .. } => format!("known keys here: {}", known.join(", ")),
        StoreError::ModelMissing {
            pack: Some(pack), ..
        } => format!(
            "`packllm models pull {pack}` downloads it; `packllm models import` takes files that are on disk; \
             `packllm pack list` shows which packs are complete"
        ),
        StoreError::ReferenceGone { file, .. } => {
            format!("import it again, or `packllm models remove {file}` and pull")
        }
        StoreError::NameTaken { file, .. } => {
            format!("import under another name, or `packllm models remove {file}`")
        }
        StoreError::NoSuchFile { wanted, .. } => elsewhere(wanted),
        StoreError::NotHere { name } => format!("`packllm models pull {name}` fetches it"),
        StoreError::PipMissing { python } => {
            format!(
                "install it (Debian: apt install python3-pip; elsewhere: {python} -m ensurepip)"
            )
        }
        StoreError::AllSourcesFailed { failures, .. } => {
            return failures.iter().find_map(|failure| hint(&*failure.error));
        }
        _ => return None,
    })
}

/// Where to look for a file that is not where it was said to be.
fn elsewhere(wanted: &str) -> String {
    if let Some(model) = wanted.strip_prefix("ollama:") {
        format!(
            "`ollama pull {model}` fetches it; where Ollama keeps its models elsewhere, set OLLAMA_MODELS"
        )
    } else if wanted.starts_with("lmstudio:") {
        "download it with LM Studio, or name a repository of the hub: hf:OWNER/REPO:QUANT"
            .to_owned()
    } else {
        "name another: hf:OWNER/REPO:QUANT or hf:OWNER/REPO/FILE.gguf".to_owned()
    }
}

fn fixed(error: &StoreError) -> Option<&'static str> {
    Some(match error {
        StoreError::UnknownPack { .. } => {
            "`packllm pack list` shows them; a path to a .toml file works too"
        }
        StoreError::PackExists { .. } => "choose another name, or remove that file",
        StoreError::ModelMissing { .. } => {
            "`packllm models import` takes files that are on disk; `packllm models list` shows those in the store"
        }
        StoreError::UnknownModel { .. } => "`packllm models list` shows what is there",
        StoreError::BadIndex { .. } => {
            "move that file away: downloaded models stay, imports have to be repeated"
        }
        StoreError::Split { .. } => {
            "join the parts with `llama-gguf-split --merge FIRST OUT`, then import the result"
        }
        StoreError::FileDiffers { .. } => "move that file away, then pull again",
        StoreError::WrongHash { .. } | StoreError::WrongSize { .. } => {
            "the file was changed at its source; correct sha256 and size in the manifest if that is meant"
        }
        StoreError::Status {
            status: 401 | 403, ..
        } => "the model may be gated: accept its licence on its page and set a token (HF_TOKEN)",
        StoreError::Refused {
            why: Refused::Gated | Refused::NotYours,
            ..
        } => {
            "open that page, sign in and accept its terms; then set HF_TOKEN, or sign in with `hf auth login`"
        }
        StoreError::Refused {
            why: Refused::BadToken,
            ..
        } => {
            "HF_TOKEN, or the file that `hf auth login` keeps, holds a token that is wrong or has expired"
        }
        StoreError::Refused { .. } => "check the name and @revision; private ones need HF_TOKEN",
        StoreError::NoRepository { .. } => {
            "check the owner and the name; private repositories need HF_TOKEN"
        }
        StoreError::PartsMissing { .. } => {
            "the repository is not complete; choose another file of it"
        }
        StoreError::TooMany { .. } => {
            "try again later; with a token (HF_TOKEN) the hub allows more requests"
        }
        StoreError::NoRoom { .. } => {
            "free some space (`packllm models gc`, `packllm models remove`), or set HF_HOME to a folder on a larger disk"
        }
        StoreError::BadAnswer { .. } => "HF_ENDPOINT may not be a hub's address",
        StoreError::BadSource { .. } => {
            "a model is a path, a name that `packllm models list` shows, hf:OWNER/REPO[:QUANT|/FILE], a URL, \
             ollama:NAME or lmstudio:NAME"
        }
        StoreError::Status { status: 404, .. } => {
            "check the owner, the repository and the file name"
        }
        StoreError::Connection { .. } => {
            "check the network; what was downloaded is kept and resumed"
        }
        StoreError::PythonMissing { .. } => {
            "install Python 3 with pip (Debian: apt install python3-pip; macOS: brew install python), or get \
             the file yourself and import it"
        }
        StoreError::Pip { .. } => {
            "pip uses its own configuration: `python3 -m pip config list` shows it"
        }
        StoreError::Offline { .. } => "leave --offline away once, or import the file",
        StoreError::Io { source, .. } => return of_system(source),
        _ => return None,
    })
}

fn of_system(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            Some("free some space, or set PACKLLM_HOME to a folder on a larger disk")
        }
        ErrorKind::PermissionDenied => {
            Some("check who owns it, or set PACKLLM_HOME to a folder of your own")
        }
        _ => None,
    }
}
