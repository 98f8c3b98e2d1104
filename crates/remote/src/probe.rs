//! What a machine lends: its answer to three questions of llama.cpp's RPC protocol, asked without
//! llama.cpp, whose client would end the process if there were none.

use super::tunnel::connect;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// The RPC protocol of this llama.cpp: its major and minor version.
pub const PROTOCOL: (u8, u8) = (7, 0);
/// How long a host may take for each step.
pub const PATIENCE: Duration = Duration::from_secs(4);

/// Commands of `ggml-rpc.cpp`.
const GET_DEVICE_MEMORY: u8 = 11;
const HELLO: u8 = 14;
const DEVICE_COUNT: u8 = 15;
/// What else the client can do, RDMA: nothing.
const NO_CAPABILITIES: [u8; 24] = [0; 24];
/// More devices than any machine has.
const MOST_DEVICES: u32 = 256;

/// A machine that lends devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// `HOST:PORT`.
    pub address: String,
    /// Version of its protocol.
    pub version: [u8; 3],
    /// Its devices.
    pub devices: Vec<Memory>,
}

/// The memory of a device: bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Not in use.
    pub free: u64,
    /// All of it.
    pub total: u64,
}

/// Why a machine's devices cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// No connection.
    #[error("{address} cannot be reached: {source}")]
    Unreachable {
        /// `HOST:PORT`.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// A connection, and nothing comes.
    #[error("{address} takes the connection and says nothing for {} s", PATIENCE.as_secs())]
    Silent {
        /// `HOST:PORT`.
        address: String,
    },
    /// Something else listens there.
    #[error("{address} does not speak llama.cpp's RPC protocol")]
    Foreign {
        /// `HOST:PORT`.
        address: String,
    },
    /// Another version of the protocol.
    #[error(
        "{address} speaks version {}.{}.{} of llama.cpp's RPC protocol, this build {}.{}",
        theirs[0], theirs[1], theirs[2], PROTOCOL.0, PROTOCOL.1
    )]
    Version {
        /// `HOST:PORT`.
        address: String,
        /// Its version.
        theirs: [u8; 3],
    },
}

/// Asks a machine what it lends.
///
/// # Errors
/// Why it cannot be used.
pub fn host(address: &str) -> Result<Host, ProbeError> {
    let unreachable = |source| ProbeError::Unreachable {
        address: address.to_owned(),
        source,
    };
    let mut stream = connect(address, PATIENCE).map_err(unreachable)?;
    for set in [TcpStream::set_read_timeout, TcpStream::set_write_timeout] {
        set(&stream, Some(PATIENCE)).map_err(unreachable)?;
    }
    let told = |error: io::Error| match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => ProbeError::Silent {
            address: address.to_owned(),
        },
        _ => ProbeError::Foreign {
            address: address.to_owned(),
        },
    };
    // Three numbers of the version, padding, and the server's capabilities.
    let hello: [u8; 28] = ask(&mut stream, HELLO, &NO_CAPABILITIES).map_err(told)?;
    let [major, minor, patch, ..] = hello;
    if major != PROTOCOL.0 || minor > PROTOCOL.1 {
        let (address, theirs) = (address.to_owned(), [major, minor, patch]);
        return Err(ProbeError::Version { address, theirs });
    }
    let count = u32::from_le_bytes(ask(&mut stream, DEVICE_COUNT, &[]).map_err(told)?);
    let memory = |index: u32| {
        let both: [u8; 16] = ask(&mut stream, GET_DEVICE_MEMORY, &index.to_le_bytes())?;
        let (free, total) = both.split_at(8);
        Ok(Memory {
            free: number(free),
            total: number(total),
        })
    };
    let devices: io::Result<_> = (0..count.min(MOST_DEVICES)).map(memory).collect();
    Ok(Host {
        address: address.to_owned(),
        version: [major, minor, patch],
        devices: devices.map_err(told)?,
    })
}

fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |sum, &byte| sum << 8 | u64::from(byte))
}

/// A command and its reply, each after its length.
fn ask<const N: usize>(stream: &mut TcpStream, command: u8, request: &[u8]) -> io::Result<[u8; N]> {
    let mut message = vec![command];
    message.extend((request.len() as u64).to_le_bytes());
    message.extend(request);
    stream.write_all(&message)?;
    let mut length = [0; 8];
    stream.read_exact(&mut length)?;
    if u64::from_le_bytes(length) != N as u64 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut reply = [0; N];
    stream.read_exact(&mut reply)?;
    Ok(reply)
}
