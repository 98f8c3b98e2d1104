//! What settings are made from, besides the command line.

use super::Config;
use anyhow::Result;
use packllm_store::{Fetched, Manifest, Source, Store};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// The store, the config file and the environment.
pub struct Sources<'a> {
    /// Where packs and models are looked up.
    pub store: &'a Store,
    /// What the config file says.
    pub config: &'a Config,
    /// The pack that is used when none is named.
    pub default_pack: Option<&'a String>,
    /// The cancel flag, which members look at while they load.
    pub cancel: &'a Arc<AtomicBool>,
    /// Who brings models that are named; None: only those that are on disk are used.
    pub fetcher: Option<&'a dyn Fetcher>,
}

/// Brings named models onto the disk, if they are not there.
pub trait Fetcher {
    /// Where they are; an error if one cannot be had.
    fn fetch(&self, models: &[Source], offline: bool) -> Result<Vec<Fetched>>;
}

impl Sources<'_> {
    /// Names of the packs whose models are all on disk.
    pub fn ready_packs(&self) -> Result<Vec<String>> {
        self.ready_packs_that(|_| true)
    }

    /// The pack that is ready and has members of these names, in that order.
    pub fn ready_pack_of(&self, members: &[String]) -> Option<String> {
        let packs = self.ready_packs_that(|manifest| manifest.has_members(members));
        packs.unwrap_or_default().into_iter().next()
    }

    fn ready_packs_that(&self, fits: impl Fn(&Manifest) -> bool) -> Result<Vec<String>> {
        let there = |manifest: &Manifest| {
            let mut members = manifest.members.iter();
            members.all(|member| self.store.resolve(manifest, member).is_ok())
        };
        let packs = self.store.packs()?.into_iter();
        let ready = packs.filter(|pack| {
            let manifest = pack.manifest.as_ref();
            manifest.is_ok_and(|manifest| fits(manifest) && there(manifest))
        });
        Ok(ready.map(|pack| pack.name).collect())
    }
}

/// `PACKLLM_PACK`, if it is set.
pub fn pack_of_environment() -> Option<String> {
    let name = std::env::var("PACKLLM_PACK").ok();
    name.filter(|name| !name.is_empty())
}
