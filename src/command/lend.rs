//! `packllm lend`: this machine's devices for other machines, by llama.cpp's RPC server.

use crate::app::App;
use crate::cli::LendArgs;
use crate::command::facts::memory;
use crate::exit::usage;
use crate::remote::{Lending, start_server};
use anyhow::{Context, Result};
use packllm_llama::offload::{Device, devices};
use packllm_llama::rpc;
use packllm_remote::{lend, probe};
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;

pub fn run(app: &App, args: &LendArgs) -> Result<ExitCode> {
    if !rpc::is_there() {
        return usage(
            "this build of llama.cpp has no RPC backend: build with `scripts/portable --with rpc`, or in the checkout",
        );
    }
    if !args.host.is_loopback() && !args.no_auth {
        return usage(format!(
            "--host {} lets other machines use the devices, and RPC asks for no key: give --no-auth if all who reach \
             it may, or leave it away and let them come by ssh (see --help)",
            args.host
        ));
    }
    let all = devices();
    let lent = choose(&all, &args.device)?;
    let cache = match args.cache {
        true => Some(app.store.root().join("rpc")),
        false => None,
    };
    if let Some(folder) = &cache {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let at = SocketAddr::new(args.host, args.port);
    let listener = TcpListener::bind(at).with_context(|| at.to_string())?;
    announce(listener.local_addr()?, &lent);
    let lending = Lending {
        devices: lent.iter().map(|device| device.index).collect(),
        threads: args.threads.unwrap_or_else(num_cpus::get_physical),
        cache,
    };
    let start = move |address| start_server(address, &lending);
    let tell = |line: &str| tell!("{line}");
    app.disposable(|| Ok(lend::lend(&listener, Arc::new(start), Arc::new(tell))?))?;
    Ok(ExitCode::SUCCESS)
}

/// The devices that are named, else the GPUs, else the CPU.
fn choose<'a>(all: &'a [Device], names: &[String]) -> Result<Vec<&'a Device>> {
    if names.is_empty() {
        let gpus: Vec<&Device> = all.iter().filter(|device| device.gpu).collect();
        return match gpus.is_empty() {
            true => choose(all, &["CPU".to_owned()]),
            false => Ok(gpus),
        };
    }
    let found = names.iter().map(|name| {
        let found = all
            .iter()
            .find(|device| device.name.eq_ignore_ascii_case(name));
        let there = || {
            all.iter()
                .map(|device| device.name.as_str())
                .collect::<Vec<_>>()
        };
        match found {
            Some(device) => Ok(device),
            None => usage(format!(
                "--device {name}: there is no such device; there is: {}",
                there().join(", ")
            )),
        }
    });
    found.collect()
}

/// Says what is lent, and what to type elsewhere. Nobody reads it, perhaps; it is lent all the same.
fn announce(address: SocketAddr, lent: &[&Device]) {
    let (major, minor) = probe::PROTOCOL;
    let _ = say!("lending at {address} (RPC protocol {major}.{minor})");
    for device in lent {
        let (free, total) = (memory(device.memory_free), memory(device.memory_total));
        let description = device.description.trim();
        let _ = say!("  {}: {description}, {total}, {free} free", device.name);
    }
    if !address.ip().is_loopback() {
        tell!(
            "warning: whoever reaches {address} can use this machine: RPC knows no keys and encrypts nothing"
        );
    }
    let _ = say!("there: packllm run --rpc {address} --pack …");
}
