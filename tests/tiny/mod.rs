//! Tiny models of random weights, written on the fly: llama.cpp loads and runs them, so tests can
//! go through the real backend without a download.
//!
//! ```ignore
//! let path = TinyModel::bpe(7).write(dir.join("bpe.gguf"));
//! let base = TinyModel::spm(1).with_pieces(&[" Wasser"]).write(dir.join("spm.gguf"));
//! ```
//!
//! A model has 2 layers of width 32 and some hundred tokens: 100 to 300 kB, loaded in a few
//! milliseconds. Its next token depends on everything before it. Logits have a spread of
//! [`TinyModel::with_scale`], so a step has 2 to 5 bits, and each token has a bias: readable pieces
//! come often, byte tokens seldom, control tokens almost never, an end now and then
//! ([`TinyModel::with_end_bias`]). The same arguments give the same bytes on every machine; another
//! seed gives other weights under the same vocabulary.

// Every test binary uses a part of this; tests may panic.
#![allow(dead_code, unreachable_pub, clippy::expect_used)]

mod vocabulary;
mod weights;
mod writer;

use std::fs;
use std::path::{Path, PathBuf};

pub use vocabulary::{Kind, Token, Vocabulary};
use writer::Writer;

/// ChatML, as SmolLM2 and Qwen have it.
pub const CHATML: &str = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + \
    message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}\
    {{ '<|im_start|>assistant\\n' }}{% endif %}";

/// How the file is broken, for tests of guards.
#[derive(Debug, Clone, PartialEq)]
enum Breakage {
    None,
    /// NaN in the last norm: it loads, and all logits are NaN.
    Nan,
    /// The last bytes are missing.
    Truncated(usize),
    /// No tensors.
    VocabularyOnly,
    /// Says that it is part 1 of this many.
    Split(u16),
    /// Says that it is a LoRA adapter.
    Adapter,
}

/// A model to be written. Start with [`TinyModel::spm`] or [`TinyModel::bpe`].
#[derive(Debug, Clone)]
pub struct TinyModel {
    seed: u64,
    vocabulary: Vocabulary,
    architecture: String,
    tokenizer: Option<String>,
    template: Option<String>,
    context: u32,
    add_bos: bool,
    add_space_prefix: bool,
    eot: Option<String>,
    scale: f32,
    end_bias: f32,
    half: bool,
    /// The pieces of a fixed answer, as the file spells them, one token each; empty for a random
    /// one.
    script: Vec<String>,
    /// Words with the answers to them, likewise; used without a script.
    known: Vec<[String; 2]>,
    breakage: Breakage,
}

impl TinyModel {
    /// A base model with a SentencePiece vocabulary: `<unk>`, `<s>`, `</s>`, 256 byte tokens,
    /// ASCII, some words and multi-byte letters. Adds BOS and a space before the text; no template.
    pub fn spm(seed: u64) -> TinyModel {
        TinyModel::new(seed, Vocabulary::spm())
    }

    /// An instruct model with a byte-level BPE vocabulary (pre-tokenizer `gpt-2`), `<|endoftext|>`,
    /// `<|im_start|>`, `<|im_end|>` (EOS) and a ChatML template. Adds no BOS.
    pub fn bpe(seed: u64) -> TinyModel {
        TinyModel {
            template: Some(CHATML.to_owned()),
            add_bos: false,
            ..TinyModel::new(seed, Vocabulary::bpe())
        }
    }

    fn new(seed: u64, vocabulary: Vocabulary) -> TinyModel {
        TinyModel {
            seed,
            vocabulary,
            architecture: "llama".to_owned(),
            tokenizer: None,
            template: None,
            context: 2048,
            add_bos: true,
            add_space_prefix: true,
            eot: None,
            scale: 2.5,
            end_bias: 2.5,
            half: false,
            script: Vec::new(),
            known: Vec::new(),
            breakage: Breakage::None,
        }
    }

    /// `tokenizer.chat_template`.
    pub fn with_template(mut self, template: &str) -> TinyModel {
        self.template = Some(template.to_owned());
        self
    }

    /// No chat template.
    pub fn without_template(mut self) -> TinyModel {
        self.template = None;
        self
    }

    /// More pieces of text, spaces written as spaces. Their beginnings become tokens too, so that
    /// the tokenizer can reach them.
    pub fn with_pieces(mut self, pieces: &[&str]) -> TinyModel {
        for piece in pieces {
            self.vocabulary.add_piece(piece);
        }
        self
    }

