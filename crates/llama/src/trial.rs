//! A trial: everything that a file can do wrong while it is loaded and first evaluated, done once.

use super::member::LlamaMember;
use super::offload::Offload;
use super::options::LoadOptions;
use packllm_engine::backend::{BackendError, BatchToken, Member, PREFIX};
use std::path::Path;

/// What it takes, small as it is to cost little: tokens.
const CONTEXT: u32 = 256;
/// Tokens of a batch: the largest graph that is built.
const BATCH: u32 = 32;
/// A text of words, numbers, spaces, controls and letters of other alphabets.
const TEXT: &str = "Hello  World\n\t1234 it's ¿naïve? 你好 🙂\u{1}";

/// Loads the file on the CPU, its weights as they lie in the file, makes a small context,
/// tokenises a text and evaluates a token of it.
///
/// llama.cpp aborts on some files that no check of ours refuses. Called in a process of its own,
/// whose end says what there is to know, this keeps the process that will use the model from
/// ending so.
///
/// # Errors
/// What [`LlamaMember::load`] and [`Member::decode`] say.
pub fn try_file(path: &Path) -> Result<(), BackendError> {
    let options = LoadOptions {
        context: Some(CONTEXT),
        batch: BATCH,
        ubatch: BATCH,
        outputs: 1,
        sequences: 1,
        // One, which waits for no other on a busy machine.
        threads: 1,
        threads_batch: 1,
        repack: false,
        offload: Offload {
            devices: vec!["none".to_owned()],
            ..Offload::default()
        },
        ..LoadOptions::new(path)
    };
    let mut member = LlamaMember::load_within(&options)?;
    let tokens = member.tokenize(TEXT, true)?;
    let first = BatchToken {
        token: tokens.first().copied().unwrap_or(0),
        pos: 0,
        seq: PREFIX,
        output: true,
    };
    member.decode(&[first])?;
    member.logits(0).map(drop)
}
