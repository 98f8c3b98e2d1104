//! Maps between vocabularies, kept in the store: `<root>/maps/<name>.map`.
//!
//! A map is a function of its two vocabularies, and its name is their hash. So all processes write
//! the same bytes under the same name; two that race both rename a whole file into place. A map
//! that is found is checked, and made again if it is not right.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use super::disk::write_atomically;
use super::error::{StoreError, io_error};
use super::store::Store;
use packllm_engine::backend::Vocab;
use packllm_engine::vocab::mapped::{Fingerprint, Map};

/// A map, and where it was found.
#[derive(Debug)]
pub struct KeptMap {
    /// The map.
    pub map: Map,
    /// Whether it was in the store.
    pub found: bool,
    /// What is wrong with the store's copy, in words; the map is good all the same.
    pub trouble: Option<String>,
}

impl Store {
    /// The map of two vocabularies: the store's, else that of `make`, which is then kept. A store
    /// that cannot be read or written is no error; [`KeptMap::trouble`] tells it.
    ///
    /// # Errors
    /// [`StoreError::Cancelled`] if `make` gives none.
    pub fn map(
        &self,
        reference: &Vocab,
        member: &Vocab,
        make: impl FnOnce() -> Option<Map>,
    ) -> Result<KeptMap, StoreError> {
        let prints = (Fingerprint::of(reference), Fingerprint::of(member));
        let path = self.map_path(prints.0, prints.1);
        let sizes = (reference.len(), member.len());
        let mut trouble = None;
        match fs::read(&path) {
            Ok(bytes) => match Map::decode(&bytes, prints.0, prints.1, sizes) {
                Ok(map) => {
                    return Ok(KeptMap {
                        map,
                        found: true,
                        trouble,
                    });
                }
                Err(bad) => {
                    trouble = Some(format!("{}: {bad}; it is made again", path.display()));
                }
            },
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => trouble = Some(io_error("read", &path)(error).to_string()),
        }
        let map = make().ok_or(StoreError::Cancelled)?;
        let kept = self
            .folder("maps")
            .and_then(|_| write_atomically(&path, &map.encode(prints.0, prints.1)));
        if let Err(error) = kept {
            trouble = Some(format!("the map is not kept: {error}"));
        }
        Ok(KeptMap {
            map,
            found: false,
            trouble,
        })
    }

    fn map_path(&self, reference: Fingerprint, member: Fingerprint) -> PathBuf {
        let name = format!("{}.map", Map::name(reference, member));
        self.root().join("maps").join(name)
    }
}
