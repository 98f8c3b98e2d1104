//! Random weights that give an interesting model.

use super::writer::Writer;
use super::{Breakage, TinyModel};

const LAYERS: u32 = 2;
const EMBEDDING: u32 = 32;
const FEED_FORWARD: u32 = 64;
const HEADS: u32 = 2;
const KV_HEADS: u32 = 1;
/// A multiple of 32, so that the cache can be quantised as well.
const HEAD: u32 = 32;
/// Mamba's inner width (llama.cpp wants twice the embedding), state, convolution and time-step
/// rank.
const INNER: u32 = 2 * EMBEDDING;
const STATE: u32 = 16;
const CONVOLUTION: u32 = 4;
const RANK: u32 = 2;

/// Channel 0 of the hidden state is this constant: no layer writes to it, so that its column in the
/// output matrix is a bias for every token (a llama has no other).
const CONSTANT: f32 = 2.0;
/// About what is left of it after the last norm.
const CONSTANT_AFTER_NORM: f32 = 1.1;

/// The metadata that describes the network, without the architecture's name before them.
pub(super) fn shape(architecture: &str, context: u32) -> Vec<(&'static str, u32)> {
    let mut shape = vec![
        ("context_length", context),
        ("embedding_length", EMBEDDING),
        ("block_count", LAYERS),
    ];
    if architecture == "mamba" {
        shape.extend([
            ("feed_forward_length", 0),
            ("attention.head_count", 0),
            ("ssm.conv_kernel", CONVOLUTION),
            ("ssm.inner_size", INNER),
            ("ssm.state_size", STATE),
            ("ssm.time_step_rank", RANK),
        ]);
    } else {
        shape.extend([
            ("feed_forward_length", FEED_FORWARD),
            ("attention.head_count", HEADS),
            ("attention.head_count_kv", KV_HEADS),
            ("attention.key_length", HEAD),
            ("attention.value_length", HEAD),
            ("rope.dimension_count", HEAD),
        ]);
    }
    shape
}

/// Writes all tensors.
pub(super) fn write(model: &TinyModel, writer: &mut Writer) {
    let mut weights = Weights {
        random: Random(model.seed),
        half: model.half,
        still: !(model.script.is_empty() && model.known.is_empty()),
        writer,
    };
    let tokens = &model.vocabulary.tokens;
    let count = tokens.len() as u32;

    let mut embeddings = weights.random.normals(count * EMBEDDING, 1.0);
    embeddings
        .chunks_mut(EMBEDDING as usize)
        .for_each(|row| row[0] = CONSTANT);
    if weights.still {
        recite_from(model, &mut embeddings);
    }
    weights.matrix_of("token_embd.weight", EMBEDDING, embeddings);

    let mut output = weights
        .random
        .normals(count * EMBEDDING, model.scale / (EMBEDDING as f32).sqrt());
    for (row, token) in output.chunks_mut(EMBEDDING as usize).zip(tokens) {
        if model.ends(token) {
            // Varies less than the others, so that answers have similar lengths for every seed.
            row.iter_mut().for_each(|weight| *weight *= 0.25);
        }
        row[0] = model.bias(token) / CONSTANT_AFTER_NORM;
    }
    if weights.still {
        recite(model, &mut output);
    }
    weights.matrix_of("output.weight", EMBEDDING, output);
    let norm = if model.breakage == Breakage::Nan {
        f32::NAN
    } else {
        1.0
    };
    weights.fill("output_norm.weight", &[EMBEDDING], norm);

    for layer in 0..LAYERS {
        let name = |part: &str| format!("blk.{layer}.{part}");
        weights.fill(&name("attn_norm.weight"), &[EMBEDDING], 1.0);
        if model.architecture == "mamba" {
            weights.mamba(&name);
        } else {
            weights.attention(&name);
        }
    }
}

/// A script is a chain of tokens: channel 1 + i of the hidden state is loud after the script's
/// first i tokens, and channel 1 after any other.
const LOUD: f32 = 10.0;
/// It adds about five times this to the next token's logit.
const STEEP: f32 = 8.0;

/// What is known is so many chains of a word and its answer: channel 2 + 2i is loud after word i,
/// the one after it after its answer, and channel 1, which nothing listens to, after any other.
fn recite_from(model: &TinyModel, embeddings: &mut [f32]) {
    let rows = embeddings.chunks_mut(EMBEDDING as usize);
    for (row, token) in rows.zip(&model.vocabulary.tokens) {
        let said = |text: &String| *text == token.text;
        let at = match model.known.is_empty() {
            true => model.script.iter().position(said),
            false => model.known.iter().flatten().position(said),
        };
        row[1..].fill(0.0);
        row[1 + at.map_or(0, |i| i + 1)] = LOUD;
    }
}

