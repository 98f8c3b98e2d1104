//! A server without a model: a pack of two fakes, for tests of clients and of load.
//!
//! ```text
//! cargo run --release -p packllm-server --example fake_server -- --port 8114 --delay-us 2000
//! ```
//!
//! `--parallel N`, `--max-queue N`, `--key KEY`, `--context N` and `--limit N` (tokens of an answer) are
//! as those of `packllm serve`; `--sessions FOLDER` keeps the conversations of the page there,
//! `--answers FILE` has a JSON object of questions and what they are answered with;
//! `--log` writes the access log to stderr. With `--until-eof` it ends when stdin is closed, and says
//! what its members hold then.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "it is for tests; a wrong argument may end it"
)]

#[path = "../tests/fake/mod.rs"]
mod fake;

use packllm_server::{Log, LogFormat, Server};
use std::collections::BTreeMap;
use std::error::Error;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

fn main() -> Result<(), Box<dyn Error>> {
    let mut options = fake::options();
    let mut source = fake::FakeSource::default();
    let mut until_eof = false;
    options.address.set_port(8114);
    let mut arguments = std::env::args().skip(1);
    while let Some(flag) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{flag} needs a value"));
        match &*flag {
            "--port" => options.address.set_port(value()?.parse()?),
            "--delay-us" => source.delay = Duration::from_micros(value()?.parse()?),
            "--parallel" => options.parallel = value()?.parse()?,
            "--max-queue" => options.limits.queue = value()?.parse()?,
            "--context" => source.context = value()?.parse()?,
            "--limit" => options.answers.limit = Some(value()?.parse()?),
            "--sessions" => options.sessions = Some(value()?.into()),
            "--answers" => {
                let text = std::fs::read_to_string(value()?)?;
                let answers: BTreeMap<String, String> = serde_json::from_str(&text)?;
                source.answers = Arc::new(answers.into_iter().collect());
            }
            "--key" => options.safety.keys.push(value()?),
            "--until-eof" => until_eof = true,
            "--log" => {
                options.log = Log {
                    format: LogFormat::Json,
                    sink: Arc::new(|line| eprintln!("{line}")),
                }
            }
            other => return Err(format!("unknown flag {other}").into()),
        }
    }
    source.sequences = 20 * options.parallel as u32 + 20;
    let server = Server::bind(options)?;
    println!("http://{}", server.address());
    if until_eof {
        let (handle, source) = (server.handle(), source.clone());
        std::thread::spawn(move || {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            for member in source.occupancy().unwrap_or_default() {
                let (conversations, sequences) = (member.conversations, member.sequences);
                println!("held: {conversations} conversations, {sequences} sequences");
            }
            handle.drain();
        });
    }
    Ok(server.run(&source, &|| println!("ready"))?)
}
