//! What reads files, in this process.

use crate::damage::{Chance, damage};
use crate::tiny::TinyModel;
use anyhow::{Result, bail};
use chrono::{DateTime, NaiveDateTime};
use packllm_engine::backend::tokenizer_json::TokenizerJson;
use packllm_engine::backend::{TokenKind, Vocab, VocabBuilder};
use packllm_engine::chat::{Message, Template, log};
use packllm_engine::engine::prompt_cache::{Identity, Kin, file};
use packllm_engine::gguf::{Footprint, Header, Plan};
use packllm_engine::vocab::mapped::{Fingerprint, Map};
use packllm_store::{Manifest, Origin};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// One that takes longer than this for a small file hangs.
const PATIENCE: Duration = Duration::from_secs(10);

/// A reader of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// Headers and vocabularies of model files.
    Gguf,
    /// Manifests of packs.
    Manifest,
    /// Chat templates, with conversations.
    Template,
    /// `tokenizer.json`.
    Tokenizer,
    /// Logs of sessions.
    Session,
    /// Cached prompts.
    Prompt,
    /// Maps between vocabularies.
    Map,
}

impl Reader {
    /// All of them, by name.
    pub const ALL: [(&str, Reader); 7] = [
        ("gguf", Reader::Gguf),
        ("manifest", Reader::Manifest),
        ("template", Reader::Template),
        ("tokenizer", Reader::Tokenizer),
        ("session", Reader::Session),
        ("prompt", Reader::Prompt),
        ("map", Reader::Map),
    ];

    /// Good files.
    fn seeds(self) -> Vec<Vec<u8>> {
        let texts = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect();
        match self {
            Reader::Gguf => vec![TinyModel::spm(1).bytes(), TinyModel::bpe(1).bytes()],
            Reader::Manifest => texts(&[
                include_str!("../../models/starter.toml"),
                include_str!("../../models/tiny.toml"),
                include_str!("../../models/coder.toml"),
            ]),
            Reader::Template => texts(&[
                crate::tiny::CHATML,
                include_str!("../../crates/engine/src/chat/samples/llama-3.2.jinja"),
                include_str!("../../crates/engine/src/chat/samples/mistral-v7.jinja"),
                include_str!("../../crates/engine/src/chat/samples/deepseek-v3.1.jinja"),
            ]),
            Reader::Tokenizer => texts(&[include_str!("../seeds/tokenizer.json")]),
            Reader::Session => texts(&[include_str!("../seeds/session.jsonl")]),
            Reader::Prompt => vec![prompt()],
            Reader::Map => vec![map()],
        }
    }

    /// Reads a file; refusing it is as good as reading it.
    fn read(self, bytes: &[u8], path: &Path) -> Result<()> {
        match self {
            Reader::Gguf => {
                fs::write(path, bytes)?;
                read_model(path);
            }
            Reader::Manifest => read_manifest(&String::from_utf8_lossy(bytes)),
            Reader::Template => read_template(&String::from_utf8_lossy(bytes)),
            Reader::Tokenizer => {
                fs::write(path, bytes)?;
                let _ = TokenizerJson::open(path);
            }
            Reader::Session => {
                fs::write(path, bytes)?;
                if let Ok(saved) = log::read(path) {
                    let _ = saved.conversation.context();
                }
            }
            Reader::Prompt => {
                fs::write(path, hashed(bytes))?;
                let _ = file::read(path, &identity());
            }
            Reader::Map => {
                let vocab = vocabulary();
                let print = Fingerprint::of(&vocab);
                let sizes = (vocab.len(), vocab.len());
                let _ = Map::decode(&hashed(bytes), print, print, sizes);
            }
        }
        Ok(())
    }
}

