//! What kind of network an architecture name stands for.

use std::fmt;

/// How a model predicts. Only the first three predict the next token of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Attention over a KV cache: sequences can be copied and rolled back. Also every unknown name.
    Decoder,
    /// A state of fixed size: sequences can be copied, not rolled back.
    Recurrent,
    /// Both kinds of layers: not rolled back either.
    Hybrid,
    /// Reads a text, predicts no next token: embeddings, classifiers.
    Encoder,
    /// An encoder before the decoder (T5).
    EncoderDecoder,
    /// Fills in masked tokens in any order.
    Diffusion,
    /// Drafts tokens from another model's hidden states.
    Draft,
    /// Sound.
    Speech,
}

impl Family {
    /// The family of a `general.architecture`.
    pub fn of(architecture: &str) -> Family {
        match architecture {
            "mamba" | "mamba2" | "rwkv6" | "rwkv6qwen2" | "rwkv7" | "arwkv7" => Family::Recurrent,
            "jamba" | "falcon-h1" | "plamo2" | "granitehybrid" | "lfm2" | "lfm2moe"
            | "nemotron_h" | "nemotron_h_moe" | "qwen3next" | "qwen35" | "qwen35moe"
            | "qwen4exp" | "kimi-linear" | "kimi-k3" | "bailingmoe3" | "glm5-next"
            | "deepseek4" | "minimax-01" => Family::Hybrid,
            "bert" | "modern-bert" | "nomic-bert" | "nomic-bert-moe" | "neo-bert"
            | "jina-bert-v2" | "jina-bert-v3" | "eurobert" | "gemma-embedding" | "llama-embed"
            | "t5encoder" | "clef" => Family::Encoder,
            "t5" => Family::EncoderDecoder,
            "dream" | "llada" | "llada-moe" | "rnd1" => Family::Diffusion,
            "eagle3" | "dflash" | "gemma4-assistant" => Family::Draft,
            "wavtokenizer-dec" | "qwen3tts" | "pockettts" => Family::Speech,
            _ => Family::Decoder,
        }
    }

    /// Whether it predicts the next token of a text.
    pub fn generates(self) -> bool {
        matches!(self, Family::Decoder | Family::Recurrent | Family::Hybrid)
    }

    /// Whether the last tokens of a sequence can be taken back.
    pub fn rolls_back(self) -> bool {
        self == Family::Decoder
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Family::Decoder => "a decoder",
            Family::Recurrent => "recurrent",
            Family::Hybrid => "a recurrent and attention hybrid",
            Family::Encoder => "an encoder (embeddings)",
            Family::EncoderDecoder => "an encoder-decoder",
            Family::Diffusion => "a diffusion model",
            Family::Draft => "a draft model",
            Family::Speech => "a sound model",
        })
    }
}
