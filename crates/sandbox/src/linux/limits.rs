//! What the kernel itself counts of a process, and what it may do as a user.

use rustix::io;
use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};

/// Open files; no fewer than Python imports with.
const OPEN_FILES: u64 = 64;

/// Bytes of a thread's stack, the usual ones: deep recursion ends with Python's own error.
const STACK: u64 = 8 << 20;

/// Limits this process and what it becomes. Processes are not limited here: `RLIMIT_NPROC` counts
/// all that the user runs, and nothing for root. A confined process can start none (`calls`), and
/// its threads are counted from outside.
pub(super) fn limit(cpu: u64, memory: u64, disk: u64) -> io::Result<()> {
    // At the first the program is told so by a signal that ends it, at the second it is killed.
    set(Resource::Cpu, cpu, cpu.saturating_add(1))?;
    set(Resource::Fsize, disk, disk)?;
    set(Resource::Nofile, OPEN_FILES, OPEN_FILES)?;
    set(Resource::Core, 0, 0)?;
    set(Resource::Memlock, 0, 0)?;
    set(Resource::Msgqueue, 0, 0)?;
    set(Resource::Stack, STACK, STACK)?;
    set(Resource::As, memory, memory)
}

/// Sets a limit, or a lower one that there is already.
fn set(resource: Resource, current: u64, maximum: u64) -> io::Result<()> {
    let allowed = rustix::process::getrlimit(resource)
        .maximum
        .unwrap_or(u64::MAX);
    setrlimit(
        resource,
        Rlimit {
            current: Some(current.min(allowed)),
            maximum: Some(maximum.min(allowed)),
        },
    )
}

/// Gives up all capabilities. With `no_new_privs`, which Landlock's step sets, even root does not
/// get them back when the process becomes another program.
pub(super) fn drop_capabilities() -> io::Result<()> {
    let none = CapabilitySet::empty();
    set_capabilities(
        None,
        CapabilitySets {
            effective: none,
            permitted: none,
            inheritable: none,
        },
    )
}
