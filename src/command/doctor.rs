//! `packllm doctor`: this build, this machine, and what a pack would need. Nothing is loaded.

mod fit;
mod machine;

use crate::app::App;
use crate::cli::DoctorArgs;
use crate::command::facts::{file_size, in_short, memory};
use crate::plural::counted;
use crate::say::printable;
use crate::settings::{self, Asked, Devices, Sources};
use anyhow::Result;
use fit::{Fit, MemberFit, Placement};
pub use machine::available as memory_available;
use machine::{Disk, Machine, is_host};
use packllm_engine::gguf::Usage;
use packllm_llama::offload::{Device, devices};
use packllm_llama::rpc;
use packllm_parameter::Values;
use packllm_remote::probe::Host;
use serde_json::{Map, Value, json};
use std::io::{self, Write};
use std::process::ExitCode;

pub fn run(app: &App, args: &DoctorArgs) -> Result<ExitCode> {
    let asked = settings::ask(&given_hosts(app, args))?;
    let there = asked
        .iter()
        .filter_map(|(_, answer)| answer.as_ref().ok().cloned());
    let devices = Devices::with(devices(), there.collect());
    let machine = Machine::read(devices.all);
    let disk = Disk::read(app)?;
    let named = args.given.pack.is_some() || args.given.model.is_some();
    let look_at_pack = named || app.default_pack.is_some();
    let fit = || -> Result<Option<Fit>> {
        if !look_at_pack {
            return Ok(None);
        }
        // Nothing is fetched for this.
        let sources = Sources {
            fetcher: None,
            ..app.sources()
        };
        let plan = settings::plan(&sources, &args.given)?;
        Ok(Some(Fit::of(&plan, &machine)))
    };
    let fit = if args.json {
        // Either a whole document or none.
        let fit = fit()?;
        write_json(app, &machine, &disk, &asked, fit.as_ref())?;
        fit
    } else {
        // Facts about the machine help even if the pack cannot be found.
        write_machine(app, &machine, &disk)?;
        write_hosts(&asked)?;
        let fit = fit()?;
        if let Some(fit) = &fit {
            write_fit(fit)?;
        }
        fit
    };
    match &fit {
        Some(fit) => conclude(fit),
        None => {
            check_wishes(&args.given, &machine)?;
            if !args.json {
                app.dim("name a pack to see what it would take: packllm doctor --pack starter");
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Devices may be asked for without a pack, too.
fn check_wishes(given: &Values, machine: &Machine) -> Result<()> {
    match fit::place(&settings::offload(given), &machine.devices) {
        Ok(_) => Ok(()),
        Err(unusable) => Err(unusable.into()),
    }
}

/// Prints warnings and errors to stderr, and returns the exit code.
fn conclude(fit: &Fit) -> Result<ExitCode> {
    let short = fit.memories.iter().filter(|one| one.fits() == Some(false));
    for one in short {
        let has = one.free.or(one.total).unwrap_or(0);
        tell!(
            "warning: {} is too small by {}: use a smaller -c, fewer members or smaller quantisations",
            one.name,
            memory(one.needed.saturating_sub(has))
        );
    }
    let mut errors: Vec<anyhow::Error> = fit
        .members
        .iter()
        .filter_map(|member| {
            let unusable = member.outcome.as_ref().err()?.clone();
            let place = format!("{}: {}", member.name, member.path.display());
            Some(anyhow::Error::from(unusable).context(place))
        })
        .collect();
    let Some(last) = errors.pop() else {
        return Ok(ExitCode::SUCCESS);
    };
    for error in errors {
        crate::report::failure(&error);
    }
    Err(last)
}

fn write_json(
    app: &App,
    machine: &Machine,
    disk: &Disk,
    asked: &[Asked],
    fit: Option<&Fit>,
) -> io::Result<()> {
    let mut document = Map::new();
    machine.add_to(&mut document);
    let hosts: Vec<Value> = asked.iter().map(host_as_value).collect();
    document.insert("hosts".into(), hosts.into());
    let store = json!({
        "path": app.store.root(),
        "models": disk.models,
        "bytes": disk.bytes,
        "free": disk.free,
    });
    document.insert("store".into(), store);
    if let Some(fit) = fit {
        fit.add_to(&mut document);
    }
    writeln!(io::stdout().lock(), "{:#}", Value::Object(document))
}

/// The machines of `--rpc`: by flag, environment or config file.
fn given_hosts(app: &App, args: &DoctorArgs) -> Vec<String> {
    let held = args.given.rpc.as_ref().or(app.config.rpc.as_ref());
    held.cloned().unwrap_or_default()
}

fn host_as_value((address, answer): &Asked) -> Value {
    match answer {
        Ok(host) => json!({
            "address": address,
            "version": version(host),
            "devices": host.devices.len(),
            "error": null,
        }),
        Err(error) => json!({
            "address": address,
            "version": null,
            "devices": 0,
            "error": error.to_string(),
        }),
    }
}

/// Of its RPC protocol.
fn version(host: &Host) -> String {
    host.version.map(|number| number.to_string()).join(".")
}

fn write_hosts(asked: &[Asked]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for (index, (address, answer)) in asked.iter().enumerate() {
        let title = if index == 0 { "hosts" } else { "" };
        let said = match answer {
            Ok(host) => {
                let devices = counted(host.devices.len(), "device");
                format!("{address}: RPC protocol {}, {devices}", version(host))
            }
            Err(error) => error.to_string(),
        };
        writeln!(out, "{title:<9}  {}", printable(&said))?;
    }
    Ok(())
}

fn write_machine(app: &App, machine: &Machine, disk: &Disk) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let mut line = |title: &str, text: &str| writeln!(out, "{title:<9}  {}", printable(text));
    line("packllm", env!("CARGO_PKG_VERSION"))?;
    let backends = if machine.features.is_empty() {
        "CPU only (no GPU backend in this build)".to_owned()
    } else {
        format!("CPU, {}", machine.features.join(", "))
    };
    line("backends", &backends)?;
    for module in &machine.modules {
        let what = machine::state(module, &machine.devices);
        line("", &format!("{}: {what}", module.name))?;
    }
    if !rpc::is_there() {
        line(
            "",
            "no RPC: this build cannot use devices of other machines",
        )?;
    }
    let cores = format!(
        "{}{}, {} logical",
        machine
            .processor
            .iter()
            .map(|name| format!("{name}, "))
            .collect::<String>(),
        counted(machine.physical_cores, "physical core"),
        machine.logical_cores
    );
    line("cpu", &cores)?;
    if !machine.instructions.is_empty() {
        let has = machine.instructions.iter().map(|(name, present)| {
            let mark = if *present { "" } else { " (missing)" };
            format!("{name}{mark}")
        });
        let has: Vec<String> = has.collect();
        let what = match cfg!(feature = "portable") {
            true => "in use",
            false => "needed and present",
        };
        line("", &format!("{what}: {}", has.join(", ")))?;
    }
    if let Some(total) = machine.memory_total {
        let free = machine.memory_available.map(memory);
        let free = free.map_or(String::new(), |free| format!(", {free} available"));
        line("memory", &format!("{}{free}", memory(total)))?;
    }
    let besides = machine.devices.iter().filter(|device| !is_host(device));
    for (index, device) in besides.clone().enumerate() {
        let title = if index == 0 { "devices" } else { "" };
        line(title, &describe(machine, device))?;
    }
    if besides.count() == 0 {
        line("devices", "none besides the CPU")?;
    }
    let free = disk.free.map(file_size);
    let free = free.map_or(String::new(), |free| format!(", {free} free"));
    let root = app.store.root().display();
    let holds = format!(
        "{}, {}",
        counted(disk.models, "model"),
        file_size(disk.bytes)
    );
    line("store", &format!("{root} ({holds}{free})"))
}

fn describe(machine: &Machine, device: &Device) -> String {
    let kind = match (device.gpu, device.integrated) {
        (true, true) => "integrated GPU",
        (true, false) => "GPU",
        _ => "takes no layers",
    };
    let total = match device.memory_total {
        0 => String::new(),
        bytes => format!(", {}", memory(bytes)),
    };
    let free = machine.free(device).map(memory);
    let free = free.map_or(String::new(), |free| format!(", {free} free"));
    format!(
        "{}: {}, {kind}{total}{free}",
        device.name, device.description
    )
}

fn write_fit(fit: &Fit) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "\npack {}: {}",
        fit.name,
        counted(fit.members.len(), "member")
    )?;
    for member in &fit.members {
        write_member(&mut out, member)?;
    }
    let left_out = fit.members.iter().filter(|member| member.outcome.is_err());
    let left_out: Vec<&str> = left_out.map(|member| member.name.as_str()).collect();
    match left_out.len() {
        0 => writeln!(out, "together")?,
        n if n == fit.members.len() => return Ok(()),
        _ => writeln!(out, "together, without {}", left_out.join(", "))?,
    }
    for one in &fit.memories {
        let has = match (one.free, one.total) {
            (Some(free), _) => format!(" of {} free", memory(free)),
            (None, Some(total)) => format!(" of {}", memory(total)),
            _ => String::new(),
        };
        let verdict = match one.fits() {
            Some(true) => "fits",
            Some(false) => "does not fit",
            None => "free memory is not known here",
        };
        writeln!(
            out,
            "  {:<11}  {}{has}: {verdict}",
            one.name,
            memory(one.needed)
        )?;
    }
    Ok(())
}

fn write_member(out: &mut impl Write, member: &MemberFit) -> io::Result<()> {
    writeln!(out, "{}", member.name)?;
    let mut line = |title: &str, text: &str| writeln!(out, "  {title:<11}  {}", printable(text));
    line("file", &member.path.display().to_string())?;
    let placement: &Placement = match &member.outcome {
        Ok(placement) => placement,
        Err(unusable) => return line("error", &unusable.reason),
    };
    line("model", &in_short(&placement.summary))?;
    line(
        "runs",
        &format!(
            "on {}, {}{}, context {} of {} tokens",
            placement.placement,
            counted(placement.threads as usize, "thread"),
            if placement.threads_batch == placement.threads {
                String::new()
            } else {
                format!(" ({} for prompts)", placement.threads_batch)
            },
            placement.context,
            placement.summary.train_context
        ),
    )?;
    line("main memory", &taken(&placement.footprint.host))?;
    if placement.footprint.device.total() > 0 {
        line("on device", &taken(&placement.footprint.device))?;
    }
    Ok(())
}

fn taken(usage: &Usage) -> String {
    format!(
        "{}: weights {}, KV cache {}, compute {}",
        memory(usage.total()),
        memory(usage.weights),
        memory(usage.cache),
        memory(usage.compute)
    )
}
