//! How members' batches are shaped: as they were timed where these run (`bench --tune`), or as it was
//! found on two cores.

use super::{Devices, MemberPlan};
use anyhow::Result;
use packllm_engine::backend::{Pace, pace_key};
use packllm_engine::engine::prompt_cache::fingerprint;
use packllm_llama::offload::compiled_backends;
use packllm_store::Store;

/// What a member's pace is kept under: its file, and everything that its batches' time depends on.
pub fn key(member: &MemberPlan, devices: &Devices) -> Result<String> {
    let load = &member.load;
    let placed = load
        .offload
        .resolve_among(&devices.all, &compiled_backends())?;
    let on = devices
        .all
        .iter()
        .filter(|d| placed.devices.contains(&d.index));
    let on: Vec<String> = on
        .map(|d| format!("{} {}", d.name, d.description))
        .collect();
    let place = format!(
        "{} layers on {on:?}, threads {} {}, repack {}, flash attention {:?}, llama.cpp {}",
        placed.layers,
        load.threads,
        load.threads_batch,
        load.repack,
        load.flash_attention,
        packllm_llama::VERSION,
    );
    Ok(pace_key(&fingerprint(&member.path)?, &place))
}

/// The pace that is kept of a member.
pub fn of(store: &Store, member: &MemberPlan, devices: &Devices) -> Pace {
    if !store.has_paces() {
        return Pace::default();
    }
    let kept = key(member, devices).ok().and_then(|key| store.pace(&key));
    kept.unwrap_or_default()
}
