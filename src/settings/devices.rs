//! The devices of this machine and of those that lend theirs.

use super::placing::{Place, Room, Wish, place, take};
use super::{MemberPlan, Usage, footprint, usage};
use crate::remote::Lender;
use anyhow::Result;
use packllm_engine::backend::context_size;
use packllm_engine::gguf::Header;
use packllm_llama::offload::{self, Device, Offload, compiled_backends};
use packllm_llama::{LoadOptions, rpc};
use packllm_parameter::Values;
use packllm_remote::probe::{self, Host, ProbeError};
use std::thread;

/// Every device that a member can be given.
#[derive(Debug, Clone)]
pub struct Devices {
    /// Those of this machine first.
    pub all: Vec<Device>,
    /// The machines that lend, in the order of `--rpc`.
    pub hosts: Vec<Host>,
}

impl Devices {
    /// Lists them; the machines of `--rpc` are asked.
    pub fn of(held: &Values) -> Result<Self> {
        let asked = ask(held.rpc.as_deref().unwrap_or_default())?.into_iter();
        let hosts = asked
            .map(|(_, answer)| answer)
            .collect::<Result<_, ProbeError>>()?;
        Ok(Self::with(offload::devices(), hosts))
    }

    /// These of this machine, and those of the hosts.
    pub fn with(mut all: Vec<Device>, hosts: Vec<Host>) -> Self {
        let here = all.len();
        let lent = hosts.iter().flat_map(|host| {
            let memories = host.devices.iter();
            memories.map(|memory| (host.address.as_str(), memory))
        });
        all.extend(lent.enumerate().map(|(number, (address, memory))| Device {
            index: here + number,
            name: format!("RPC{number}"),
            description: format!("lent by {address}"),
            backend: "RPC".into(),
            memory_total: memory.total,
            memory_free: memory.free,
            gpu: true,
            integrated: false,
            host: Some(address.to_owned()),
        }));
        Self { all, hosts }
    }

    /// Gives every member its devices: those that it asks for, else by what is free. With `anew`, a
    /// member that asks for more than there is is placed like the others.
    pub fn place(&self, members: &mut [MemberPlan], anew: bool) {
        let usable = usable(&self.all);
        if !usable.is_empty() {
            let rooms = usable
                .iter()
                .map(|device| Room::of(free(device), device.host.is_none()));
            self.place_on(&usable, &mut rooms.collect::<Vec<_>>(), members, anew);
        }
        for member in members {
            member.lenders = self.lend_to(&mut member.load.offload);
        }
    }

    /// Where the members would be if nobody had asked for devices, as `a on CUDA0 (25 of 25 layers), b
    /// on CPU`; None if they are there.
    pub fn fitting(&self, members: &[MemberPlan]) -> Option<String> {
        let mut anew = members.to_vec();
        for member in &mut anew {
            member.load.offload = Offload::default();
        }
        self.place(&mut anew, false);
        let moved = |(new, old): (&MemberPlan, &MemberPlan)| new.load.offload != old.load.offload;
        if !anew.iter().zip(members).any(moved) {
            return None;
        }
        let places = anew.iter().map(|member| {
            // The output is described as one more.
            let layers = Needs::of(&member.load).map_or(0, |needs| needs.layers - 1);
            let offload = &member.load.offload;
            let place = offload.describe_among(&self.all, layers);
            format!("{} on {place}", member.name)
        });
        Some(places.collect::<Vec<_>>().join(", "))
    }

    fn place_on(
        &self,
        usable: &[&Device],
        rooms: &mut [Room],
        members: &mut [MemberPlan],
        anew: bool,
    ) {
        let mut open = Vec::new();
        for (k, member) in members.iter().enumerate() {
            // What cannot be read is an error of the load.
            let Some(needs) = Needs::of(&member.load) else {
                continue;
            };
            if member.load.offload == Offload::default() {
                open.push((k, needs));
                continue;
            }
            let Ok(placed) = member
                .load
                .offload
                .resolve_among(&self.all, &compiled_backends())
            else {
                continue;
            };
            let of = usable.iter().enumerate();
            let of = of.filter(|(_, device)| placed.devices.contains(&device.index));
            let of: Vec<usize> = of.map(|(at, _)| at).collect();
            let layers = u32::try_from(placed.layers).unwrap_or(needs.layers);
            let takes = needs.takes(layers);
            let has: u64 = of
                .iter()
                .map(|&at| rooms[at].free)
                .fold(0, u64::saturating_add);
            match anew && takes > has {
                true => open.push((k, needs)),
                false => take(takes, &of, rooms),
            }
        }
        let takes: Vec<_> = open
            .iter()
            .map(|(_, needs)| |layers| needs.takes(layers))
            .collect();
        let wishes = open.iter().zip(&takes).map(|((_, needs), takes)| Wish {
            layers: needs.layers,
            takes,
        });
        let places = place(&wishes.collect::<Vec<_>>(), rooms);
        for ((k, needs), place) in open.iter().zip(places) {
            members[*k].load.offload = offload(&place, needs.layers, usable);
        }
    }

