//! Checks that this processor can run this build.

/// llama.cpp is built for certain instruction sets. Without one of them the program would die of an
/// illegal instruction, so it stops here with an error.
///
/// # Errors
/// A sentence for the user: what is missing and what to do.
pub fn check() -> Result<(), String> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    let off: Vec<String> = missing
        .iter()
        .map(|name| format!("GGML_{name}=OFF"))
        .collect();
    Err(format!(
        "this build of packllm needs a processor with {}, and this one lacks {}; build it with {} in the \
         environment (after `cargo clean -p llama-cpp-sys-2`, if it was built here before)",
        features()
            .iter()
            .map(|(name, _)| *name)
            .collect::<Vec<_>>()
            .join(", "),
        missing.join(", "),
        off.join(" "),
    ))
}

/// Instruction sets that the build uses and this processor lacks.
pub fn missing() -> Vec<&'static str> {
    features()
        .into_iter()
        .filter(|(_, present)| !present)
        .map(|(name, _)| name)
        .collect()
}

/// Instruction sets that the build uses, and whether this processor has them.
pub fn features() -> Vec<(&'static str, bool)> {
    // Written by build.rs.
    env!("PACKLLM_CPU_NEEDS")
        .split(',')
        .filter(|name| !name.is_empty())
        .map(|name| (name, is_present(name)))
        .collect()
}

#[cfg(target_arch = "x86_64")]
fn is_present(name: &str) -> bool {
    match name {
        "AVX" => std::arch::is_x86_feature_detected!("avx"),
        "AVX2" => std::arch::is_x86_feature_detected!("avx2"),
        "FMA" => std::arch::is_x86_feature_detected!("fma"),
        "F16C" => std::arch::is_x86_feature_detected!("f16c"),
        "BMI2" => std::arch::is_x86_feature_detected!("bmi2"),
        _ => false,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn is_present(_: &str) -> bool {
    true
}
