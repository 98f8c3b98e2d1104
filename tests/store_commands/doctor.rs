//! `packllm doctor`.

use super::*;

#[test]
fn the_machine_is_described_without_a_pack() {
    let user = User::new();
    let done = user.run(&["doctor"]);
    assert_eq!(done.code, 0, "{}", done.err);
    says(
        &done.out,
        &["packllm", "cpu", "physical core", "store", "0 models"],
    );
    says(&done.err, &["--pack starter"]);
    let document = user.json(&["doctor", "--json"]);
    assert_eq!(document["version"], env!("CARGO_PKG_VERSION"));
    assert!(document["cpu"]["physical_cores"].as_u64().unwrap() > 0);
    assert!(!document["devices"].as_array().unwrap().is_empty());
    assert!(document.get("pack").is_none());
}

#[test]
fn a_pack_is_weighed_before_it_is_loaded() {
    let user = User::new();
    let (bpe, spm) = user.models();
    let args = [
        "doctor", "-m", &bpe, "-m", &spm, "-t", "6", "-c", "512", "-dev", "none",
    ];
    let text = user.ok(&args);
    says(
        &text,
        &[
            "pack ad-hoc: 2 members",
            "on CPU, 3 threads",
            "context 512 of 2048 tokens",
        ],
    );
    says(&text, &["KV cache", "together", "fits"]);
    let document = user.json(&[&args[..], &["--json"]].concat());
    let pack = &document["pack"];
    let member = &pack["members"][0];
    assert_eq!(member["architecture"], "llama");
    assert_eq!(
        (&member["context"], &member["threads"]),
        (&512.into(), &3.into())
    );
    // All threads, if waiting threads give way.
    let for_prompts = member["threads_batch"].as_u64();
    assert!(matches!(for_prompts, Some(3 | 6)), "{for_prompts:?}");
    let total = |k: usize| pack["members"][k]["host"]["total"].as_u64().unwrap();
    assert_eq!(
        pack["memories"][0]["needed"].as_u64(),
        Some(total(0) + total(1))
    );
    // Twice the context, twice the cache.
    let cache = |context: &str| {
        let document = user.json(&[
            "doctor", "-m", &bpe, "-dev", "none", "-c", context, "--json",
        ]);
        document["pack"]["members"][0]["host"]["cache"]
            .as_u64()
            .unwrap()
    };
    assert_eq!(cache("1024"), 2 * cache("512"));
}

#[test]
fn what_would_not_load_is_said_before() {
    let user = User::new();
    let (bpe, _) = user.models();
    let lora = text(&TinyModel::bpe(1).adapter().write(user.path("lora.gguf")));
    let done = user.run(&["doctor", "-m", &bpe, "-m", &lora, "--json"]);
    assert_eq!(done.code, 1);
    let document: Value = serde_json::from_str(&done.out).unwrap();
    says(
        document["pack"]["members"][1]["error"].as_str().unwrap(),
        &["LoRA adapter"],
    );
    assert_eq!(document["pack"]["fits"], Value::Null);
    says(&done.err, &["error: lora: ", "lora.gguf: ", "hint: "]);
    assert_eq!(done.err.matches("LoRA adapter").count(), 1, "told once");

    let done = user.run(&["doctor", "-m", &bpe, "-c", "4096"]);
    assert_eq!(done.code, 1);
    says(&done.err, &["trained with 2048", "-c 2048"]);
    says(&user.fails(&["doctor", "-m", "no.gguf"]), &["no.gguf"]);
    says(
        &user.fails(&["doctor", "--pack", "starter"]),
        &["packllm models pull"],
    );
    says(
        &user.fails(&["doctor", "--pack", "stater"]),
        &["did you mean `starter`?"],
    );
    assert_eq!(user.run(&["doctor", "-m", &bpe, "-c", "0"]).code, 2);
}

#[cfg(not(any(
    feature = "cuda",
    feature = "metal",
    feature = "vulkan",
    feature = "rocm"
)))]
#[test]
fn a_gpu_that_this_build_lacks_is_an_error_with_a_hint() {
    let user = User::new();
    let (bpe, _) = user.models();
    for request in [
        ["-ngl", "1"],
        ["-ngl", "all"],
        ["-dev", "CUDA0"],
        ["-mg", "0"],
    ] {
        for pack in [&["-m", bpe.as_str()][..], &[]] {
            let err = user.fails(&[&["doctor"], &request[..], pack].concat());
            says(
                &err,
                &["this build has no GPU backend", "hint: ", "--features"],
            );
        }
    }
    user.ok(&["doctor", "-m", &bpe, "-ngl", "0"]);
    assert_eq!(user.run(&["doctor", "-ngl", "some"]).code, 2);
}