/// Reads damaged files for this long, at most so many; how many they were.
///
/// # Errors
/// One that took too long. A panic ends the program, and the seed says which it was.
pub fn run(reader: Reader, time: Duration, most: u64, seed: u64) -> Result<u64> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("file");
    let seeds = reader.seeds();
    let started = Instant::now();
    let mut number = 0;
    while started.elapsed() < time && number < most {
        let this = seed.wrapping_add(number);
        let mut chance = Chance::new(this);
        let mut bytes = seeds[chance.below(seeds.len())].clone();
        let whole = 0..bytes.len();
        damage(&mut bytes, &[whole], &mut chance);
        let begun = Instant::now();
        let read = std::panic::catch_unwind(|| reader.read(&bytes, &path));
        let Ok(read) = read else {
            bail!("{reader:?}: seed {this} panics");
        };
        read?;
        if begun.elapsed() > PATIENCE {
            bail!("{reader:?}: seed {this} takes {:?}", begun.elapsed());
        }
        number += 1;
    }
    Ok(number)
}

fn read_model(path: &Path) {
    let Ok(header) = Header::read(path) else {
        return;
    };
    let _ = header.member();
    let _ = header.vocabulary();
    for gpu_layers in [0, 1, -1] {
        let plan = Plan {
            gpu_layers,
            ..Plan::default()
        };
        let _ = Footprint::of(&header, &plan).total();
    }
    for (key, value) in header.entries() {
        let _ = format!("{key} = {value}");
    }
}

fn read_manifest(text: &str) {
    if let Ok(manifest) = Manifest::parse(text, "damaged", Origin::Shipped)
        && let Ok(text) = manifest.to_toml()
    {
        let _ = Manifest::parse(&text, "again", Origin::Shipped);
    }
}

fn read_template(source: &str) {
    let Ok(template) = Template::new(source, "<s>", "</s>") else {
        return;
    };
    let conversation = [
        Message::system("Be brief."),
        Message::user("What is 1 + 1? {{ messages }} <|im_end|>"),
        Message::assistant("2"),
        Message::user("And 2 + 2?"),
    ];
    let _ = template.render(&conversation, true, noon());
    let _ = template.render(&conversation[1..2], false, noon());
}

fn noon() -> NaiveDateTime {
    DateTime::from_timestamp(1_750_000_000, 0)
        .unwrap_or_default()
        .naive_utc()
}

/// With the digest that the bytes before it have, or all would be found damaged by that.
fn hashed(bytes: &[u8]) -> Vec<u8> {
    let body = &bytes[..bytes.len().saturating_sub(32)];
    [body, Sha256::digest(body).as_slice()].concat()
}

fn identity() -> Identity {
    Identity {
        program: "packllm".into(),
        members: vec![Kin {
            name: "a".into(),
            model: "b".into(),
            settings: "c".into(),
        }],
        scoring: "d".into(),
    }
}

/// A cached prompt of three tokens, without scores.
fn prompt() -> Vec<u8> {
    let identity = serde_json::to_vec(&identity()).unwrap_or_default();
    let mut bytes = [b"packllm kept".as_slice(), &1u32.to_le_bytes()].concat();
    bytes.extend((identity.len() as u64).to_le_bytes());
    bytes.extend(identity);
    bytes.extend(3u64.to_le_bytes());
    for token in [1u32, 2, 3] {
        bytes.extend(token.to_le_bytes());
    }
    bytes.extend([0; 96]);
    bytes.extend([0; 32]);
    bytes
}

fn vocabulary() -> Vocab {
    let mut builder = VocabBuilder::default();
    for piece in ["a", "b", "ab", " "] {
        builder.push(piece.as_bytes(), TokenKind::Text);
    }
    builder.build(packllm_engine::backend::Special::default())
}

fn map() -> Vec<u8> {
    let vocab = vocabulary();
    let print = Fingerprint::of(&vocab);
    match Map::align(&vocab, &vocab, 1, &|_, _| true) {
        Some(map) => map.encode(print, print),
        None => Vec::new(),
    }
}
