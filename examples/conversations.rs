//! Two conversations at once with one pack: loaded once, each answers on a thread of its own, and
//! what both want evaluated of a model goes into the same batches.
//!
//! ```text
//! scripts/with-tools cargo run --release --example conversations -- A.gguf B.gguf
//! ```

use packllm_engine::chat::Message;
use packllm_engine::engine::{AnswerOptions, Engine, Event};
use packllm_engine::pack::{Pack, PackOptions};
use packllm_engine::sample::Params;
use packllm_llama::LoadOptions;
use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

const QUESTIONS: [&str; 2] = ["Why is the sky blue?", "Name three colours."];

fn main() -> Result<(), Box<dyn Error>> {
    let cores = std::thread::available_parallelism()?.get();
    let files: Vec<String> = std::env::args().skip(1).collect();
    let threads = (cores / files.len().max(1)).max(1) as u32;
    let member = |file: &String| {
        let mut options = LoadOptions::new(file);
        // Each conversation needs KV sequences of its own.
        options.sequences *= QUESTIONS.len() as u32;
        options.threads = threads;
        options.member(file)
    };
    let members = files.iter().map(member).collect();
    let engine = Engine::load(members, Arc::default(), &mut |_| {})?;
    let pack = Pack::new(engine, PackOptions::default(), &mut ())?;

    let start = Instant::now();
    let answers = std::thread::scope(|scope| {
        let threads = QUESTIONS.map(|question| {
            let pack = &pack;
            scope.spawn(move || answer(pack, question).map_err(|error| error.to_string()))
        });
        threads.map(|thread| thread.join().unwrap_or_else(|_| Err("a panic".into())))
    });
    for (question, answer) in QUESTIONS.iter().zip(answers) {
        println!("{question}\n  {}", answer?.trim());
    }
    println!("both in {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// One conversation, from its question to the end of its answer.
fn answer(pack: &Pack, question: &str) -> Result<String, Box<dyn Error>> {
    // Raising this flag would stop this conversation, and no other.
    let mut talk = pack.conversation(Arc::default())?;
    let messages = [Message::user(question)];
    talk.read_chat(&messages, 0, "", talk.score_request(), &mut ())?;
    let options = AnswerOptions {
        limit: Some(60),
        sampling: Params::default(),
        stops: talk.stops(),
        attribution: false,
    };
    // The answer is made as far as it is asked for, and given up if this is dropped.
    let mut generation = talk.lockstep.generate(&options)?;
    while let Some(Event::Text(piece, _)) = generation.next()? {
        eprint!("{piece}");
    }
    Ok(generation.finish()?.text)
}
