//! The command that lends.

use super::serve::{address, at_least_one};
use clap::Args;
use std::net::IpAddr;

const LEND_HELP: &str = "Other machines use the devices with --rpc HOST:PORT. llama.cpp's RPC has neither authentication nor \
encryption: whoever reaches the port can use the devices, and more. Leave it on 127.0.0.1, and let the other machine \
come by ssh: `ssh -N -L 50052:127.0.0.1:50052 THIS-MACHINE` there, then --rpc 127.0.0.1:50052.";

#[derive(Debug, Args)]
#[command(after_help = LEND_HELP)]
pub struct LendArgs {
    /// Address to listen on; another than this machine's own needs --no-auth
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1", value_parser = address)]
    pub host: IpAddr,
    /// Port to listen on; 0 takes a free one
    #[arg(long, value_name = "N", default_value_t = 50052)]
    pub port: u16,
    /// Devices to lend, separated by commas [default: the GPUs, or the CPU where there is none]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub device: Vec<String>,
    /// Threads, where the CPU is lent [default: the physical cores]
    #[arg(short, long, value_name = "N", value_parser = at_least_one)]
    pub threads: Option<usize>,
    /// Keep large tensors that were received (-c), so that they need not come again
    #[arg(short, long)]
    pub cache: bool,
    /// Lend to everybody who reaches the address
    #[arg(long)]
    pub no_auth: bool,
}
