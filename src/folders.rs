//! Where things of this user are: the store with the packs that come with the program, the state, the
//! config file.

use anyhow::{Context, Result};
use packllm_store::import::Caches;
use packllm_store::{Shipped, Store};
use std::path::PathBuf;

/// Packs that come with the program.
const SHIPPED: [Shipped; 6] = [
    ("coder", include_str!("../models/coder.toml")),
    ("laptop-16gb", include_str!("../models/laptop-16gb.toml")),
    ("laptop-8gb", include_str!("../models/laptop-8gb.toml")),
    ("polyglot", include_str!("../models/polyglot.toml")),
    ("starter", include_str!("../models/starter.toml")),
    ("tiny", include_str!("../models/tiny.toml")),
];

/// The path of the config file, whether it exists or not: in `PACKLLM_HOME`, else in the user's
/// config folder.
pub fn config_path() -> Result<PathBuf> {
    let folder = given_home().or_else(|| dirs::config_dir().map(|folder| folder.join("packllm")));
    folder
        .map(|folder| folder.join("config.toml"))
        .context("no config folder is known for this user: set PACKLLM_HOME")
}

/// The model store, beside what other programs keep.
pub fn store() -> Result<Store> {
    let store = Store::new(home()?, &SHIPPED);
    Ok(match dirs::home_dir() {
        Some(home) => store.beside(Caches::usual(&home, &|name| std::env::var_os(name))),
        None => store,
    })
}

/// The folder of the history and the sessions: `state` in `PACKLLM_HOME`, else the user's state
/// folder.
pub fn state() -> Result<PathBuf> {
    if let Some(home) = given_home() {
        return Ok(home.join("state"));
    }
    dirs::state_dir()
        .or_else(dirs::data_local_dir)
        .map(|folder| folder.join("packllm"))
        .context("no state folder is known for this user: set PACKLLM_HOME")
}

/// The folder of the store: `PACKLLM_HOME`, else the user's data folder.
fn home() -> Result<PathBuf> {
    if let Some(home) = given_home() {
        return Ok(home);
    }
    dirs::data_dir()
        .map(|data| data.join("packllm"))
        .context("no data folder is known for this user: set PACKLLM_HOME")
}

/// `PACKLLM_HOME`, if it is set.
fn given_home() -> Option<PathBuf> {
    let home = std::env::var_os("PACKLLM_HOME").filter(|h| !h.is_empty());
    home.map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::SHIPPED;

    #[test]
    fn every_pack_of_the_folder_is_shipped_under_its_name() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
        let files = std::fs::read_dir(folder).unwrap();
        let mut packs: Vec<(String, String)> = files
            .map(|file| file.unwrap().path())
            .filter(|path| path.extension().is_some_and(|end| end == "toml"))
            .map(|path| {
                let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
                (name, std::fs::read_to_string(path).unwrap())
            })
            .collect();
        packs.sort();
        let shipped = SHIPPED.map(|(name, text)| (name.to_owned(), text.to_owned()));
        assert_eq!(packs, shipped);
    }
}
