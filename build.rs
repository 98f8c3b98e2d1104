//! Tells the program which instruction sets this build of llama.cpp uses, so that it can report one
//! that the processor lacks. llama.cpp's defaults on x86-64 can be switched off by `GGML_…=OFF` in
//! the environment, which its CMake reads; after a change run `cargo clean -p llama-cpp-sys-2`.

/// Instruction sets that llama.cpp uses by default on x86-64.
const DEFAULTS: [&str; 5] = ["AVX", "AVX2", "FMA", "F16C", "BMI2"];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let x86 = std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "x86_64");
    // A portable build picks the code for the processor when it starts.
    let portable = std::env::var_os("CARGO_FEATURE_PORTABLE").is_some();
    if portable && std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os != "windows") {
        let origin = match std::env::var("CARGO_CFG_TARGET_VENDOR").as_deref() {
            Ok("apple") => "@loader_path",
            _ => "$ORIGIN",
        };
        println!("cargo:rustc-link-arg-bins=-Wl,-rpath,{origin}");
    }
    let mut needs = Vec::new();
    for name in DEFAULTS {
        let variable = format!("GGML_{name}");
        println!("cargo:rerun-if-env-changed={variable}");
        let off = std::env::var(variable)
            .is_ok_and(|v| ["OFF", "0", "FALSE", "NO"].contains(&v.to_uppercase().as_str()));
        if x86 && !off && !portable {
            needs.push(name);
        }
    }
    println!("cargo:rustc-env=PACKLLM_CPU_NEEDS={}", needs.join(","));
}
