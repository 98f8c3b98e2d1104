//! Which device runs what: the build's devices, and what a member asks of them.

use llama_cpp_2::{LlamaBackendDevice, LlamaBackendDeviceType, list_llama_ggml_backend_devices};

/// A device of this build on this machine.
#[derive(Debug, Clone)]
pub struct Device {
    /// Index in ggml's list.
    pub index: usize,
    /// Name for `-dev` (`CUDA0`, `Vulkan0`, `CPU`).
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
}

/// Lists the devices.
#[must_use]
pub fn devices() -> Vec<Device> {
    super::init();
    list_llama_ggml_backend_devices()
        .into_iter()
        .map(Device::from)
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
        }
    }
}

/// GPU backends compiled into this build.
#[must_use]
pub fn compiled_backends() -> Vec<&'static str> {
    let all = [
        ("cuda", cfg!(feature = "cuda")),
        ("metal", cfg!(feature = "metal")),
        ("vulkan", cfg!(feature = "vulkan")),
        ("rocm", cfg!(feature = "rocm")),
    ];
    all.iter()
        .filter(|(_, on)| *on)
        .map(|(name, _)| *name)
        .collect()
}

/// What a member asks for.
#[derive(Debug, Clone, Default, PartialEq)]
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

impl Offload {
    /// Matches the wish with this machine. Never falls back: a wish that cannot be met is an error.
    ///
    /// # Errors
    /// The reason and a hint, both for people.
    pub fn resolve(&self) -> Result<Placed, (String, String)> {
        self.resolve_among(&devices(), &compiled_backends())
    }

    fn resolve_among(
        &self,
        devices: &[Device],
        backends: &[&str],
    ) -> Result<Placed, (String, String)> {
        if self.devices.iter().any(|d| d.eq_ignore_ascii_case("none")) {
            if self.layers.is_some_and(|n| n > 0) {
                let reason = "`-dev none` and GPU layers were both asked for".to_owned();
                return Err((reason, "drop one of -dev and -ngl".into()));
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
            return Err(no_gpu("GPU layers were asked for", backends));
        }
        if self.tensor_split.len() > chosen.len().max(1) {
            let reason = format!(
                "-ts names {} shares, but there {} {} GPU device{}",
                self.tensor_split.len(),
                if chosen.len() == 1 { "is" } else { "are" },
                chosen.len(),
                if chosen.len() == 1 { "" } else { "s" }
            );
            return Err((reason, "give one share a device".into()));
        }
        if let Some(main) = self.main_gpu
            && usize::try_from(main).map_or(true, |m| m >= chosen.len())
        {
            let reason = format!("GPU {main} was asked for, of {}", chosen.len());
            return Err((
                reason,
                "GPUs are counted from 0: see `packllm doctor`".into(),
            ));
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

    fn choose(
        &self,
        devices: &[Device],
        backends: &[&str],
    ) -> Result<Vec<usize>, (String, String)> {
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
        let devices = devices();
        let Ok(placed) = self.resolve_among(&devices, &compiled_backends()) else {
            return "CPU".into();
        };
        let on_gpu = u32::try_from(placed.layers).map_or(layers + 1, |n| n.min(layers + 1));
        if placed.devices.is_empty() || on_gpu == 0 {
            return "CPU".into();
        }
        let names: Vec<&str> = devices
            .iter()
            .filter(|d| placed.devices.contains(&d.index))
            .map(|d| d.name.as_str())
            .collect();
        // llama.cpp counts the output layer as one more.
        format!("{} ({on_gpu} of {} layers)", names.join("+"), layers + 1)
    }
}

fn find(name: &str, devices: &[Device], backends: &[&str]) -> Result<usize, (String, String)> {
    match devices.iter().find(|d| d.name.eq_ignore_ascii_case(name)) {
        Some(d) if d.gpu => Ok(d.index),
        Some(d) => Err((
            format!("device `{}` cannot take layers", d.name),
            "for the CPU alone use `-dev none`".into(),
        )),
        None => {
            let gpus: Vec<&str> = devices
                .iter()
                .filter(|d| d.gpu)
                .map(|d| d.name.as_str())
                .collect();
            if gpus.is_empty() {
                return Err(no_gpu(&format!("device `{name}` was asked for"), backends));
            }
            Err((
                format!("there is no device `{name}`"),
                format!("there is: {}", gpus.join(", ")),
            ))
        }
    }
}

fn no_gpu(wish: &str, backends: &[&str]) -> (String, String) {
    if backends.is_empty() {
        let hint = "build with `--features cuda`, `metal`, `vulkan` or `rocm`, or leave -ngl and \
                    -dev away to run on the CPU";
        return (
            format!("{wish}, but this build has no GPU backend"),
            hint.into(),
        );
    }
    let hint = "check the driver with `packllm doctor`, or use `-ngl 0`";
    (
        format!(
            "{wish}, but no GPU was found (built with {})",
            backends.join(", ")
        ),
        hint.into(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(index: usize, name: &str, gpu: bool, integrated: bool) -> Device {
        Device {
            index,
            name: name.into(),
            description: String::new(),
            backend: String::new(),
            memory_total: 0,
            memory_free: 0,
            gpu,
            integrated,
        }
    }

    #[test]
    fn a_gpu_that_is_not_there_is_an_error_never_the_cpu() {
        let cpu = [device(0, "CPU", false, false)];
        let wish = |layers, devices: &[&str]| Offload {
            layers,
            devices: devices.iter().map(|&d| d.to_owned()).collect(),
            ..Offload::default()
        };
        assert!(
            wish(Some(1), &[])
                .resolve_among(&cpu, &[])
                .unwrap_err()
                .0
                .contains("no GPU backend")
        );
        assert!(
            wish(Some(1), &[])
                .resolve_among(&cpu, &["cuda"])
                .unwrap_err()
                .0
                .contains("no GPU was found")
        );
        assert!(wish(None, &["CUDA0"]).resolve_among(&cpu, &[]).is_err());
        assert!(wish(Some(3), &["none"]).resolve_among(&cpu, &[]).is_err());
        let free = wish(None, &[]).resolve_among(&cpu, &[]).unwrap();
        assert_eq!(
            free,
            Placed {
                layers: 0,
                devices: vec![]
            }
        );
    }

    #[test]
    fn discrete_gpus_come_before_integrated_ones() {
        let all = [
            device(0, "CUDA0", true, false),
            device(1, "Vulkan0", true, true),
            device(2, "CPU", false, false),
        ];
        let placed = Offload::default().resolve_among(&all, &["cuda"]).unwrap();
        assert_eq!(
            placed,
            Placed {
                layers: -1,
                devices: vec![0]
            }
        );
        let named = Offload {
            devices: vec!["vulkan0".into()],
            layers: Some(5),
            ..Offload::default()
        };
        assert_eq!(
            named.resolve_among(&all, &[]).unwrap(),
            Placed {
                layers: 5,
                devices: vec![1]
            }
        );
        let typo = Offload {
            devices: vec!["CUDA1".into()],
            ..Offload::default()
        };
        assert!(
            typo.resolve_among(&all, &[])
                .unwrap_err()
                .1
                .contains("CUDA0")
        );
    }
}
