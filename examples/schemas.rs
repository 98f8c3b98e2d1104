//! Asks a pack for 200 answers by generated schemas: how many are finished within 400 bytes, whether
//! those validate, and how fast they are beside free answers to the same questions.
//!
//! ```text
//! scripts/with-tools cargo run --release --example schemas -- 200 A.gguf B.gguf
//! ```

#![allow(clippy::unwrap_used, reason = "the generator is one of tests")]

#[path = "../crates/grammar/tests/generator/mod.rs"]
mod generator;

use packllm_engine::chat::Message;
use packllm_engine::engine::{AnswerOptions, Engine, Event, Finish, MemberSpec};
use packllm_engine::pack::{Conversation, Pack, PackOptions};
use packllm_engine::sample::Params;
use packllm_engine::threads;
use packllm_grammar::{Form, Grammars};
use packllm_llama::LoadOptions;
use serde_json::Value;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// Most bytes of an answer.
const LIMIT: usize = 400;
/// Every so many schemas the question is also answered freely.
const FREE: u64 = 10;

/// What answers took.
#[derive(Default)]
struct Sums {
    answers: usize,
    bytes: usize,
    time: Duration,
}

impl Sums {
    fn add(&mut self, text: &str, time: Duration) {
        self.answers += 1;
        self.bytes += text.len();
        self.time += time;
    }

    fn line(&self) -> String {
        let seconds = self.time.as_secs_f64();
        let speed = self.bytes as f64 / seconds;
        format!(
            "{} answers, {} bytes in {seconds:.1} s: {speed:.1} bytes a second",
            self.answers, self.bytes
        )
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let schemas: u64 = arguments
        .next()
        .ok_or("usage: schemas NUMBER GGUF...")?
        .parse()?;
    let files: Vec<String> = arguments.collect();
    let engine = Engine::load(members(&files)?, Arc::default(), &mut |_| {})?;
    let pack = Pack::new(engine, PackOptions::default(), &mut ())?;
    let mut talk = pack.conversation(Arc::default())?;

    let grammars = Grammars::default();
    let (mut structured, mut free) = (Sums::default(), Sums::default());
    let (mut finished, mut invalid) = (0, 0);
    for n in 0..schemas {
        let schema = generator::schema(n);
        let (text, finish, time) = answer(&mut talk, &grammars, &schema, true)?;
        structured.add(&text, time);
        let is_valid = || {
            let value = serde_json::from_str::<Value>(&text);
            value.is_ok_and(|value| jsonschema::is_valid(&schema, &value))
        };
        match finish {
            Some(Finish::Stop) if is_valid() => finished += 1,
            Some(Finish::Stop) => invalid += 1,
            _ => println!("{n}: not finished: {text}"),
        }
        if n % FREE == 0 {
            let (text, _, time) = answer(&mut talk, &grammars, &schema, false)?;
            free.add(&text, time);
        }
    }
    println!("finished {finished} of {schemas}, and {invalid} that do not validate");
    println!("structured: {}", structured.line());
    println!("free: {}", free.line());
    let enough = invalid == 0 && finished * 100 >= schemas * 95;
    enough
        .then_some(())
        .ok_or_else(|| "too few are finished".into())
}

/// An answer of at most [`LIMIT`] bytes, why it ended (None: there), and its time.
fn answer(
    talk: &mut Conversation,
    grammars: &Grammars,
    schema: &Value,
    is_structured: bool,
) -> Result<(String, Option<Finish>, Duration), Box<dyn Error>> {
    let question = format!("Make up an example, as short JSON, of this JSON schema:\n{schema}");
    let request = talk.score_request();
    let read = talk.read_chat(&[Message::user(question)], 0, "", request, &mut ())?;
    let form = is_structured.then(|| Form::Json(schema.clone()));
    grammars.constrain(talk, form.as_ref(), "", &read.opening)?;
    let options = AnswerOptions {
        limit: None,
        sampling: Params::default(),
        stops: talk.stops(),
        attribution: false,
    };
    let (mut text, mut whole) = (String::new(), true);
    let mut generation = talk.lockstep.generate(&options)?;
    while let Some(Event::Text(more, _)) = generation.next()? {
        text.push_str(more);
        if text.len() >= LIMIT {
            whole = false;
            break;
        }
    }
    let answer = generation.finish()?;
    Ok((text, whole.then_some(answer.finish), answer.time))
}

/// The files as members. They share the cores.
fn members(files: &[String]) -> Result<Vec<MemberSpec>, Box<dyn Error>> {
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
