//! Files that llama.cpp does not load, and devices that are not there.

use crate::plural::{be, counted};
use packllm_llama::LoadError;
use packllm_llama::offload::OffloadError;
use std::error::Error;

/// What llama.cpp says that it could not do where memory has run out.
const ALLOCATE: &str = "allocate";

/// Whether a load ended for want of memory: of the error and its causes, those of another process are
/// text.
pub fn is_of_memory(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| match cause.downcast_ref() {
        Some(LoadError::NoContext { .. }) => true,
        Some(LoadError::Refused { log }) => log.contains(ALLOCATE),
        _ => cause.to_string().contains(ALLOCATE),
    })
}

/// See [`super::words`]; None: the library's own words are used.
pub fn words(error: &(dyn Error + 'static)) -> Option<String> {
    match error.downcast_ref() {
        Some(LoadError::Header(fault)) => return Some(super::words(fault)),
        Some(LoadError::Offload(error)) => return Some(super::words(error)),
        _ => {}
    }
    match error.downcast_ref()? {
        OffloadError::LayersWithoutDevice => {
            Some("`-dev none` and GPU layers were both asked for".into())
        }
        OffloadError::TooManyShares { shares, gpus } => {
            let (are, devices) = (be(*gpus), counted(*gpus, "GPU device"));
            Some(format!(
                "-ts names {shares} shares, but there {are} {devices}"
            ))
        }
        _ => None,
    }
}

/// See [`super::hint`].
pub fn hint(error: &(dyn Error + 'static)) -> Option<String> {
    match error.downcast_ref() {
        Some(LoadError::Header(fault)) => super::hint(fault),
        Some(LoadError::Offload(error)) => super::hint(error),
        Some(LoadError::NoCpuCode) => Some(
            "the folder `backends` and the libraries belong beside the program: keep them together"
                .into(),
        ),
        Some(LoadError::ContextTooLong(error)) => super::hint(error),
        Some(LoadError::Refused { log }) if log.contains(ALLOCATE) => {
            Some("ask for fewer layers with -ngl, or for a smaller -c".into())
        }
        Some(LoadError::NoContext { .. }) => Some("try a smaller -c".into()),
        _ => of_offload(error.downcast_ref()?),
    }
}

fn of_offload(error: &OffloadError) -> Option<String> {
    let hint = match error {
        OffloadError::LayersWithoutDevice => "drop one of -dev and -ngl",
        OffloadError::NoBackend { .. } => {
            "build with `--features cuda`, `metal`, `vulkan` or `rocm`, or leave -ngl and -dev away to run \
             on the CPU"
        }
        OffloadError::NoGpu { .. } => "check the driver with `packllm doctor`, or use `-ngl 0`",
        OffloadError::NoSuchDevice { gpus, .. } => {
            return Some(format!("there is: {}", gpus.join(", ")));
        }
        OffloadError::NotAGpu { .. } => "for the CPU alone use `-dev none`",
        OffloadError::NoSuchGpu { .. } => "GPUs are counted from 0: see `packllm doctor`",
        OffloadError::TooManyShares { .. } => "give one share a device",
        _ => return None,
    };
    Some(hint.into())
}
