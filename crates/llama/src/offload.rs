//! Which device runs what: the build's devices, and what a member asks of them.

use super::library::{backends, init, modules};
use super::rpc;
use llama_cpp_2::{LlamaBackendDevice, LlamaBackendDeviceType, list_llama_ggml_backend_devices};
use serde::{Deserialize, Serialize};

/// A device of this build on this machine.
#[derive(Debug, Clone)]
pub struct Device {
    /// Index in ggml's list.
    pub index: usize,
    /// Its name (`CUDA0`, `Vulkan0`, `CPU`).
    pub name: String,
    /// What it is, in the driver's words.
    pub description: String,
    /// The backend it belongs to.
    pub backend: String,
    /// Total memory: bytes.
    pub memory_total: u64,
    /// Free memory: bytes.
    pub memory_free: u64,
    /// Whether layers can be offloaded to it.
    pub gpu: bool,
    /// Whether it shares the host's memory.
    pub integrated: bool,
    /// The machine that lends it, as `HOST:PORT`; None: this one.
    pub host: Option<String>,
}

/// Lists the devices of this machine, and of those that were [added](rpc::add_host).
#[must_use]
pub fn devices() -> Vec<Device> {
    init();
    list_llama_ggml_backend_devices()
        .into_iter()
        .map(|device| rpc::named(Device::from(device)))
        .collect()
}

impl From<LlamaBackendDevice> for Device {
    fn from(d: LlamaBackendDevice) -> Self {
        let integrated = d.device_type == LlamaBackendDeviceType::IntegratedGpu;
        Self {
            index: d.index,
            name: d.name,
            description: d.description,
            backend: d.backend,
            memory_total: d.memory_total as u64,
            memory_free: d.memory_free as u64,
            gpu: integrated || d.device_type == LlamaBackendDeviceType::Gpu,
            integrated,
            host: None,
        }
    }
}

/// GPU backends compiled into this build, or found beside it, whether they load here or not.
#[must_use]
pub fn compiled_backends() -> Vec<&'static str> {
    let all = [
        ("cuda", cfg!(feature = "cuda"), "CUDA"),
        ("metal", cfg!(feature = "metal"), "MTL"),
        ("vulkan", cfg!(feature = "vulkan"), "Vulkan"),
        ("rocm", cfg!(feature = "rocm"), "ROCm"),
    ];
    let (found, beside) = (backends(), modules());
    let is_there = |called: &str| {
        found.iter().any(|name| name == called) || beside.iter().any(|m| m.is_of(called))
    };
    all.iter()
        .filter(|(_, on, called)| *on || is_there(called))
        .map(|(name, ..)| *name)
        .collect()
}

/// What a member asks for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Offload {
    /// Layers on GPUs. None: all of them if there is a GPU. `Some(u32::MAX)`: all.
    pub layers: Option<u32>,
    /// Devices by name; empty: llama.cpp's choice; `none`: the CPU.
    pub devices: Vec<String>,
    /// Shares of the devices.
    pub tensor_split: Vec<f32>,
    /// The one GPU to use.
    pub main_gpu: Option<i32>,
}

/// What it gets: see [`Offload::resolve`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Layers on GPUs, −1 for all.
    pub layers: i32,
    /// Indices of the devices.
    pub devices: Vec<usize>,
}

/// What cannot be met of an [`Offload`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OffloadError {
    /// Layers on GPUs were asked for, and no device but the CPU.
    #[error("layers on GPUs and no device but the CPU were both asked for")]
    LayersWithoutDevice,
    /// A GPU was asked for, but the build has no GPU backend.
    #[error("{}, but this build has no GPU backend", asked_for(device.as_deref()))]
    NoBackend {
        /// The device that was named; None: layers were asked for.
        device: Option<String>,
    },
    /// A GPU was asked for, but none was found.
    #[error("{}, but no GPU was found (built with {backends})", asked_for(device.as_deref()))]
    NoGpu {
        /// The device that was named; None: layers were asked for.
        device: Option<String>,
        /// The GPU backends of this build.
        backends: String,
    },
    /// A device that is not there.
    #[error("there is no device `{device}`")]
    NoSuchDevice {
        /// Its name, as it was given.
        device: String,
        /// Names of the GPUs that are there.
        gpus: Vec<String>,
    },
    /// A device that no layer can be put on.
    #[error("device `{device}` cannot take layers")]
    NotAGpu {
        /// Its name.
        device: String,
    },
    /// A number that no GPU has.
    #[error("GPU {main} was asked for, of {gpus}")]
    NoSuchGpu {
        /// The number, from 0.
        main: i32,
        /// How many GPUs there are.
        gpus: usize,
    },
    /// A tensor split into more shares than there are GPUs.
    #[error("tensors were to be split into more shares than there are GPUs: {shares}, of {gpus}")]
    TooManyShares {
        /// Shares given.
        shares: usize,
        /// GPUs that take part.
        gpus: usize,
    },
}

