//! One answer of several models at once, streamed.
//!
//! ```text
//! scripts/with-tools cargo run --release --example answer -- "Why is the sky blue?" A.gguf B.gguf
//! ```

use packllm_engine::chat::Message;
use packllm_engine::engine::{AnswerOptions, Engine, MemberSpec};
use packllm_engine::pack::{Pack, PackOptions};
use packllm_engine::sample::Params;
use packllm_engine::threads;
use packllm_llama::LoadOptions;
use std::io::Write;
use std::sync::Arc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let question = arguments.next().ok_or("usage: answer QUESTION GGUF...")?;
    let files: Vec<String> = arguments.collect();

    let engine = Engine::load(members(&files)?, Arc::default(), &mut |_| {})?;
    let pack = Pack::new(engine, PackOptions::default(), &mut ())?;

    let mut talk = pack.conversation(Arc::default())?;

    let messages = [Message::user(question)];
    let read = talk.read_chat(&messages, 0, "", talk.score_request(), &mut ())?;
    for (name, weight) in talk.lockstep.names().iter().zip(talk.lockstep.lambda()) {
        println!("{weight:.3}  {name}");
    }

    let generation = AnswerOptions {
        limit: Some(100),
        sampling: Params::default(),
        stops: talk.stops(),
        attribution: false,
    };
    let mut out = std::io::stdout();
    talk.stream(&generation, &read.opening, &mut |more| {
        print!("{}", more.text);
        // Shown at once. A closed pipe is no error here.
        drop(out.flush());
    })?;
    println!();
    Ok(())
}

/// The files as members. They share the cores.
fn members(files: &[String]) -> Result<Vec<MemberSpec>, Box<dyn std::error::Error>> {
    let sizes = files
        .iter()
        .map(|file| std::fs::metadata(file).map(|m| m.len()));
    let sizes: Vec<u64> = sizes.collect::<Result<_, _>>()?;
    let cores = std::thread::available_parallelism()?.get() as u32;
    let threads = threads::divide(cores, &sizes, &[]);
    let members = files.iter().zip(threads).map(|(file, threads)| {
        let mut options = LoadOptions::new(file);
        (options.threads, options.threads_batch) = (threads.small, threads.wide);
        options.member(file)
    });
    Ok(members.collect())
}