    /// The machines whose devices a member gets. It then asks for all of its devices by name: a
    /// process of its own loads it, that sees no other machines. What cannot be met is an error of
    /// the load.
    fn lend_to(&self, offload: &mut Offload) -> Vec<Lender> {
        let Ok(placed) = offload.resolve_among(&self.all, &compiled_backends()) else {
            return Vec::new();
        };
        let chosen = || {
            self.all
                .iter()
                .filter(|d| placed.devices.contains(&d.index))
        };
        let is_lent = |host: &Host| chosen().any(|d| d.host.as_ref() == Some(&host.address));
        let mut first = 0;
        let mut lenders = Vec::new();
        for host in &self.hosts {
            if is_lent(host) && placed.layers != 0 {
                let address = host.address.clone();
                lenders.push(Lender { address, first });
            }
            first += host.devices.len();
        }
        if !lenders.is_empty() && offload.devices.is_empty() {
            offload.devices = chosen().map(|device| device.name.clone()).collect();
        }
        lenders
    }
}

/// Devices that take layers: of GPUs that share the main memory only where there are no others.
fn usable(all: &[Device]) -> Vec<&Device> {
    let gpus = || all.iter().filter(|device| device.gpu);
    let own: Vec<&Device> = gpus().filter(|device| !device.integrated).collect();
    match own.is_empty() {
        true => gpus().collect(),
        false => own,
    }
}

/// Free memory: bytes. A device that does not say is taken to have enough.
fn free(device: &Device) -> u64 {
    match device.memory_total {
        0 => u64::MAX / 1024,
        _ => device.memory_free,
    }
}

/// What a member takes of devices.
struct Needs {
    header: Header,
    load: LoadOptions,
    context: u32,
    /// The output among them.
    layers: u32,
}

impl Needs {
    fn of(load: &LoadOptions) -> Option<Self> {
        let header = Header::read(&load.path).ok()?;
        let summary = header.member().ok()?;
        let trained = u32::try_from(summary.train_context).unwrap_or(u32::MAX);
        Some(Self {
            context: context_size(load.context, trained).ok()?,
            layers: u32::try_from(summary.layers).ok()?.checked_add(1)?,
            load: load.clone(),
            header,
        })
    }

    fn takes(&self, layers: u32) -> u64 {
        let layers = i32::try_from(layers).unwrap_or(-1);
        footprint(&self.header, &self.load, self.context, layers)
            .device
            .total()
    }
}

/// A place, as what a member asks for.
fn offload(place: &Place, all: u32, usable: &[&Device]) -> Offload {
    let names = place.devices.iter().map(|&at| usable[at].name.clone());
    match place.layers {
        0 => Offload {
            devices: vec!["none".into()],
            ..Offload::default()
        },
        layers => Offload {
            devices: names.collect(),
            layers: (layers < all).then_some(layers),
            ..Offload::default()
        },
    }
}

/// A machine's address, and what it answers.
pub type Asked = (String, Result<Host, ProbeError>);

/// What each machine answers.
pub fn ask(addresses: &[String]) -> Result<Vec<Asked>> {
    if addresses.is_empty() {
        return Ok(Vec::new());
    }
    for address in addresses {
        let port = address
            .rsplit_once(':')
            .map(|(_, port)| port.parse::<u16>());
        if !matches!(port, Some(Ok(1..))) {
            return usage(format!("--rpc {address}: a machine is named as HOST:PORT"));
        }
    }
    if !rpc::is_there() {
        return Err(Usage(
            "--rpc: this build of llama.cpp cannot use other machines; `packllm doctor` says what it has".into(),
        )
        .into());
    }
    let asked: Vec<_> = addresses
        .iter()
        .map(|address| {
            let address = address.clone();
            thread::spawn(move || probe::host(&address))
        })
        .collect();
    let answers = asked.into_iter().map(|asked| match asked.join() {
        Ok(answer) => answer,
        Err(panic) => std::panic::resume_unwind(panic),
    });
    Ok(addresses.iter().cloned().zip(answers).collect())
}

#[cfg(test)]
#[path = "../../tests/tiny/mod.rs"]
mod tiny;

#[cfg(test)]
mod tests {
    use super::*;
    use tiny::TinyModel;

    fn gpu(index: usize, free: u64) -> Device {
        Device {
            index,
            name: format!("GPU{index}"),
            description: String::new(),
            backend: String::new(),
            memory_total: 8 << 30,
            memory_free: free,
            gpu: true,
            integrated: false,
            host: None,
        }
    }

    #[test]
    fn the_plan_that_fits_is_told_where_members_are_not_placed_so() {
        let folder = tempfile::tempdir().unwrap();
        let member = |name: &str, devices: &[&str]| {
            let path = TinyModel::spm(1).write(folder.path().join(format!("{name}.gguf")));
            let mut load = LoadOptions::new(&path);
            load.offload.devices = devices.iter().map(|&d| d.to_owned()).collect();
            MemberPlan {
                name: name.into(),
                path,
                chat_template: None,
                load,
                lenders: Vec::new(),
                pace: Default::default(),
            }
        };
        let devices = Devices::with(vec![gpu(0, 4 << 30), gpu(1, 0)], Vec::new());
        let mut members = vec![member("a", &["GPU1"]), member("b", &[])];
        devices.place(&mut members, false);
        assert_eq!(members[0].load.offload.devices, ["GPU1"]);
        let told = devices.fitting(&members).unwrap();
        assert_eq!(told, "a on GPU0 (3 of 3 layers), b on GPU0 (3 of 3 layers)");
        devices.place(&mut members, true);
        assert_eq!(devices.fitting(&members), None, "as --fit places them");
        let full = Devices::with(vec![gpu(0, 0)], Vec::new());
        let told = full.fitting(&[member("a", &["GPU0"])]).unwrap();
        assert_eq!(told, "a on CPU");
    }
}
