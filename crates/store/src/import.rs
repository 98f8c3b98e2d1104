//! GGUF files that other programs have on disk, referenced in place.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::disk::{file_names, plain_file_name};
use super::error::{StoreError, io_error};
use super::hub::pick;
use super::source::{Named, Source};
use super::store::{Store, StoredModel, parts_on_disk};

/// Folders in which other programs keep models. Those that do not exist are passed over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caches {
    /// Hugging Face hub caches: `models--owner--name/snapshots/*/…`.
    pub hugging_face: Vec<PathBuf>,
    /// Ollama: `manifests/` and `blobs/`.
    pub ollama: Vec<PathBuf>,
    /// LM Studio: `publisher/repository/*.gguf`.
    pub lm_studio: Vec<PathBuf>,
}

/// A GGUF file that was found.
#[derive(Debug)]
pub struct Found {
    /// A name for it in the store.
    pub file: String,
    /// Where it is.
    pub path: PathBuf,
    /// Where it comes from, for example `hf:owner/name` or `ollama:gemma3:270m`.
    pub origin: String,
    /// Bytes.
    pub size: u64,
}

impl Caches {
    /// Where the programs keep their models by default, for a home folder and an environment.
    pub fn usual(home: &Path, env: &dyn Fn(&str) -> Option<OsString>) -> Self {
        let path = |name: &str| {
            env(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let cache = path("XDG_CACHE_HOME").unwrap_or_else(|| home.join(".cache"));
        let hub = path("HF_HUB_CACHE").or_else(|| path("HUGGINGFACE_HUB_CACHE"));
        let hub = hub.or_else(|| path("HF_HOME").map(|folder| folder.join("hub")));
        Self {
            // llama.cpp may have one of its own, laid out like the hub's.
            hugging_face: [hub.unwrap_or_else(|| cache.join("huggingface/hub"))]
                .into_iter()
                .chain(path("LLAMA_CACHE"))
                .collect(),
            ollama: match path("OLLAMA_MODELS") {
                Some(folder) => vec![folder],
                None => vec![
                    home.join(".ollama/models"),
                    PathBuf::from("/usr/share/ollama/.ollama/models"),
                ],
            },
            lm_studio: vec![
                home.join(".lmstudio/models"),
                home.join(".cache/lm-studio/models"),
            ],
        }
    }

    /// The file that a name of Ollama or LM Studio stands for.
    ///
    /// # Errors
    /// There is none, and the names that are there.
    pub(super) fn locate(&self, source: &Source) -> Result<PathBuf, StoreError> {
        let found = self.scan();
        let wanted = source.to_string();
        let file = match source {
            Source::LmStudio(named) => lm_studio(&found, named),
            _ => found.iter().find(|one| one.origin == wanted),
        };
        file.map(|one| one.path.clone()).ok_or_else(|| {
            let kind = wanted.split(':').next().unwrap_or_default().to_owned();
            let same = found.iter().filter(|one| one.origin.starts_with(&kind));
            let mut had: Vec<String> = same.map(|one| one.origin.clone()).collect();
            had.dedup();
            had.truncate(12);
            StoreError::NoSuchFile { wanted, had }
        })
    }

    /// Every GGUF file in the caches. What cannot be read, or is no GGUF file, is left out.
    pub fn scan(&self) -> Vec<Found> {
        let mut found = Vec::new();
        for root in &self.hugging_face {
            for repo in file_names(root).unwrap_or_default() {
                let Some(name) = repo.strip_prefix("models--") else {
                    continue;
                };
                // Owner and name are joined by `--`; an owner has no `--` in it.
                let origin = format!("hf:{}", name.replacen("--", "/", 1));
                gguf_files(
                    &root.join(&repo).join("snapshots"),
                    6,
                    &|_| origin.clone(),
                    &mut found,
                );
            }
        }
        for root in &self.ollama {
            ollama(root, &root.join("manifests"), &mut Vec::new(), &mut found);
        }
        for root in &self.lm_studio {
            let origin = |path: &Path| {
                let folder = path
                    .parent()
                    .and_then(|folder| folder.strip_prefix(root).ok())
                    .unwrap_or(Path::new(""));
                format!("lmstudio:{}", folder.display())
            };
            gguf_files(root, 4, &origin, &mut found);
        }
        // One blob may be in several snapshots of a repository.
        let mut seen = std::collections::HashSet::new();
        found.retain(|one| {
            seen.insert((
                one.file.clone(),
                fs::canonicalize(&one.path).unwrap_or_else(|_| one.path.clone()),
            ))
        });
        found
    }
}

/// The GGUF file at `path`, or those in the folder `path`.
pub fn at_path(path: &Path) -> Result<Vec<Found>, StoreError> {
    // Before links are followed: the hub's cache names a file by a link, and its content by a hash.
    let name = path.file_name().map(OsString::from);
    let path = fs::canonicalize(path).map_err(io_error("read", path))?;
    let mut found = Vec::new();
    if path.is_dir() {
        gguf_files(&path, 4, &|_| "file".to_owned(), &mut found);
        return Ok(found);
    }
    let size = check_gguf(&path)?;
    let file = name
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    found.push(Found {
        file,
        path,
        origin: "file".to_owned(),
        size,
    });
    Ok(found)
}

/// A GGUF file is recognised by its first four bytes. Returns its size in bytes.
pub fn check_gguf(path: &Path) -> Result<u64, StoreError> {
    let not = |actual: &str| StoreError::NotGguf {
        path: path.to_owned(),
        actual: actual.to_owned(),
    };
    let data = fs::metadata(path).map_err(io_error("read", path))?;
    if !data.is_file() {
        return Err(not(if data.is_dir() {
            "a folder"
        } else {
            "not a regular file"
        }));
    }
    let mut start = Vec::new();
    let file = File::open(path).map_err(io_error("read", path))?;
    file.take(4)
        .read_to_end(&mut start)
        .map_err(io_error("read", path))?;
    match start.as_slice() {
        b"GGUF" => Ok(data.len()),
        [] => Err(not("it is empty")),
        other => Err(not(&format!(
            "it starts with {:?}",
            String::from_utf8_lossy(other)
        ))),
    }
}

/// The file of a repository's folder that is meant.
fn lm_studio<'a>(found: &'a [Found], named: &Named) -> Option<&'a Found> {
    let origin = format!("lmstudio:{}", named.repo);
    let there = found.iter().filter(|one| one.origin == origin);
    let paths: Vec<&str> = there.map(|one| one.file.as_str()).collect();
    let file = pick::choose(&paths, &named.pick)?;
    found
        .iter()
        .find(|one| one.origin == origin && one.file == file)
}

