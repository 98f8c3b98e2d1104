//! How much memory a pack will need, and whether this machine has it: from the headers of its
//! files, before loading.

use super::machine::{Machine, is_host, shares_memory};
use crate::command::facts;
use crate::report::Unusable;
use crate::settings::{self, MemberPlan, PackPlan};
use packllm_engine::gguf::{Footprint, Summary, Usage};
use packllm_llama::offload::{Device, Offload, Placed, compiled_backends};
use serde_json::{Map, Value, json};
use std::path::PathBuf;

/// The estimate for a pack.
pub struct Fit {
    pub name: String,
    pub members: Vec<MemberFit>,
    /// Every memory that is used, main memory first.
    pub memories: Vec<Memory>,
}

/// The estimate for a member, or why it cannot be loaded.
pub struct MemberFit {
    pub name: String,
    pub path: PathBuf,
    pub outcome: Result<Placement, Unusable>,
}

/// How and where a member will run.
pub struct Placement {
    pub summary: Summary,
    pub context: u32,
    pub threads: u32,
    /// For prompts.
    pub threads_batch: u32,
    /// Where the weights are, in words.
    pub placement: String,
    pub footprint: Footprint,
    /// For each device its index in ggml's list and its share of what goes to devices.
    shares: Vec<(usize, f64)>,
}

/// One memory: what all members together need of it, and what it has, in bytes.
pub struct Memory {
    pub name: String,
    pub needed: u64,
    pub free: Option<u64>,
    pub total: Option<u64>,
}

impl Memory {
    /// None: not known.
    pub fn fits(&self) -> Option<bool> {
        match (self.free, self.total) {
            (Some(free), _) => Some(self.needed <= free),
            (None, Some(total)) if self.needed > total => Some(false),
            _ => None,
        }
    }
}

impl Fit {
    /// Reads the headers of the pack's files.
    pub fn of(plan: &PackPlan, machine: &Machine) -> Self {
        let members: Vec<MemberFit> = plan
            .members
            .iter()
            .map(|member| MemberFit {
                name: member.name.clone(),
                path: member.path.clone(),
                outcome: estimate(member, machine),
            })
            .collect();
        let memories = memories(&members, machine);
        Self {
            name: plan.manifest.name.clone(),
            members,
            memories,
        }
    }

    /// Whether all of it can be loaded at once; None if that is not known.
    pub fn fits(&self) -> Option<bool> {
        let fits: Vec<Option<bool>> = self.memories.iter().map(Memory::fits).collect();
        if fits.contains(&Some(false)) {
            return Some(false);
        }
        let whole = self.members.iter().all(|member| member.outcome.is_ok());
        (whole && !fits.contains(&None)).then_some(true)
    }

    /// For `--json`.
    pub fn add_to(&self, document: &mut Map<String, Value>) {
        let members: Vec<Value> = self.members.iter().map(MemberFit::as_value).collect();
        let memories: Vec<Value> = self
            .memories
            .iter()
            .map(|memory| {
                json!({
                    "device": memory.name,
                    "needed": memory.needed,
                    "free": memory.free,
                    "total": memory.total,
                    "fits": memory.fits(),
                })
            })
            .collect();
        let pack = json!({
            "name": self.name,
            "members": members,
            "memories": memories,
            "fits": self.fits(),
        });
        document.insert("pack".into(), pack);
    }
}

impl MemberFit {
    fn as_value(&self) -> Value {
        let mut value = json!({"name": self.name, "file": self.path});
        match &self.outcome {
            Ok(placement) => {
                value["architecture"] = placement.summary.architecture.clone().into();
                value["parameters"] = placement.summary.parameters.into();
                value["quantisation"] = placement.summary.quantisation.clone().into();
                value["context"] = placement.context.into();
                value["train_context"] = placement.summary.train_context.into();
                value["threads"] = placement.threads.into();
                value["threads_batch"] = placement.threads_batch.into();
                value["placement"] = placement.placement.clone().into();
                value["host"] = usage(&placement.footprint.host);
                value["device"] = usage(&placement.footprint.device);
            }
            Err(unusable) => {
                value["error"] = unusable.reason.clone().into();
                value["hint"] = json!(unusable.hint);
            }
        }
        value
    }
}

fn usage(usage: &Usage) -> Value {
    json!({
        "weights": usage.weights,
        "cache": usage.cache,
        "compute": usage.compute,
        "total": usage.total(),
    })
}

fn estimate(member: &MemberPlan, machine: &Machine) -> Result<Placement, Unusable> {
    let load = &member.load;
    let placed = place(&load.offload, &machine.devices)?;
    let (header, summary) = facts::read(&member.path)?;
    let context = facts::context(load.context, &summary)?;
    let layers = u32::try_from(summary.layers).unwrap_or(u32::MAX);
    Ok(Placement {
        footprint: settings::footprint(&header, load, context, placed.layers),
        placement: load.offload.describe_among(&machine.devices, layers),
        shares: shares(&load.offload, &placed, &machine.devices),
        threads: load.threads,
        threads_batch: packllm_llama::threads_batch(load),
        context,
        summary,
    })
}

