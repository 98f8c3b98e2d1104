//! The program started again, around llama.cpp's RPC backend: as the process of a member whose
//! layers are on other machines, which may end where a connection is lost, and as a server that
//! lends this machine's devices.

use crate::app::leave;
use crate::settings::MemberPlan;
use crate::trial::this_program;
use packllm_engine::backend::{BackendError, Member};
use packllm_engine::engine::MemberSpec;
use packllm_llama::{LlamaMember, LoadOptions, rpc};
use packllm_remote::{Process, RemoteMember, Setup, serve, tunnel};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;

/// The hidden command of a member's process.
pub const MEMBER: &str = "member-process";
/// The hidden command of a server.
pub const SERVER: &str = "rpc-server";
/// How a member's process ends where a connection was lost; the last line on its stderr says which.
const LOST: u8 = 4;

/// A machine that lends its devices to a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lender {
    /// `HOST:PORT`.
    pub address: String,
    /// The number in the name of its first device.
    pub first: usize,
}

/// What a member's process is told.
#[derive(Serialize, Deserialize)]
struct Order {
    load: LoadOptions,
    lenders: Vec<Lender>,
}

/// How a member is loaded: here, or in a process of its own if others lend to it.
pub fn spec(plan: &MemberPlan) -> MemberSpec {
    if plan.lenders.is_empty() {
        return MemberSpec {
            pace: plan.pace,
            ..plan.load.clone().member(&plan.name)
        };
    }
    let order = Order {
        load: plan.load.clone(),
        lenders: plan.lenders.clone(),
    };
    let names: Vec<&str> = plan
        .lenders
        .iter()
        .map(|one| one.address.as_str())
        .collect();
    let place = names.join(" and ");
    let loader = move |watch: &Arc<_>| {
        let told = serde_json::to_vec(&order);
        let load = told.map_err(|error| BackendError::Refused(error.to_string()))?;
        let setup = Setup {
            start: Box::new(start),
            load,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            place,
        };
        Ok(Box::new(RemoteMember::load(setup, watch)?) as Box<dyn Member>)
    };
    MemberSpec {
        name: plan.name.clone(),
        loader: Box::new(loader),
        prefetch: None,
        pace: plan.pace,
    }
}

/// The program again, for something hidden. It ends when its stdin does, so not after this one.
fn again(what: &str) -> io::Result<Command> {
    let mut command = Command::new(this_program()?);
    command.arg(what).stdin(Stdio::piped());
    // Else ggml starts a debugger, if there is one, to print where it was.
    command.env("GGML_NO_BACKTRACE", "1");
    // Ctrl-C is for the program alone.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    Ok(command)
}

fn start() -> io::Result<Process> {
    let mut command = again(MEMBER)?;
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let taken = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(input), Some(output), Some(errors)) = taken else {
        return Err(io::Error::other("a process without pipes"));
    };
    Ok(Process {
        input: Box::new(input),
        output: Box::new(output),
        errors: Box::new(errors),
        end: Box::new(move || {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }),
    })
}

/// This process, just started by [`spec`], is a member until its stdin ends.
pub fn become_member() -> ExitCode {
    let mut load = |order: &[u8], watch| {
        let order: Order = serde_json::from_slice(order)
            .map_err(|error| BackendError::Refused(error.to_string()))?;
        reach(&order.lenders)?;
        let options = LoadOptions {
            watch,
            ..order.load
        };
        Ok(Box::new(LlamaMember::load(&options)?) as Box<dyn Member>)
    };
    let version = env!("CARGO_PKG_VERSION");
    let served = serve(io::stdin(), io::stdout(), version, &mut load, || leave(0));
    leave(u8::from(served.is_err()))
}

/// Adds the devices of other machines to this process's.
fn reach(lenders: &[Lender]) -> Result<(), BackendError> {
    let refused = |error: String| BackendError::Refused(error);
    let alone = lenders.len() == 1;
    for lender in lenders {
        let host = lender.address.clone();
        let on_loss = move |reason: &str| {
            match alone {
                true => tell!("{reason}"),
                false => tell!("{host}: {reason}"),
            }
            leave(LOST);
        };
        let port = tunnel::open(&lender.address, Arc::new(on_loss));
        let port = port.map_err(|error| refused(error.to_string()))?;
        rpc::add_host(&port.to_string(), &lender.address, lender.first)
            .map_err(|error| refused(error.to_string()))?;
    }
    Ok(())
}

/// What a server lends.
#[derive(Debug, Clone)]
pub struct Lending {
    /// Indices in ggml's list.
    pub devices: Vec<usize>,
    /// Threads of the CPU, if that is one of them.
    pub threads: usize,
    /// Where large tensors are kept.
    pub cache: Option<PathBuf>,
}

/// A server of its own process, that listens at this address.
pub fn start_server(address: SocketAddr, lending: &Lending) -> io::Result<Child> {
    let mut command = again(SERVER)?;
    command.arg(address.to_string());
    command.arg(lending.threads.to_string());
    command.arg(lending.cache.as_deref().unwrap_or(Path::new("")));
    command.args(lending.devices.iter().map(usize::to_string));
    // It says what `packllm lend` has said already.
    command.stdout(Stdio::null()).spawn()
}

/// This process, just started by [`start_server`], serves until its stdin ends.
pub fn become_server(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Option<Vec<String>> = arguments
        .into_iter()
        .map(|argument| argument.into_string().ok())
        .collect();
    let Some([address, threads, cache, devices @ ..]) = arguments.as_deref() else {
        return ExitCode::FAILURE;
    };
    let devices: Result<Vec<usize>, _> = devices.iter().map(|index| index.parse()).collect();
    let (Ok(threads), Ok(devices)) = (threads.parse(), devices) else {
        return ExitCode::FAILURE;
    };
    std::thread::spawn(|| {
        // Nothing comes; it ends with who started this.
        let _ = io::stdin().read(&mut [0]);
        leave(0);
    });
    let cache = Some(Path::new(cache)).filter(|cache| !cache.as_os_str().is_empty());
    match rpc::serve(address, cache, threads, &devices) {
        Ok(never) => match never {},
        Err(error) => {
            tell!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