fn recite(model: &TinyModel, output: &mut [f32]) {
    let rows = output.chunks_mut(EMBEDDING as usize);
    for (row, token) in rows.zip(&model.vocabulary.tokens) {
        row[1..].fill(0.0);
        let at = model.script.iter().position(|text| *text == token.text);
        let end = model.ends(token).then_some(model.script.len());
        if let Some(i) = at.or(end).filter(|_| model.known.is_empty()) {
            row[1 + i] = STEEP;
        }
        for (i, [_, answer]) in model.known.iter().enumerate() {
            if *answer == token.text {
                row[2 + 2 * i] = STEEP;
            }
            if model.ends(token) {
                row[3 + 2 * i] = STEEP;
            }
        }
    }
}

struct Weights<'w> {
    random: Random,
    half: bool,
    /// No layer adds anything: the next token depends on the last alone.
    still: bool,
    writer: &'w mut Writer,
}

impl Weights<'_> {
    fn attention(&mut self, name: &dyn Fn(&str) -> String) {
        // Queries twice as long as usual: attention then prefers some tokens to others.
        self.matrix(&name("attn_q.weight"), EMBEDDING, HEADS * HEAD, 2.0);
        self.matrix(&name("attn_k.weight"), EMBEDDING, KV_HEADS * HEAD, 1.0);
        self.matrix(&name("attn_v.weight"), EMBEDDING, KV_HEADS * HEAD, 1.0);
        self.residual(&name("attn_output.weight"), HEADS * HEAD);
        self.fill(&name("ffn_norm.weight"), &[EMBEDDING], 1.0);
        self.matrix(&name("ffn_gate.weight"), EMBEDDING, FEED_FORWARD, 1.0);
        self.matrix(&name("ffn_up.weight"), EMBEDDING, FEED_FORWARD, 1.0);
        self.residual(&name("ffn_down.weight"), FEED_FORWARD);
    }

    fn mamba(&mut self, name: &dyn Fn(&str) -> String) {
        self.matrix(&name("ssm_in.weight"), EMBEDDING, 2 * INNER, 1.0);
        let taps = self.random.normals(CONVOLUTION * INNER, 0.5);
        self.writer.tensor(
            &name("ssm_conv1d.weight"),
            &[CONVOLUTION, INNER],
            &taps,
            false,
        );
        self.fill(&name("ssm_conv1d.bias"), &[INNER], 0.0);
        self.matrix(&name("ssm_x.weight"), INNER, RANK + 2 * STATE, 1.0);
        self.matrix(&name("ssm_dt.weight"), RANK, INNER, 0.5);
        // softplus(−2) = 0.13: a memory of some dozen tokens in the slowest states.
        self.fill(&name("ssm_dt.bias"), &[INNER], -2.0);
        let decay: Vec<f32> = (0..INNER)
            .flat_map(|_| (1..=STATE).map(|state| -(state as f32) / 4.0))
            .collect();
        self.writer
            .tensor(&name("ssm_a"), &[STATE, INNER], &decay, false);
        self.fill(&name("ssm_d"), &[INNER], 1.0);
        self.residual(&name("ssm_out.weight"), INNER);
    }

    /// A matrix of `outputs` rows that gives inputs of unit variance the deviation `gain`.
    fn matrix(&mut self, name: &str, inputs: u32, outputs: u32, gain: f32) {
        let values = self
            .random
            .normals(inputs * outputs, gain / (inputs as f32).sqrt());
        self.matrix_of(name, inputs, values);
    }

    /// A matrix whose result is added to the hidden state: it leaves channel 0 alone.
    fn residual(&mut self, name: &str, inputs: u32) {
        let mut values = self
            .random
            .normals(inputs * EMBEDDING, 1.0 / (inputs as f32).sqrt());
        let silent = if self.still {
            values.len()
        } else {
            inputs as usize
        };
        values[..silent].fill(0.0);
        self.matrix_of(name, inputs, values);
    }

    fn matrix_of(&mut self, name: &str, inputs: u32, values: Vec<f32>) {
        let outputs = values.len() as u32 / inputs;
        self.writer
            .tensor(name, &[inputs, outputs], &values, self.half);
    }

    fn fill(&mut self, name: &str, dims: &[u32], value: f32) {
        let count: u32 = dims.iter().product();
        self.writer
            .tensor(name, dims, &vec![value; count as usize], false);
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// About normal: the sum of four uniform numbers. No logarithm or cosine, which differ by
    /// platform.
    fn normals(&mut self, count: u32, deviation: f32) -> Vec<f32> {
        let one = |word: u64| {
            let sum: u64 = (0..4).map(|part| (word >> (16 * part)) & 0xffff).sum();
            // Four uniform numbers in 0..65536 have the mean 131070 and the deviation 65536 / √3.
            (sum as f32 - 131_070.0) / 37_837.2
        };
        (0..count).map(|_| one(self.next()) * deviation).collect()
    }
}