/// The devices of a member; an error if this build or machine does not have what was asked for.
pub fn place(offload: &Offload, devices: &[Device]) -> Result<Placed, Unusable> {
    let placed = offload.resolve_among(devices, &compiled_backends());
    placed.map_err(|error| Unusable::of(&error))
}

/// How llama.cpp divides layers among devices: all on the main one if it is named, else by the
/// given shares, else by free memory.
fn shares(offload: &Offload, placed: &Placed, devices: &[Device]) -> Vec<(usize, f64)> {
    let main = offload.main_gpu.and_then(|main| usize::try_from(main).ok());
    if let Some(&only) = main.and_then(|main| placed.devices.get(main)) {
        return vec![(only, 1.0)];
    }
    let free = |index: usize| {
        let device = devices.iter().find(|device| device.index == index);
        device.map_or(0.0, |device| device.memory_free as f64)
    };
    let given = |at: usize| f64::from(offload.tensor_split.get(at).copied().unwrap_or(0.0));
    let weights: Vec<f64> = placed
        .devices
        .iter()
        .enumerate()
        .map(|(at, &index)| {
            if offload.tensor_split.is_empty() {
                free(index)
            } else {
                given(at)
            }
        })
        .collect();
    let sum: f64 = weights.iter().sum();
    let even = 1.0 / weights.len().max(1) as f64;
    placed
        .devices
        .iter()
        .zip(weights)
        .map(|(&index, weight)| (index, if sum > 0.0 { weight / sum } else { even }))
        .collect()
}

/// Adds up what the members need of each memory.
fn memories(members: &[MemberFit], machine: &Machine) -> Vec<Memory> {
    let placements = || {
        members
            .iter()
            .filter_map(|member| member.outcome.as_ref().ok())
    };
    let on_device = |index: usize| -> u64 {
        let parts = placements().map(|placement| {
            let share = placement.shares.iter().find(|(device, _)| *device == index);
            let share = share.map_or(0.0, |(_, share)| *share);
            (placement.footprint.device.total() as f64 * share) as u64
        });
        parts.fold(0, u64::saturating_add)
    };
    let mut host = Memory {
        name: "main memory".into(),
        needed: placements()
            .map(|placement| placement.footprint.host.total())
            .fold(0, u64::saturating_add),
        free: machine.memory_available,
        total: machine.memory_total,
    };
    let mut memories = Vec::new();
    for device in machine.devices.iter().filter(|device| !is_host(device)) {
        let needed = on_device(device.index);
        if needed == 0 {
            continue;
        }
        if shares_memory(device) {
            host.needed = host.needed.saturating_add(needed);
        }
        memories.push(Memory {
            name: device.name.clone(),
            needed,
            free: machine.free(device),
            total: Some(device.memory_total).filter(|&total| total > 0),
        });
    }
    memories.insert(0, host);
    memories
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(index: usize, free: u64) -> Device {
        Device {
            index,
            name: format!("GPU{index}"),
            description: String::new(),
            backend: String::new(),
            memory_total: free,
            memory_free: free,
            gpu: true,
            integrated: false,
            host: None,
        }
    }

    #[test]
    fn layers_are_divided_as_llama_cpp_divides_them() {
        let devices = [device(0, 3 << 30), device(1, 1 << 30), device(2, 0)];
        let placed = |devices: &[usize]| Placed {
            layers: -1,
            devices: devices.to_vec(),
        };
        let free = shares(&Offload::default(), &placed(&[0, 1]), &devices);
        assert_eq!(free, [(0, 0.75), (1, 0.25)]);
        let split = Offload {
            tensor_split: vec![1.0],
            ..Offload::default()
        };
        assert_eq!(
            shares(&split, &placed(&[0, 1]), &devices),
            [(0, 1.0), (1, 0.0)]
        );
        let main = Offload {
            main_gpu: Some(1),
            ..Offload::default()
        };
        assert_eq!(shares(&main, &placed(&[0, 1]), &devices), [(1, 1.0)]);
        let unknown = shares(&Offload::default(), &placed(&[2]), &devices);
        assert_eq!(unknown, [(2, 1.0)]);
        assert_eq!(shares(&Offload::default(), &placed(&[]), &devices), []);
    }

    #[test]
    fn a_memory_fits_only_if_that_is_known() {
        let memory = |free, total| Memory {
            name: String::new(),
            needed: 10,
            free,
            total,
        };
        assert_eq!(memory(Some(10), Some(20)).fits(), Some(true));
        assert_eq!(memory(Some(9), Some(20)).fits(), Some(false));
        assert_eq!(memory(None, Some(20)).fits(), None);
        assert_eq!(memory(None, Some(9)).fits(), Some(false));
        assert_eq!(memory(None, None).fits(), None);
    }
}
