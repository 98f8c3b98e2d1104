//! Arguments that several commands take.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Which models, and how they are loaded.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Pack")]
pub struct PackArgs {
    /// A pack by name or manifest file [env: PACKLLM_PACK=]
    #[arg(long, value_name = "NAME|FILE", conflicts_with = "model")]
    pub pack: Option<String>,
    /// A GGUF file, or its name in the store; repeat for a pack without a manifest
    #[arg(short, long, value_name = "FILE")]
    pub model: Vec<PathBuf>,
    /// Tokens of context per member [default: 4096, or what the member was trained with if less]
    #[arg(short, long, value_name = "N", env = "PACKLLM_CTX_SIZE")]
    pub ctx_size: Option<u32>,
    /// Threads for all members together [default: the physical cores]
    #[arg(short, long, value_name = "N", env = "PACKLLM_THREADS")]
    pub threads: Option<u32>,
    /// Largest batch in tokens
    #[arg(
        short,
        long,
        value_name = "N",
        env = "PACKLLM_BATCH_SIZE",
        default_value_t = 512
    )]
    pub batch_size: u32,
    /// Largest batch evaluated at once in tokens (-ub)
    #[arg(
        long,
        value_name = "N",
        env = "PACKLLM_UBATCH_SIZE",
        default_value_t = 512
    )]
    pub ubatch_size: u32,
    /// Layers on the GPU: a number, `all` or `auto` (-ngl) [default: auto]
    #[arg(long, value_name = "N", env = "PACKLLM_N_GPU_LAYERS")]
    pub n_gpu_layers: Option<String>,
    /// Devices to use, separated by commas; `none` for the CPU alone (-dev)
    #[arg(
        long,
        value_name = "NAMES",
        env = "PACKLLM_DEVICE",
        value_delimiter = ','
    )]
    pub device: Vec<String>,
    /// Share of the model for each GPU, separated by commas (-ts)
    #[arg(
        long,
        value_name = "SHARES",
        env = "PACKLLM_TENSOR_SPLIT",
        value_delimiter = ','
    )]
    pub tensor_split: Vec<f32>,
    /// The one GPU to use (-mg)
    #[arg(long, value_name = "INDEX", env = "PACKLLM_MAIN_GPU")]
    pub main_gpu: Option<i32>,
    /// Flash attention (-fa)
    #[arg(
        long,
        value_name = "WHEN",
        env = "PACKLLM_FLASH_ATTN",
        default_value = "auto"
    )]
    pub flash_attn: FlashAttention,
    /// Element type of the K cache (-ctk)
    #[arg(
        long,
        value_name = "TYPE",
        env = "PACKLLM_CACHE_TYPE_K",
        default_value = "f16"
    )]
    pub cache_type_k: CacheName,
    /// Element type of the V cache (-ctv); quantised types need flash attention
    #[arg(
        long,
        value_name = "TYPE",
        env = "PACKLLM_CACHE_TYPE_V",
        default_value = "f16"
    )]
    pub cache_type_v: CacheName,
    /// Never use the network
    #[arg(long, env = "PACKLLM_OFFLINE")]
    pub offline: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum FlashAttention {
    #[default]
    Auto,
    On,
    Off,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum CacheName {
    F32,
    #[default]
    F16,
    Q8_0,
    Q4_0,
}

/// How members are fused.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Fusion")]
pub struct FusionArgs {
    /// Shared alphabet [default: auto]
    #[arg(long, env = "PACKLLM_VOCAB")]
    pub vocab: Option<VocabName>,
    /// With --vocab mined: the member, or the tokenizer.json, whose vocabulary is the reference [default: the
    /// member with the lowest loss per token]
    #[arg(long, value_name = "NAME|FILE", env = "PACKLLM_REFERENCE")]
    pub reference: Option<String>,
    /// How distributions are combined: log or linear [default: log]
    #[arg(long, env = "PACKLLM_MIX")]
    pub mix: Option<String>,
    /// uniform, top1, sim, opt, exact, adaptive, or NAME=WEIGHT,… [default: exact]
    #[arg(long, env = "PACKLLM_WEIGHTS")]
    pub weights: Option<String>,
    /// Let `adaptive` follow the answer too while it is made; usually it teaches nothing
    #[arg(long, env = "PACKLLM_FOLLOW_ANSWER")]
    pub follow_answer: bool,
    #[command(flatten)]
    pub numbers: FusionNumbers,
}

/// The numbers of a fusion, the same for every way of fusing.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Fusion")]
pub struct FusionNumbers {
    /// Temperature of `sim` [default: 1]
    #[arg(long, env = "PACKLLM_TAU")]
    pub tau: Option<f64>,
    /// Bytes of text that the prior weights of `exact` are worth (the manifest's, else those by `sim`); 0
    /// ignores them [default: 20]
    #[arg(long, value_name = "N", env = "PACKLLM_PRIOR_BYTES")]
    pub prior_bytes: Option<f64>,
    /// How fast `adaptive` follows the text [default: 0.05]
    #[arg(long, env = "PACKLLM_RATE")]
    pub rate: Option<f64>,
    /// Smallest share of a token path that is evaluated; 0 evaluates all [default: 0.03]
    #[arg(long, env = "PACKLLM_EPSILON")]
    pub epsilon: Option<f64>,
    /// Most token paths kept per member [default: 8]
    #[arg(long, env = "PACKLLM_HEADS")]
    pub heads: Option<usize>,
    /// Members under this weight are not evaluated [default: 0.02]
    #[arg(long, env = "PACKLLM_DROP")]
    pub drop: Option<f64>,
    /// Smallest probability a member may give in log mixing [default: 1e-10]
    #[arg(long, env = "PACKLLM_FLOOR")]
    pub floor: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum VocabName {
    Auto,
    Tokens,
    Bytes,
    /// The vocabulary of the member with the lowest loss per token, the others mapped to it by edit
    /// distance: as published, for comparison
    Mined,
}

/// How an answer is drawn.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Sampling")]
pub struct SampleArgs {
    /// Most tokens to generate, counted by the leading member; -1 until the end
    #[arg(short = 'n', long, value_name = "N", env = "PACKLLM_PREDICT", default_value_t = -1, allow_negative_numbers = true)]
    pub predict: i64,
    /// Seed of the draw [default: random, shown]
    #[arg(short, long, env = "PACKLLM_SEED")]
    pub seed: Option<u64>,
    /// Temperature; 0 takes the likeliest symbol
    #[arg(
        long,
        env = "PACKLLM_TEMP",
        default_value_t = 0.8,
        allow_negative_numbers = true
    )]
    pub temp: f64,
    /// Keep this many of the likeliest symbols; 0 keeps all
    #[arg(long, env = "PACKLLM_TOP_K", default_value_t = 40)]
    pub top_k: usize,
    /// Keep the likeliest symbols up to this mass
    #[arg(long, env = "PACKLLM_TOP_P", default_value_t = 0.95)]
    pub top_p: f64,
    /// Keep symbols with this fraction of the likeliest one's probability
    #[arg(long, env = "PACKLLM_MIN_P", default_value_t = 0.05)]
    pub min_p: f64,
    /// Divide the probability of what would repeat; 1 is off
    #[arg(long, env = "PACKLLM_REPEAT_PENALTY", default_value_t = 1.0)]
    pub repeat_penalty: f64,
    /// How many of the last tokens the penalty looks at; -1 is the whole answer
    #[arg(
        long,
        env = "PACKLLM_REPEAT_LAST_N",
        default_value_t = 64,
        allow_negative_numbers = true
    )]
    pub repeat_last_n: i64,
    /// Text that ends the answer; repeat for several
    #[arg(short = 'r', long, value_name = "TEXT")]
    pub stop: Vec<String>,
}

