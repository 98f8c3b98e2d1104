//! The model store: `<root>/models/<file>`, `<root>/packs/<name>.toml`, `<root>/maps/<hash>.map`,
//! and an index beside them.
//!
//! The index remembers what a directory cannot: the verified sha256 with the size and time of
//! change it was computed at, where a file came from, and which names stand for files elsewhere. It
//! is replaced by rename under a lock, so a reader sees the old or the new one. A file in `models/`
//! works without being in the index.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::disk::{file_names, open_lock, plain_file_name, stamp, write_atomically};
use super::error::{StoreError, io_error};
use super::hub::{cache, pick};
use super::import::Caches;
use super::manifest::{Licence, Manifest, Member, Origin};
use super::part;
use packllm_engine::nearest;

/// A manifest that comes with the program: the pack's name and the text.
pub type Shipped = (&'static str, &'static str);

/// The model store under one folder, which is made when something is first written.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
    shipped: &'static [Shipped],
    caches: Caches,
}

/// What the index knows of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredModel {
    /// The name that manifests use.
    pub file: String,
    /// Bytes, when recorded.
    pub size: u64,
    /// Time of last change, in nanoseconds since 1970, when recorded.
    pub modified: u64,
    /// Computed from the whole file when it had that size and time; none if that was never done.
    pub sha256: Option<String>,
    /// Where it came from.
    pub source: Option<String>,
    /// The file's place, if it is not in the store.
    pub reference: Option<PathBuf>,
    /// Whether we downloaded that file: then it may be deleted.
    #[serde(default)]
    pub fetched: bool,
    /// What its repository says of its terms.
    #[serde(default)]
    pub licence: Option<Licence>,
    /// When it was recorded, in seconds since 1970.
    pub added: u64,
}

impl StoredModel {
    /// Describes the file at `path` as it is now, unverified.
    pub(super) fn of(file: &str, path: &Path) -> Result<Self, StoreError> {
        let (size, modified) = stamp(path)?;
        let added = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |age| age.as_secs());
        Ok(Self {
            file: file.to_owned(),
            size,
            modified,
            sha256: None,
            source: None,
            reference: None,
            fetched: false,
            licence: None,
            added,
        })
    }
}

/// A model as [`Store::list`] shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing {
    /// What the index knows, or the file's size and time if it is not there.
    pub model: StoredModel,
    /// Where its bytes are.
    pub path: PathBuf,
    /// False for an imported file that is gone.
    pub present: bool,
}

impl Listing {
    /// The files that it is split into, or the one that it is.
    pub fn files(&self) -> Vec<PathBuf> {
        parts_on_disk(&self.path)
    }
}

/// What [`Store::remove`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    /// A file of the store was deleted.
    File {
        /// What was deleted.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// Only the store's knowledge of a file elsewhere, which stays.
    Reference {
        /// The file that stays.
        path: PathBuf,
    },
}

#[derive(Default, Serialize, Deserialize)]
struct Index {
    version: u32,
    models: Vec<StoredModel>,
}

impl Store {
    /// A store under `root`, which need not exist, that knows the `shipped` packs.
    pub fn new(root: impl Into<PathBuf>, shipped: &'static [Shipped]) -> Self {
        Self {
            root: root.into(),
            shipped,
            caches: Caches::default(),
        }
    }

    /// The same with what other programs keep; the first cache of the hub is written, too.
    #[must_use]
    pub fn beside(self, caches: Caches) -> Self {
        Self { caches, ..self }
    }

    /// What other programs keep.
    pub fn caches(&self) -> &Caches {
        &self.caches
    }

    /// The cache that files of the hub are downloaded into.
    pub(super) fn hub_cache(&self) -> PathBuf {
        let usual = self.caches.hugging_face.first();
        usual.map_or_else(|| self.root.join("hub"), PathBuf::clone)
    }