fn asked_for(device: Option<&str>) -> String {
    match device {
        Some(name) => format!("device `{name}` was asked for"),
        None => "GPU layers were asked for".to_owned(),
    }
}

impl Offload {
    /// Matches what is asked for with this machine. Never falls back: what cannot be met is an
    /// error.
    ///
    /// # Errors
    /// What cannot be met.
    pub fn resolve(&self) -> Result<Placed, OffloadError> {
        self.resolve_among(&devices(), &compiled_backends())
    }

    /// As [`Offload::resolve`], with these devices and GPU backends.
    ///
    /// # Errors
    /// What cannot be met.
    pub fn resolve_among(
        &self,
        devices: &[Device],
        backends: &[&str],
    ) -> Result<Placed, OffloadError> {
        if self.devices.iter().any(|d| d.eq_ignore_ascii_case("none")) {
            if self.layers.is_some_and(|n| n > 0) {
                return Err(OffloadError::LayersWithoutDevice);
            }
            return Ok(Placed {
                layers: 0,
                devices: Vec::new(),
            });
        }
        let chosen = self.choose(devices, backends)?;
        let wanted = self.layers.is_some_and(|n| n > 0)
            || self.main_gpu.is_some()
            || !self.tensor_split.is_empty();
        if chosen.is_empty() && wanted {
            return Err(no_gpu(None, backends));
        }
        if self.tensor_split.len() > chosen.len().max(1) {
            return Err(OffloadError::TooManyShares {
                shares: self.tensor_split.len(),
                gpus: chosen.len(),
            });
        }
        if let Some(main) = self.main_gpu
            && usize::try_from(main).map_or(true, |m| m >= chosen.len())
        {
            let gpus = chosen.len();
            return Err(OffloadError::NoSuchGpu { main, gpus });
        }
        let layers = match self.layers {
            _ if chosen.is_empty() => 0,
            None | Some(u32::MAX) => -1,
            Some(n) => i32::try_from(n).unwrap_or(-1),
        };
        Ok(Placed {
            layers,
            devices: chosen,
        })
    }

    fn choose(&self, devices: &[Device], backends: &[&str]) -> Result<Vec<usize>, OffloadError> {
        if !self.devices.is_empty() {
            return self
                .devices
                .iter()
                .map(|name| find(name, devices, backends))
                .collect();
        }
        let discrete: Vec<usize> = devices
            .iter()
            .filter(|d| d.gpu && !d.integrated)
            .map(|d| d.index)
            .collect();
        if !discrete.is_empty() || self.layers == Some(0) {
            return Ok(discrete);
        }
        Ok(devices.iter().filter(|d| d.gpu).map(|d| d.index).collect())
    }

    /// Where the weights live, for people.
    #[must_use]
    pub fn describe(&self, layers: u32) -> String {
        self.describe_among(&devices(), layers)
    }

    /// As [`Offload::describe`], with these devices.
    #[must_use]
    pub fn describe_among(&self, devices: &[Device], layers: u32) -> String {
        let Ok(placed) = self.resolve_among(devices, &compiled_backends()) else {
            return "CPU".into();
        };
        let on_gpu = u32::try_from(placed.layers).map_or(layers + 1, |n| n.min(layers + 1));
        if placed.devices.is_empty() || on_gpu == 0 {
            return "CPU".into();
        }
        let names: Vec<String> = devices
            .iter()
            .filter(|d| placed.devices.contains(&d.index))
            .map(|d| match &d.host {
                Some(host) => format!("{} at {host}", d.name),
                None => d.name.clone(),
            })
            .collect();
        // llama.cpp counts the output layer as one more.
        format!("{} ({on_gpu} of {} layers)", names.join("+"), layers + 1)
    }
}

fn find(name: &str, devices: &[Device], backends: &[&str]) -> Result<usize, OffloadError> {
    match devices.iter().find(|d| d.name.eq_ignore_ascii_case(name)) {
        Some(d) if d.gpu => Ok(d.index),
        Some(d) => Err(OffloadError::NotAGpu {
            device: d.name.clone(),
        }),
        None => {
            let gpus = devices.iter().filter(|d| d.gpu);
            let gpus: Vec<String> = gpus.map(|d| d.name.clone()).collect();
            if gpus.is_empty() {
                return Err(no_gpu(Some(name), backends));
            }
            Err(OffloadError::NoSuchDevice {
                device: name.to_owned(),
                gpus,
            })
        }
    }
}

fn no_gpu(device: Option<&str>, backends: &[&str]) -> OffloadError {
    let device = device.map(str::to_owned);
    if backends.is_empty() {
        return OffloadError::NoBackend { device };
    }
    OffloadError::NoGpu {
        device,
        backends: backends.join(", "),
    }
}

#[cfg(test)]
mod tests;
