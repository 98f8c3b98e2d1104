//! The memory estimate, against what llama.cpp allocated.

use super::*;

/// What llama.cpp allocated on the CPU: context, micro-batch, outputs, sequences; MiB of cache and
/// compute buffer.
type Measured = (u32, u32, u32, u32, f64, f64);

fn check_footprint(header: &Header, measured: &[Measured]) {
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    for &(context, ubatch, outputs, sequences, cache, compute) in measured {
        let plan = Plan {
            context,
            ubatch,
            outputs,
            sequences,
            ..Plan::default()
        };
        let usage = Footprint::of(header, &plan).host;
        let logits = 4 * u64::from(outputs.max(sequences)) * header.summary().vocab_size;
        assert_eq!(mib(usage.cache), cache, "{plan:?}");
        let ratio = mib(usage.compute - logits) / compute;
        assert!((0.985..1.015).contains(&ratio), "{plan:?}: {ratio}");
    }
}

#[test]
fn footprint_is_what_llama_cpp_allocates() {
    let gemma = network("gemma3", 18, 640, 4)
        .u32("gemma3.attention.head_count_kv", 1)
        .u32("gemma3.attention.key_length", 256)
        .u32("gemma3.attention.value_length", 256)
        .u32("gemma3.attention.sliding_window", 512)
        .u32("gemma3.feed_forward_length", 2048)
        .tokens(262_144);
    let measured = [
        (4096, 512, 512, 1, 72.0, 526.28),
        (4096, 512, 1, 1, 72.0, 26.28),
        (4096, 512, 16, 16, 72.0, 30.28),
        (4096, 128, 8, 8, 72.0, 11.57),
        (512, 512, 1, 1, 9.0, 19.28),
        (16384, 128, 1, 1, 288.0, 12.57),
    ];
    check_footprint(&read(&gemma.file()).expect("a header"), &measured);

    let smollm = network("llama", 30, 576, 9)
        .u32("llama.attention.head_count_kv", 3)
        .u32("llama.feed_forward_length", 1536)
        .tokens(49_152);
    let measured = [
        (4096, 512, 512, 1, 90.0, 106.77),
        (4096, 512, 1, 1, 90.0, 18.64),
        (4096, 64, 64, 8, 90.0, 13.35),
        (16384, 512, 1, 1, 360.0, 30.64),
    ];
    check_footprint(&read(&smollm.file()).expect("a header"), &measured);
}

#[test]
fn gpu_layers_share_out_the_weights() {
    let header = read(&llama().file()).expect("a good file");
    let weights = WeightBytes::of(&header);
    assert_eq!(
        (weights.input, weights.output, weights.tied),
        (2560, 256, true)
    );
    assert_eq!(weights.layers, [8192, 2304]);
    let at = |gpu_layers: i32| {
        Footprint::of(
            &header,
            &Plan {
                gpu_layers,
                ..Plan::default()
            },
        )
    };
    assert_eq!(at(0).device, Usage::default());
    // The output matrix goes first, and takes a copy of the token embeddings along.
    assert_eq!(at(1).device.weights, 256 + 2560);
    assert_eq!(at(1).device.cache, 0);
    assert_eq!(at(2).device.weights, 256 + 2560 + 2304);
    assert_eq!(at(2).device.cache, at(2).host.cache);
    assert_eq!(at(3), at(-1));
    assert_eq!(at(3).host.weights, 2560);
}

#[test]
fn caches_of_other_kinds() {
    let cache = |draft: Draft, sequences: u32| {
        let header = read(&draft.file()).expect("a good file");
        Footprint::of(
            &header,
            &Plan {
                context: 256,
                sequences,
                ..Plan::default()
            },
        )
        .host
        .cache
    };
    let layer = 2 * 2 * 64 * 256; // Keys and values of 4 heads of 16, f16.
    let last = cache(llama().u32("llama.attention.shared_kv_layers", 1), 1);
    assert_eq!(last, layer);
    assert_eq!(
        cache(llama().u32("llama.attention.key_length_mla", 1), 1),
        layer
    );
    let quantised = Plan {
        context: 256,
        key_type: TensorType::from_name("q8_0").expect("a format"),
        ..Plan::default()
    };
    let header = read(&llama().file()).expect("a good file");
    assert_eq!(
        Footprint::of(&header, &quantised).host.cache,
        layer + 2 * 64 * 256 * 34 / 32
    );

    let mamba = network("mamba", 2, 64, 0)
        .u32("mamba.ssm.conv_kernel", 4)
        .u32("mamba.ssm.inner_size", 128)
        .u32("mamba.ssm.state_size", 16);
    assert_eq!(cache(mamba, 3), 2 * 3 * 4 * (3 * 128 + 16 * 128));
    let kv_heads: Vec<u8> = [0u32, 4]
        .iter()
        .flat_map(|heads| heads.to_le_bytes())
        .collect();
    let lfm = network("lfm2", 2, 64, 4)
        .u32("lfm2.shortconv.l_cache", 3)
        .array("lfm2.attention.head_count_kv", 4, 2, &kv_heads);
    assert_eq!(cache(lfm, 1), layer + 4 * 64 * 2);
}
