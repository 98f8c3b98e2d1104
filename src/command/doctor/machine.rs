//! Facts about this build and this machine.

use crate::app::App;
use crate::cpu;
use packllm_llama::offload::{Device, compiled_backends};
use packllm_llama::{Module, modules};
use serde_json::{Map, Value, json};
use std::path::Path;
use std::process::{Command, Stdio};

/// Facts about the build and the machine. None: not known here.
pub struct Machine {
    /// Backends and libraries compiled in, besides the CPU.
    pub features: Vec<&'static str>,
    /// Libraries of a portable build.
    pub modules: Vec<Module>,
    /// Model of the processor.
    pub processor: Option<String>,
    pub physical_cores: usize,
    pub logical_cores: usize,
    /// Instruction sets that the build uses, and whether this processor has them.
    pub instructions: Vec<(&'static str, bool)>,
    /// Main memory: bytes.
    pub memory_total: Option<u64>,
    /// Main memory that is available without swapping: bytes.
    pub memory_available: Option<u64>,
    /// llama.cpp's devices, the CPU among them.
    pub devices: Vec<Device>,
}

/// What becomes of a library of a portable build.
pub fn state(module: &Module, devices: &[Device]) -> &'static str {
    let is_of = |device: &Device| match module.name.as_str() {
        "rpc" => device.host.is_some(),
        _ => module.is_of(&device.backend),
    };
    match module.loaded {
        false => "found, and does not load here: its driver is missing, perhaps",
        true if devices.iter().any(is_of) => "found, and in use",
        true if module.name == "rpc" => "found: --rpc uses devices of other machines",
        true => "found, and there is no device for it",
    }
}

/// A portable build has several libraries for the CPU; what the one in use says counts.
fn instructions() -> Vec<(&'static str, bool)> {
    if !cfg!(feature = "portable") {
        return cpu::features();
    }
    let in_use = packllm_llama::cpu_features().iter();
    in_use.map(|name| (name.as_str(), true)).collect()
}

impl Machine {
    /// Looks at the machine.
    pub fn read(devices: Vec<Device>) -> Self {
        let mut features = compiled_backends();
        if cfg!(feature = "mkl") {
            features.push("mkl");
        }
        let host = devices.iter().find(|device| is_host(device));
        let known = |bytes: u64| Some(bytes).filter(|&bytes| bytes > 0);
        Self {
            features,
            modules: modules(),
            processor: host
                .map(|device| device.description.trim().to_owned())
                .filter(|text| !text.is_empty()),
            physical_cores: num_cpus::get_physical(),
            logical_cores: num_cpus::get(),
            instructions: instructions(),
            memory_total: host.and_then(|device| known(device.memory_total)),
            memory_available: available().or_else(|| {
                // On other systems llama.cpp reports the total as free.
                let host = host.filter(|_| cfg!(windows))?;
                known(host.memory_free)
            }),
            devices,
        }
    }

    /// Free memory of a device, if it is known: bytes.
    pub fn free(&self, device: &Device) -> Option<u64> {
        if is_host(device) {
            self.memory_available
        } else {
            Some(device.memory_free).filter(|_| device.memory_total > 0)
        }
    }

    /// For `--json`.
    pub fn add_to(&self, document: &mut Map<String, Value>) {
        let instructions: Map<String, Value> = self
            .instructions
            .iter()
            .map(|&(name, present)| (name.to_owned(), present.into()))
            .collect();
        let devices: Vec<Value> = self
            .devices
            .iter()
            .map(|device| {
                json!({
                    "name": device.name,
                    "description": device.description,
                    "backend": device.backend,
                    "gpu": device.gpu,
                    "integrated": device.integrated,
                    "memory_total": device.memory_total,
                    "memory_free": self.free(device),
                    "host": device.host,
                })
            })
            .collect();
        document.insert("version".into(), env!("CARGO_PKG_VERSION").into());
        document.insert("features".into(), json!(self.features));
        let modules = self.modules.iter();
        let modules = modules.map(|one| (one.name.clone(), one.loaded.into()));
        document.insert("modules".into(), Value::Object(modules.collect()));
        document.insert(
            "cpu".into(),
            json!({
                "model": self.processor,
                "physical_cores": self.physical_cores,
                "logical_cores": self.logical_cores,
                "instructions": instructions,
            }),
        );
        document.insert(
            "memory".into(),
            json!({"total": self.memory_total, "available": self.memory_available}),
        );
        document.insert("devices".into(), devices.into());
    }
}

/// Whether the device is the processor with the main memory.
pub fn is_host(device: &Device) -> bool {
    !device.gpu && device.name == "CPU"
}

/// Whether the device uses main memory.
pub fn shares_memory(device: &Device) -> bool {
    // Apple's own processors have one memory; Metal does not say so.
    device.integrated || cfg!(all(target_os = "macos", target_arch = "aarch64"))
}

/// Memory that programs can have without swapping, by Linux: bytes.
pub fn available() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// The store: where it is, what it takes, what is left.
pub struct Disk {
    pub models: usize,
    /// Bytes of the files in it, without imported ones.
    pub bytes: u64,
    /// Free bytes on its disk, if known.
    pub free: Option<u64>,
}

impl Disk {
    /// Looks at the store; an error if it cannot be read.
    pub fn read(app: &App) -> anyhow::Result<Self> {
        let models = app.store.list()?;
        let own = models.iter().filter(|one| one.model.reference.is_none());
        let sizes = own.filter_map(|one| std::fs::metadata(&one.path).ok());
        Ok(Self {
            models: models.len(),
            bytes: sizes.map(|data| data.len()).sum(),
            free: free_space(app.store.root()),
        })
    }
}

/// Free bytes on the disk of `path`, whether it exists or not. Asks `df`, which every Unix has in
/// this form.
fn free_space(path: &Path) -> Option<u64> {
    let absolute = std::path::absolute(path).ok()?;
    let folder = absolute.ancestors().find(|folder| folder.is_dir())?;
    let output = Command::new("df")
        .args(["-P", "-k"])
        .arg(folder)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    // Names at both ends of the line may contain spaces; the free space is the field before the
    // percentage.
    let words: Vec<&str> = text.lines().nth(1)?.split_whitespace().collect();
    let percentage = words.iter().position(|word| word.ends_with('%'))?;
    let kibibytes: u64 = words.get(percentage.checked_sub(1)?)?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_is_in_use_if_a_device_is_its_own() {
        let device = |backend: &str, host: Option<&str>| Device {
            index: 0,
            name: format!("{backend}0"),
            description: String::new(),
            backend: backend.to_owned(),
            memory_total: 0,
            memory_free: 0,
            gpu: true,
            integrated: false,
            host: host.map(str::to_owned),
        };
        let (card, lent) = (device("CUDA", None), device("RPC", Some("there:50052")));
        for (name, loaded, devices, said) in [
            ("cuda", false, &[][..], "does not load here"),
            ("cuda", true, &[], "no device"),
            ("cuda", true, std::slice::from_ref(&lent), "no device"),
            ("cuda", true, std::slice::from_ref(&card), "in use"),
            ("rpc", true, std::slice::from_ref(&card), "--rpc"),
            ("rpc", true, std::slice::from_ref(&lent), "in use"),
        ] {
            let name = name.to_owned();
            let what = state(&Module { name, loaded }, devices);
            assert!(what.contains(said), "{what}");
        }
    }
}