impl Store {
    /// References a file in place, under its own name or `name`. Doing it twice is fine.
    pub fn import(&self, found: &Found, name: Option<&str>) -> Result<StoredModel, StoreError> {
        let file = name.unwrap_or(&found.file);
        if !plain_file_name(file) {
            return Err(StoreError::BadName {
                name: file.to_owned(),
            });
        }
        check_gguf(&found.path)?;
        if let Some((part, of)) = split(&found.path)
            && (part, parts_on_disk(&found.path).len()) != (1, of as usize)
        {
            return Err(StoreError::Split {
                path: found.path.clone(),
                part,
                of,
            });
        }
        let own = self.model_path(file);
        let other = match self.recorded(file)?.and_then(|model| model.reference) {
            _ if own.is_file() => Some(own),
            Some(path) => Some(path).filter(|path| *path != found.path && path.is_file()),
            None => None,
        };
        if let Some(path) = other {
            return Err(StoreError::NameTaken {
                file: file.to_owned(),
                path,
            });
        }
        let mut model = StoredModel::of(file, &found.path)?;
        model.reference = Some(found.path.clone());
        model.source = Some(found.origin.clone());
        self.record(model.clone())?;
        Ok(model)
    }
}

/// Part and number of parts of a name like `x-00001-of-00003.gguf`.
fn split(path: &Path) -> Option<(u32, u32)> {
    let split = pick::split(path.file_name()?.to_str()?)?;
    Some((split.part, split.of))
}

/// Collects GGUF files under `folder`, at most `depth` folders down: a link may lead round in a
/// circle.
fn gguf_files(folder: &Path, depth: u32, origin: &dyn Fn(&Path) -> String, found: &mut Vec<Found>) {
    for name in file_names(folder).unwrap_or_default() {
        let path = folder.join(&name);
        if path.is_dir() && depth > 0 {
            gguf_files(&path, depth - 1, origin, found);
        } else if name.to_ascii_lowercase().ends_with(".gguf")
            && let Ok(size) = check_gguf(&path)
        {
            found.push(Found {
                file: name,
                origin: origin(&path),
                path,
                size,
            });
        }
    }
}

#[derive(Deserialize)]
struct OllamaManifest {
    #[serde(default)]
    layers: Vec<OllamaLayer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OllamaLayer {
    media_type: String,
    digest: String,
}

/// Reads Ollama's manifests, whose paths are `host/owner/model/tag`. `names` is the path below
/// `manifests`.
fn ollama(root: &Path, folder: &Path, names: &mut Vec<String>, found: &mut Vec<Found>) {
    for name in file_names(folder).unwrap_or_default() {
        let path = folder.join(&name);
        names.push(name);
        if path.is_dir() && names.len() < 6 {
            ollama(root, &path, names, found);
        } else if let Some(one) = ollama_model(root, &path, names) {
            found.push(one);
        }
        names.pop();
    }
}

fn ollama_model(root: &Path, manifest: &Path, names: &[String]) -> Option<Found> {
    let manifest: OllamaManifest = serde_json::from_slice(&fs::read(manifest).ok()?).ok()?;
    let layer = manifest
        .layers
        .iter()
        .find(|layer| layer.media_type == "application/vnd.ollama.image.model")?;
    let digest = layer
        .digest
        .strip_prefix("sha256:")
        .filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    let path = root.join("blobs").join(format!("sha256-{digest}"));
    let size = check_gguf(&path).ok()?;
    let [.., owner, model, tag] = names else {
        return None;
    };
    let owner = if owner == "library" {
        String::new()
    } else {
        format!("{owner}/")
    };
    let spelled = format!("{owner}{model}:{tag}");
    let file = format!("{}.gguf", spelled.replace(['/', ':'], "-"));
    Some(Found {
        file,
        path,
        origin: format!("ollama:{spelled}"),
        size,
    })
}