/// Whether tokens are evaluated ahead.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Sampling")]
pub struct DraftArgs {
    /// Where the text repeats itself, evaluate several tokens at once; what is said follows the same
    /// distribution
    #[arg(long, value_enum, default_value_t, env = "PACKLLM_DRAFT")]
    pub draft: DraftName,
}

/// Whether a prompt outlives the program.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Prompt")]
pub struct PromptCacheArgs {
    /// Keep the messages before the last (a long system prompt, say) in this file, as every member has read
    /// them; the next time they are taken from there, and the answer is the same as without
    #[arg(long, value_name = "FILE", env = "PACKLLM_PROMPT_CACHE")]
    pub prompt_cache: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum DraftName {
    Auto,
    #[default]
    Off,
}

/// How an answer is shown on a terminal; elsewhere it is written as it is.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Look")]
pub struct LookArgs {
    /// Show Markdown as it is written, without styles
    #[arg(long, env = "PACKLLM_PLAIN")]
    pub plain: bool,
    /// What a model thinks before it answers (`<think>`): show it, fold it to a line with its length, or off: templates
    /// are asked to let it answer at once, and what it thinks all the same is hidden
    #[arg(
        long,
        value_name = "HOW",
        env = "PACKLLM_THINK",
        default_value = "show"
    )]
    pub think: Think,
    /// Show which member argued most for each word: coloured, or marked under the answer where there are no colours
    #[arg(long, env = "PACKLLM_ATTRIBUTION")]
    pub attribution: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Think {
    Show,
    Fold,
    Off,
}

/// The text to work on.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Prompt")]
pub struct PromptArgs {
    /// The prompt; `-` reads it from stdin
    #[arg(
        short,
        long,
        value_name = "TEXT",
        conflicts_with = "file",
        allow_hyphen_values = true
    )]
    pub prompt: Option<String>,
    /// Read the prompt from a file (one line feed at its end is cut off)
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// System prompt (-sys)
    #[arg(
        long,
        value_name = "TEXT",
        conflicts_with = "raw",
        allow_hyphen_values = true
    )]
    pub system_prompt: Option<String>,
    /// Take the prompt as plain text, without chat templates
    #[arg(long)]
    pub raw: bool,
}
