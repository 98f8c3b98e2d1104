//! Packs by name: the user's own in the store, and those that come with the program.

use std::path::{Path, PathBuf};

use super::disk::{file_names, write_atomically};
use super::error::StoreError;
use super::manifest::{Manifest, Origin, valid_name};
use super::store::Store;
use packllm_engine::nearest;

/// A pack as [`Store::packs`] lists it.
#[derive(Debug)]
pub struct PackListing {
    /// What it is called by.
    pub name: String,
    /// Where the manifest is.
    pub origin: Origin,
    /// The manifest, or what is wrong with it.
    pub manifest: Result<Manifest, StoreError>,
}

impl Store {
    /// Where the user's pack of that name is, or would be.
    pub fn pack_path(&self, name: &str) -> PathBuf {
        self.root().join("packs").join(format!("{name}.toml"))
    }

    /// Every pack that a name reaches, by name; the user's hide shipped ones.
    pub fn packs(&self) -> Result<Vec<PackListing>, StoreError> {
        let names = self.pack_names()?;
        Ok(names
            .into_iter()
            .map(|name| {
                let path = self.pack_path(&name);
                let origin = if path.is_file() {
                    Origin::Store(path)
                } else {
                    Origin::Shipped
                };
                PackListing {
                    manifest: self.named(&name),
                    origin,
                    name,
                }
            })
            .collect())
    }

    /// The pack of that name: a path if it looks like one, else the user's, a shipped one, an
    /// existing file.
    pub fn pack(&self, name: &str) -> Result<Manifest, StoreError> {
        let path = Path::new(name);
        let path_like = name.contains(['/', std::path::MAIN_SEPARATOR]) || name.ends_with(".toml");
        if path_like {
            return Manifest::load(path);
        }
        match self.named(name) {
            Err(StoreError::UnknownPack { .. }) if path.is_file() => Manifest::load(path),
            outcome => outcome,
        }
    }

    /// Writes a manifest into the store's folder of packs. An existing one is an error unless
    /// `replace`.
    pub fn save_pack(&self, manifest: &Manifest, replace: bool) -> Result<PathBuf, StoreError> {
        let path = self.pack_path(&manifest.name);
        let text = manifest.to_toml()?;
        // What is written must be readable: the same checks as for a file written by hand.
        Manifest::parse(&text, &manifest.name, Origin::Store(path.clone()))?;
        if path.exists() && !replace {
            return Err(StoreError::PackExists {
                name: manifest.name.clone(),
                path,
            });
        }
        self.folder("packs")?;
        write_atomically(&path, text.as_bytes())?;
        Ok(path)
    }

    fn named(&self, name: &str) -> Result<Manifest, StoreError> {
        let path = self.pack_path(name);
        if valid_name(name) && path.is_file() {
            return Manifest::read(&path, Origin::Store(path.clone()));
        }
        if let Some((_, text)) = self.shipped().iter().find(|(shipped, _)| *shipped == name) {
            return Manifest::parse(text, &format!("shipped pack {name}"), Origin::Shipped);
        }
        let known = self.pack_names()?;
        Err(StoreError::UnknownPack {
            name: name.to_owned(),
            nearest: nearest(name, &known),
            known,
        })
    }

    fn pack_names(&self) -> Result<Vec<String>, StoreError> {
        let files = file_names(&self.root().join("packs"))?;
        let own = files
            .iter()
            .filter_map(|file| file.strip_suffix(".toml"))
            .filter(|name| valid_name(name));
        let mut names: Vec<String> = own
            .chain(self.shipped().iter().map(|(name, _)| *name))
            .map(str::to_owned)
            .collect();
        names.sort();
        names.dedup();
        Ok(names)
    }
}