    /// Answers with these pieces, all different and at most 30, and ends, whatever it reads.
    pub fn saying(self, pieces: &[&str]) -> TinyModel {
        let model = self.with_pieces(pieces);
        let spelt = pieces.iter().map(|piece| model.vocabulary.spelt(piece));
        let script = spelt.collect();
        TinyModel { script, ..model }
    }

    /// Answers a prompt that ends in one of these words with what stands beside it, and ends; after
    /// anything else all pieces are equally likely.
    pub fn knowing(self, known: &[[&str; 2]]) -> TinyModel {
        let pieces: Vec<&str> = known.iter().flatten().copied().collect();
        let model = self.with_pieces(&pieces);
        let spelt = |pair: &[&str; 2]| pair.map(|piece| model.vocabulary.spelt(piece));
        let known = known.iter().map(spelt).collect();
        TinyModel { known, ..model }
    }

    /// More control tokens, such as `<|im_start|>`.
    pub fn with_controls(mut self, controls: &[&str]) -> TinyModel {
        for control in controls {
            self.vocabulary.add(control, Kind::Control);
        }
        self
    }

    /// Names an end-of-turn token (`tokenizer.ggml.eot_token_id`), which is added if need be.
    /// Beware: llama.cpp takes `<|im_end|>`, `<end_of_turn>` and the like for an end by their
    /// spelling alone.
    pub fn with_eot(mut self, token: &str) -> TinyModel {
        self.vocabulary.add(token, Kind::Control);
        self.eot = Some(token.to_owned());
        self
    }

    /// No end-of-generation token and no EOS id. llama.cpp then takes its default for EOS, id 2
    /// (SPM) or 11 (BPE): here the byte tokens of 0x00 and 0x0B.
    pub fn without_end(mut self) -> TinyModel {
        self.vocabulary.remove_end();
        self.eot = None;
        self
    }

    /// Spread of the logits (their standard deviation before biases): 0 is near-uniform, 5 almost
    /// deterministic.
    pub fn with_scale(mut self, scale: f32) -> TinyModel {
        self.scale = scale;
        self
    }

    /// Bias of the end-of-generation tokens, as a logit: 2.5 ends an answer after 50 to 100 tokens
    /// at the usual scale, 5 after a dozen, −30 never.
    pub fn with_end_bias(mut self, bias: f32) -> TinyModel {
        self.end_bias = bias;
        self
    }

    /// Matrices in f16 instead of f32.
    pub fn half(mut self) -> TinyModel {
        self.half = true;
        self
    }

    /// `context_length`: tokens.
    pub fn with_context(mut self, tokens: u32) -> TinyModel {
        self.context = tokens;
        self
    }

    /// `tokenizer.ggml.add_bos_token`.
    pub fn with_bos(mut self, add: bool) -> TinyModel {
        self.add_bos = add;
        self
    }

    /// `tokenizer.ggml.add_space_prefix` (SPM only).
    pub fn with_space_prefix(mut self, add: bool) -> TinyModel {
        self.add_space_prefix = add;
        self
    }

    /// A working recurrent network (`mamba`) under the same vocabulary.
    pub fn mamba(self) -> TinyModel {
        self.with_architecture("mamba")
    }

    /// Another `general.architecture`. Only `llama` and `mamba` run; `bert` and others are for
    /// guards.
    pub fn with_architecture(mut self, architecture: &str) -> TinyModel {
        self.architecture = architecture.to_owned();
        self
    }

    /// Another `tokenizer.ggml.model`, such as `t5` (unigram) or `bert` (WordPiece), for guards.
    pub fn with_tokenizer(mut self, model: &str) -> TinyModel {
        self.tokenizer = Some(model.to_owned());
        self
    }

    /// NaN among the weights: the file loads, all logits are NaN.
    pub fn with_nan(self) -> TinyModel {
        self.broken(Breakage::Nan)
    }

    /// Without its last `bytes` bytes.
    pub fn truncated(self, bytes: usize) -> TinyModel {
        self.broken(Breakage::Truncated(bytes))
    }

    /// Metadata and vocabulary, no tensors.
    pub fn vocabulary_only(self) -> TinyModel {
        self.broken(Breakage::VocabularyOnly)
    }

    /// Says that it is the first of `parts` files.
    pub fn split(self, parts: u16) -> TinyModel {
        self.broken(Breakage::Split(parts))
    }

    /// Says that it is a LoRA adapter.
    pub fn adapter(self) -> TinyModel {
        self.broken(Breakage::Adapter)
    }

    fn broken(mut self, breakage: Breakage) -> TinyModel {
        self.breakage = breakage;
        self
    }

