//! llama.cpp as a library of this process: started once, its log captured, its code for the
//! processor found.

use llama_cpp_sys_2 as sys;
use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_void};
use std::sync::OnceLock;

/// What llama.cpp says of its code: instruction sets of the CPU, and libraries.
static FEATURES: OnceLock<Vec<String>> = OnceLock::new();

/// Initialises llama.cpp once for the process and captures its log instead of printing it.
pub fn init() {
    FEATURES.get_or_init(|| {
        // SAFETY: called once, before any other function of the library; the callback is a plain
        // function that lives as long as the program.
        unsafe { sys::llama_log_set(Some(capture_log), std::ptr::null_mut()) };
        #[cfg(feature = "portable")]
        load_code_for_this_processor();
        // SAFETY: as above.
        unsafe { sys::llama_backend_init() };
        read_features()
    });
}

/// Loads the libraries that hold the code for processors: those in `backends` beside the program,
/// else those of the build. llama.cpp takes the best one that this processor can run.
#[cfg(feature = "portable")]
fn load_code_for_this_processor() {
    // The crate panics on other paths.
    if let Some(folder) = folder_of_modules().filter(|folder| folder.to_str().is_some()) {
        llama_cpp_2::llama_backend::load_backends_from_path(&folder);
    }
}

/// Where a portable build has its libraries.
#[cfg(feature = "portable")]
fn folder_of_modules() -> Option<std::path::PathBuf> {
    let beside = std::env::current_exe()
        .ok()
        .and_then(|exe| exe.canonicalize().ok())
        .and_then(|exe| Some(exe.parent()?.join("backends")))
        .filter(|folder| folder.is_dir());
    beside.or_else(|| sys::BACKENDS_DIR.map(std::path::PathBuf::from))
}

/// A library of a portable build, beside those for processors.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Module {
    /// What it is called: `vulkan`, `cuda`, `rpc`.
    pub name: String,
    /// Whether it is in use. One whose driver is missing is not.
    pub loaded: bool,
}

/// The libraries that lie with a portable build, by name; no other build has any.
#[must_use]
pub fn modules() -> Vec<Module> {
    #[cfg(feature = "portable")]
    let folder = folder_of_modules();
    #[cfg(not(feature = "portable"))]
    let folder: Option<std::path::PathBuf> = None;
    let files = folder.and_then(|folder| std::fs::read_dir(folder).ok());
    let names = files.into_iter().flatten().filter_map(|file| {
        let file = file.ok()?.path();
        let stem = file.file_stem()?.to_str()?.to_owned();
        let name = stem
            .strip_prefix("lib")
            .unwrap_or(&stem)
            .strip_prefix("ggml-")?;
        (!name.starts_with("cpu")).then(|| name.to_owned())
    });
    let backends = backends();
    let mut modules: Vec<Module> = names
        .map(|name| Module {
            loaded: backends.iter().any(|backend| is_of(&name, backend)),
            name,
        })
        .collect();
    modules.sort();
    modules.dedup();
    modules
}

impl Module {
    /// Whether it holds the backend that calls itself so.
    #[must_use]
    pub fn is_of(&self, backend: &str) -> bool {
        is_of(&self.name, backend)
    }
}

/// Whether the library of this name holds the backend that calls itself so.
fn is_of(library: &str, backend: &str) -> bool {
    let own = match library {
        "hip" => "ROCm",
        "metal" => "MTL",
        name => name,
    };
    own.eq_ignore_ascii_case(backend)
}

/// The backends in use, by their own names: `CPU`, `RPC`, `Vulkan`.
#[must_use]
pub fn backends() -> Vec<String> {
    init();
    // SAFETY: a plain function that returns a value.
    let count = unsafe { sys::ggml_backend_reg_count() };
    let name = |index: usize| {
        // SAFETY: the index is below the count; names are static and NUL-terminated.
        let name =
            unsafe { CStr::from_ptr(sys::ggml_backend_reg_name(sys::ggml_backend_reg_get(index))) };
        name.to_string_lossy().into_owned()
    };
    (0..count).map(name).collect()
}

fn read_features() -> Vec<String> {
    // SAFETY: called once, before other threads use the library; the text is its own and
    // NUL-terminated.
    let text = unsafe { CStr::from_ptr(sys::llama_print_system_info()) };
    of_cpu(&text.to_string_lossy())
}

/// `CUDA : USE_GRAPHS = 1 | CPU : SSE3 = 1 | AVX2 = 1 | OPENMP = 1 | ` → what is on of the CPU.
fn of_cpu(text: &str) -> Vec<String> {
    let mut backend = "";
    let fields = text.split('|').filter_map(|field| {
        let field = match field.split_once(':') {
            Some((name, field)) => {
                backend = name.trim();
                field
            }
            None => field,
        };
        (backend == "CPU")
            .then_some(field)?
            .trim()
            .strip_suffix(" = 1")
    });
    fields.map(str::to_owned).collect()
}

/// What llama.cpp's code for the CPU uses: instruction sets, libraries such as `OPENMP`.
#[must_use]
pub fn cpu_features() -> &'static [String] {
    init();
    FEATURES.get().map_or(&[], Vec::as_slice)
}

/// Whether threads that wait for each other give way. Those of OpenMP do, where they are more than
/// the cores; ggml's own spin, and then two members with all cores each would be very slow.
#[must_use]
pub fn threads_give_way() -> bool {
    cpu_features().iter().any(|name| name == "OPENMP")
}

/// Whether there is any code for the CPU: a portable build may have lost its libraries.
pub(super) fn has_cpu_code() -> bool {
    // SAFETY: a plain function that returns a value.
    !unsafe { sys::ggml_backend_dev_by_type(sys::GGML_BACKEND_DEVICE_TYPE_CPU) }.is_null()
}

thread_local! {
    /// Warnings and errors that llama.cpp logged on this thread since the last [`take_log`].
    static LOG: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Longest log kept: bytes.
const MAX_LOG: usize = 4096;

unsafe extern "C" fn capture_log(level: sys::ggml_log_level, text: *const c_char, _: *mut c_void) {
    if text.is_null() || !matches!(level, sys::GGML_LOG_LEVEL_WARN | sys::GGML_LOG_LEVEL_ERROR) {
        return;
    }
    // SAFETY: llama.cpp passes a NUL-terminated string that lives during the call.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    // A log line during thread teardown has no buffer any more: let it go.
    let _ = LOG.try_with(|log| {
        if let Ok(mut log) = log.try_borrow_mut()
            && log.len() + text.len() <= MAX_LOG
        {
            log.push_str(&text);
        }
    });
}

/// What llama.cpp logged on this thread, in one line.
pub(super) fn take_log() -> String {
    let log = LOG.with(|log| log.take());
    let lines: Vec<&str> = log
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .collect();
    lines.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_other_backends_report_is_none_of_the_cpu() {
        let text = "CUDA : ARCHS = 900 | USE_GRAPHS = 1 | CPU : SSE3 = 1 | AVX = 0 | OPENMP = 1 | ";
        assert_eq!(of_cpu(text), ["SSE3", "OPENMP"]);
        assert_eq!(of_cpu(""), Vec::<String>::new());
    }

    #[test]
    fn libraries_are_named_otherwise_than_their_backends() {
        for (name, backend, is) in [
            ("vulkan", "Vulkan", true),
            ("hip", "ROCm", true),
            ("metal", "MTL", true),
            ("rpc", "CUDA", false),
        ] {
            let (name, loaded) = (name.to_owned(), false);
            assert_eq!(Module { name, loaded }.is_of(backend), is);
        }
    }
}
