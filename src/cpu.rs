//! Whether this processor can run this build.

/// llama.cpp is built for one instruction set, and a processor without it would die of an illegal
/// instruction: say so instead.
///
/// # Errors
/// A sentence for people: what is missing and what to do.
pub fn check() -> Result<(), String> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "this build of packllm needs a processor with {}, and this one has not got {}; build packllm \
         on this machine with GGML_AVX2=OFF GGML_FMA=OFF GGML_F16C=OFF GGML_BMI2=OFF in the environment",
        REQUIRED,
        missing.join(", ")
    ))
}

#[cfg(target_arch = "x86_64")]
const REQUIRED: &str = "AVX2, FMA, F16C and BMI2";
#[cfg(not(target_arch = "x86_64"))]
const REQUIRED: &str = "nothing special";

/// Instruction sets that the build uses and this processor lacks.
#[cfg(target_arch = "x86_64")]
pub fn missing() -> Vec<&'static str> {
    features().into_iter().filter(|(_, present)| !present).map(|(name, _)| name).collect()
}

/// Instruction sets that the build uses, and whether this processor has them.
#[cfg(target_arch = "x86_64")]
pub fn features() -> Vec<(&'static str, bool)> {
    vec![
        ("AVX2", std::arch::is_x86_feature_detected!("avx2")),
        ("FMA", std::arch::is_x86_feature_detected!("fma")),
        ("F16C", std::arch::is_x86_feature_detected!("f16c")),
        ("BMI2", std::arch::is_x86_feature_detected!("bmi2")),
    ]
}

#[cfg(not(target_arch = "x86_64"))]
pub fn missing() -> Vec<&'static str> {
    Vec::new()
}

#[cfg(not(target_arch = "x86_64"))]
pub fn features() -> Vec<(&'static str, bool)> {
    Vec::new()
}