    /// The vocabulary, tokens in the order of their ids.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// Writes the file, making its folder if need be, and returns its path.
    pub fn write(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).expect("the folder can be made");
        }
        fs::write(path, self.bytes()).expect("the tiny model can be written");
        path.to_path_buf()
    }

    /// The file's content.
    pub fn bytes(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        self.metadata(&mut writer);
        self.tokens(&mut writer);
        if self.breakage != Breakage::VocabularyOnly {
            weights::write(self, &mut writer);
        }
        let mut bytes = writer.finish();
        if let Breakage::Truncated(missing) = self.breakage {
            bytes.truncate(bytes.len() - missing);
        }
        bytes
    }

    /// The same model split into files, as llama.cpp's gguf-split does.
    pub fn in_parts(&self, of: u16) -> Vec<Vec<u8>> {
        let mut whole = Writer::default();
        weights::write(self, &mut whole);
        let all = i32::try_from(whole.tensor_count()).expect("few tensors");
        let part = |part: u16| {
            let mut writer = Writer::of_share(part.into(), of.into());
            if part == 0 {
                self.metadata(&mut writer);
                self.tokens(&mut writer);
            }
            writer.u16("split.no", part);
            writer.u16("split.count", of);
            writer.i32("split.tensors.count", all);
            weights::write(self, &mut writer);
            writer.finish()
        };
        (0..of).map(part).collect()
    }

    fn metadata(&self, writer: &mut Writer) {
        let architecture = &self.architecture;
        let kind = if self.breakage == Breakage::Adapter {
            "adapter"
        } else {
            "model"
        };
        writer.text("general.architecture", architecture);
        writer.text("general.type", kind);
        writer.text(
            "general.name",
            &format!("tiny {} {}", self.vocabulary.model(), self.seed),
        );
        writer.u32("general.file_type", u32::from(self.half));
        if let Breakage::Split(parts) = self.breakage {
            writer.u16("split.no", 0);
            writer.u16("split.count", parts);
        }
        for (suffix, number) in weights::shape(architecture, self.context) {
            writer.u32(&format!("{architecture}.{suffix}"), number);
        }
        writer.f32(
            &format!("{architecture}.attention.layer_norm_rms_epsilon"),
            1e-5,
        );
    }

    fn tokens(&self, writer: &mut Writer) {
        let vocabulary = &self.vocabulary;
        let id = |text: &str| vocabulary.id(text).expect("the token exists");
        let model = self.tokenizer.as_deref().unwrap_or(vocabulary.model());
        writer.text("tokenizer.ggml.model", model);
        let texts: Vec<&str> = vocabulary
            .tokens
            .iter()
            .map(|token| token.text.as_str())
            .collect();
        let kinds: Vec<i32> = vocabulary
            .tokens
            .iter()
            .map(|token| token.kind as i32)
            .collect();
        writer.texts("tokenizer.ggml.tokens", &texts);
        writer.i32s("tokenizer.ggml.token_type", &kinds);
        if vocabulary.is_spm() {
            // Earlier pieces merge first, as in a trained vocabulary.
            let scores: Vec<f32> = (0..texts.len()).map(|id| -(id as f32)).collect();
            writer.f32s("tokenizer.ggml.scores", &scores);
            writer.u32("tokenizer.ggml.unknown_token_id", id("<unk>"));
            writer.bool("tokenizer.ggml.add_space_prefix", self.add_space_prefix);
        } else {
            let merges: Vec<&str> = vocabulary.merges.iter().map(String::as_str).collect();
            writer.text("tokenizer.ggml.pre", "gpt-2");
            writer.texts("tokenizer.ggml.merges", &merges);
        }
        writer.u32("tokenizer.ggml.bos_token_id", id(vocabulary.bos));
        if let Some(end) = vocabulary.eos {
            writer.u32("tokenizer.ggml.eos_token_id", id(end));
        }
        if let Some(token) = &self.eot {
            writer.u32("tokenizer.ggml.eot_token_id", id(token));
        }
        writer.bool("tokenizer.ggml.add_bos_token", self.add_bos);
        if let Some(template) = &self.template {
            writer.text("tokenizer.chat_template", template);
        }
    }

    /// Whether the token ends a text by the file's metadata.
    fn ends(&self, token: &Token) -> bool {
        [self.vocabulary.eos, self.eot.as_deref()].contains(&Some(token.text.as_str()))
    }

    /// Bias of a token's logit.
    fn bias(&self, token: &Token) -> f32 {
        match token.kind {
            _ if self.ends(token) => self.end_bias,
            Kind::Normal if token.readable => 0.0,
            Kind::Byte if token.text == "<0x0A>" => 0.0,
            Kind::Normal | Kind::Byte => -5.0,
            Kind::Unknown | Kind::Control => -8.0,
        }
    }
}
