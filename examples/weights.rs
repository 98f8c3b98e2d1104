//! How well several models predict a text, and the weights that follow.
//!
//! ```text
//! scripts/with-tools cargo run --release --example weights -- "Call me Ishmael." A.gguf B.gguf
//! ```

use packllm_engine::engine::{Ending, Engine, ScoreRequest};
use packllm_engine::pack::{Pack, PackOptions};
use packllm_engine::weight::{Method, weights};
use packllm_llama::LoadOptions;
use std::sync::Arc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let text = arguments.next().ok_or("usage: weights TEXT GGUF...")?;
    let members = arguments.map(|file| LoadOptions::new(&file).member(file));

    let engine = Engine::load(members.collect(), Arc::default(), &mut |_| {})?;
    let options = PackOptions {
        raw: true,
        ..PackOptions::default()
    };
    let pack = Pack::new(engine, options, &mut ())?;
    let mut talk = pack.conversation(Arc::default())?;
    // Every method can be derived from whole distributions.
    let request = ScoreRequest {
        scores: true,
        rows: true,
        full: false,
    };
    talk.read_text(&text, Ending::Closed, request, &mut ())?;

    let evidence = talk.lockstep.evidence()?;
    for (k, name) in talk.lockstep.names().iter().enumerate() {
        println!("{:.3} bits per byte  {name}", evidence.bits_per_byte(k));
    }
    let fusion = talk.lockstep.fusion();
    let mixture = fusion.mixture(&evidence)?;
    for (name, method) in Method::named() {
        let weights = weights(&method, &evidence, &fusion.weighing(&evidence.alphabet))?.lambda;
        let bits = mixture.bits_per_byte(&weights)?;
        println!("{bits:.3} bits per byte  {name}: {weights:.3?}");
    }
    Ok(())
}
