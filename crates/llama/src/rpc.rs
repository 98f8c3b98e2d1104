//! llama.cpp's RPC backend: devices of other machines, and this one's for others.
//!
//! Its client ends the process when a connection breaks or a host does not answer: only a process
//! that has nothing else to lose may call [`add_host`]. It has no authentication.

use super::library::init;
use super::offload::Device;
use llama_cpp_sys_2 as sys;
use std::convert::Infallible;
use std::ffi::{CStr, CString, c_char, c_void};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// What cannot be done with other machines.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RpcError {
    /// The build has no RPC backend.
    #[error("this build of llama.cpp has no RPC backend")]
    NoBackend,
    /// A name that C cannot take.
    #[error("`{0}` holds a NUL byte")]
    Name(String),
    /// The host lends nothing.
    #[error("{0} lends no device")]
    NoDevice(String),
    /// There is nothing to lend.
    #[error("there is no device {0}")]
    NoSuchDevice(usize),
    /// The server does not listen.
    #[error("llama.cpp's server could not listen at {0}")]
    NotListening(String),
}

/// A machine whose devices were added.
struct Added {
    /// Where llama.cpp connects to.
    endpoint: String,
    /// What the machine is called.
    host: String,
    /// The number in the name of its first device.
    first: usize,
    /// The number that llama.cpp gave to it.
    counted: usize,
    /// How many devices it has.
    devices: usize,
}

static ADDED: Mutex<Vec<Added>> = Mutex::new(Vec::new());

fn registry() -> Option<sys::ggml_backend_reg_t> {
    init();
    // SAFETY: the library is ready, and the name ends with NUL.
    let registry = unsafe { sys::ggml_backend_reg_by_name(c"RPC".as_ptr()) };
    (!registry.is_null()).then_some(registry)
}

/// Whether this build has the backend, or has found its library.
#[must_use]
pub fn is_there() -> bool {
    registry().is_some()
}

/// A function of the backend, which a build with libraries knows by name only.
fn function(name: &CStr) -> Result<std::ptr::NonNull<c_void>, RpcError> {
    let registry = registry().ok_or(RpcError::NoBackend)?;
    // SAFETY: the registry was just found; the name ends with NUL.
    let found = unsafe { sys::ggml_backend_reg_get_proc_address(registry, name.as_ptr()) };
    std::ptr::NonNull::new(found).ok_or(RpcError::NoBackend)
}

fn text(text: &str) -> Result<CString, RpcError> {
    CString::new(text).map_err(|_| RpcError::Name(text.to_owned()))
}

/// Adds the devices of `host`, that llama.cpp reaches at `endpoint`. They are called `RPC` with
/// numbers from `first` on.
///
/// # Errors
/// [`RpcError::NoBackend`], [`RpcError::NoDevice`]. The process ends if the host does not answer.
pub fn add_host(endpoint: &str, host: &str, first: usize) -> Result<(), RpcError> {
    type AddServer = unsafe extern "C" fn(*const c_char) -> sys::ggml_backend_reg_t;
    let add = function(c"ggml_backend_rpc_add_server")?;
    // SAFETY: the backend has a function of this type under this name (ggml-rpc.h).
    let add = unsafe { std::mem::transmute::<std::ptr::NonNull<c_void>, AddServer>(add) };
    let at = text(endpoint)?;
    // SAFETY: the endpoint ends with NUL.
    let registry = unsafe { add(at.as_ptr()) };
    if registry.is_null() {
        return Err(RpcError::NoDevice(host.to_owned()));
    }
    let mut added = ADDED.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: made by the backend, and lives as long as the process.
    let devices = unsafe {
        sys::ggml_backend_register(registry);
        sys::ggml_backend_reg_dev_count(registry)
    };
    let counted = added.iter().map(|other| other.devices).sum();
    added.push(Added {
        endpoint: endpoint.to_owned(),
        host: host.to_owned(),
        first,
        counted,
        devices,
    });
    Ok(())
}

/// A device as it is called here: llama.cpp counts from 0, and knows the endpoint alone.
pub(super) fn named(mut device: Device) -> Device {
    let added = ADDED.lock().unwrap_or_else(PoisonError::into_inner);
    let number = device
        .name
        .strip_prefix("RPC")
        .and_then(|n| n.parse::<usize>().ok());
    let of = added
        .iter()
        .find(|added| added.endpoint == device.description);
    if let (Some(number), Some(added)) = (number, of) {
        device.name = format!(
            "RPC{}",
            (number + added.first).saturating_sub(added.counted)
        );
        device.description = format!("lent by {}", added.host);
        device.host = Some(added.host.clone());
    }
    device
}

/// Serves these devices, by their indices in ggml's list, at an address of this machine, to one
/// client after the other and for as long as the process lives. Large tensors are kept in the folder
/// `cache`, so that they need not come over the network again.
///
/// # Errors
/// Why it does not.
pub fn serve(
    endpoint: &str,
    cache: Option<&Path>,
    threads: usize,
    devices: &[usize],
) -> Result<Infallible, RpcError> {
    type StartServer = unsafe extern "C" fn(
        *const c_char,
        *const c_char,
        usize,
        usize,
        *mut sys::ggml_backend_dev_t,
    );
    let start = function(c"ggml_backend_rpc_start_server")?;
    // SAFETY: the backend has a function of this type under this name (ggml-rpc.h).
    let start = unsafe { std::mem::transmute::<std::ptr::NonNull<c_void>, StartServer>(start) };
    let at = text(endpoint)?;
    let cache = cache
        .map(|folder| text(&folder.to_string_lossy()))
        .transpose()?;
    let cache = cache
        .as_ref()
        .map_or(std::ptr::null(), |folder| folder.as_ptr());
    // SAFETY: a plain function that returns a value.
    let count = unsafe { sys::ggml_backend_dev_count() };
    if let Some(&index) = devices.iter().find(|&&index| index >= count) {
        return Err(RpcError::NoSuchDevice(index));
    }
    // SAFETY: the indices are below the number of devices.
    let of = |&index: &usize| unsafe { sys::ggml_backend_dev_get(index) };
    let mut devices: Vec<sys::ggml_backend_dev_t> = devices.iter().map(of).collect();
    // SAFETY: the texts end with NUL and live during the call, and so do the devices.
    unsafe {
        start(
            at.as_ptr(),
            cache,
            threads,
            devices.len(),
            devices.as_mut_ptr(),
        )
    };
    // It returns only if it cannot listen.
    Err(RpcError::NotListening(endpoint.to_owned()))
}