    /// The packs that come with the program.
    pub(super) fn shipped(&self) -> &'static [Shipped] {
        self.shipped
    }

    /// The folder of everything.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where a model of that name is, or would be, as a file of the store.
    pub fn model_path(&self, file: &str) -> PathBuf {
        self.root.join("models").join(file)
    }

    /// Every model, by name: files of the store, and references to files elsewhere.
    pub fn list(&self) -> Result<Vec<Listing>, StoreError> {
        let mut models = self.index()?.models;
        models.retain(|model| model.reference.is_some() || self.model_path(&model.file).is_file());
        for file in file_names(&self.root.join("models"))? {
            let path = self.model_path(&file);
            if plain_file_name(&file)
                && path.is_file()
                && !models.iter().any(|model| model.file == file)
            {
                models.push(StoredModel::of(&file, &path)?);
            }
        }
        models.sort_by(|left, right| left.file.cmp(&right.file));
        let listing = |model: StoredModel| {
            let path = model
                .reference
                .clone()
                .unwrap_or_else(|| self.model_path(&model.file));
            Listing {
                present: path.is_file(),
                path,
                model,
            }
        };
        Ok(models.into_iter().map(listing).collect())
    }

    /// Where the model of that name is; none if the store has none.
    pub fn find(&self, file: &str) -> Result<Option<PathBuf>, StoreError> {
        if !plain_file_name(file) {
            return Ok(None);
        }
        let own = self.model_path(file);
        if own.is_file() {
            return Ok(Some(own));
        }
        match self.recorded(file)?.and_then(|model| model.reference) {
            Some(path) if path.is_file() => Ok(Some(path)),
            Some(path) => Err(StoreError::ReferenceGone {
                file: file.to_owned(),
                path,
            }),
            None => Ok(None),
        }
    }

    /// Where a member's file is: beside its manifest, else in the store.
    pub fn resolve(&self, manifest: &Manifest, member: &Member) -> Result<PathBuf, StoreError> {
        if let Some(source) = member.named() {
            let missing = || StoreError::NotHere {
                name: source.to_string(),
            };
            return self.on_disk(&source)?.ok_or_else(missing);
        }
        let mut looked = Vec::new();
        let near = match &manifest.origin {
            Origin::Shipped if Path::new(&member.file).is_absolute() => {
                Some(PathBuf::from(&member.file))
            }
            _ => manifest.folder().map(|folder| folder.join(&member.file)),
        };
        if let Some(near) = near {
            if near.is_file() {
                return Ok(near);
            }
            looked.push(near);
        }
        if let Some(path) = self.find(&member.file)? {
            return Ok(path);
        }
        if plain_file_name(&member.file) {
            looked.push(self.model_path(&member.file));
        }
        let pack = match &manifest.origin {
            _ if member.sources.is_empty() => None,
            Origin::File(path) => Some(path.display().to_string()),
            Origin::Shipped | Origin::Store(_) => Some(manifest.name.clone()),
        };
        Err(StoreError::ModelMissing {
            file: member.file.clone(),
            looked,
            pack,
        })
    }

    /// Deletes a model of the store, its partial download too, or forgets a reference.
    pub fn remove(&self, file: &str) -> Result<Removed, StoreError> {
        let known = || Ok(self.list()?.into_iter().map(|listing| listing.model.file));
        let unknown = |nearest| StoreError::UnknownModel {
            file: file.to_owned(),
            nearest,
        };
        if !plain_file_name(file) {
            return Err(unknown(nearest(file, known()?)));
        }
        let lock = self.lock_file(file)?;
        lock.try_lock().map_err(|_| StoreError::Busy {
            file: file.to_owned(),
        })?;
        let path = self.model_path(file);
        let part = part::path_of(&path);
        let whole = path.is_file();
        let removed = if whole || part.is_file() {
            let target = if whole { &path } else { &part };
            let bytes = stamp(target)?.0;
            if whole {
                fs::remove_file(&path).map_err(io_error("delete", &path))?;
            }
            part::delete(&path);
            Removed::File {
                path: target.clone(),
                bytes,
            }
        } else if let Some(model) = self.recorded(file)?
            && let Some(path) = model.reference
        {
            match model.fetched && path.is_file() {
                true => remove_fetched(&path)?,
                false => Removed::Reference { path },
            }
        } else {
            return Err(unknown(nearest(file, known()?)));
        };
        self.change(|models| models.retain(|model| model.file != file))?;
        Ok(removed)
    }

    /// The index's entry of that name.
    pub(super) fn recorded(&self, file: &str) -> Result<Option<StoredModel>, StoreError> {
        Ok(self
            .index()?
            .models
            .into_iter()
            .find(|model| model.file == file))
    }

    /// Writes an entry, in place of an older one of that name.
    pub(super) fn record(&self, model: StoredModel) -> Result<(), StoreError> {
        self.change(|models| {
            models.retain(|other| other.file != model.file);
            models.push(model);
        })
    }

    /// The file whose lock a process holds while it pulls or removes the model `file`.
    pub(super) fn lock_file(&self, file: &str) -> Result<File, StoreError> {
        open_lock(&self.root.join("locks").join(file))
    }

    /// Makes `<root>/<name>` and returns its path.
    pub(super) fn folder(&self, name: &str) -> Result<PathBuf, StoreError> {
        let folder = self.root.join(name);
        fs::create_dir_all(&folder).map_err(io_error("make the folder", &folder))?;
        Ok(folder)
    }

    fn index(&self) -> Result<Index, StoreError> {
        let path = self.root.join("index.json");
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Index::default()),
            Err(error) => return Err(io_error("read", path)(error)),
        };
        let index: Index =
            serde_json::from_slice(&bytes).map_err(|error| StoreError::BadIndex {
                path: path.clone(),
                reason: error.to_string(),
            })?;
        if index.version > 1 {
            return Err(StoreError::BadIndex {
                path,
                reason: format!("version {} is newer than 1", index.version),
            });
        }
        Ok(index)
    }

    fn change(&self, change: impl FnOnce(&mut Vec<StoredModel>)) -> Result<(), StoreError> {
        self.folder("models")?;
        let lock = open_lock(&self.root.join("locks").join(".index"))?;
        lock.lock()
            .map_err(io_error("lock", self.root.join("locks")))?;
        let mut index = self.index()?;
        index.version = 1;
        change(&mut index.models);
        let path = self.root.join("index.json");
        let text = serde_json::to_string_pretty(&index).map_err(|error| StoreError::BadIndex {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        write_atomically(&path, text.as_bytes())
    }
}

/// Deletes a model that was downloaded into the hub's cache, all files of it.
fn remove_fetched(first: &Path) -> Result<Removed, StoreError> {
    let mut bytes = 0;
    for path in parts_on_disk(first) {
        let Some(freed) = cache::remove(&path)? else {
            return Ok(Removed::Reference { path });
        };
        bytes += freed;
    }
    Ok(Removed::File {
        path: first.to_owned(),
        bytes,
    })
}

/// The files of the model that begins with `first`, as far as they are there.
pub(super) fn parts_on_disk(first: &Path) -> Vec<PathBuf> {
    let name = first.file_name().and_then(|name| name.to_str());
    let names = pick::parts(name.unwrap_or_default());
    let paths = names.into_iter().map(|name| first.with_file_name(name));
    paths.filter(|path| path.is_file()).collect()
}
